//go:build closewrite

package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/xtaci/smux"
)

// between is how long the requests of different goroutines are apart, so that they are made in order.
const between = 20 * time.Millisecond

type scenario struct {
	name string
	// Settings beside the defaults, as they are stored.
	config []string
	server bool
	// The peer reads nothing before the scenario says so.
	blocked bool
	// Several goroutines make requests at once.
	concurrent bool
	only       int
	// Settings that are not stored.
	tune func(*smux.Config)
	run  func(*wire) []string
}

var scenarios = []*scenario{
	{name: "client_open_three", only: 1, run: openThree},
	{name: "client_open_write5_close", run: clientOpenWriteClose},
	{name: "server_open_write5_close", server: true, run: serverOpenWriteClose},
	{name: "client_write_100000", run: writeMany(100_000)},
	{name: "client_write_65536_frame65535", config: []string{"MaxFrameSize=65535"}, run: writeMany(65_536)},
	{name: "empty_write", run: emptyWrite},
	{name: "session_close_without_stream_close", run: sessionClose},
	{name: "keepalive_nop", config: []string{"KeepAliveInterval=50ms", "KeepAliveTimeout=10s"}, run: keepAlive},
	{name: "echo_small"},
	{name: "closewrite_then_close_two_fins", run: twoFins},
	{name: "closewrite_then_peer_reply", run: reply},
	{name: "closewrite_data_and_fin_together_loses_data", run: replyAndFin},
	{name: "peer_fin_then_write", server: true, run: finThenWrite},
	{name: "unread_data_then_local_close", server: true, run: closeUnread},
	{name: "close_during_multi_frame_write", server: true, blocked: true, config: []string{"MaxFrameSize=4"}, run: closeDuringWrite},
	{name: "timed_out_write_is_still_sent", server: true, blocked: true, run: timedOut},
	{name: "shaper_order_v2", only: 2, server: true, blocked: true, concurrent: true, run: order},
	{name: "upd_first_read_and_thresholds", only: 2, server: true, run: updates},
	{name: "upd_small_reads", only: 2, server: true, config: []string{"MaxStreamBuffer=16"}, run: smallReads},
	{name: "v2_err_consumed", only: 2, run: errConsumed},
	{name: "v2_initial_window_and_updates", only: 2, run: windowPlay},
}

func (s *scenario) versions() []int {
	if s.only != 0 {
		return []int{s.only}
	}
	return []int{1, 2}
}

func (s *scenario) start(conn net.Conn, version int) *smux.Session {
	config := smux.DefaultConfig()
	config.Version = version
	config.KeepAliveDisabled = true
	for _, setting := range s.config {
		switch setting {
		case "MaxFrameSize=65535":
			config.MaxFrameSize = 65535
		case "MaxFrameSize=4":
			config.MaxFrameSize = 4
		case "MaxStreamBuffer=16":
			config.MaxStreamBuffer = 16
		case "KeepAliveInterval=50ms":
			config.KeepAliveDisabled = false
			config.KeepAliveInterval = 50 * time.Millisecond
		case "KeepAliveTimeout=10s":
			config.KeepAliveTimeout = 10 * time.Second
		}
	}
	if s.tune != nil {
		s.tune(config)
	}
	side := smux.Client
	if s.server {
		side = smux.Server
	}
	session, err := side(conn, config)
	must(err)
	return session
}

// record runs the scenario. What its script does not expect is an error.
func (s *scenario) record(version int, release string) (recorded trace, err error) {
	defer func() {
		if unexpected := recover(); unexpected != nil {
			err = fmt.Errorf("%v", unexpected)
		}
	}()
	recorded = trace{
		Scenario:       s.name,
		Implementation: "xtaci/smux " + release,
		Version:        version,
		Config:         s.configText(),
		Roles:          s.roles(),
		PayloadPattern: "byte i of a pattern payload is i mod 251, restarting at each Write / PSH of the script",
	}
	if s.run == nil {
		recorded.Script, recorded.Frames = echoSmall(s, version)
		return recorded, nil
	}
	w := newWire(s, version)
	defer w.conn.Close()
	defer w.session.Close()
	recorded.Script = s.run(w)
	recorded.Frames = w.end()
	return recorded, nil
}

func (s *scenario) configText() string {
	parts := append([]string{"DefaultConfig", "KeepAliveDisabled=true"}, s.config...)
	if s.name == "keepalive_nop" {
		parts = append(parts[:1], s.config...)
	}
	return strings.Join(parts, ", ")
}

