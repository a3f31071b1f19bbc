//go:build closewrite

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
)

const (
	out            = "go->peer"
	in             = "peer->go"
	clientToServer = "client->server"
	serverToClient = "server->client"
)

// Longer payloads are stored as their digest.
const longestPayload = 32

type trace struct {
	Scenario       string        `json:"scenario"`
	Implementation string        `json:"implementation"`
	Version        int           `json:"protocol_version"`
	Config         string        `json:"config"`
	Roles          string        `json:"roles"`
	PayloadPattern string        `json:"payload_pattern"`
	Script         []string      `json:"script"`
	Frames         []storedFrame `json:"frames"`
}

type storedFrame struct {
	Dir           string `json:"dir"`
	Header        string `json:"header"`
	Cmd           string `json:"cmd"`
	StreamID      uint32 `json:"stream_id"`
	PayloadLen    int    `json:"payload_len"`
	Payload       string `json:"payload,omitempty"`
	PayloadSHA256 string `json:"payload_sha256,omitempty"`
	Note          string `json:"note,omitempty"`
}

func fileName(scenario string, version int, release string) string {
	return fmt.Sprintf("%s.proto%d.go%s.json", scenario, version, release)
}

func readTrace(path string) (trace, error) {
	var t trace
	text, err := os.ReadFile(path)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(text, &t)
}

func (t trace) write(folder string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(t); err != nil {
		return err
	}
	release := t.Implementation[len("xtaci/smux "):]
	return os.WriteFile(filepath.Join(folder, fileName(t.Scenario, t.Version, release)), text.Bytes(), 0o644)
}

// sameBut is whether both traces are the same but for the release. Where goroutines ran at the same
// time, only the order within a stream counts, for data and for control frames by themselves.
func (t trace) sameBut(other trace, concurrent bool) bool {
	other.Implementation = t.Implementation
	if concurrent {
		if !reflect.DeepEqual(byStream(t.Frames), byStream(other.Frames)) {
			return false
		}
		other.Frames = t.Frames
	}
	return reflect.DeepEqual(t, other)
}

func byStream(frames []storedFrame) map[string][]storedFrame {
	lanes := make(map[string][]storedFrame)
	for _, f := range frames {
		control := f.Cmd == "UPD" || f.Cmd == "SYN"
		lane := fmt.Sprint(f.Dir, f.StreamID, control)
		lanes[lane] = append(lanes[lane], f)
	}
	return lanes
}

// frame is one that crosses the connection.
type frame struct {
	header  [8]byte
	payload []byte
}

var commands = [...]string{cmdSYN: "SYN", cmdFIN: "FIN", cmdPSH: "PSH", cmdNOP: "NOP", cmdUPD: "UPD"}

const (
	cmdSYN = iota
	cmdFIN
	cmdPSH
	cmdNOP
	cmdUPD
)

func newFrame(version int, cmd byte, id uint32, payload []byte) frame {
	f := frame{payload: payload}
	f.header[0] = byte(version)
	f.header[1] = cmd
	binary.LittleEndian.PutUint16(f.header[2:], uint16(len(payload)))
	binary.LittleEndian.PutUint32(f.header[4:], id)
	return f
}

func (f frame) stored(dir string) storedFrame {
	s := storedFrame{
		Dir:        dir,
		Header:     hex.EncodeToString(f.header[:]),
		Cmd:        commands[f.header[1]],
		StreamID:   binary.LittleEndian.Uint32(f.header[4:]),
		PayloadLen: len(f.payload),
	}
	if len(f.payload) > longestPayload {
		sum := sha256.Sum256(f.payload)
		s.PayloadSHA256 = hex.EncodeToString(sum[:])
	} else {
		s.Payload = hex.EncodeToString(f.payload)
	}
	if f.header[1] == cmdUPD {
		consumed, window := binary.LittleEndian.Uint32(f.payload), binary.LittleEndian.Uint32(f.payload[4:])
		s.Note = fmt.Sprintf("consumed=%d window=%d", consumed, window)
	}
	return s
}
