package main

import "sync"

// board is where the streams of one session leave word for each other, by seed.
type board struct {
	mu       sync.Mutex
	changed  *sync.Cond
	released map[uint32]bool
	receipts map[uint32]receipt
	// ended is closed with the session: waiting ends with it.
	ended chan struct{}
}

func newBoard() *board {
	b := &board{
		released: make(map[uint32]bool),
		receipts: make(map[uint32]receipt),
		ended:    make(chan struct{}),
	}
	b.changed = sync.NewCond(&b.mu)
	return b
}

func (b *board) release(seed uint32) {
	b.update(func() { b.released[seed] = true })
}

func (b *board) post(seed uint32, sum receipt) {
	b.update(func() { b.receipts[seed] = sum })
}

// end wakes all that wait. It is called once.
func (b *board) end() {
	b.update(func() { close(b.ended) })
}

// waitReleased returns false if the session ended first.
func (b *board) waitReleased(seed uint32) bool {
	return b.wait(func() bool { return b.released[seed] })
}

// waitReceipt waits until at least length bytes are on the receipt of seed.
// It returns false if the session ended first.
func (b *board) waitReceipt(seed uint32, length uint64) (sum receipt, ok bool) {
	ok = b.wait(func() bool {
		sum = b.receipts[seed]
		return sum.count >= length
	})
	return sum, ok
}

func (b *board) update(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.changed.Broadcast()
}

func (b *board) wait(reached func() bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !reached() {
		select {
		case <-b.ended:
			return false
		default:
			b.changed.Wait()
		}
	}
	return true
}
