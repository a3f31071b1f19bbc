//! What a session does with its transport, good or bad.

mod common;

use std::{
    io::{self, BufWriter, Cursor, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use common::{blocked, stream, until, within};
use smux_blocking::{CloseReason, Config, Parts, Session, Stream, Transport};

fn keep_alive(interval: u64, timeout: u64) -> Config {
    let config = Config::builder()
        .keep_alive_interval(Duration::from_millis(interval))
        .keep_alive_timeout(Duration::from_millis(timeout));
    config.build().expect("valid")
}

/// Records what happens to a transport.
#[derive(Clone, Default)]
struct Probe {
    dropped: Arc<AtomicUsize>,
    shut: Arc<Mutex<Vec<Shutdown>>>,
}

struct Probed<T> {
    io: T,
    probe: Probe,
}

impl Probe {
    fn around<R, W>(
        &self,
        reader: R,
        writer: W,
        shutdown: impl Fn(Shutdown) -> io::Result<()> + Send + Sync + 'static,
    ) -> Parts<Probed<R>, Probed<W>> {
        let calls = Arc::clone(&self.shut);
        Parts::new(self.probed(reader), self.probed(writer), move |how| {
            calls.lock().expect("no panic").push(how);
            shutdown(how)
        })
    }

    fn probed<T>(&self, io: T) -> Probed<T> {
        let probe = self.clone();
        Probed { io, probe }
    }
}

impl<R: Read> Read for Probed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read(buf)
    }
}

impl<W: Write> Write for Probed<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.io.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.io.flush()
    }
}

impl<T> Drop for Probed<T> {
    fn drop(&mut self) {
        self.probe.dropped.fetch_add(1, SeqCst);
    }
}

/// Over TCP.
fn probed(tcp: TcpStream) -> (Probe, impl Transport) {
    let probe = Probe::default();
    let reader = tcp.try_clone().expect("clone");
    let writer = BufWriter::with_capacity(1 << 20, tcp.try_clone().expect("clone"));
    let parts = probe.around(reader, writer, move |how| tcp.shutdown(how));
    (probe, parts)
}

#[test]
fn a_session_has_ended_when_its_transport_is_dropped() {
    within(|| {
        let (near, far) = common::tcp_pair();
        let (probe, parts) = probed(near);
        let client = Session::client(parts, Config::default()).expect("client");
        let server = Session::server(far, Config::default()).expect("server");
        assert_eq!(client.close(), CloseReason::Local);
        assert_eq!(probe.dropped.load(SeqCst), 2);
        let shut = probe.shut.lock().expect("no panic").clone();
        assert_eq!(shut, [Shutdown::Write, Shutdown::Both]);
        assert_eq!(server.closed(), CloseReason::PeerNeverSpoke);
    });
}

#[test]
fn a_buffering_transport_is_flushed() {
    within(|| {
        let (near, far) = common::tcp_pair();
        let (_, parts) = probed(near);
        let client = Session::client(parts, Config::default()).expect("client");
        let server = Session::server(far, Config::default()).expect("server");
        let (mut ours, mut theirs) = stream(&client, &server);
        for sent in 0..10 {
            ours.write_all(&[sent]).expect("write");
            let mut received = [0];
            theirs.read_exact(&mut received).expect("read");
            assert_eq!(received, [sent]);
        }
    });
}

/// Reads block until it is shut.
struct Silent(Receiver<()>);

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let Err(_) = self.0.recv() else {
            unreachable!("nothing is sent")
        };
        Ok(0)
    }
}

/// Reads return a NOP now and then, so that the peer does not seem silent, until it is shut.
struct Nops(Receiver<()>);

impl Read for Nops {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.recv_timeout(Duration::from_millis(20)) {
            Err(RecvTimeoutError::Timeout) => Cursor::new([1, 3, 0, 0, 0, 0, 0, 0]).read(buf),
            _ => Ok(0),
        }
    }
}

/// Never takes a byte, until it is shut.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let Err(_) = self.0.recv() else {
            unreachable!("nothing is sent")
        };
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_transport_is_noticed_while_both_its_threads_are_blocked() {
    within(|| {
        let (reader_open, reader_end) = mpsc::channel();
        let (writer_open, writer_end) = mpsc::channel();
        let open = Mutex::new(Some((reader_open, writer_open)));
        let probe = Probe::default();
        let parts = probe.around(Silent(reader_end), Stuck(writer_end), move |_| {
            *open.lock().expect("no panic") = None;
            Ok(())
        });
        let client = Session::client(parts, keep_alive(50, 300)).expect("client");
        let mut stream = client.open().expect("open");
        stream.write_all(b"never sent").expect("queued");
        let error = stream.flush().expect_err("stuck");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(client.closed(), CloseReason::WriteTimeout);
        assert_eq!(probe.dropped.load(SeqCst), 2);
        assert_eq!(*probe.shut.lock().expect("no panic"), [Shutdown::Both]);
    });
}

