//! The poll layer without a runtime: polled by hand, over a transport made of two buffers.
#![cfg(feature = "poll")]

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use smux_proto::{
    CloseReason, Command, Config, Header, Side, StreamId, Version,
    poll::{Clock, Driver, SessionHandle, Transport, TransportRead, TransportWrite, connect},
};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn waker() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(Arc::clone(&count)))
    }

    fn take(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The test's side of a transport.
#[derive(Default)]
struct Ends {
    input: VecDeque<u8>,
    output: Vec<u8>,
    reads: usize,
    takes_output: bool,
    endless_input: Option<[u8; 8]>,
}

#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Ends>>);

impl Wire {
    fn ends<R>(&self, act: impl FnOnce(&mut Ends) -> R) -> R {
        act(&mut self.0.lock().expect("no test panics in here"))
    }

    fn receive(&self, command: Command, id: u32, payload: &[u8]) {
        let header = Header {
            version: Version::V1,
            command,
            length: u16::try_from(payload.len()).expect("one frame"),
            stream_id: StreamId::new(id),
        };
        self.ends(|ends| {
            ends.input.extend(header.encode());
            ends.input.extend(payload);
        });
    }
}

impl TransportRead for Wire {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.ends(|ends| {
            ends.reads += 1;
            if let Some(frame) = ends.endless_input {
                buf.chunks_exact_mut(8)
                    .for_each(|chunk| chunk.copy_from_slice(&frame));
                return Poll::Ready(Ok(buf.len() / 8 * 8));
            }
            let count = buf.len().min(ends.input.len());
            if count == 0 {
                return Poll::Pending;
            }
            buf.iter_mut()
                .zip(ends.input.drain(..count))
                .for_each(|(to, from)| *to = from);
            Poll::Ready(Ok(count))
        })
    }
}

impl TransportWrite for Wire {
    fn poll_write(&mut self, _: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.ends(|ends| {
            if !ends.takes_output {
                return Poll::Pending;
            }
            let before = ends.output.len();
            bufs.iter().for_each(|buf| ends.output.extend(&buf[..]));
            Poll::Ready(Ok(ends.output.len() - before))
        })
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Wire {
    fn poll_sleep(&mut self, _: &mut Context<'_>, _: Duration) -> Poll<()> {
        Poll::Pending
    }
}

/// A server, its driver, and the test's side of its transport.
fn server(config: Config) -> (SessionHandle, Driver<Wire>, Wire) {
    let wire = Wire::default();
    wire.ends(|ends| ends.takes_output = true);
    let clock = Clock::new(|| Duration::ZERO);
    let (session, driver) = connect(Side::Server, config, clock, wire.clone());
    (session, driver, wire)
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("has to wait"),
    }
}

fn run(driver: &mut Driver<Wire>, waker: &Waker) -> Poll<CloseReason> {
    Pin::new(driver).poll(&mut Context::from_waker(waker))
}

#[test]
fn an_idle_driver_is_woken_once_for_many_writes() {
    let (session, mut driver, wire) = server(Config::default());
    let (wakes, waker) = Count::waker();
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wakes.take(), 0);
    let stream = now(session.open()).expect("open");
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        let written = stream.poll_write(&mut cx, b"small");
        assert_eq!(written, Poll::Ready(Ok(5)));
    }
    assert_eq!(wakes.take(), 1);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wakes.take(), 0, "all of it left in that round");
    assert_eq!(wire.ends(|ends| ends.output.len()), 8 + 8 + 500);
}

#[test]
fn input_is_taken_while_output_is_stuck() {
    let (session, mut driver, wire) = server(Config::default());
    wire.ends(|ends| ends.takes_output = false);
    let ours = now(session.open()).expect("open");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(ours.poll_write(&mut cx, &[0; 1000]).is_ready());
    assert!(run(&mut driver, Waker::noop()).is_pending());

    wire.receive(Command::Syn, 3, b"");
    wire.receive(Command::Psh, 3, b"hello");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let theirs = now(session.accept()).expect("accept");
    let mut text = Vec::new();
    assert_eq!(theirs.poll_read(&mut cx, &mut text), Poll::Ready(Ok(5)));
    assert_eq!(text, b"hello");
    assert_eq!(wire.ends(|ends| ends.output.len()), 0);
}

#[test]
fn reading_stops_at_a_full_buffer_and_goes_on_when_there_is_room() {
    let config = Config::builder()
        .max_receive_buffer(100_000)
        .max_stream_buffer(65_536)
        .build()
        .expect("valid");
    let (session, mut driver, wire) = server(config);
    wire.receive(Command::Syn, 3, b"");
    for _ in 0..20 {
        wire.receive(Command::Psh, 3, &[1; 20_000]);
    }
    let (wakes, waker) = Count::waker();
    assert!(run(&mut driver, &waker).is_pending());
    let reads = wire.ends(|ends| ends.reads);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wire.ends(|ends| ends.reads), reads, "it reads no more");
    assert_eq!(wakes.take(), 0);

    let theirs = now(session.accept()).expect("accept");
    let mut cx = Context::from_waker(Waker::noop());
    let mut data = Vec::new();
    while data.len() < 20 * 20_000 {
        assert!(theirs.poll_read(&mut cx, &mut data).is_ready());
        assert_eq!(wakes.take(), 1, "after {} bytes", data.len());
        assert!(run(&mut driver, &waker).is_pending());
    }
    assert!(data.iter().all(|&byte| byte == 1));
}

