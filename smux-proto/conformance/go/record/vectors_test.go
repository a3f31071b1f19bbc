//go:build closewrite

package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/xtaci/smux"
)

type vector struct {
	Name     string                       `json:"name"`
	Version  int                          `json:"protocol_version"`
	Input    string                       `json:"input"`
	Ends     bool                         `json:"then_peer_closes_its_sending_side"`
	Observed map[string]map[string]string `json:"observed"`
}

// What 1.5.57 made of malformed and unusual input, this release does as well.
func TestInputVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(stored, "input_vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		t.Run(fmt.Sprintf("%s/v%d", v.Name, v.Version), func(t *testing.T) {
			t.Parallel()
			if got := observe(t, v); !reflect.DeepEqual(got, v.Observed[complete]) {
				t.Errorf("%v, not %v", got, v.Observed[complete])
			}
		})
	}
}

// observe makes the calls of the file. A client has stream 3 open with a read on it; the input comes,
// and then a SYN of stream 1000 or the end of the transport.
func observe(t *testing.T, v vector) map[string]string {
	near, far := connection(t)
	session := client.start(near, v.Version)
	defer session.Close()
	defer far.Close()
	go io.Copy(io.Discard, far)
	stream, err := session.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	read := later(func() (int, error) { return stream.Read(make([]byte, 100)) })
	input, err := hex.DecodeString(v.Input)
	if err != nil {
		t.Fatal(err)
	}
	far.Write(input)
	if v.Ends {
		far.(*net.TCPConn).CloseWrite()
	}
	accept := func() string {
		session.SetDeadline(time.Now().Add(stuck))
		accepted, err := session.AcceptStream()
		if err != nil {
			return outcome(result{0, err})
		}
		return outcome(result{int(accepted.ID()), nil})
	}
	got := map[string]string{"accept_1": accept(), "accept_2": accept(), "blocked_read": "pending"}
	select {
	case r := <-read:
		got["blocked_read"] = outcome(r)
	case <-time.After(stuck):
	}
	if !v.Ends {
		syn := newFrame(v.Version, cmdSYN, 1000, nil)
		far.Write(syn.header[:])
	}
	got["accept_after_later_syn_1000"] = accept()
	stream.SetWriteDeadline(time.Now().Add(stuck))
	n, err := stream.Write(make([]byte, 5))
	got["write5"] = outcome(result{n, err})
	opened, err := session.OpenStream()
	got["open"] = outcome(result{0, err})
	if err == nil {
		got["open"] = outcome(result{int(opened.ID()), nil})
	}
	got["session_closed"] = fmt.Sprint(session.IsClosed())
	return got
}

func outcome(r result) string {
	switch {
	case r.err == nil:
		return fmt.Sprint("ok:", r.n)
	case errors.Is(r.err, io.EOF):
		return "eof"
	case errors.Is(r.err, io.ErrUnexpectedEOF):
		return "unexpected_eof"
	case errors.Is(r.err, smux.ErrInvalidProtocol):
		return "invalid_protocol"
	case errors.Is(r.err, smux.ErrTimeout):
		return "pending"
	}
	return r.err.Error()
}

func connection(t *testing.T) (near, far net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if near, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}
