//go:build closewrite

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const stored = "../../traces"

func storedTrace(t *testing.T, scenario string, version int, release string) trace {
	t.Helper()
	read, err := readTrace(filepath.Join(stored, fileName(scenario, version, release)))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func has(t *testing.T, pattern string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stored, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(files) > 0
}

// What is stored under this release is what it does, and where nothing is stored it does as 1.5.57.
func TestRecordsWhatIsStored(t *testing.T) {
	for _, s := range scenarios {
		for _, version := range s.versions() {
			release := complete
			if has(t, fileName(s.name, version, smuxRelease())) {
				release = smuxRelease()
			}
			recorded, err := s.record(version, release)
			if err != nil {
				t.Errorf("%s, version %d: %v", s.name, version, err)
				continue
			}
			if expected := storedTrace(t, s.name, version, release); !expected.sameBut(recorded, s.concurrent) {
				text, _ := json.MarshalIndent(recorded, "", "  ")
				t.Errorf("%s of %s, version %d, is recorded as\n%s", s.name, release, version, text)
			}
		}
	}
}

// A file of a newer release that says the same as that of 1.5.57 is not needed, and one of no
// scenario would never be recorded again.
func TestStoresOnlyWhatDiffers(t *testing.T) {
	known := make(map[string]bool)
	for _, s := range scenarios {
		for _, version := range s.versions() {
			known[fileName(s.name, version, complete)] = true
		}
	}
	files, err := filepath.Glob(filepath.Join(stored, "*.go1.5.5[78].json"))
	if err != nil || len(files) < len(known) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		read, err := readTrace(file)
		if err != nil {
			t.Fatal(err)
		}
		if !known[fileName(read.Scenario, read.Version, complete)] {
			t.Errorf("%s is of no scenario", file)
		}
		if strings.HasSuffix(file, complete+".json") {
			continue
		}
		if storedTrace(t, read.Scenario, read.Version, complete).sameBut(read, false) {
			t.Errorf("%s does not differ from that of %s", file, complete)
		}
	}
}
