package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	// An odd factor makes the multiplication reversible: no two blocks, of one
	// stream or of two, are alike. That this one is 2^64 divided by the golden
	// ratio spreads neighbours far apart.
	patternFactor = 0x9e3779b97f4a7c15
	blockLen      = 8
)

// pattern is the content of a stream: block i of 8 bytes, little-endian, is the
// product (seed << 32 | i) * patternFactor with its upper half folded onto its
// lower half, so that no byte depends on the low bits of i alone. A byte that is
// lost, doubled or moved does not fit. It repeats after 32 GiB.
type pattern struct {
	seed uint32
}

// fill writes what stands in the pattern from offset on.
func (p pattern) fill(offset uint64, out []byte) {
	var block [blockLen]byte
	for len(out) > 0 {
		index := uint64(uint32(offset / blockLen))
		product := (uint64(p.seed)<<32 | index) * patternFactor
		binary.LittleEndian.PutUint64(block[:], product^product>>32)
		n := copy(out, block[offset%blockLen:])
		out, offset = out[n:], offset+uint64(n)
	}
}

// check compares data with what stands in the pattern from offset on.
func (p pattern) check(offset uint64, data []byte) error {
	var want [4096]byte
	for len(data) > 0 {
		n := min(len(data), len(want))
		p.fill(offset, want[:n])
		if !bytes.Equal(data[:n], want[:n]) {
			for i := range n {
				if data[i] != want[i] {
					return fault{fmt.Sprintf("byte %d is 0x%02x, not 0x%02x (pattern of seed %d)", offset+uint64(i), data[i], want[i], p.seed)}
				}
			}
		}
		data, offset = data[n:], offset+uint64(n)
	}
	return nil
}

// receipt is what a peer that received the first length bytes answers.
func (p pattern) receipt(length uint64) receipt {
	var sum receipt
	chunk := make([]byte, min(length, chunkLen))
	for sum.count < length {
		n := min(length-sum.count, chunkLen)
		p.fill(sum.count, chunk[:n])
		sum.add(chunk[:n])
	}
	return sum
}
