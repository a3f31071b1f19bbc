package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// op says what the acceptor of a stream does with it. The Rust side has the same table.
type op byte

const (
	// opEcho: send back what arrives, until EOF; then close.
	opEcho op = 1
	// opDrain: read length bytes of the pattern, answer with a receipt, wait for EOF, close.
	opDrain op = 2
	// opPour: send length bytes of the pattern, close.
	opPour op = 3
	// opReplyAtEOF: read the pattern to EOF, answer with a receipt and length bytes of the pattern, close.
	opReplyAtEOF op = 4
	// opReplyHeld: as opReplyAtEOF, but close only after opRelease with the same seed.
	opReplyHeld op = 5
	// opFinFirst: send length bytes of the pattern, half-close, read the pattern to EOF, close.
	opFinFirst op = 6
	// opHold: read nothing until opRelease with the same seed, then do as opDrain.
	opHold op = 7
	// opIdle: be silent for length milliseconds, then do as opEcho.
	opIdle op = 8
	// opAbandon: read length bytes, then stop, though more may come: two FINs (CloseWrite and Close)
	// where the release has CloseWrite, else one.
	opAbandon op = 9
	// opRelease: let the stream held under this seed go on; answer with an empty receipt, close.
	opRelease op = 10
	// opReport: wait until the receipt of the stream with this seed has length bytes, be it of opFinFirst,
	// opReadLast (received) or opCloseInWrite (sent); answer with it, close. It lets the opener keep its FIN back until nothing unread can be lost by it.
	opReport op = 11
	// opReadLast: send length bytes of the pattern, half-close, and read the pattern only once the
	// opener's FIN has come too; close. Needs a release that keeps what is unread then.
	opReadLast op = 12
	// opCloseInWrite: Close in the middle of a Write of length bytes of the pattern, at the opener's
	// first byte. Most of that Write follows the FIN. opReport tells when it has returned.
	opCloseInWrite op = 13
	// opPourTogether: four goroutines write to the stream at the same time until each has written
	// length bytes, in writes of togetherPiece; close. Each byte of a write has the writer in its two
	// upper bits and the lower six bits of the write's number in the others. Writes may fail in part.
	opPourTogether op = 14
)

const (
	requestLen = 1 + 8 + 4
	receiptLen = 8 + 4

	togetherWriters = 4
	togetherPiece   = 64 << 10

	// What an acceptor that speaks first says: the beginning of this pattern.
	greetingSeed = 0
	greetingLen  = 64
)

// request is what an opener sends first on each stream: op u8, length u64 LE, seed u32 LE.
type request struct {
	op     op
	length uint64
	seed   uint32
}

func (r request) encode() []byte {
	out := make([]byte, 0, requestLen)
	out = append(out, byte(r.op))
	out = binary.LittleEndian.AppendUint64(out, r.length)
	return binary.LittleEndian.AppendUint32(out, r.seed)
}

func readRequest(from io.Reader) (request, error) {
	var raw [requestLen]byte
	if _, err := io.ReadFull(from, raw[:]); err != nil {
		return request{}, err
	}
	return request{
		op:     op(raw[0]),
		length: binary.LittleEndian.Uint64(raw[1:]),
		seed:   binary.LittleEndian.Uint32(raw[9:]),
	}, nil
}

// receipt says what an acceptor has received, without the request:
// count u64 LE, CRC-32/IEEE u32 LE.
type receipt struct {
	count uint64
	crc   uint32
}

func (r *receipt) add(data []byte) {
	r.count += uint64(len(data))
	r.crc = crc32.Update(r.crc, crc32.IEEETable, data)
}

func (r receipt) encode() []byte {
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, receiptLen), r.count)
	return binary.LittleEndian.AppendUint32(out, r.crc)
}

func (r receipt) String() string {
	return fmt.Sprintf("%d bytes with CRC-32 %08x", r.count, r.crc)
}

func readReceipt(from io.Reader) (receipt, error) {
	var raw [receiptLen]byte
	if _, err := io.ReadFull(from, raw[:]); err != nil {
		return receipt{}, fmt.Errorf("no receipt: %w", err)
	}
	return receipt{binary.LittleEndian.Uint64(raw[:]), binary.LittleEndian.Uint32(raw[8:])}, nil
}
