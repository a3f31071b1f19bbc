//! How often a session is locked, and its clock asked, by what happens most.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
    vec,
};

use crate::{
    Config, Side, Version,
    poll::{
        Clock, Driver, SessionHandle, StreamHandle, Transport, TransportRead, TransportWrite,
        connect, sync::locks_taken,
    },
};

type Bytes = Arc<Mutex<VecDeque<u8>>>;

/// A transport that takes everything.
struct Pipe {
    input: Bytes,
    output: Bytes,
}

impl TransportRead for Pipe {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut input = self.input.lock().expect("nothing panics in here");
        let count = input.len().min(buf.len());
        if count == 0 {
            return Poll::Pending;
        }
        buf.iter_mut()
            .zip(input.drain(..count))
            .for_each(|(to, from)| *to = from);
        Poll::Ready(Ok(count))
    }
}

impl TransportWrite for Pipe {
    fn poll_write(&mut self, _: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut output = self.output.lock().expect("nothing panics in here");
        let before = output.len();
        output.extend(bufs.iter().flat_map(|buf| buf.iter()));
        Poll::Ready(Ok(output.len() - before))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Pipe {
    fn poll_sleep(&mut self, _: &mut Context<'_>, _: Duration) -> Poll<()> {
        Poll::Pending
    }
}

struct End {
    session: SessionHandle,
    driver: Driver<Pipe>,
    looks: Arc<AtomicUsize>,
}

/// Locks taken, and looks at the clock.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    locks: usize,
    looks: usize,
}

impl End {
    fn new(side: Side, config: &Config, input: &Bytes, output: &Bytes) -> Self {
        let looks = Arc::new(AtomicUsize::new(0));
        let clock = Clock::new({
            let looks = Arc::clone(&looks);
            move || Duration::from_millis(looks.fetch_add(1, Relaxed) as u64)
        });
        let pipe = Pipe {
            input: Arc::clone(input),
            output: Arc::clone(output),
        };
        let (session, driver) = connect(side, config.clone(), clock, pipe);
        Self {
            session,
            driver,
            looks,
        }
    }

    fn cost<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> (R, Cost) {
        let (locks, looks) = (locks_taken(), self.looks.load(Relaxed));
        let result = act(self);
        let cost = Cost {
            locks: locks_taken() - locks,
            looks: self.looks.load(Relaxed) - looks,
        };
        (result, cost)
    }