#[test]
fn a_transport_that_fails_ends_the_session() {
    within(|| {
        struct Failing;
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::HostUnreachable.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (open, end) = mpsc::channel();
        let open = Mutex::new(Some(open));
        let parts = Parts::new(Nops(end), Failing, move |_| {
            *open.lock().expect("no panic") = None;
            Ok(())
        });
        let config = Config::default().to_builder();
        let config = config.close_timeout(Duration::from_millis(50)).build();
        let client = Session::client(parts, config.expect("valid")).expect("client");
        let _stream = client.open().expect("open");
        let reason = client.closed();
        assert!(matches!(reason, CloseReason::Transport(_)), "{reason:?}");
        assert_eq!(io::Error::from(reason).kind(), ErrorKind::HostUnreachable);
    });
}

#[test]
fn a_transport_that_panics_ends_the_session() {
    within(|| {
        struct Panicking;
        impl Read for Panicking {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("a broken transport, on purpose")
            }
        }
        let probe = Probe::default();
        let parts = probe.around(Panicking, io::sink(), |_| Ok(()));
        let client = Session::client(parts, Config::default()).expect("client");
        assert_eq!(client.closed(), CloseReason::Aborted);
        assert_eq!(probe.dropped.load(SeqCst), 2);
    });
}

#[test]
fn a_writer_that_panics_ends_the_session() {
    within(|| {
        struct Panicking;
        impl Write for Panicking {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("a broken transport, on purpose")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (open, end) = mpsc::channel();
        let open = Mutex::new(Some(open));
        let probe = Probe::default();
        let parts = probe.around(Silent(end), Panicking, move |_| {
            *open.lock().expect("no panic") = None;
            Ok(())
        });
        let client = Session::client(parts, Config::default()).expect("client");
        let _stream = client.open().expect("open");
        assert_eq!(client.closed(), CloseReason::Aborted);
        assert_eq!(probe.dropped.load(SeqCst), 2);
        assert_eq!(*probe.shut.lock().expect("no panic"), [Shutdown::Both]);
    });
}

/// Its writer hangs in a write, and then its transport hangs in being shut down, or panics in it.
#[test]
fn a_session_that_hangs_or_panics_at_its_end_holds_up_no_other() {
    for panics in [false, true] {
        within(move || {
            let (reader_open, reader_end) = mpsc::channel();
            let (writer_open, writer_end) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let released = Mutex::new(released);
            let parts = Parts::new(Silent(reader_end), Stuck(writer_end), move |_| {
                tell.send(()).expect("the test waits");
                assert!(!panics, "a broken transport, on purpose");
                // An error: the test is over.
                let _ = released.lock().expect("no panic").recv();
                Ok(())
            });
            let hung = Session::client(parts, keep_alive(50, 300)).expect("client");
            let mut ours = hung.open().expect("open");
            ours.write_all(b"never sent").expect("queued");
            told.recv().expect("it is shut down");
            assert_eq!(hung.close_reason(), Some(CloseReason::WriteTimeout));

            let (other_open, other_end) = mpsc::channel();
            let other_open = Mutex::new(Some(other_open));
            let config = keep_alive(50, 300).to_builder().keep_alive_required(true);
            let parts = Parts::new(Silent(other_end), io::sink(), move |_| {
                *other_open.lock().expect("no panic") = None;
                Ok(())
            });
            let other = Session::client(parts, config.build().expect("valid")).expect("client");
            assert_eq!(other.closed(), CloseReason::KeepAliveTimeout);
            drop((release, reader_open, writer_open));
        });
    }
}

/// With the headers of SYN and PSH it fills the room of a first read.
const FILLING: u16 = 4096 - 16;

/// Reads honestly, but of data claims so much more.
struct Overstating {
    reader: TcpStream,
    claims: usize,
}

impl Read for Overstating {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        let is_data = count > 0 && buf[1] == 2;
        Ok(count + if is_data { self.claims } else { 0 })
    }
}

