package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/hashicorp/yamux"
	"github.com/xtaci/smux"
)

// mux is one end of a session, or what stands in for it.
type mux interface {
	open() (io.ReadWriteCloser, error)
	accept() (io.ReadWriteCloser, error)
}

// connect returns the ends of the peer with this name: both, "client" or "server". The client dials
// this address; the listener is the standard input then, and otherwise made here.
func connect(peer, end, dial string) (client, server mux, err error) {
	if end == "client" {
		if client, err = newClient(peer, dial); err != nil {
			return nil, nil, err
		}
		return client, nil, nil
	}
	listener, err := listen(end == "both" && dial == "")
	if err != nil {
		return nil, nil, err
	}
	if dial == "" {
		dial = listener.Addr().String()
	}
	if end == "both" {
		// The listener's queue takes the connection before it is accepted.
		if client, err = newClient(peer, dial); err != nil {
			return nil, nil, err
		}
	}
	server, err = newServer(peer, listener)
	return client, server, err
}

func listen(own bool) (net.Listener, error) {
	if own {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return net.FileListener(os.Stdin)
}

func newClient(peer, address string) (mux, error) {
	if peer == "go-tcp" {
		return tcpMux{address: address}, nil
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return session(peer, conn, true)
}

func newServer(peer string, listener net.Listener) (mux, error) {
	if peer == "go-tcp" {
		return tcpMux{listener: listener}, nil
	}
	conn, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	listener.Close()
	return session(peer, conn, false)
}

func session(peer string, conn net.Conn, client bool) (mux, error) {
	switch peer {
	case "go-smux-v1":
		return smuxSession(conn, client, smux.DefaultConfig())
	case "go-smux-v2":
		return smuxSession(conn, client, version2(16<<20, 1<<20))
	case "go-smux-v2-16m":
		return smuxSession(conn, client, version2(32<<20, 16<<20))
	case "go-yamux":
		return yamuxSession(conn, client)
	}
	return nil, fmt.Errorf("no such peer")
}

func version2(session, stream int) *smux.Config {
	config := smux.DefaultConfig()
	config.Version = 2
	config.MaxReceiveBuffer = session
	config.MaxStreamBuffer = stream
	return config
}

// tcpMux makes a connection for every stream.
type tcpMux struct {
	address  string
	listener net.Listener
}

func (m tcpMux) open() (io.ReadWriteCloser, error) { return net.Dial("tcp", m.address) }

func (m tcpMux) accept() (io.ReadWriteCloser, error) { return m.listener.Accept() }

type smuxMux struct{ session *smux.Session }

func smuxSession(conn net.Conn, client bool, config *smux.Config) (mux, error) {
	start := smux.Server
	if client {
		start = smux.Client
	}
	session, err := start(conn, config)
	return smuxMux{session}, err
}

func (m smuxMux) open() (io.ReadWriteCloser, error)   { return m.session.OpenStream() }
func (m smuxMux) accept() (io.ReadWriteCloser, error) { return m.session.AcceptStream() }

type yamuxMux struct{ session *yamux.Session }

func yamuxSession(conn net.Conn, client bool) (mux, error) {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	start := yamux.Server
	if client {
		start = yamux.Client
	}
	session, err := start(conn, config)
	return yamuxMux{session}, err
}

func (m yamuxMux) open() (io.ReadWriteCloser, error)   { return m.session.OpenStream() }
func (m yamuxMux) accept() (io.ReadWriteCloser, error) { return m.session.AcceptStream() }
