package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/xtaci/smux"
)

// driver opens streams, asks the acceptor for something, and verifies it.
//
// It only awaits what an acceptor says after it has read the request: a Go
// opener enters a stream in its table after the SYN was sent, and drops what
// arrives before that.
type driver struct {
	session *smux.Session
	opts    options
	total   *totals
}

const (
	shortLen   = 64
	shortBatch = 64
)

// driveModes are the modes of an opener. What their streams ask for is in request.go.
var driveModes = map[string]func(*driver) error{
	"echo": func(d *driver) error { return d.each(1, d.echo) },
	// All streams are open before the first byte of the pattern moves.
	"concurrent": (*driver).concurrent,
	"many-short": func(d *driver) error { d.opts.bytes = shortLen; return d.each(shortBatch, d.echo) },
	"bulk-up":    func(d *driver) error { return d.each(d.opts.streams, d.bulkUp) },
	"bulk-down":  func(d *driver) error { return d.each(d.opts.streams, d.bulkDown) },
	"idle":       func(d *driver) error { return d.each(d.opts.streams, d.idle) },
	// Write, CloseWrite, read all; needs a release with CloseWrite.
	"halfclose-go-first": func(d *driver) error { return d.each(d.opts.streams, d.halfCloseFirst) },
	// Write, CloseWrite, wait for the peer's FIN, and only then read; needs 1.5.58. All must fit a window.
	"halfclose-read-last": func(d *driver) error { return d.each(d.opts.streams, d.halfCloseReadLast) },
	// Read to EOF, then write; 1.5.28 to 1.5.53 cannot, and older releases in
	// version 2 only what the window still takes: they do not wait after a FIN.
	"halfclose-peer-first": func(d *driver) error { return d.each(d.opts.streams, d.peerHalfClosesFirst) },
	// The acceptor does not read a stream, this side does not read one, this
	// side closes one that is still written to: other streams work meanwhile.
	"hold":    func(d *driver) error { return d.each(d.opts.streams, d.hold) },
	"unread":  func(d *driver) error { return d.each(d.opts.streams, d.unread) },
	"abandon": func(d *driver) error { return d.each(d.opts.streams, d.abandon) },
}

// each runs the job once per stream, at most limit of them at a time. The job
// gets the stream's seed.
func (d *driver) each(limit int, job func(seed uint32) error) error {
	slots := make(chan struct{}, limit)
	failures := make([]error, d.opts.streams)
	var running sync.WaitGroup
	for i := range d.opts.streams {
		slots <- struct{}{}
		running.Add(1)
		go func() {
			defer running.Done()
			defer func() { <-slots }()
			if err := job(uint32(i + 1)); err != nil {
				failures[i] = fmt.Errorf("seed %d: %w", i+1, err)
			}
		}()
	}
	running.Wait()
	return errors.Join(failures...)
}

func (d *driver) open(op op, length uint64, seed uint32) (*smux.Stream, error) {
	stream, err := d.session.OpenStream()
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	d.total.streams.Add(1)
	if d.opts.speakFirst {
		if err := (pattern{greetingSeed}).readExactly(stream, 0, greetingLen); err != nil {
			return nil, fmt.Errorf("greeting: %w", err)
		}
	}
	if _, err := stream.Write(request{op, length, seed}.encode()); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return stream, nil
}

// finish closes a stream whose work is done.
func (d *driver) finish(stream *smux.Stream) error {
	if err := stream.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	d.total.finished.Add(1)
	return nil
}

func (d *driver) echo(seed uint32) error {
	stream, err := d.open(opEcho, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := exchange(stream, seed, 0, d.opts.bytes); err != nil {
		return err
	}
	return d.finish(stream)
}

// exchange sends a piece of the pattern and takes it back at the same time, as
// an echo of more than the windows hold cannot be taken back afterwards.
func exchange(stream *smux.Stream, seed uint32, offset, length uint64) error {
	p := pattern{seed}
	written := make(chan error, 1)
	go func() { written <- p.write(stream, offset, length) }()
	if err := p.readExactly(stream, offset, length); err != nil {
		return err
	}
	return <-written
}

func (d *driver) concurrent() error {
	streams := make([]*smux.Stream, d.opts.streams)
	for i := range streams {
		stream, err := d.open(opEcho, d.opts.bytes, uint32(i+1))
		if err != nil {
			return err
		}
		streams[i] = stream
	}
	return d.each(len(streams), func(seed uint32) error {
		stream := streams[seed-1]
		if err := exchange(stream, seed, 0, d.opts.bytes); err != nil {
			return err
		}
		return d.finish(stream)
	})
}

func (d *driver) bulkUp(seed uint32) error {
	stream, err := d.open(opDrain, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := (pattern{seed}).write(stream, 0, d.opts.bytes); err != nil {
		return err
	}
	if err := d.expectReceipt(stream, seed); err != nil {
		return err
	}
	return d.finish(stream)
}

func (d *driver) bulkDown(seed uint32) error {
	stream, err := d.open(opPour, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := d.readAll(stream, seed); err != nil {
		return err
	}
	return d.finish(stream)
}

func (d *driver) idle(seed uint32) error {
	stream, err := d.open(opEcho, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := exchange(stream, seed, 0, d.opts.bytes); err != nil {
		return fmt.Errorf("before the pause: %w", err)
	}
	time.Sleep(d.opts.idle)
	if err := exchange(stream, seed, d.opts.bytes, d.opts.bytes); err != nil {
		return fmt.Errorf("after the pause: %w", err)
	}
	return d.finish(stream)
}

// readAll takes the whole pattern and the end of the stream.
func (d *driver) readAll(stream *smux.Stream, seed uint32) error {
	if err := (pattern{seed}).readExactly(stream, 0, d.opts.bytes); err != nil {
		return err
	}
	return expectEOF(stream)
}

func (d *driver) expectReceipt(from io.Reader, seed uint32) error {
	got, err := readReceipt(from)
	if err != nil {
		return err
	}
	if want := (pattern{seed}).receipt(d.opts.bytes); got != want {
		return fmt.Errorf("the receipt says %s, not %s", got, want)
	}
	return nil
}
