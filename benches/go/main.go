// The peers of the comparison that are written in Go, each on the same work as those in Rust.
//
// One run in one process, over loopback TCP, on two threads: both ends, or one. Prints JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

// figures is what a run found: see the type of the same name in the Rust program.
type figures struct {
	Rate     float64            `json:"rate"`
	More     map[string]float64 `json:"more,omitempty"`
	OverTime []float64          `json:"over_time,omitempty"`
}

// work is the Rust program's enum, as serde writes it; one of its fields is set.
type work struct {
	Bulk       *struct{ Streams, Write, Read int }
	Messages   *struct{ Streams int }
	RoundTrips *struct{ Streams int } `json:"round_trips"`
	Exchange   *struct {
		AtATime int `json:"at_a_time"`
	}
	OpenClose   *struct{} `json:"open_close"`
	AcceptClose *struct{} `json:"accept_close"`
	Idle        *struct{ Streams int }
	Stalled     *struct{}
	Fairness    *struct{}
	Link        *struct{ Streams int }
	Long        *struct{ Milliseconds, Streams, Writers int }
	Beside      *struct{ Idle int }
	SlowLink    *struct{} `json:"slow_link"`
	Sessions    *struct{ Pairs int }
}

// longest is what a run may take if nobody ends it.
const longest = 4 * time.Minute

func main() {
	peer := flag.String("peer", "", "who")
	text := flag.String("work", "", "what, as JSON")
	seconds := flag.Float64("seconds", 1, "how long")
	end := flag.String("end", "both", "both, client, or server, which answers what it is asked")
	dial := flag.String("dial", "", "the client's way to the listener, which is the standard input")
	flag.Parse()
	runtime.GOMAXPROCS(2)
	time.AfterFunc(longest, func() { os.Exit(1) })

	var found figures
	client, server, err := connect(*peer, *end, *dial)
	if err == nil && *end == "server" {
		answerAll(server)
		return
	}
	if err == nil {
		found, err = run(*peer, client, server, *text, time.Duration(*seconds*float64(time.Second)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(1)
	}
}

// run does the work; server is nil if another process is at that end.
func run(peer string, client, server mux, text string, length time.Duration) (figures, error) {
	var w work
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return figures{}, err
	}
	if server != nil && (w.Long != nil || w.Beside != nil || w.SlowLink != nil) {
		go answerAll(server)
	}
	phases := []time.Duration{length / 5, length}
	switch {
	case w.Bulk != nil:
		bytes, taken, err := bulk(client, server, w.Bulk.Streams, w.Bulk.Write, w.Bulk.Read, phases)
		return figures{Rate: float64(bytes) / 1e6 / taken.Seconds()}, err
	case w.Messages != nil:
		bytes, taken, err := bulk(client, server, w.Messages.Streams, message, 64<<10, phases)
		return thousands(bytes/message, taken), err
	case w.RoundTrips != nil:
		return roundTrips(client, server, w.RoundTrips.Streams, phases)
	case w.Exchange != nil:
		return exchange(client, server, w.Exchange.AtATime, phases)
	case w.OpenClose != nil:
		return openClose(client, server, closeNow, phases)
	case w.AcceptClose != nil:
		return openClose(client, server, closeAtEnd, phases)
	case w.Idle != nil:
		return idle(client, server, w.Idle.Streams)
	case w.Stalled != nil:
		return stalled(client, server, length)
	case w.Fairness != nil:
		return fairness(client, server, length)
	case w.Link != nil:
		return total(client, server, w.Link.Streams, length)
	case w.Long != nil:
		roundTrip := time.Duration(w.Long.Milliseconds) * time.Millisecond
		return long(client, roundTrip, w.Long.Streams, w.Long.Writers, length)
	case w.Beside != nil:
		return beside(client, w.Beside.Idle, length)
	case w.SlowLink != nil:
		return slowLink(client, length)
	case w.Sessions != nil:
		return sessions(peer, w.Sessions.Pairs, length)
	}
	return figures{}, fmt.Errorf("not done in Go")
}

func thousands(count int64, taken time.Duration) figures {
	return figures{Rate: float64(count) / 1e3 / taken.Seconds()}
}
