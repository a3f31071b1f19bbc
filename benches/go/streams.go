package main

import (
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// message is the size of a small message.
const message = 64

// bulk writes on all streams until the time is up, then closes them. It returns the bytes that were
// read, and the time from the first open to the last end.
func bulk(client, server mux, streams, write, read int, phases []time.Duration) (int64, time.Duration, error) {
	ended := make(chan int64)
	go func() {
		for {
			stream, err := server.accept()
			if err != nil {
				return
			}
			go func() {
				ended <- countAll(stream, read)
				stream.Close()
			}()
		}
	}()
	var bytes int64
	var taken time.Duration
	for _, length := range phases {
		start := time.Now()
		failed := make(chan error, streams)
		for i := 0; i < streams; i++ {
			go func() { failed <- writeUntil(client, write, start.Add(length)) }()
		}
		bytes = 0
		for i := 0; i < streams; i++ {
			if err := <-failed; err != nil {
				return 0, 0, err
			}
		}
		for i := 0; i < streams; i++ {
			bytes += <-ended
		}
		taken = time.Since(start)
	}
	return bytes, taken, nil
}

func writeUntil(client mux, size int, deadline time.Time) error {
	stream, err := client.open()
	if err != nil {
		return err
	}
	data := make([]byte, size)
	for time.Now().Before(deadline) {
		if _, err := stream.Write(data); err != nil {
			return err
		}
	}
	return stream.Close()
}

func countAll(stream io.Reader, size int) int64 {
	buf := make([]byte, size)
	var bytes int64
	for {
		n, err := stream.Read(buf)
		bytes += int64(n)
		if err != nil {
			return bytes
		}
	}
}

func roundTrips(client, server mux, streams int, phases []time.Duration) (figures, error) {
	go func() {
		for {
			stream, err := server.accept()
			if err != nil {
				return
			}
			go echo(stream)
		}
	}()
	opened := make([]io.ReadWriteCloser, streams)
	for i := range opened {
		stream, err := client.open()
		if err != nil {
			return figures{}, err
		}
		opened[i] = stream
	}
	var found figures
	for _, length := range phases {
		start := time.Now()
		times := make(chan *hdrhistogram.Histogram, streams)
		for _, stream := range opened {
			go func() { times <- askUntil(stream, start.Add(length)) }()
		}
		all := hdrhistogram.New(1, time.Minute.Nanoseconds(), 3)
		for range opened {
			all.Merge(<-times)
		}
		found = thousands(all.TotalCount(), time.Since(start))
		found.More = map[string]float64{
			"p50 µs": float64(all.ValueAtQuantile(50)) / 1e3,
			"p99 µs": float64(all.ValueAtQuantile(99)) / 1e3,
		}
	}
	return found, nil
}

func echo(stream io.ReadWriter) {
	buf := make([]byte, message)
	for {
		if _, err := io.ReadFull(stream, buf); err != nil {
			return
		}
		if _, err := stream.Write(buf); err != nil {
			return
		}
	}
}

// askUntil stops early if the stream fails; the rate tells.
func askUntil(stream io.ReadWriter, deadline time.Time) *hdrhistogram.Histogram {
	times := hdrhistogram.New(1, time.Minute.Nanoseconds(), 3)
	buf := make([]byte, message)
	for asked := time.Now(); asked.Before(deadline); {
		if _, err := stream.Write(buf); err != nil {
			break
		}
		if _, err := io.ReadFull(stream, buf); err != nil {
			break
		}
		answered := time.Now()
		times.RecordValue(answered.Sub(asked).Nanoseconds())
		asked = answered
	}
	return times
}
