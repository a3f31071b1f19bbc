package main

import (
	"io"
	"sync/atomic"
	"time"
)

// ahead is how many streams are opened before the accepting end must have closed some.
const ahead = 128

func exchange(client, server mux, atATime int, phases []time.Duration) (figures, error) {
	go func() {
		for {
			stream, err := server.accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, message)
				if _, err := io.ReadFull(stream, buf); err == nil {
					stream.Write(buf)
				}
				stream.Close()
			}()
		}
	}()
	var found figures
	for _, length := range phases {
		start := time.Now()
		type result struct {
			count int64
			err   error
		}
		results := make(chan result, atATime)
		for i := 0; i < atATime; i++ {
			go func() {
				count, err := exchangeUntil(client, start.Add(length))
				results <- result{count, err}
			}()
		}
		var count int64
		for i := 0; i < atATime; i++ {
			result := <-results
			if result.err != nil {
				return figures{}, result.err
			}
			count += result.count
		}
		found = thousands(count, time.Since(start))
	}
	return found, nil
}

func exchangeUntil(client mux, deadline time.Time) (int64, error) {
	buf := make([]byte, message)
	var count int64
	for time.Now().Before(deadline) {
		stream, err := client.open()
		if err != nil {
			return count, err
		}
		if _, err := stream.Write(buf); err != nil {
			return count, err
		}
		if _, err := io.ReadFull(stream, buf); err != nil {
			return count, err
		}
		if err := stream.Close(); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// closeNow closes what was accepted at once.
func closeNow(stream io.ReadWriteCloser, closed func()) {
	stream.Close()
	closed()
}

// closeAtEnd waits, in a goroutine of its own, until the client has closed.
func closeAtEnd(stream io.ReadWriteCloser, closed func()) {
	go func() {
		countAll(stream, message)
		stream.Close()
		closed()
	}()
}

func openClose(client, server mux, end func(io.ReadWriteCloser, func()), phases []time.Duration) (figures, error) {
	permits := make(chan struct{}, ahead)
	var count atomic.Int64
	go func() {
		for {
			stream, err := server.accept()
			if err != nil {
				return
			}
			end(stream, func() {
				count.Add(1)
				<-permits
			})
		}
	}()
	var found figures
	for _, length := range phases {
		before := count.Load()
		start := time.Now()
		for time.Since(start) < length {
			permits <- struct{}{}
			stream, err := client.open()
			if err != nil {
				return figures{}, err
			}
			stream.Close()
		}
		// What is still on its way counts, and so does its time.
		for i := 0; i < ahead; i++ {
			permits <- struct{}{}
		}
		found = thousands(count.Load()-before, time.Since(start))
		for i := 0; i < ahead; i++ {
			<-permits
		}
	}
	return found, nil
}
