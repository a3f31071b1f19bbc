//go:build closewrite

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/xtaci/smux"
)

// A frame that is due comes long before.
const patience = 5 * time.Second

// wire is the scripted peer of a Go session on an unbuffered pipe, and the log of all frames in the
// order in which they cross it. What is not as the script expects panics; see scenario.record.
type wire struct {
	version int
	conn    net.Conn
	session *smux.Session

	mu     sync.Mutex
	frames []storedFrame
	// How many of them the Go session sent.
	sent  int
	grown chan struct{}
	// What was read of the first frame before the pipe was drained.
	begun []byte
	// Closed when nothing more is read.
	ended chan struct{}
}

func newWire(s *scenario, version int) *wire {
	near, far := net.Pipe()
	w := &wire{version: version, conn: far, grown: make(chan struct{}, 1), ended: make(chan struct{})}
	w.session = s.start(near, version)
	if !s.blocked {
		w.drain()
	}
	return w
}

// drain begins to read. Until then each write of the Go session is stuck.
func (w *wire) drain() {
	go func() {
		defer close(w.ended)
		from := io.MultiReader(bytes.NewReader(w.begun), w.conn)
		for {
			f, err := readFrame(from)
			if err != nil {
				return
			}
			w.log(out, f)
		}
	}()
}

// awaitStuck waits until the first write of the Go session is under way, and leaves it stuck.
func (w *wire) awaitStuck() {
	if len(w.begun) > 0 {
		return
	}
	w.begun = make([]byte, 1)
	_, err := io.ReadFull(w.conn, w.begun)
	must(err)
}

// end closes the Go session and returns all frames, those that the script did not wait for as well.
func (w *wire) end() []storedFrame {
	w.session.Close()
	<-w.ended
	return w.frames
}

func readFrame(from io.Reader) (frame, error) {
	var f frame
	if _, err := io.ReadFull(from, f.header[:]); err != nil {
		return f, err
	}
	f.payload = make([]byte, binary.LittleEndian.Uint16(f.header[2:]))
	_, err := io.ReadFull(from, f.payload)
	return f, err
}

func (w *wire) log(dir string, f frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, f.stored(dir))
	if dir != in {
		w.sent++
	}
	select {
	case w.grown <- struct{}{}:
	default:
	}
}

// await waits until the Go session has sent count frames in all.
func (w *wire) await(count int) {
	limit := time.After(patience)
	for {
		w.mu.Lock()
		sent := w.sent
		w.mu.Unlock()
		if sent >= count {
			return
		}
		select {
		case <-w.grown:
		case <-limit:
			panic(fmt.Sprintf("%d frames, and not %d", sent, count))
		}
	}
}

// send writes a frame of the peer and returns when the Go session has dealt with it: it takes the
// first byte of the next frame only then, and that is a NOP, which is not logged.
func (w *wire) send(cmd byte, id uint32, payload []byte) {
	f := newFrame(w.version, cmd, id, payload)
	w.log(in, f)
	w.write(f)
	w.write(newFrame(w.version, cmdNOP, 0, nil))
}

func (w *wire) write(f frame) {
	w.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := w.conn.Write(append(f.header[:], f.payload...))
	must(err)
}

func (w *wire) update(id, consumed, window uint32) {
	w.send(cmdUPD, id, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, consumed), window))
}

func (w *wire) open() *smux.Stream {
	stream, err := w.session.OpenStream()
	must(err)
	return stream
}

func (w *wire) accept() *smux.Stream {
	stream, err := w.session.AcceptStream()
	must(err)
	return stream
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// counting is the payload whose byte i is i mod 251.
func counting(length int) []byte {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}
