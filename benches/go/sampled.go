package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// plan is what happens on one stream for as long as the run lasts.
type plan struct {
	write int
	read  bool
}

// sample runs plans and returns the bytes that each stream's reader got within length.
func sample(client, server mux, plans []plan, length time.Duration) ([]float64, error) {
	counters := make([]atomic.Int64, len(plans))
	go func() {
		for {
			stream, err := server.accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 64<<10)
				// The first byte tells whose stream it is.
				if _, err := io.ReadFull(stream, buf[:1]); err != nil {
					return
				}
				which := buf[0]
				if !plans[which].read {
					return
				}
				for {
					n, err := stream.Read(buf)
					counters[which].Add(int64(n))
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	for i, plan := range plans {
		stream, err := client.open()
		if err != nil {
			return nil, err
		}
		go func() {
			stream.Write([]byte{byte(i)})
			data := make([]byte, plan.write)
			for {
				if _, err := stream.Write(data); err != nil {
					return
				}
			}
		}()
	}
	time.Sleep(settle + length/5)
	before := make([]int64, len(plans))
	start := time.Now()
	for i := range counters {
		before[i] = counters[i].Load()
	}
	time.Sleep(length)
	rates := make([]float64, len(plans))
	for i := range counters {
		rates[i] = float64(counters[i].Load()-before[i]) / 1e6 / time.Since(start).Seconds()
	}
	return rates, nil
}

// settle is how long buffers get to fill.
const settle = 300 * time.Millisecond

func stalled(client, server mux, length time.Duration) (figures, error) {
	rates, err := sample(client, server, []plan{{128 << 10, false}, {128 << 10, true}}, length)
	if err != nil {
		return figures{}, err
	}
	return figures{Rate: rates[1]}, nil
}

func fairness(client, server mux, length time.Duration) (figures, error) {
	plans := []plan{{64 << 10, true}}
	for len(plans) < 10 {
		plans = append(plans, plan{512, true})
	}
	rates, err := sample(client, server, plans, length)
	if err != nil {
		return figures{}, err
	}
	var sum, squares float64
	for _, rate := range rates {
		sum += rate
		squares += rate * rate
	}
	jain := sum * sum / (float64(len(rates)) * squares)
	return figures{Rate: jain, More: map[string]float64{"MB/s": sum}}, nil
}

// total is the rate of all streams together.
func total(client, server mux, streams int, length time.Duration) (figures, error) {
	plans := make([]plan, streams)
	for i := range plans {
		plans[i] = plan{128 << 10, true}
	}
	rates, err := sample(client, server, plans, length)
	if err != nil {
		return figures{}, err
	}
	var sum float64
	for _, rate := range rates {
		sum += rate
	}
	return figures{Rate: sum}, nil
}

// idle returns the resident bytes that a stream holds, both ends together.
func idle(client, server mux, streams int) (figures, error) {
	arrived := make(chan io.ReadWriteCloser, ahead)
	go func() {
		for {
			stream, err := server.accept()
			if err != nil {
				return
			}
			buf := make([]byte, 1)
			if _, err := io.ReadFull(stream, buf); err != nil {
				return
			}
			arrived <- stream
		}
	}()
	var held []io.ReadWriteCloser
	hold := func(count int) error {
		for i := 0; i < count; i++ {
			stream, err := client.open()
			if err != nil {
				return err
			}
			if _, err := stream.Write([]byte{1}); err != nil {
				return err
			}
			held = append(held, stream, <-arrived)
		}
		return nil
	}
	if err := hold(100); err != nil {
		return figures{}, err
	}
	before, err := resident()
	if err != nil {
		return figures{}, err
	}
	if err := hold(streams); err != nil {
		return figures{}, err
	}
	time.Sleep(settle)
	after, err := resident()
	if err != nil {
		return figures{}, err
	}
	if len(held) == 0 {
		return figures{}, errors.New("nothing held")
	}
	return figures{Rate: (after - before) / float64(streams)}, nil
}

// resident returns the resident bytes of this process, without garbage.
func resident() (float64, error) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var total, pages float64
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		return 0, err
	}
	return pages * float64(os.Getpagesize()), nil
}