#[test]
fn a_driver_that_is_never_done_lets_others_run() {
    let (_session, mut driver, wire) = server(Config::default());
    let nop = Header {
        version: Version::V1,
        command: Command::Nop,
        length: 0,
        stream_id: StreamId::new(0),
    };
    wire.ends(|ends| ends.endless_input = Some(nop.encode()));
    let (wakes, waker) = Count::waker();
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wakes.take(), 1);
}

#[test]
fn a_dropped_waiter_is_forgotten() {
    let (session, mut driver, wire) = server(Config::default());
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let (dropped, waker) = Count::waker();
    {
        let mut accept = pin!(session.accept());
        let mut cx = Context::from_waker(&waker);
        assert!(accept.as_mut().poll(&mut cx).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&dropped), 1, "its waker is dropped");
    let mut accept = pin!(session.accept());
    let (waiting, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    assert!(accept.as_mut().poll(&mut cx).is_pending());
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((dropped.take(), waiting.take()), (0, 1));
    assert!(accept.poll(&mut cx).is_ready());
}

#[test]
fn the_two_directions_of_a_stream_have_wakers_of_their_own() {
    let (session, mut driver, wire) = server(Config::default());
    wire.ends(|ends| ends.takes_output = false);
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let stream = now(session.accept()).expect("accept");
    let (reader, waker) = Count::waker();
    let mut read_cx = Context::from_waker(&waker);
    assert!(stream.poll_read(&mut read_cx, &mut Vec::new()).is_pending());
    let (writer, waker) = Count::waker();
    let mut write_cx = Context::from_waker(&waker);
    let mut fill = || while stream.poll_write(&mut write_cx, &[0; 10_000]).is_ready() {};
    fill();
    // A batch leaves the queue and is stuck; then the queue is full again.
    assert!(run(&mut driver, Waker::noop()).is_pending());
    fill();
    writer.take();

    wire.receive(Command::Psh, 3, b"x");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((reader.take(), writer.take()), (1, 0));
    wire.ends(|ends| ends.takes_output = true);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((reader.take(), writer.take()), (0, 1));
}

#[test]
fn the_end_wakes_everyone() {
    let (session, mut driver, wire) = server(Config::default());
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let (wakes, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    let streams: Vec<_> = (0..100)
        .map(|_| now(session.open()).expect("open"))
        .collect();
    for stream in &streams {
        assert!(stream.poll_read(&mut cx, &mut Vec::new()).is_pending());
    }
    let accepted = now(session.accept()).expect("accept");
    assert!(accepted.poll_read(&mut cx, &mut Vec::new()).is_pending());
    let mut accept = pin!(session.accept());
    assert!(accept.as_mut().poll(&mut cx).is_pending());
    wakes.take();
    drop(driver);
    assert!(wakes.take() >= 102);
    assert_eq!(
        now(accept).map(|stream| stream.id()),
        Err(CloseReason::Aborted)
    );
}

/// A waker that uses the session when it is woken or dropped, as a runtime's may that drops a task.
struct Reentrant {
    session: SessionHandle,
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.session.streams();
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.session.streams();
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a deadlock must fail, not hang")]
fn wakers_are_woken_and_dropped_without_the_lock() {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let (session, mut driver, wire) = server(Config::default());
        let waker = || {
            Waker::from(Arc::new(Reentrant {
                session: session.clone(),
            }))
        };
        assert!(run(&mut driver, &waker()).is_pending());
        assert!(run(&mut driver, &waker()).is_pending());
        let stream = now(session.open()).expect("open");
        for _ in 0..2 {
            let waker = waker();
            let mut cx = Context::from_waker(&waker);
            assert!(stream.poll_read(&mut cx, &mut Vec::new()).is_pending());
        }
        {
            let mut accept = pin!(session.accept());
            for _ in 0..2 {
                let waker = waker();
                let mut cx = Context::from_waker(&waker);
                assert!(accept.as_mut().poll(&mut cx).is_pending());
            }
        }
        drop(stream);
        let stream = now(session.open()).expect("open");
        let waker = waker();
        let mut cx = Context::from_waker(&waker);
        assert!(stream.poll_read(&mut cx, &mut Vec::new()).is_pending());
        drop(waker);
        wire.receive(Command::Syn, 3, b"");
        drop(driver);
        done.send(session.close_reason()).expect("somebody waits");
    });
    let reason = finished.recv_timeout(Duration::from_secs(60));
    assert_eq!(reason, Ok(Some(CloseReason::Aborted)));
}
