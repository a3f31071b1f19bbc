package main

import (
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The client's side of the workloads over links: see the files of the same names in the Rust
// program, with which all constants agree.

const (
	gigabit      = 125e6
	slow         = 2e6
	bucketLength = 100 * time.Millisecond
)

// progress counts what arrives.
type progress struct {
	start   time.Time
	total   atomic.Uint64
	buckets []atomic.Uint64
}

func startProgress(watched time.Duration) *progress {
	return &progress{start: time.Now(), buckets: make([]atomic.Uint64, watched/bucketLength)}
}

func (p *progress) add(bytes int) time.Time {
	now := time.Now()
	if i := int(now.Sub(p.start) / bucketLength); i < len(p.buckets) {
		p.buckets[i].Add(uint64(bytes))
	}
	p.total.Add(uint64(bytes))
	return now
}

func (p *progress) overTime() []float64 {
	var rates []float64
	last := 0
	for i := range p.buckets {
		bytes := p.buckets[i].Load()
		rate := float64(bytes) / 1e6 / bucketLength.Seconds()
		rates = append(rates, math.Round(10*rate)/10)
		if bytes > 0 {
			last = i + 1
		}
	}
	return rates[:last]
}

// download asks for bytes and reads them, until deadline, if there is one. It returns when the last
// of them arrived.
func download(stream io.ReadWriter, writers int, left uint64, deadline time.Time, p *progress) (time.Time, error) {
	if err := ask(stream, writers, left); err != nil {
		return time.Time{}, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := stream.Read(buf)
		if err != nil {
			return time.Time{}, err
		}
		now := p.add(n)
		left -= min(left, uint64(n))
		if left == 0 || !deadline.IsZero() && now.After(deadline) {
			return now, nil
		}
	}
}

func long(client mux, roundTrip time.Duration, streams, writers int, length time.Duration) (figures, error) {
	// So that all writers have as much.
	each := uint64(500e6*min(length.Seconds()/3, 1)/float64(streams)) / uint64(writers) * uint64(writers)
	link := func(bytes uint64) time.Duration {
		return roundTrip + time.Duration(float64(bytes)/gigabit*float64(time.Second))
	}
	longest := 3 * link(each*uint64(streams))
	p := startProgress(longest)
	type result struct {
		end time.Time
		err error
	}
	results := make(chan result, streams)
	for i := 0; i < streams; i++ {
		go func() {
			stream, err := client.open()
			if err != nil {
				results <- result{err: err}
				return
			}
			end, err := download(stream, writers, each, p.start.Add(longest), p)
			results <- result{end, err}
		}()
	}
	end := p.start
	for i := 0; i < streams; i++ {
		result := <-results
		if result.err != nil {
			return figures{}, result.err
		}
		if result.end.After(end) {
			end = result.end
		}
	}
	taken := end.Sub(p.start).Seconds()
	return figures{
		Rate:     link(p.total.Load()).Seconds() / taken,
		More:     map[string]float64{"MB/s": float64(p.total.Load()) / 1e6 / taken},
		OverTime: p.overTime(),
	}, nil
}

func beside(client mux, idle int, length time.Duration) (figures, error) {
	const ramp, atATime = 3 * time.Second, 250
	var opening sync.WaitGroup
	var failed atomic.Pointer[error]
	places := make(chan struct{}, atATime)
	held := make([]io.ReadWriteCloser, idle)
	for i := range held {
		opening.Add(1)
		places <- struct{}{}
		go func() {
			defer func() {
				<-places
				opening.Done()
			}()
			stream, err := client.open()
			if err == nil {
				err = ask(stream, 1, 1)
			}
			if err == nil {
				_, err = io.ReadFull(stream, make([]byte, 1))
			}
			if err != nil {
				failed.Store(&err)
			}
			held[i] = stream
		}()
	}
	opening.Wait()
	if err := failed.Load(); err != nil {
		return figures{}, *err
	}
	stream, err := client.open()
	if err != nil {
		return figures{}, err
	}
	p := startProgress(ramp)
	go download(stream, 1, endless, time.Time{}, p)
	time.Sleep(ramp)
	start, before := time.Now(), p.total.Load()
	time.Sleep(length)
	rate := float64(p.total.Load()-before) / time.Since(start).Seconds()
	for _, stream := range held {
		stream.Close()
	}
	return figures{Rate: rate / gigabit, OverTime: p.overTime()}, nil
}

func slowLink(client mux, length time.Duration) (figures, error) {
	const downloads, settle = 8, 2 * time.Second
	asking, err := client.open()
	if err != nil {
		return figures{}, err
	}
	alone, err := askFor(asking, length)
	if err != nil {
		return figures{}, err
	}
	p := startProgress(0)
	for i := 0; i < downloads; i++ {
		stream, err := client.open()
		if err != nil {
			return figures{}, err
		}
		go download(stream, 1, endless, time.Time{}, p)
	}
	time.Sleep(settle)
	start, before := time.Now(), p.total.Load()
	beside, err := askFor(asking, length)
	if err != nil {
		return figures{}, err
	}
	rate := float64(p.total.Load()-before) / time.Since(start).Seconds()
	millis := func(times *hdrhistogram.Histogram, percent float64) float64 {
		return float64(times.ValueAtQuantile(percent)) / 1e6
	}
	return figures{
		Rate: millis(beside, 50) / millis(alone, 50),
		More: map[string]float64{
			"idle p50 ms": millis(alone, 50),
			"idle p99 ms": millis(alone, 99),
			"p50 ms":      millis(beside, 50),
			"p99 ms":      millis(beside, 99),
			"of the link": rate / slow,
		},
	}, nil
}

// askFor asks for small answers, one after another, and returns the times until they came.
func askFor(stream io.ReadWriter, length time.Duration) (*hdrhistogram.Histogram, error) {
	times := hdrhistogram.New(1, time.Minute.Nanoseconds(), 3)
	buf := make([]byte, message)
	start := time.Now()
	for asked := start; asked.Sub(start) < length; {
		if err := ask(stream, 1, message); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(stream, buf); err != nil {
			return nil, err
		}
		answered := time.Now()
		if err := times.RecordValue(answered.Sub(asked).Nanoseconds()); err != nil {
			return nil, err
		}
		asked = answered
	}
	return times, nil
}
