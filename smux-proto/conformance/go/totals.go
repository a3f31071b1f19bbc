package main

import (
	"fmt"
	"sync/atomic"
)

// totals counts what a process did, over all its connections.
type totals struct {
	// streams that were opened or accepted.
	streams atomic.Uint64
	// finished streams: those whose work ended without an error.
	finished atomic.Uint64
}

func (t *totals) String() string {
	return fmt.Sprintf("streams=%d finished=%d", t.streams.Load(), t.finished.Load())
}
