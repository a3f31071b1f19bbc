package main

import "fmt"

// The modes in which one side stops before the other.

// halfCloseFirst has the acceptor keep its FIN back until the reply was read:
// from CloseWrite on, the peer's FIN would discard what is still unread here.
func (d *driver) halfCloseFirst(seed uint32) error {
	stream, err := d.open(opReplyHeld, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := (pattern{seed}).write(stream, 0, d.opts.bytes); err != nil {
		return err
	}
	if err := closeWrite(stream); err != nil {
		return err
	}
	if err := d.expectReceipt(stream, seed); err != nil {
		return err
	}
	if err := (pattern{seed}).readExactly(stream, 0, d.opts.bytes); err != nil {
		return err
	}
	if err := d.release(seed); err != nil {
		return err
	}
	if err := expectEOF(stream); err != nil {
		return err
	}
	// Both FINs are exchanged, so there is nothing left that Close could do.
	d.total.finished.Add(1)
	return nil
}

// halfCloseReadLast leaves all unread until both FINs are exchanged.
func (d *driver) halfCloseReadLast(seed uint32) error {
	stream, err := d.open(opReplyAtEOF, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := (pattern{seed}).write(stream, 0, d.opts.bytes); err != nil {
		return err
	}
	if err := closeWrite(stream); err != nil {
		return err
	}
	<-stream.GetDieCh()
	if err := d.expectReceipt(stream, seed); err != nil {
		return err
	}
	if err := d.readAll(stream, seed); err != nil {
		return err
	}
	// The stream has gone with the last byte read.
	d.total.finished.Add(1)
	return nil
}

func (d *driver) peerHalfClosesFirst(seed uint32) error {
	stream, err := d.open(opFinFirst, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := d.readAll(stream, seed); err != nil {
		return err
	}
	if err := (pattern{seed}).write(stream, 0, d.opts.bytes); err != nil {
		return fmt.Errorf("after the peer's FIN: %w", err)
	}
	report, err := d.open(opReport, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := d.expectReceipt(report, seed); err != nil {
		return err
	}
	if err := d.finish(report); err != nil {
		return err
	}
	return d.finish(stream)
}

// hold fills a stream that the acceptor does not read. In version 1 the bytes
// must fit the acceptor's receive buffer, or the whole session waits.
func (d *driver) hold(seed uint32) error {
	stream, err := d.open(opHold, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() { written <- (pattern{seed}).write(stream, 0, d.opts.bytes) }()
	if err := d.echoBeside(seed); err != nil {
		return err
	}
	if err := d.release(seed); err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	if err := d.expectReceipt(stream, seed); err != nil {
		return err
	}
	return d.finish(stream)
}

// unread asks for bytes and takes them only after other streams have worked.
// In version 1 they must fit this side's receive buffer.
func (d *driver) unread(seed uint32) error {
	stream, err := d.open(opPour, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := d.echoBeside(seed); err != nil {
		return err
	}
	if err := d.readAll(stream, seed); err != nil {
		return err
	}
	return d.finish(stream)
}

// abandon closes a stream that the acceptor is still writing to. From version
// 2 and release 1.5.54 on a Go acceptor's Write then hangs until the session ends.
func (d *driver) abandon(seed uint32) error {
	stream, err := d.open(opPour, d.opts.bytes, seed)
	if err != nil {
		return err
	}
	if err := (pattern{seed}).readExactly(stream, 0, d.opts.bytes/2); err != nil {
		return err
	}
	if err := d.finish(stream); err != nil {
		return err
	}
	return d.echoBeside(seed)
}

// echoBeside shows that the session works while another stream does not.
func (d *driver) echoBeside(seed uint32) error {
	if err := d.echo(seed); err != nil {
		return fmt.Errorf("echo beside the stream: %w", err)
	}
	return nil
}

func (d *driver) release(seed uint32) error {
	stream, err := d.open(opRelease, 0, seed)
	if err != nil {
		return err
	}
	if _, err := readReceipt(stream); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return d.finish(stream)
}
