//go:build closewrite

package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/xtaci/smux"
)

// stuck is how long a call may last that is expected to return at once.
const stuck = 200 * time.Millisecond

var (
	client = &scenario{}
	server = &scenario{server: true}
)

// behaviours are what the guide says of releases with CloseWrite, and does not show by a trace.
var behaviours = []struct {
	name string
	only int
	run  func(version int) string
	// What 1.5.57 does, and 1.5.58 if that differs.
	before, now string
}{
	{name: "unread data when both directions have ended, CloseWrite first", run: unreadAfterBoth(true),
		before: "0 bytes, EOF; 0 streams", now: "20 bytes, EOF; 0 streams"},
	{name: "unread data when both directions have ended, FIN first", run: unreadAfterBoth(false),
		before: "0 bytes, EOF; 0 streams", now: "20 bytes, EOF; 0 streams"},
	{name: "a second FIN while unread data is kept", run: secondFINAmidUnread,
		before: "0 bytes, EOF; 0 streams", now: "20 bytes, EOF; 0 streams"},
	{name: "a second FIN after all was read", run: secondFINAfterRead, before: "5 bytes, EOF; 0 streams"},
	{name: "two FINs, then CloseWrite", run: twoFINsThenCloseWrite,
		before: "1 stream; 0 bytes, EOF; 0 streams", now: "1 stream; 5 bytes, EOF; 0 streams"},
	{name: "two FINs, then Write and Close", run: twoFINsThenWrite, before: "write 5 <nil>; close <nil>; 0 streams"},
	{name: "two FINs after Close", run: twoFINsAfterClose, before: "0 streams"},
	{name: "two FINs while a read waits", run: twoFINsWakeReader, before: "(n=0, err=EOF)"},
	{name: "WriteTo at the peer's FIN", run: writeToAtFIN, before: "(n=5, err=EOF)", now: "(n=5, err=<nil>)"},
	{name: "WriteTo of what is kept", run: writeToAfterBoth,
		before: "0 bytes; 0 streams", now: "5 bytes; 0 streams"},
	{name: "Close with kept data", run: closeKept,
		before: "0 streams; io: read/write on closed pipe; 0 streams", now: "1 stream; io: read/write on closed pipe; 0 streams"},
	{name: "write when the peer has closed", only: 2, run: writeToClosedPeer(false), before: "stuck after 262144 bytes"},
	{name: "write when the peer has closed with two FINs", only: 2, run: writeToClosedPeer(true), before: "stuck after 262144 bytes"},
	{name: "data behind a FIN", run: dataBehindFIN, before: "EOF, then 4 bytes"},
	{name: "streams that only the peer has ended", run: onlyPeerEnded, before: "1 stream"},
	{name: "early answer to OpenStream", run: earlyAnswer, before: "lost", now: "read"},
	{name: "an accepted stream that is collected", run: collected, before: "FIN", now: "nothing"},
	{name: "read after the session's Close", run: readAfterSessionClose, before: "EOF", now: "io: read/write on closed pipe"},
	{name: "read after Close", run: readAfterClose, before: "EOF", now: "io: read/write on closed pipe"},
	{name: "the end of the transport", run: transportEnds, before: "closed: false"},
	{name: "write that waits when the transport's reading side ends", only: 2, run: writeWhenReadingEnds, before: "stuck"},
	{name: "SYN with an id of its own", run: ownParity, before: "accepted 3, opened 3"},
	{name: "negative keep-alive interval", run: negativeInterval, before: "valid"},
	{name: "backlog full, keep-alive on", run: fullBacklog, before: "closed: true"},
	{name: "keep-alives behind a blocked transport", run: pileUp, before: "several"},
	{name: "concurrent writers and the window", only: 2, run: overrun, before: "overrun"},
}

func TestBehaviour(t *testing.T) {
	for _, b := range behaviours {
		for _, version := range (&scenario{only: b.only}).versions() {
			t.Run(fmt.Sprintf("%s/v%d", b.name, version), func(t *testing.T) {
				t.Parallel()
				defer func() {
					if unexpected := recover(); unexpected != nil {
						t.Error(unexpected)
					}
				}()
				expected := b.before
				if smuxRelease() != complete && b.now != "" {
					expected = b.now
				}
				if got := b.run(version); got != expected {
					t.Errorf("%s, not %s", got, expected)
				}
			})
		}
	}
}

func finish(w *wire) {
	w.session.Close()
	w.conn.Close()
}

// readAll reads to the end as a caller of Read does.
func readAll(stream *smux.Stream) string {
	data, err := io.ReadAll(stream)
	if err == nil {
		err = io.EOF
	}
	return fmt.Sprintf("%d bytes, %v", len(data), err)
}

