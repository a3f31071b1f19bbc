package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xtaci/smux"
)

// stuckAfter is how long after the end of a connection its handlers may work on.
const stuckAfter = time.Second

// acceptor answers each stream of one session as the stream's request says.
type acceptor struct {
	board      *board
	total      *totals
	speakFirst bool
	handlers   sync.WaitGroup

	mu     sync.Mutex
	faults []error
}

// serve accepts streams until the session ends. It fails only for a fault: a
// wrong byte or a request that cannot be met. Streams that were cut short are
// reported on standard error, as a peer may have meant to do that.
func serve(session *smux.Session, opts options, total *totals) error {
	a := &acceptor{board: newBoard(), total: total, speakFirst: opts.speakFirst}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			fmt.Fprintln(os.Stderr, "session ended:", err)
			break
		}
		total.streams.Add(1)
		a.handlers.Add(1)
		go func() {
			defer a.handlers.Done()
			a.handle(stream)
		}()
	}
	a.board.end()
	a.waitForHandlers(session)
	return errors.Join(a.faults...)
}

// waitForHandlers lets readers see the end that their stream had, as they do by
// themselves once the connection has ended. Closing the session at once would
// race with it; but only that wakes a version 2 Write that waits for a window.
func (a *acceptor) waitForHandlers(session *smux.Session) {
	stuck := time.AfterFunc(stuckAfter, func() { session.Close() })
	defer stuck.Stop()
	a.handlers.Wait()
}

func (a *acceptor) handle(stream *smux.Stream) {
	// An error here only says that both directions had ended before.
	defer stream.Close()
	err := a.answer(stream)
	if err == nil {
		a.total.finished.Add(1)
		return
	}
	err = fmt.Errorf("stream %d: %w", stream.ID(), err)
	fmt.Fprintln(os.Stderr, err)
	if errors.As(err, new(fault)) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.faults = append(a.faults, err)
	}
}

func (a *acceptor) answer(stream *smux.Stream) error {
	if a.speakFirst {
		if err := (pattern{greetingSeed}).write(stream, 0, greetingLen); err != nil {
			return err
		}
	}
	req, err := readRequest(stream)
	if err == io.EOF {
		return nil // opened and closed without a byte
	}
	if err != nil {
		return fmt.Errorf("no request: %w", err)
	}
	if err := a.perform(req, stream); err != nil {
		return fmt.Errorf("op %d, length %d, seed %d: %w", req.op, req.length, req.seed, err)
	}
	return nil
}

func (a *acceptor) perform(req request, stream *smux.Stream) error {
	p := pattern{req.seed}
	switch req.op {
	case opEcho:
		return echo(stream)
	case opDrain:
		return drain(stream, req)
	case opPour:
		return p.write(stream, 0, req.length)
	case opReplyAtEOF:
		return replyAtEOF(stream, req)
	case opReplyHeld:
		if err := replyAtEOF(stream, req); err != nil {
			return err
		}
		return a.untilReleased(req.seed)
	case opFinFirst:
		return a.finFirst(stream, req)
	case opReadLast:
		return a.readLast(stream, req)
	case opCloseInWrite:
		return a.closeInWrite(stream, req)
	case opPourTogether:
		return pourTogether(stream, req)
	case opHold:
		if err := a.untilReleased(req.seed); err != nil {
			return err
		}
		return drain(stream, req)
	case opIdle:
		select {
		case <-time.After(time.Duration(req.length) * time.Millisecond):
			return echo(stream)
		case <-a.board.ended:
			return io.ErrClosedPipe
		}
	case opAbandon:
		return abandon(stream, req)
	case opRelease:
		a.board.release(req.seed)
		return answerReceipt(stream, receipt{})
	case opReport:
		sum, ok := a.board.waitReceipt(req.seed, req.length)
		if !ok {
			return io.ErrClosedPipe
		}
		return answerReceipt(stream, sum)
	}
	return fault{"no such op"}
}

func (a *acceptor) untilReleased(seed uint32) error {
	if !a.board.waitReleased(seed) {
		return io.ErrClosedPipe
	}
	return nil
}

