package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/xtaci/smux"
)

// lingerLimit bounds how long an opener waits for the peer to end the connection.
const lingerLimit = 5 * time.Second

// run makes or takes all connections, runs the mode on each, and waits for all.
func run(opts options) (string, error) {
	next, done, err := connector(opts)
	if err != nil {
		return "", err
	}
	defer done()

	results := make(chan error, opts.conns)
	total := new(totals)
	for range opts.conns {
		conn, err := next()
		if err != nil {
			return "", err
		}
		go func() { results <- runConn(conn, opts, total) }()
	}
	var failures []error
	for range opts.conns {
		failures = append(failures, <-results)
	}
	return total.String(), errors.Join(failures...)
}

// connector returns how to get the next connection, and what to do after the last.
func connector(opts options) (next func() (net.Conn, error), done func(), err error) {
	if opts.dial != "" {
		return func() (net.Conn, error) { return net.Dial("tcp", opts.dial) }, func() {}, nil
	}
	listener, err := net.Listen("tcp", opts.listen)
	if err != nil {
		return nil, nil, err
	}
	fmt.Println("LISTENING", listener.Addr())
	return listener.Accept, func() { listener.Close() }, nil
}

func runConn(conn net.Conn, opts options, total *totals) error {
	start := smux.Server
	if opts.role == "client" {
		start = smux.Client
	}
	session, err := start(conn, opts.smux)
	if err != nil {
		conn.Close()
		return err
	}
	defer session.Close()
	if opts.mode == modeServe {
		return serve(session, opts, total)
	}
	if err := driveModes[opts.mode](&driver{session, opts, total}); err != nil {
		return err
	}
	return linger(conn, session)
}

// linger shuts the connection down in the order that lets the peer see an end
// of file: closing a socket while the peer's last frames are still on their
// way would answer them with a reset.
func linger(conn net.Conn, session *smux.Session) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
	}
	session.SetDeadline(time.Now().Add(lingerLimit))
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return nil
		}
		stream.Close()
	}
}