/// A server that gets a stream with one byte, and the claim of more. Its buffer is a large one,
/// since the read before has filled its own.
fn overstated(claims: usize) -> (Session, Stream, TcpStream) {
    let (near, mut far) = common::tcp_pair();
    let reader = near.try_clone().expect("clone");
    let writer = near.try_clone().expect("clone");
    let parts = Parts::new(Overstating { reader, claims }, writer, move |how| {
        near.shutdown(how)
    });
    let server = Session::server(parts, Config::default()).expect("server");
    let [low, high] = FILLING.to_le_bytes();
    let mut first = vec![1, 0, 0, 0, 3, 0, 0, 0, 1, 2, low, high, 3, 0, 0, 0];
    first.resize(16 + usize::from(FILLING), 0);
    far.write_all(&first).expect("SYN and PSH");
    let mut stream = server.accept().expect("accept");
    let mut filling = [0; FILLING as usize];
    stream.read_exact(&mut filling).expect("read");
    let [low, high] = 50_000_u16.to_le_bytes();
    far.write_all(&[1, 2, low, high, 3, 0, 0, 0, b'x'])
        .expect("PSH");
    (server, stream, far)
}

#[test]
fn overstated_reads_deliver_no_bytes_of_other_sessions() {
    within(|| {
        for _ in 0..3 {
            let (client, server) = common::pair(&Config::default());
            let (mut ours, mut theirs) = stream(&client, &server);
            ours.write_all(&[b'!'; 60_000]).expect("write");
            theirs.read_exact(&mut [0; 60_000]).expect("read");
            drop((ours, theirs, client, server));

            let (_server, mut stream, _far) = overstated(49_999);
            let mut bytes = vec![0; 50_000];
            stream.read_exact(&mut bytes).expect("what is claimed");
            assert_eq!(bytes[0], b'x');
            assert!(!bytes.contains(&b'!'), "bytes of another session");
        }
    });
}

#[test]
fn a_read_that_claims_more_than_its_buffer_ends_the_session() {
    within(|| {
        for claims in [1 << 20, usize::MAX >> 1] {
            let (server, _stream, _far) = overstated(claims);
            let reason = server.closed();
            assert!(matches!(reason, CloseReason::Transport(_)), "{reason:?}");
        }
    });
}

/// Notes the room and the bytes of each read.
struct Recording {
    reader: TcpStream,
    reads: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl Read for Recording {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        let mut reads = self.reads.lock().expect("no panic");
        reads.push((buf.len(), count));
        Ok(count)
    }
}

/// A thread that waits in a read keeps its buffer meanwhile.
#[test]
fn a_read_has_a_large_buffer_only_behind_one_that_was_filled() {
    within(|| {
        let (near, far) = common::tcp_pair();
        let reads = Arc::default();
        let reader = Recording {
            reader: near.try_clone().expect("clone"),
            reads: Arc::clone(&reads),
        };
        let writer = near.try_clone().expect("clone");
        let parts = Parts::new(reader, writer, move |how| near.shutdown(how));
        let server = Session::server(parts, Config::default()).expect("server");
        let client = Session::client(far, Config::default()).expect("client");
        let (mut ours, mut theirs) = stream(&client, &server);
        for size in [1 << 20, 1, 1] {
            ours.write_all(&vec![7; size]).expect("write");
            theirs.read_exact(&mut vec![0; size]).expect("read");
        }
        let reads = reads.lock().expect("no panic");
        let mut room = 4 << 10;
        for &(buffer, count) in &*reads {
            assert_eq!(buffer, room);
            room = if count == buffer { 64 << 10 } else { 4 << 10 };
        }
        assert!(reads.iter().any(|&(buffer, _)| buffer == 64 << 10));
        assert_eq!(reads.last(), Some(&(4 << 10, 9)));
    });
}

#[test]
fn an_interrupted_call_is_tried_again() {
    within(|| {
        /// Interrupted every other time.
        struct Interrupted<T>(T, bool);
        impl<T> Interrupted<T> {
            fn turn(&mut self) -> io::Result<&mut T> {
                self.1 = !self.1;
                if self.1 {
                    return Err(ErrorKind::Interrupted.into());
                }
                Ok(&mut self.0)
            }
        }
        impl<T: Read> Read for Interrupted<T> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.turn()?.read(buf)
            }
        }
        impl<T: Write> Write for Interrupted<T> {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.turn()?.write(data)
            }
            fn flush(&mut self) -> io::Result<()> {
                self.turn()?.flush()
            }
        }
        let (near_reader, far_writer) = io::pipe().expect("pipe");
        let (far_reader, near_writer) = io::pipe().expect("pipe");
        let (reader, writer) = (
            Interrupted(near_reader, false),
            Interrupted(near_writer, false),
        );
        let near = Parts::new(reader, writer, |_| Ok(()));
        let far = Parts::new(far_reader, far_writer, |_| Ok(()));
        let client = Session::client(near, Config::default()).expect("client");
        let server = Session::server(far, Config::default()).expect("server");
        let (mut ours, mut theirs) = stream(&client, &server);
        ours.write_all(b"there").expect("write");
        let mut text = [0; 5];
        theirs.read_exact(&mut text).expect("read");
        theirs.write_all(b"back!").expect("write");
        ours.read_exact(&mut text).expect("read");
        assert_eq!(&text, b"back!");
        assert_eq!(client.close(), CloseReason::Local);
    });
}