func (s *scenario) roles() string {
	switch {
	case s.run == nil:
		return "Go client, Go server"
	case s.blocked:
		return "Go server on a blocked unbuffered pipe, scripted peer"
	case s.server:
		return "Go server, scripted peer"
	}
	return "Go client, scripted peer"
}

func openThree(w *wire) (script []string) {
	for i := range 3 {
		script = append(script, fmt.Sprintf("client OpenStream -> id %d", w.open().ID()))
		w.await(i + 1)
	}
	return script
}

func clientOpenWriteClose(w *wire) []string {
	stream := w.open()
	n, err := stream.Write([]byte("hello"))
	closed := stream.Close()
	w.await(3)
	return []string{
		fmt.Sprintf("client OpenStream -> id %d", stream.ID()),
		fmt.Sprintf("client Write(%q) -> %d, %v", "hello", n, err),
		fmt.Sprintf("client stream.Close -> %v", closed),
	}
}

func serverOpenWriteClose(w *wire) []string {
	stream := w.open()
	_, err := stream.Write([]byte("hello"))
	must(err)
	closed := stream.Close()
	w.await(3)
	return []string{
		fmt.Sprintf("server OpenStream -> id %d", stream.ID()),
		`server Write("hello")`,
		fmt.Sprintf("server stream.Close -> %v", closed),
	}
}

func writeMany(length int) func(*wire) []string {
	return func(w *wire) []string {
		stream := w.open()
		n, err := stream.Write(counting(length))
		must(stream.Close())
		w.await(4)
		return []string{fmt.Sprintf("client OpenStream; Write(%d pattern bytes) -> %d, %v; Close", length, n, err)}
	}
}

func emptyWrite(w *wire) []string {
	stream := w.open()
	n, err := stream.Write(nil)
	must(stream.Close())
	w.await(2)
	return []string{fmt.Sprintf("client OpenStream; Write(empty) -> %d, %v (no frame); Close", n, err)}
}

func sessionClose(w *wire) []string {
	stream := w.open()
	_, err := stream.Write([]byte("hello"))
	must(err)
	closed := w.session.Close()
	w.await(2)
	return []string{fmt.Sprintf(`client OpenStream; Write("hello"); session.Close -> %v; no FIN is sent, the connection is closed`, closed)}
}

func keepAlive(w *wire) []string {
	w.await(3)
	return []string{"idle for 3.5 keep-alive intervals; first NOP after one interval"}
}

func twoFins(w *wire) []string {
	stream := w.open()
	finished, after := stream.CloseWrite(), w.session.NumStreams()
	closed, atLast := stream.Close(), w.session.NumStreams()
	again := stream.Close()
	w.await(3)
	return []string{fmt.Sprintf("CloseWrite -> %v (NumStreams %d); Close -> %v (NumStreams %d); Close -> %v",
		finished, after, closed, atLast, again)}
}

func reply(w *wire) []string {
	stream := w.open()
	_, err := stream.Write([]byte("request"))
	must(err)
	finished := stream.CloseWrite()
	script := []string{fmt.Sprintf(`client OpenStream; Write("request"); CloseWrite -> %v; NumStreams %d`, finished, w.session.NumStreams())}
	w.await(3)
	w.send(cmdPSH, 3, []byte("reply"))
	n, err := stream.Read(make([]byte, 100))
	script = append(script, fmt.Sprintf(`peer PSH "reply"; client Read -> %d, %v`, n, err))
	if w.version == 2 {
		w.await(4)
	}
	w.send(cmdFIN, 3, nil)
	n, err = stream.Read(make([]byte, 100))
	script = append(script, fmt.Sprintf("peer FIN; client Read -> %d, %v; NumStreams %d", n, err, w.session.NumStreams()))
	return append(script, fmt.Sprintf("client Close -> %v (no further FIN)", stream.Close()))
}

func replyAndFin(w *wire) []string {
	stream := w.open()
	must(stream.CloseWrite())
	w.await(2)
	w.send(cmdPSH, 3, []byte("reply"))
	w.send(cmdFIN, 3, nil)
	n, err := stream.Read(make([]byte, 100))
	what := `client OpenStream, CloseWrite; peer PSH "reply" + FIN arrive before the reader runs; client Read -> `
	if n == 0 {
		return []string{what + fmt.Sprintf("%d, %v (the 5 bytes are discarded)", n, err)}
	}
	if w.version == 2 {
		w.await(3)
	}
	last, end := stream.Read(make([]byte, 100))
	return []string{what + fmt.Sprintf("%d, %v; Read -> %d, %v; NumStreams %d", n, err, last, end, w.session.NumStreams())}
}