func streams(w *wire) string {
	if w.session.NumStreams() == 1 {
		return "1 stream"
	}
	return fmt.Sprintf("%d streams", w.session.NumStreams())
}

// within is what a call returned, or that it is stuck.
func within(done <-chan result) string {
	select {
	case r := <-done:
		return r.String()
	case <-time.After(stuck):
		return "stuck"
	}
}

// accepted is a stream of the peer, with this data unread.
func accepted(w *wire, data []byte) *smux.Stream {
	w.send(cmdSYN, 3, nil)
	if len(data) > 0 {
		w.send(cmdPSH, 3, data)
	}
	return w.accept()
}

func unreadAfterBoth(closeWriteFirst bool) func(int) string {
	return func(version int) string {
		w := newWire(server, version)
		defer finish(w)
		stream := accepted(w, counting(20))
		if closeWriteFirst {
			must(stream.CloseWrite())
		}
		w.send(cmdFIN, 3, nil)
		if !closeWriteFirst {
			must(stream.CloseWrite())
		}
		return readAll(stream) + "; " + streams(w)
	}
}

func secondFINAmidUnread(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, counting(20))
	must(stream.CloseWrite())
	w.send(cmdFIN, 3, nil)
	head := make([]byte, 3)
	n, _ := stream.Read(head)
	w.send(cmdFIN, 3, nil)
	rest, err := io.ReadAll(stream)
	if err == nil {
		err = io.EOF
	}
	return fmt.Sprintf("%d bytes, %v; %s", n+len(rest), err, streams(w))
}

func secondFINAfterRead(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("reply"))
	must(stream.CloseWrite())
	head := make([]byte, 5)
	_, err := io.ReadFull(stream, head)
	must(err)
	w.send(cmdFIN, 3, nil)
	end := readAll(stream)
	w.send(cmdFIN, 3, nil)
	return "5" + end[1:] + "; " + streams(w)
}

func twoFINsThenCloseWrite(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("reply"))
	w.send(cmdFIN, 3, nil)
	w.send(cmdFIN, 3, nil)
	before := streams(w)
	must(stream.CloseWrite())
	return before + "; " + readAll(stream) + "; " + streams(w)
}

func twoFINsThenWrite(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, nil)
	w.send(cmdFIN, 3, nil)
	w.send(cmdFIN, 3, nil)
	n, err := stream.Write([]byte("hello"))
	closed := stream.Close()
	w.await(2)
	return fmt.Sprintf("write %d %v; close %v; %s", n, err, closed, streams(w))
}

func twoFINsAfterClose(version int) string {
	w := newWire(server, version)
	defer finish(w)
	must(accepted(w, []byte("unread")).Close())
	w.send(cmdFIN, 3, nil)
	w.send(cmdFIN, 3, nil)
	return streams(w)
}

func twoFINsWakeReader(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, nil)
	read := later(func() (int, error) { return stream.Read(make([]byte, 9)) })
	must(stream.CloseWrite())
	w.send(cmdFIN, 3, nil)
	w.send(cmdFIN, 3, nil)
	return within(read)
}

func writeTo(stream *smux.Stream) result {
	var sink bytes.Buffer
	n, err := stream.WriteTo(&sink)
	return result{int(n), err}
}

func writeToAtFIN(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("reply"))
	w.send(cmdFIN, 3, nil)
	return writeTo(stream).String()
}

func writeToAfterBoth(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("reply"))
	must(stream.CloseWrite())
	w.send(cmdFIN, 3, nil)
	return fmt.Sprintf("%d bytes; %s", writeTo(stream).n, streams(w))
}

func closeKept(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("reply"))
	must(stream.CloseWrite())
	w.send(cmdFIN, 3, nil)
	before := streams(w)
	return fmt.Sprintf("%s; %v; %s", before, stream.Close(), streams(w))
}

func writeToClosedPeer(twice bool) func(int) string {
	return func(version int) string {
		w := newWire(server, version)
		defer finish(w)
		stream := accepted(w, nil)
		w.send(cmdFIN, 3, nil)
		if twice {
			w.send(cmdFIN, 3, nil)
		}
		written := later(func() (int, error) { return stream.Write(counting(1 << 20)) })
		w.await(8) // frames of 32 KiB
		if outcome := within(written); outcome != "stuck" {
			return outcome
		}
		// Once more, while it waits.
		w.send(cmdFIN, 3, nil)
		outcome := within(written)
		stream.Close()
		return fmt.Sprintf("%s after %d bytes", outcome, (<-written).n)
	}
}

func dataBehindFIN(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, nil)
	w.send(cmdFIN, 3, nil)
	_, err := stream.Read(make([]byte, 9))
	w.send(cmdPSH, 3, []byte("late"))
	n, _ := stream.Read(make([]byte, 9))
	return fmt.Sprintf("%v, then %d bytes", err, n)
}