/// Blocks in the write of a bare header until it is released.
struct Late {
    writer: TcpStream,
    told: Receiver<()>,
}

impl Write for Late {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(data)?;
        if data.len() == 8 {
            // An error means the same: the sender is gone.
            let _ = self.told.recv();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn data_written_before_the_session_ended_counts_as_flushed() {
    within(|| {
        let (near, mut far) = common::tcp_pair();
        let (tell, told) = mpsc::channel();
        let writer = Late {
            writer: near.try_clone().expect("clone"),
            told,
        };
        let reader = near.try_clone().expect("clone");
        let parts = Parts::new(reader, writer, move |how| near.shutdown(how));
        let client = Session::client(parts, Config::default()).expect("client");
        let ours = client.open().expect("open");
        // SYN
        far.read_exact(&mut [0; 8]).expect("read");
        tell.send(()).expect("the writer waits");
        thread::scope(|scope| {
            let flush = blocked(scope, || ours.shutdown(Shutdown::Write));
            // FIN
            far.read_exact(&mut [0; 8]).expect("read");
            far.shutdown(Shutdown::Write).expect("shutdown");
            until("the session has ended", || client.is_closed());
            assert!(
                !flush.is_finished(),
                "a flush ended before its data was known to be written"
            );
            drop(tell);
            flush.join().expect("no panic").expect("flushed");
        });
    });
}

#[test]
fn a_flush_that_meets_a_blocked_write_ends_with_it() {
    within(|| {
        let (client, server, valve) = common::pair_with_valve(&Config::default());
        valve.open();
        let (mut ours, mut theirs) = stream(&client, &server);
        let (other, _unread) = stream(&client, &server);
        ours.write_all(b"first").expect("write");
        ours.flush().expect("flushed");
        valve.shut();
        valve.fill(&other);
        // What was flushed before waits for no other write.
        ours.flush().expect("flushed before");
        ours.write_all(b"second").expect("queued");
        thread::scope(|scope| {
            let flush = blocked(scope, || (&ours).flush());
            valve.open();
            flush.join().expect("no panic").expect("flushed");
        });
        let mut received = [0; 11];
        theirs.read_exact(&mut received).expect("read");
        assert_eq!(&received, b"firstsecond");
    });
}

/// Takes all bytes or none, and does not return from a flush or a write until it is shut.
struct Hanging {
    takes_bytes: bool,
    shut: Receiver<()>,
}

impl Write for Hanging {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.takes_bytes {
            return Ok(data.len());
        }
        self.flush().map(|()| 0)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Err(_) = self.shut.recv() else {
            unreachable!("nothing is sent")
        };
        Err(ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_flush_ends_with_the_session_though_its_reader_never_returns() {
    for takes_bytes in [false, true] {
        within(move || {
            let (reader_open, never) = mpsc::channel();
            let (open, shut) = mpsc::channel();
            let open = Mutex::new(Some(open));
            let parts = Parts::new(Silent(never), Hanging { takes_bytes, shut }, move |_| {
                *open.lock().expect("no panic") = None;
                Ok(())
            });
            let client = Session::client(parts, keep_alive(50, 300)).expect("client");
            let mut other = client.open().expect("open");
            let mut ours = client.open().expect("open");
            other.write_all(&[0; 10_000]).expect("queued");
            ours.write_all(b"with it").expect("queued");
            thread::scope(|scope| {
                let flushes = [&ours, &other].map(|mut of| blocked(scope, move || of.flush()));
                for flush in flushes {
                    let error = flush.join().expect("no panic").expect_err("stuck");
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                }
            });
            assert_eq!(client.close_reason(), Some(CloseReason::WriteTimeout));
            for late in [
                ours.flush(),
                ours.write_all(b"late"),
                ours.read_exact(&mut [0]),
            ] {
                assert_eq!(late.expect_err("ended").kind(), ErrorKind::TimedOut);
            }
            drop(reader_open);
        });
    }
}