// finFirst posts what has come so far at every step, for opReport: when the
// peer's FIN arrives at a stream that was half-closed here, the releases with
// CloseWrite throw away data that is still unread.
func (a *acceptor) finFirst(stream *smux.Stream, req request) error {
	if err := pourAndHalfClose(stream, req); err != nil {
		return err
	}
	return a.readAndPost(stream, req)
}

// readLast reads what only the releases from 1.5.58 on still have.
func (a *acceptor) readLast(stream *smux.Stream, req request) error {
	if err := pourAndHalfClose(stream, req); err != nil {
		return err
	}
	<-stream.GetDieCh()
	return a.readAndPost(stream, req)
}

func pourAndHalfClose(stream *smux.Stream, req request) error {
	if !hasCloseWrite {
		return fault{"the peer cannot half-close"}
	}
	if err := (pattern{req.seed}).write(stream, 0, req.length); err != nil {
		return err
	}
	return closeWrite(stream)
}

// pourTogether has several writers on one stream, which go on until each has
// written length bytes. Their frames mix, so each byte tells in which write it was.
//
// Concurrent writes of version 2 have two faults. One may fail with ErrConsumed
// although the peer did nothing wrong, and its result hides what was sent before
// that; so the next write has another number. And a window update wakes one writer,
// so that others sleep on although there is window left, if that one has no more to
// write; so all write until the last has enough.
func pourTogether(stream *smux.Stream, req request) error {
	results := make(chan error, togetherWriters)
	var unfinished atomic.Int32
	unfinished.Store(togetherWriters)
	for writer := range byte(togetherWriters) {
		go func() {
			data := make([]byte, togetherPiece)
			written := uint64(0)
			for number := byte(0); unfinished.Load() > 0; number++ {
				for i := range data {
					data[i] = writer<<6 | number&63
				}
				_, err := stream.Write(data)
				if err == nil {
					written += togetherPiece
					if written == req.length && unfinished.Add(-1) == 0 {
						stream.Close()
					}
				} else if errors.Is(err, smux.ErrConsumed) {
					time.Sleep(time.Millisecond)
				} else if unfinished.Load() > 0 {
					results <- err
					return
				}
			}
			results <- nil
		}()
	}
	var errs []error
	for range togetherWriters {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

func (a *acceptor) readAndPost(stream *smux.Stream, req request) error {
	_, err := (pattern{req.seed}).read(stream, 0, math.MaxUint64, func(sum receipt) { a.board.post(req.seed, sum) })
	return err
}

// closeInWrite shows that the frames of a Write go on after Close, behind its FIN.
func (a *acceptor) closeInWrite(stream *smux.Stream, req request) error {
	data := make([]byte, req.length)
	pattern{req.seed}.fill(0, data)
	written := make(chan error, 1)
	go func() {
		_, err := stream.Write(data)
		written <- err
	}()
	if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	a.board.post(req.seed, pattern{req.seed}.receipt(req.length))
	return nil
}

// echo never holds more than one read: a peer that does not take its bytes
// back is not read any further.
func echo(stream *smux.Stream) error {
	chunk := make([]byte, 64<<10)
	for {
		n, err := stream.Read(chunk)
		if _, err := stream.Write(chunk[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// drain answers before the opener's FIN: 1.5.28 to 1.5.53 cannot write after it.
func drain(stream *smux.Stream, req request) error {
	sum, err := (pattern{req.seed}).read(stream, 0, req.length, nil)
	if err != nil {
		return err
	}
	return answerReceipt(stream, sum)
}

func replyAtEOF(stream *smux.Stream, req request) error {
	p := pattern{req.seed}
	sum, err := p.read(stream, 0, math.MaxUint64, nil)
	if err != nil {
		return err
	}
	if _, err := stream.Write(sum.encode()); err != nil {
		return err
	}
	return p.write(stream, 0, req.length)
}

func abandon(stream *smux.Stream, req request) error {
	if _, err := (pattern{req.seed}).read(stream, 0, req.length, nil); err != nil {
		return err
	}
	if hasCloseWrite {
		return closeWrite(stream)
	}
	return nil
}

// answerReceipt ends an exchange that the opener closes first.
func answerReceipt(stream *smux.Stream, sum receipt) error {
	if _, err := stream.Write(sum.encode()); err != nil {
		return err
	}
	return expectEOF(stream)
}
