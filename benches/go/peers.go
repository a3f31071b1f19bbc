package main

import (
	"fmt"
	"io"
	"net"

	"github.com/hashicorp/yamux"
	"github.com/xtaci/smux"
)

// mux is one end of a session, or what stands in for it.
type mux interface {
	open() (io.ReadWriteCloser, error)
	accept() (io.ReadWriteCloser, error)
}

// connect returns a connected pair of the peer with this name.
func connect(peer string) (client, server mux, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	if peer == "go-tcp" {
		return tcpMux{listener: listener}, tcpMux{listener: listener}, nil
	}
	// The listener's queue takes the connection before it is accepted.
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	theirs, err := listener.Accept()
	if err != nil {
		return nil, nil, err
	}
	switch peer {
	case "go-smux-v1":
		return smuxPair(ours, theirs, smux.DefaultConfig())
	case "go-smux-v2":
		config := smux.DefaultConfig()
		config.Version = 2
		config.MaxReceiveBuffer = 16 << 20
		config.MaxStreamBuffer = 1 << 20
		return smuxPair(ours, theirs, config)
	case "go-yamux":
		return yamuxPair(ours, theirs)
	}
	return nil, nil, fmt.Errorf("no such peer")
}

// tcpMux makes a connection for every stream.
type tcpMux struct{ listener net.Listener }

func (m tcpMux) open() (io.ReadWriteCloser, error) {
	return net.Dial("tcp", m.listener.Addr().String())
}

func (m tcpMux) accept() (io.ReadWriteCloser, error) { return m.listener.Accept() }

type smuxMux struct{ session *smux.Session }

func smuxPair(ours, theirs net.Conn, config *smux.Config) (client, server mux, err error) {
	c, err := smux.Client(ours, config)
	if err != nil {
		return nil, nil, err
	}
	s, err := smux.Server(theirs, config)
	return smuxMux{c}, smuxMux{s}, err
}

func (m smuxMux) open() (io.ReadWriteCloser, error)   { return m.session.OpenStream() }
func (m smuxMux) accept() (io.ReadWriteCloser, error) { return m.session.AcceptStream() }

type yamuxMux struct{ session *yamux.Session }

func yamuxPair(ours, theirs net.Conn) (client, server mux, err error) {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	c, err := yamux.Client(ours, config)
	if err != nil {
		return nil, nil, err
	}
	s, err := yamux.Server(theirs, config)
	return yamuxMux{c}, yamuxMux{s}, err
}

func (m yamuxMux) open() (io.ReadWriteCloser, error)   { return m.session.OpenStream() }
func (m yamuxMux) accept() (io.ReadWriteCloser, error) { return m.session.AcceptStream() }
