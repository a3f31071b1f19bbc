package main

import (
	"errors"
	"flag"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/xtaci/smux"
)

const modeServe = "serve"

type options struct {
	mode       string
	listen     string
	dial       string
	role       string
	speakFirst bool
	streams    int
	bytes      uint64
	conns      int
	idle       time.Duration
	deadline   time.Duration
	smux       *smux.Config
}

func parseArgs(args []string) (options, error) {
	var opts options
	config := smux.DefaultConfig()
	opts.smux = config

	flags := flag.NewFlagSet("peer", flag.ContinueOnError)
	flags.StringVar(&opts.listen, "listen", "", "listen on this `address` and print LISTENING address (default 127.0.0.1:0, unless -dial is given)")
	flags.StringVar(&opts.dial, "dial", "", "connect to this `address`")
	flags.StringVar(&opts.role, "role", "", "smux role: client or server (default: client with -dial, else server)")
	flags.IntVar(&config.Version, "version", config.Version, "protocol version: 1 or 2")
	flags.IntVar(&config.MaxFrameSize, "frame", config.MaxFrameSize, "largest payload of a frame, in bytes")
	flags.IntVar(&config.MaxReceiveBuffer, "recvbuf", config.MaxReceiveBuffer, "receive buffer of the session, in bytes")
	flags.IntVar(&config.MaxStreamBuffer, "streambuf", config.MaxStreamBuffer, "receive window of a stream, in bytes (version 2)")
	flags.DurationVar(&config.KeepAliveInterval, "keepalive-interval", config.KeepAliveInterval, "time between NOP frames")
	flags.DurationVar(&config.KeepAliveTimeout, "keepalive-timeout", config.KeepAliveTimeout, "silence after which the session is closed")
	flags.BoolVar(&config.KeepAliveDisabled, "no-keepalive", false, "send no NOP and never time out")
	flags.IntVar(&opts.streams, "streams", 1, "how many streams to open")
	flags.Uint64Var(&opts.bytes, "bytes", 1<<16, "how many bytes to move on each stream and in each direction")
	flags.IntVar(&opts.conns, "conns", 1, "how many connections to serve or to make")
	flags.DurationVar(&opts.idle, "idle", time.Second, "how long to be silent (mode idle)")
	flags.DurationVar(&opts.deadline, "deadline", time.Minute, "end the process after this time, whatever it does")
	flags.BoolVar(&opts.speakFirst, "speak-first", false, "serve: send the greeting on accept, before reading; others: read it before the request")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: peer [flags] MODE\n\nmodes: %s\n\nflags:\n", strings.Join(modeNames(), ", "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() != 1 {
		return opts, fmt.Errorf("exactly one mode is needed, after the flags: %s", strings.Join(modeNames(), ", "))
	}
	opts.mode = flags.Arg(0)
	return opts, opts.complete()
}

// complete fills in what depends on other flags, and refuses what cannot work.
func (o *options) complete() error {
	if _, known := driveModes[o.mode]; !known && o.mode != modeServe {
		return fmt.Errorf("no mode %q; there are: %s", o.mode, strings.Join(modeNames(), ", "))
	}
	if o.dial != "" && o.listen != "" {
		return errors.New("-listen and -dial exclude each other")
	}
	defaultRole := "client"
	if o.dial == "" {
		defaultRole = "server"
		if o.listen == "" {
			o.listen = "127.0.0.1:0"
		}
	}
	if o.role == "" {
		o.role = defaultRole
	}
	if o.role != "client" && o.role != "server" {
		return fmt.Errorf("-role is client or server, not %q", o.role)
	}
	if o.streams < 1 || o.conns < 1 {
		return errors.New("-streams and -conns are at least 1")
	}
	return smux.VerifyConfig(o.smux)
}

func modeNames() []string {
	names := []string{modeServe}
	for name := range driveModes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
