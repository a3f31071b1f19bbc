//go:build closewrite

// Command record writes packet traces of the smux release that it is built with into a folder:
//
//	go run -modfile=go1.5.58.mod -tags closewrite ./record ../traces
//
// Its test records again what is stored. A release has files of its own only where it differs from
// the one before; 1.5.57 has all of them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
)

const (
	smuxModule = "github.com/xtaci/smux"
	// The release that has a file for every scenario.
	complete = "1.5.57"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: record FOLDER")
		os.Exit(2)
	}
	if err := recordAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// recordAll writes the traces that the folder does not have already, under this release or as they
// are in the complete one.
func recordAll(folder string) error {
	for _, s := range scenarios {
		for _, version := range s.versions() {
			recorded, err := s.record(version, smuxRelease())
			if err != nil {
				return fmt.Errorf("%s, version %d: %w", s.name, version, err)
			}
			stored, err := readTrace(filepath.Join(folder, fileName(s.name, version, complete)))
			if err == nil && stored.sameBut(recorded, s.concurrent) {
				continue
			}
			if err := recorded.write(folder); err != nil {
				return err
			}
		}
	}
	return nil
}

// smuxRelease is read from the binary, so that it is the one that was recorded.
func smuxRelease() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == smuxModule {
				return dep.Version[1:]
			}
		}
	}
	return "unknown"
}
