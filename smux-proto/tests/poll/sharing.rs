//! Buffers that the sessions of a thread share: an idle session owns none, and no bytes leak from
//! one session to another.

use std::{
    io::{self, ErrorKind},
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::measure;
use smux_proto::{
    CloseReason, Command, Config, Side,
    poll::{
        Clock, Driver, Pumps, SessionHandle, StreamHandle, TransportRead, has_pump_memory,
        release_pump_memory,
    },
};

use crate::wire::{Ends, Wire, now, run, server};

/// A session with a stream that the peer opened.
struct Served {
    _session: SessionHandle,
    driver: Driver<Wire>,
    wire: Wire,
    stream: StreamHandle,
}

impl Served {
    fn new() -> Self {
        let (session, mut driver, wire) = server(Config::default());
        wire.receive(Command::Syn, 3, b"");
        assert!(run(&mut driver, Waker::noop()).is_pending());
        let stream = now(session.accept()).expect("a stream is there");
        Self {
            _session: session,
            driver,
            wire,
            stream,
        }
    }

    fn run(&mut self) {
        assert!(run(&mut self.driver, Waker::noop()).is_pending());
    }

    fn read(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(read) = self.stream.poll_read_buf(&mut cx, &mut bytes) {
            assert_ne!(read.expect("no error"), 0);
        }
        bytes
    }
}

/// A session whose transport claims a frame of which it has read the header and one byte.
#[track_caller]
fn assert_reads_nothing_of_others(session: &mut Served) {
    session.wire.receive(Command::Psh, 3, &vec![b'x'; 50_000]);
    session.wire.ends(|ends| {
        ends.input.truncate(9);
        ends.overstates = 49_999;
    });
    session.run();
    let bytes = session.read();
    assert_eq!(bytes.len(), 50_000);
    assert!(!bytes.contains(&b'!'), "bytes of another session");
}

#[test]
fn overstated_reads_deliver_no_bytes_of_other_sessions() {
    let mut one = Served::new();
    let mut other = Served::new();
    for size in [100, 20_000, 60_000] {
        one.wire.receive(Command::Psh, 3, &vec![b'!'; size]);
        one.run();
        assert_eq!(one.read().len(), size);
        assert_reads_nothing_of_others(&mut other);
    }
}

/// A transport may use the buffer as it likes, and report less or nothing.
#[test]
fn overstated_reads_deliver_nothing_that_others_did_not_report() {
    let ends: [fn(&mut Ends); 4] = [
        // Nothing is read.
        |_| {},
        |ends| ends.input.extend([1, 3, 0, 0, 0, 0, 0, 0]),
        |ends| {
            ends.read_error = Some(ErrorKind::ConnectionReset.into());
            ends.scribbles = Some(10_000);
        },
        |ends| {
            ends.input.push_back(1);
            ends.overstates = 1 << 20;
            ends.scribbles = Some(10_000);
        },
    ];
    for read in ends {
        let mut one = Served::new();
        let mut other = Served::new();
        one.wire.ends(|ends| {
            ends.scribbles = Some(0);
            read(ends);
        });
        // It may end.
        let _ = run(&mut one.driver, Waker::noop());
        assert_reads_nothing_of_others(&mut other);
    }
}

/// An idle session, whatever it did before. The thread's buffers exist already.
#[test]
fn an_idle_session_owns_no_buffers() {
    let traffic = || {
        let mut served = Served::new();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..20 {
            served.wire.receive(Command::Psh, 3, &[7; 50_000]);
            served.run();
            assert_eq!(served.read().len(), 50_000);
            let written = served.stream.poll_write(&mut cx, &[8; 50_000]);
            assert_eq!(written, Poll::Ready(Ok(50_000)));
            served.run();
        }
        served.wire.ends(|ends| {
            assert_eq!(ends.output.len(), 20 * 50_000 + 40 * 8);
            ends.output = Vec::new();
            ends.input.shrink_to_fit();
        });
        served
    };
    let first = traffic();
    let mut second = None;
    let memory = measure(|| second = Some(traffic()));
    // What there is to tell of the session takes more.
    let most = (4 << 10) + if cfg!(feature = "tracing") { 256 } else { 0 };
    assert!(
        memory.bytes_current <= most,
        "{} bytes",
        memory.bytes_current
    );
    drop((first, second));
}

/// A transport that expects little gets a small buffer, also right behind a large one.
#[test]
fn each_read_has_the_room_that_its_transport_asks_for() {
    for rooms in [[4_096, 65_536, 100], [65_536, 4_096, 1], [1, 50, 65_536]] {
        let (session, mut driver, wire) = server(Config::default());
        wire.receive(Command::Syn, 3, b"");
        wire.receive(Command::Psh, 3, &[7; 30_000]);
        wire.ends(|ends| {
            ends.rooms = rooms.to_vec();
            ends.input_ends = true;
        });
        for _ in 0..10 {
            let _ = run(&mut driver, Waker::noop());
        }
        assert_eq!(session.close_reason(), Some(CloseReason::PeerClosed));
        let stream = now(session.accept()).expect("a stream is there");
        let mut bytes = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(1..)) = stream.poll_read_buf(&mut cx, &mut bytes) {}
        assert!(bytes == [7; 30_000], "{} bytes", bytes.len());
    }
}

/// Whatever its pumps did, it leaves to other threads or frees.
#[test]
fn a_thread_that_waits_for_long_gives_up_what_its_pumps_need() {
    let traffic = || {
        let mut served = Served::new();
        served.wire.receive(Command::Psh, 3, &[7; 50_000]);
        served.run();
        assert_eq!(served.read().len(), 50_000);
        assert!(has_pump_memory());
        release_pump_memory();
        assert!(!has_pump_memory());
    };
    // What is left to other threads and their sessions is there from now on.
    traffic();
    let memory = measure(traffic);
    assert!(memory.bytes_current <= 1 << 10, "{memory:?}");
}

/// Brings one NOP.
struct Brief {
    nop: Option<[u8; 8]>,
    keeps_buffer: bool,
}

impl TransportRead for Brief {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(nop) = self.nop.take() else {
            return Poll::Pending;
        };
        buf[..nop.len()].copy_from_slice(&nop);
        Poll::Ready(Ok(nop.len()))
    }

    fn keeps_buffer(&self) -> bool {
        self.keeps_buffer
    }
}

#[test]
fn a_pump_keeps_its_buffer_if_its_transport_asks() {
    for keeps_buffer in [false, true] {
        release_pump_memory();
        let clock = Clock::new(|| Duration::ZERO);
        let (session, mut pumps) = Pumps::new(Side::Server, Config::default(), clock);
        let mut transport = Brief {
            nop: Some([1, 3, 0, 0, 0, 0, 0, 0]),
            keeps_buffer,
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pumps.read.poll(&mut cx, &mut transport).is_pending());
        assert_eq!(session.stats().bytes_received, 8);
        assert_eq!(has_pump_memory(), !keeps_buffer);
    }
}