func finThenWrite(w *wire) []string {
	w.send(cmdSYN, 3, nil)
	w.send(cmdPSH, 3, []byte("req"))
	w.send(cmdFIN, 3, nil)
	stream := w.accept()
	n, err := stream.Read(make([]byte, 100))
	script := []string{fmt.Sprintf("peer SYN, PSH 3, FIN; server Accept; Read -> %d, %v", n, err)}
	n, err = stream.Read(make([]byte, 100))
	script = append(script, fmt.Sprintf("Read -> %d, %v", n, err))
	n, err = stream.Write([]byte("response"))
	script = append(script, fmt.Sprintf(`Write("response") -> %d, %v`, n, err))
	before, closed := w.session.NumStreams(), stream.Close()
	w.await(1 + w.version)
	return append(script, fmt.Sprintf("NumStreams %d; Close -> %v; NumStreams %d", before, closed, w.session.NumStreams()))
}

func closeUnread(w *wire) []string {
	w.send(cmdSYN, 3, nil)
	w.send(cmdPSH, 3, counting(20))
	closed := w.accept().Close()
	w.await(1)
	w.send(cmdPSH, 3, counting(20))
	w.send(cmdFIN, 3, nil)
	w.send(cmdSYN, 3, nil)
	stream, err := w.session.AcceptStream()
	return []string{
		fmt.Sprintf("peer SYN, PSH 20; server Accept, Close without reading -> %v (only FIN is sent, no UPD)", closed),
		fmt.Sprintf("late PSH and FIN are ignored; a new SYN with the same id is accepted again: id %d, %v", stream.ID(), err),
	}
}

type result struct {
	n   int
	err error
}

func (r result) String() string { return fmt.Sprintf("(n=%d, err=%v)", r.n, r.err) }

// later starts a call in a goroutine of its own, and gives it time to make its request.
func later(call func() (int, error)) chan result {
	done := make(chan result, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		n, err := call()
		done <- result{n, err}
	}()
	<-started
	time.Sleep(between)
	return done
}

func closeDuringWrite(w *wire) []string {
	w.send(cmdSYN, 3, nil)
	stream := w.accept()
	written := later(func() (int, error) { return stream.Write([]byte("aaaabbbbccccdddd")) })
	w.awaitStuck()
	closed := later(func() (int, error) { return 0, stream.Close() })
	w.drain()
	w.await(5)
	return []string{"goroutine 1: Write(16 bytes, MaxFrameSize 4); goroutine 2: Close while the first frame is stuck; " +
		fmt.Sprintf("then the connection is drained. Write -> %v, Close -> %v", <-written, <-closed)}
}

func timedOut(w *wire) []string {
	w.send(cmdSYN, 3, nil)
	stream := w.accept()
	write := func(text string) (buffer []byte, outcome string) {
		buffer = []byte(text)
		stream.SetWriteDeadline(time.Now().Add(30 * time.Millisecond))
		n, err := stream.Write(buffer)
		return buffer, fmt.Sprintf("(n=%d, err=%v <%T>)", n, err, err)
	}
	first, one := write("AAAA")
	second, two := write("BBBB")
	copy(first, "yyyy")
	copy(second, "zzzz")
	w.drain()
	w.await(2)
	return []string{fmt.Sprintf(`connection blocked; Write("AAAA") with a 30 ms deadline -> %s; Write("BBBB") -> %s; `, one, two) +
		`the caller then overwrites both buffers ("yyyy", "zzzz"); the connection is drained: both frames appear, the second with the overwritten content`}
}

func order(w *wire) []string {
	for _, id := range []uint32{3, 5, 7} {
		w.send(cmdSYN, id, nil)
	}
	w.send(cmdPSH, 5, []byte("data"))
	three, five, seven := w.accept(), w.accept(), w.accept()
	write := func(stream *smux.Stream, text string) {
		later(func() (int, error) { return stream.Write([]byte(text)) })
	}
	for _, text := range []string{"0", "a", "b", "c"} {
		write(three, text)
		w.awaitStuck()
	}
	write(five, "m")
	write(seven, "x")
	later(func() (int, error) { return 0, three.CloseWrite() })
	later(func() (int, error) { return five.Read(make([]byte, 100)) })
	later(func() (int, error) { _, err := w.session.OpenStream(); return 0, err })
	w.drain()
	w.await(9)
	return []string{"frames requested in this order while the first is stuck in the connection: PSH3 '0' (in progress), " +
		"PSH3 'a', 'b', 'c' (concurrent writers), PSH5 'm', PSH7 'x', FIN3, UPD5, SYN2; then the connection is drained"}
}

