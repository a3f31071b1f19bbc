// Command peer is the Go end of a live interoperability test of smux.
//
// It runs one mode over one or more TCP connections, prints what came of it,
// beginning with OK or FAIL, and exits with 0 or 1 (2: wrong arguments, 3: the
// deadline passed). Which release of github.com/xtaci/smux it contains is
// decided by the module file it is built with:
//
//	go build -modfile=go1.5.27.mod -o peer .
//	go build -modfile=go1.5.58.mod -tags closewrite -o peer .
//
// The tag closewrite belongs to the releases that have Stream.CloseWrite.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

const smuxModule = "github.com/xtaci/smux"

func main() {
	opts, err := parseArgs(os.Args[1:])
	if err == flag.ErrHelp {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	time.AfterFunc(opts.deadline, func() { dieAtDeadline(opts) })

	summary, err := run(opts)
	if err != nil {
		fmt.Printf("FAIL %s smux=%s: %v\n", opts.mode, smuxRelease(), err)
		os.Exit(1)
	}
	fmt.Printf("OK %s smux=%s %s\n", opts.mode, smuxRelease(), summary)
}

// dieAtDeadline ends the process and leaves behind where each goroutine stood,
// as a hang is what this usually reports.
func dieAtDeadline(opts options) {
	fmt.Printf("FAIL %s smux=%s: still running after %s\n", opts.mode, smuxRelease(), opts.deadline)
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	os.Exit(3)
}

// smuxRelease is read from the binary, so that a wrong module file shows.
func smuxRelease() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == smuxModule {
				return dep.Version
			}
		}
	}
	return "unknown"
}
