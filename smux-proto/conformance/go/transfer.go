package main

import (
	"fmt"
	"io"
)

// More than one largest frame for each Write, so that frames leave full.
const chunkLen = 128 << 10

// fault is an error that no state of the connection excuses.
type fault struct{ what string }

func (f fault) Error() string { return f.what }

// write sends length bytes of the pattern, the first of which stands at offset.
func (p pattern) write(to io.Writer, offset, length uint64) error {
	chunk := make([]byte, min(length, chunkLen))
	for end := offset + length; offset < end; {
		n := min(end-offset, chunkLen)
		p.fill(offset, chunk[:n])
		wrote, err := to.Write(chunk[:n])
		if err != nil {
			return fmt.Errorf("write after %d of %d bytes: %w", offset+uint64(wrote), end, err)
		}
		offset += n
	}
	return nil
}

// read takes bytes of the pattern, the first of which stands at offset, until
// length have come or the stream ends, and verifies each. The receipt counts
// from this offset; progress, if any, sees it grow.
func (p pattern) read(from io.Reader, offset, length uint64, progress func(receipt)) (receipt, error) {
	var sum receipt
	chunk := make([]byte, min(length, chunkLen))
	for sum.count < length {
		n, err := from.Read(chunk[:min(length-sum.count, uint64(len(chunk)))])
		if err := p.check(offset+sum.count, chunk[:n]); err != nil {
			return sum, err
		}
		sum.add(chunk[:n])
		if progress != nil && n > 0 {
			progress(sum)
		}
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return sum, fmt.Errorf("read after %d bytes: %w", sum.count, err)
		}
	}
	return sum, nil
}

// readExactly is read for a stream that must not end before length bytes.
func (p pattern) readExactly(from io.Reader, offset, length uint64) error {
	sum, err := p.read(from, offset, length, nil)
	if err == nil && sum.count < length {
		err = fmt.Errorf("the stream ended after %d of %d bytes", sum.count, length)
	}
	return err
}

// expectEOF fails if more comes.
func expectEOF(from io.Reader) error {
	var extra [1]byte
	n, err := from.Read(extra[:])
	if n > 0 {
		return fault{fmt.Sprintf("byte 0x%02x where the stream should end", extra[0])}
	}
	if err != io.EOF {
		return fmt.Errorf("instead of the end of the stream: %w", err)
	}
	return nil
}