func updates(w *wire) (script []string) {
	w.send(cmdSYN, 3, nil)
	stream := w.accept()
	for i := range 12 {
		w.send(cmdPSH, 3, counting(10_000))
		n, err := stream.Read(make([]byte, 10_000))
		w.await(1 + i/4)
		if i < 3 {
			script = append(script, fmt.Sprintf("peer PSH 10000; Read -> %d, %v", n, err))
		}
	}
	return append(script, "... 12 times in all; UPD after reads 1, 5, 9 (consumed 10000, 50000, 90000)")
}

func smallReads(w *wire) (script []string) {
	w.send(cmdSYN, 3, nil)
	stream := w.accept()
	w.send(cmdPSH, 3, counting(30))
	for i := range 10 {
		n, err := stream.Read(make([]byte, 3))
		w.await(1 + i/3)
		script = append(script, fmt.Sprintf("Read(3 byte buffer) -> %d, %v", n, err))
	}
	return script
}

func errConsumed(w *wire) []string {
	stream := w.open()
	w.await(1)
	w.update(3, 10, 262144)
	n, err := stream.Write(make([]byte, 5))
	script := []string{fmt.Sprintf("peer UPD consumed=10 before anything was sent; Write(5) -> (n=%d, err=%v <%T>)", n, err, err)}
	w.update(3, 0, 262144)
	n, err = stream.Write(make([]byte, 5))
	w.await(2)
	return append(script, fmt.Sprintf("peer UPD consumed=0; Write(5 zero bytes) -> %v", result{n, err}))
}

func windowPlay(w *wire) []string {
	stream := w.open()
	written := later(func() (int, error) { return stream.Write(counting(400_000)) })
	w.await(9)
	// That nothing is sent shows at the end, by the order of the frames.
	w.update(3, 1, 65536)
	w.update(3, 196608, 65536)
	w.update(3, 196609, 65536)
	w.await(10)
	w.update(3, 262145, 65536)
	w.await(12)
	w.update(3, 262145, 0)
	w.update(3, 262145, 0x7fffffff)
	w.await(15)
	outcome := <-written
	must(stream.Close())
	w.await(16)
	return []string{
		"client Write(400000): BLOCKED after 262144 bytes",
		"peer UPD consumed=1 window=65536: nothing sent (window shrank below in-flight)",
		"peer UPD consumed=196608 window=65536: in-flight equals window, nothing sent",
		"peer UPD consumed=196609: one byte sent",
		"peer UPD consumed=262145 (everything): 65536 bytes sent as two frames",
		fmt.Sprintf("peer UPD window=0, then window=2147483647: the remaining 72319 bytes sent; Write -> %v", outcome),
	}
}

// echoSmall has Go at both ends; what they send passes through the log.
func echoSmall(s *scenario, version int) ([]string, []storedFrame) {
	nearClient, farClient := net.Pipe()
	nearServer, farServer := net.Pipe()
	client := s.start(nearClient, version)
	defer client.Close()
	accepting := &scenario{server: true}
	server := accepting.start(nearServer, version)
	defer server.Close()
	log := &wire{grown: make(chan struct{}, 1)}
	relay := func(dir string, from, to net.Conn) {
		for {
			f, err := readFrame(from)
			if err != nil {
				to.Close()
				return
			}
			log.log(dir, f)
			to.Write(append(f.header[:], f.payload...))
		}
	}
	go relay(clientToServer, farClient, farServer)
	go relay(serverToClient, farServer, farClient)

	ours, err := client.OpenStream()
	must(err)
	theirs, err := server.AcceptStream()
	must(err)
	script := []string{fmt.Sprintf("client OpenStream, server AcceptStream (ids %d, %d)", ours.ID(), theirs.ID())}
	buffer := make([]byte, 100)
	n, err := ours.Write([]byte("ping!"))
	must(err)
	read, err := theirs.Read(buffer)
	must(err)
	script = append(script, fmt.Sprintf("client Write %d; server Read -> %d", n, read))
	n, err = theirs.Write(buffer[:read])
	must(err)
	read, err = io.ReadFull(ours, buffer[:n])
	must(err)
	script = append(script, fmt.Sprintf("server Write %d; client Read -> %d", n, read))
	must(ours.Close())
	n, err = theirs.Read(buffer)
	script = append(script, fmt.Sprintf("client stream.Close; server Read -> %d, %v", n, err))
	closed := theirs.Close()
	log.await(2 + 2*version + 1)
	script = append(script, fmt.Sprintf("server stream.Close -> %v; NumStreams client %d server %d", closed, client.NumStreams(), server.NumStreams()))
	log.mu.Lock()
	defer log.mu.Unlock()
	return script, log.frames
}