    /// What one poll of the driver costs, which does not end the session.
    fn drive(&mut self) -> Cost {
        let (poll, cost) = self.cost(|end| Pin::new(&mut end.driver).poll(&mut cx()));
        assert_eq!(poll, Poll::Pending);
        cost
    }
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A stream that is open at both ends, with nothing left to move.
fn pair(config: &Config) -> ([End; 2], [StreamHandle; 2]) {
    let (there, back) = (Bytes::default(), Bytes::default());
    let mut client = End::new(Side::Client, config, &back, &there);
    let mut server = End::new(Side::Server, config, &there, &back);
    let near = match client.session.try_open() {
        Ok(Some(stream)) => stream,
        other => panic!("no stream: {other:?}"),
    };
    client.drive();
    server.drive();
    let Poll::Ready(Ok(far)) = server.session.poll_accept(&mut cx()) else {
        panic!("no stream")
    };
    settle(&mut client, &mut server);
    ([client, server], [near, far])
}

fn settle(client: &mut End, server: &mut End) {
    for _ in 0..10 {
        client.drive();
        server.drive();
    }
}

/// Runs where locks can be taken.
fn once(test: impl Fn(&Config) + Copy + Send + Sync + 'static) {
    for version in [Version::V1, Version::V2] {
        let config = Config::builder().version(version).build().expect("valid");
        shuttle::check_random(move || test(&config), 1);
    }
}

const ONE_EACH: Cost = Cost { locks: 1, looks: 1 };

#[test]
fn a_driver_locks_once_to_find_nothing() {
    once(|config| {
        let ([mut client, _], _streams) = pair(config);
        assert_eq!(client.drive(), ONE_EACH);
    });
}

#[test]
fn a_driver_locks_once_to_deliver_what_it_has_read() {
    once(|config| {
        let ([mut client, mut server], [near, far]) = pair(config);
        assert!(near.poll_write(&mut cx(), b"question").is_ready());
        client.drive();
        assert_eq!(server.drive(), ONE_EACH);
        let mut buf = [0; 8];
        assert_eq!(far.poll_read(&mut cx(), &mut buf), Poll::Ready(Ok(8)));
    });
}

/// The second time is to say that it is written, and flushed. With feature `tracing`, another round
/// looks for stalls.
#[test]
fn a_driver_locks_twice_to_write() {
    once(|config| {
        let ([mut client, _], [near, _far]) = pair(config);
        assert!(near.poll_write(&mut cx(), b"question").is_ready());
        let locks = 2 + usize::from(cfg!(feature = "tracing"));
        assert_eq!(client.drive(), Cost { locks, looks: 1 });
    });
}

/// In the poll that finds it due.
#[test]
fn a_driver_locks_twice_to_send_a_keep_alive() {
    once(|config| {
        let ([mut client, mut server], _streams) = pair(config);
        client.looks.fetch_add(10_000, Relaxed);
        let locks = 2 + usize::from(cfg!(feature = "tracing"));
        assert_eq!(client.drive(), Cost { locks, looks: 1 });
        assert_eq!(server.drive(), ONE_EACH);
        assert_eq!(server.session.stats().frames_received.nop, 1);
    });
}

#[test]
fn each_call_of_a_conversation_locks_once() {
    once(|config| {
        let ([mut client, mut server], [near, far]) = pair(config);
        let mut buf = [0; 8];
        for round in 0..4 {
            let (waits, waiting) = server.cost(|_| far.poll_read(&mut cx(), &mut buf).is_pending());
            let ((), writing) = client.cost(|_| {
                assert!(near.poll_write(&mut cx(), b"question").is_ready());
            });
            settle(&mut client, &mut server);
            let (read, reading) = server.cost(|_| far.poll_read(&mut cx(), &mut buf));
            assert!(waits && read == Poll::Ready(Ok(8)));
            assert_eq!(writing, Cost { locks: 1, looks: 0 });
            assert_eq!(reading, Cost { locks: 1, looks: 0 });
            // A first wait is not expected.
            assert_eq!(waiting.locks, if round == 0 { 2 } else { 1 });
        }
    });
}

#[test]
fn a_write_that_waits_again_and_again_locks_once() {
    once(|config| {
        let ([mut client, mut server], [near, far]) = pair(config);
        let data = vec![7; 1 << 20];
        let mut buf = vec![0; 1 << 20];
        for round in 0..4 {
            let filling = near.poll_write(&mut cx(), &data);
            assert!(matches!(filling, Poll::Ready(Ok(count)) if count < data.len()));
            let (poll, blocked) = client.cost(|_| near.poll_write(&mut cx(), &data));
            assert_eq!(poll, Poll::Pending);
            let expected = if round == 0 { 2 } else { 1 };
            assert_eq!(
                blocked,
                Cost {
                    locks: expected,
                    looks: 1
                }
            );
            for _ in 0..10 {
                settle(&mut client, &mut server);
                while far.poll_read(&mut cx(), &mut buf).is_ready() {}
            }
        }
    });
}

/// The first few lock once each, then each 4 KiB.
#[test]
fn many_small_writes_lock_now_and_then() {
    once(|config| {
        let ([mut client, mut server], [near, far]) = pair(config);
        let mut buf = vec![0; 65_536];
        for _ in 0..3 {
            let ((), writing) = client.cost(|_| {
                for _ in 0..500 {
                    assert!(near.poll_write(&mut cx(), &[7; 64]).is_ready());
                }
            });
            assert!(writing.locks <= 3 + 500 / 64 + 1, "{writing:?}");
            for _ in 0..10 {
                settle(&mut client, &mut server);
                while far.poll_read(&mut cx(), &mut buf).is_ready() {}
            }
        }
    });
}