func onlyPeerEnded(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("reply"))
	w.send(cmdFIN, 3, nil)
	readAll(stream)
	return streams(w)
}

// earlyAnswer has the answer arrive before the write of the SYN has returned, which is possible on an
// unbuffered pipe only in the middle of that write.
func earlyAnswer(version int) string {
	w := newWire(&scenario{blocked: true}, version)
	defer finish(w)
	opened := make(chan *smux.Stream, 1)
	go func() {
		stream, err := w.session.OpenStream()
		must(err)
		opened <- stream
	}()
	w.awaitStuck()
	w.send(cmdPSH, 3, []byte("reply"))
	w.send(cmdFIN, 3, nil)
	w.drain()
	stream := <-opened
	stream.SetReadDeadline(time.Now().Add(stuck))
	if n, _ := stream.Read(make([]byte, 9)); n == 5 {
		return "read"
	}
	return "lost"
}

func collected(version int) string {
	w := newWire(server, version)
	defer finish(w)
	accepted(w, nil)
	for range 20 {
		runtime.GC()
		time.Sleep(stuck / 20)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent == 0 {
		return "nothing"
	}
	return w.frames[len(w.frames)-1].Cmd
}

func readAfterSessionClose(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, nil)
	w.session.Close()
	_, err := stream.Read(make([]byte, 9))
	return err.Error()
}

func readAfterClose(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, []byte("unread"))
	must(stream.Close())
	_, err := stream.Read(make([]byte, 9))
	return err.Error()
}

func transportEnds(version int) string {
	w := newWire(server, version)
	defer finish(w)
	stream := accepted(w, nil)
	w.conn.Close()
	readAll(stream)
	return fmt.Sprint("closed: ", w.session.IsClosed())
}

// halfConn ends for its reader only.
type halfConn struct {
	io.ReadWriteCloser
	ended chan struct{}
}

func (h halfConn) Read([]byte) (int, error) {
	<-h.ended
	return 0, io.EOF
}

type discard struct{}

func (discard) Read([]byte) (int, error)    { return 0, io.EOF }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) Close() error                { return nil }

func writeWhenReadingEnds(version int) string {
	config := smux.DefaultConfig()
	config.Version = version
	config.KeepAliveDisabled = true
	ended := make(chan struct{})
	session, err := smux.Client(halfConn{discard{}, ended}, config)
	must(err)
	defer session.Close()
	stream, err := session.OpenStream()
	must(err)
	written := later(func() (int, error) { return stream.Write(counting(1 << 20)) })
	close(ended)
	return within(written)
}

func ownParity(version int) string {
	w := newWire(client, version)
	defer finish(w)
	w.send(cmdSYN, 3, nil)
	theirs := w.accept()
	return fmt.Sprintf("accepted %d, opened %d", theirs.ID(), w.open().ID())
}

func negativeInterval(version int) string {
	config := smux.DefaultConfig()
	config.Version = version
	config.KeepAliveInterval = -time.Second
	if err := smux.VerifyConfig(config); err != nil {
		return err.Error()
	}
	return "valid"
}

func fullBacklog(version int) string {
	keepAlive := func(config *smux.Config) {
		config.KeepAliveDisabled = false
		config.KeepAliveInterval = 20 * time.Millisecond
		config.KeepAliveTimeout = 60 * time.Millisecond
	}
	w := newWire(&scenario{server: true, tune: keepAlive}, version)
	defer finish(w)
	// As a live peer would, it writes for as long as it can.
	go func() {
		for id := uint32(3); ; id += 2 {
			f := newFrame(version, cmdSYN, id, nil)
			if _, err := w.conn.Write(f.header[:]); err != nil {
				return
			}
		}
	}()
	select {
	case <-w.session.CloseChan():
	case <-time.After(patience):
	}
	return fmt.Sprint("closed: ", w.session.IsClosed())
}

func pileUp(version int) string {
	const interval, kept = 50 * time.Millisecond, 5
	keepAlive := func(config *smux.Config) {
		config.KeepAliveDisabled = false
		config.KeepAliveInterval = interval
	}
	w := newWire(&scenario{server: true, blocked: true, tune: keepAlive}, version)
	defer finish(w)
	w.awaitStuck()
	time.Sleep(2 * kept * interval)
	before := time.Now()
	w.drain()
	w.await(kept)
	if time.Since(before) < (kept-1)*interval {
		return "several"
	}
	return "one at a time"
}

func overrun(version int) string {
	w := newWire(&scenario{server: true, blocked: true}, version)
	defer finish(w)
	stream := accepted(w, nil)
	for range 4 {
		later(func() (int, error) { return stream.Write(counting(1 << 20)) })
	}
	w.drain()
	w.await(9) // of 32 KiB; the window is 8 of them
	return "overrun"
}
