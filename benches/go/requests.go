package main

import (
	"encoding/binary"
	"io"
	"math"
	"sync"
)

// A request is the number of writers, a byte, and the number of bytes that the answer has, in
// network order. A stream carries any number of them, one after another.

// endless is as many bytes as the stream takes.
const endless = math.MaxUint64

const requestSize = 9

// data is what answers are made of.
var data = make([]byte, 128<<10)

func ask(stream io.Writer, writers int, bytes uint64) error {
	request := [requestSize]byte{byte(writers)}
	binary.BigEndian.PutUint64(request[1:], bytes)
	_, err := stream.Write(request[:])
	return err
}

// answerAll answers all requests on all streams until the session ends.
func answerAll(server mux) {
	for {
		stream, err := server.accept()
		if err != nil {
			return
		}
		go answer(stream)
	}
}

func answer(stream io.ReadWriteCloser) {
	defer stream.Close()
	for {
		var request [requestSize]byte
		if _, err := io.ReadFull(stream, request[:]); err != nil {
			return
		}
		writers, bytes := max(int(request[0]), 1), binary.BigEndian.Uint64(request[1:])
		var done sync.WaitGroup
		for i := 1; i < writers; i++ {
			done.Add(1)
			go func() {
				defer done.Done()
				write(stream, bytes/uint64(writers))
			}()
		}
		write(stream, bytes/uint64(writers))
		done.Wait()
	}
}

// write stops early if the stream fails; who reads sees that too.
func write(stream io.Writer, left uint64) {
	for left > 0 {
		n, err := stream.Write(data[:min(left, uint64(len(data)))])
		if err != nil {
			return
		}
		left -= uint64(n)
	}
}
