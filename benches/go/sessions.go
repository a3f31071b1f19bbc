package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// See the file of the same name in the Rust program, with which all constants agree.

const (
	pairsAtATime = 16
	traffic      = 4_000_000
	rest         = time.Second
	keepAlive    = 10 * time.Second
)

// pair is two sessions, and the stream that the client has opened.
type pair struct {
	client, server mux
	listener       net.Listener
	stream         io.ReadWriteCloser
}

func sessions(peer string, pairs int, length time.Duration) (figures, error) {
	warm, err := establish(peer, pairsAtATime)
	if err != nil {
		return figures{}, err
	}
	empty, err := resident()
	if err != nil {
		return figures{}, err
	}
	start := time.Now()
	held, err := establish(peer, pairs)
	if err != nil {
		return figures{}, err
	}
	taken := time.Since(start)
	each := func() (float64, error) {
		bytes, err := resident()
		return (bytes - empty) / float64(pairs), err
	}
	time.Sleep(rest)
	fresh, err := each()
	if err != nil {
		return figures{}, err
	}
	if err := carry(held); err != nil {
		return figures{}, err
	}
	after, err := each()
	if err != nil {
		return figures{}, err
	}
	time.Sleep(rest)
	rested, err := each()
	if err != nil {
		return figures{}, err
	}
	intervals := time.Duration(2)
	if length < 2*time.Second {
		intervals = 1
	}
	begun, before := time.Now(), processorTime()
	time.Sleep(intervals * keepAlive)
	used := (processorTime() - before).Seconds() / time.Since(begun).Seconds()
	for _, pair := range append(held, warm...) {
		pair.stream.Close()
	}
	return figures{
		Rate: rested,
		More: map[string]float64{
			"B fresh":                     fresh,
			"B after traffic":             after,
			"CPU µs a session and minute": 60e6 * used / float64(2*(pairs+pairsAtATime)),
			"pairs a second":              float64(pairs) / taken.Seconds(),
		},
	}, nil
}

// inTurns does work for each of count, a few at a time.
func inTurns(count int, work func(int) error) error {
	failed := make(chan error, pairsAtATime)
	for task := 0; task < pairsAtATime; task++ {
		go func() {
			for i := task; i < count; i += pairsAtATime {
				if err := work(i); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	var first error
	for task := 0; task < pairsAtATime; task++ {
		if err := <-failed; first == nil {
			first = err
		}
	}
	return first
}

func establish(peer string, count int) ([]pair, error) {
	pairs := make([]pair, count)
	err := inTurns(count, func(i int) (err error) {
		pairs[i], err = newPair(peer)
		return err
	})
	return pairs, err
}

func newPair(peer string) (pair, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return pair{}, err
	}
	client, err := newClient(peer, listener.Addr().String())
	if err != nil {
		return pair{}, err
	}
	server, err := newServer(peer, listener)
	if err != nil {
		return pair{}, err
	}
	go answerAll(server)
	stream, err := client.open()
	if err != nil {
		return pair{}, err
	}
	if err := ask(stream, 1, message); err != nil {
		return pair{}, err
	}
	_, err = io.ReadFull(stream, make([]byte, message))
	return pair{client, server, listener, stream}, err
}

func carry(pairs []pair) error {
	bufs := make(chan []byte, pairsAtATime)
	for i := 0; i < pairsAtATime; i++ {
		bufs <- make([]byte, 64<<10)
	}
	return inTurns(len(pairs), func(i int) error {
		buf := <-bufs
		defer func() { bufs <- buf }()
		if err := ask(pairs[i].stream, 1, traffic); err != nil {
			return err
		}
		for left := traffic; left > 0; {
			n, err := pairs[i].stream.Read(buf)
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	})
}

// processorTime is what the threads that still run have used of their processors.
func processorTime() time.Duration {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0
	}
	var all time.Duration
	for _, file := range files {
		// A thread may have ended.
		text, _ := os.ReadFile(file)
		var nanos time.Duration
		fmt.Sscan(string(text), &nanos)
		all += nanos
	}
	return all
}
