//! Foreign code never runs under the session's lock: here each kind of it uses the session.
//!
//! A deadlock fails by timeout. `waits` tests the user's clock, `subscribers` the subscriber of
//! `tracing`.

use std::{
    error::Error,
    fmt::{self, Write},
    io,
    pin::pin,
    sync::mpsc,
    task::{Context, RawWaker, RawWakerVTable, Waker},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, buf::UninitSlice};
use smux_proto::{CloseReason, Command, Config, TransportError, poll::SessionHandle};

use crate::wire::{Wire, now, run, server};

#[allow(clippy::disallowed_methods, reason = "a deadlock must fail, not hang")]
pub(crate) fn must_end(what: &str, scenario: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        scenario();
        let _ = done.send(());
    });
    let end = ended.recv_timeout(Duration::from_secs(10));
    assert_eq!(end, Ok(()), "{what} runs under the lock");
}

/// Takes the lock, as every call on a session does.
fn touch(session: &SessionHandle) {
    session.stream_count();
}

/// The owner of some `Bytes`, an error of a transport, a sink for text.
#[derive(Clone)]
struct Foreign(SessionHandle, Vec<u8>);

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        touch(&self.0);
    }
}

impl Write for Foreign {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        touch(&self.0);
        Ok(())
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        touch(&self.0);
        f.write_str("foreign")
    }
}

impl Error for Foreign {}

/// Payloads that are copied when written, copied into a batch, and not copied.
const SIZES: [usize; 3] = [100, 1000, 20_000];

#[test]
fn formatters_run_outside_the_lock() {
    must_end("a formatter", || {
        let (session, driver, _wire) = server(Config::v2());
        let (read, write) = now(session.open()).expect("open").into_split();
        let incoming = session.incoming();
        let mut text = Foreign(session.clone(), Vec::new());
        write!(
            text,
            "{session:?} {read:?} {write:?} {incoming:?} {driver:?}"
        )
        .expect("formatted");
    });
}

/// Queues bytes whose owner uses the session, in each size. No other reference to them is left.
fn queue_foreign(session: &SessionHandle, of: &smux_proto::poll::StreamHandle) {
    let mut cx = Context::from_waker(Waker::noop());
    for size in SIZES {
        let owner = Foreign(session.clone(), vec![7; size]);
        let mut data = Bytes::from_owner(owner);
        assert!(of.poll_write_bytes(&mut cx, &mut data).is_ready());
        assert!(data.is_empty());
    }
}

#[test]
fn owners_of_sent_bytes_are_dropped_outside_the_lock() {
    must_end("the owner of sent bytes", || {
        let (session, mut driver, wire) = server(Config::default());
        let stream = now(session.open()).expect("open");
        queue_foreign(&session, &stream);
        assert!(run(&mut driver, Waker::noop()).is_pending());
        let sent = SIZES.iter().sum::<usize>();
        assert_eq!(wire.ends(|ends| ends.output.len()), 8 + 8 + sent);
    });
}

#[test]
fn owners_of_discarded_bytes_are_dropped_outside_the_lock() {
    type End = fn(&SessionHandle, &Wire);
    let ends: [(&str, End); 3] = [
        ("an abort", |session, _| session.abort()),
        ("the peer's stop", |_, wire| {
            wire.receive(Command::Fin, 3, b"");
            wire.receive(Command::Fin, 3, b"");
        }),
        ("a broken frame", |_, wire| {
            wire.ends(|ends| ends.input.extend([71; 8]));
        }),
    ];
    for (what, end) in ends {
        for taken_into_a_batch in [false, true] {
            must_end(what, move || {
                let (session, mut driver, wire) = server(Config::default());
                wire.receive(Command::Syn, 3, b"");
                assert!(run(&mut driver, Waker::noop()).is_pending());
                let stream = now(session.accept()).expect("accept");
                wire.ends(|ends| ends.takes_output = false);
                queue_foreign(&session, &stream);
                if taken_into_a_batch {
                    assert!(run(&mut driver, Waker::noop()).is_pending());
                    queue_foreign(&session, &stream);
                }
                end(&session, &wire);
                let _ = run(&mut driver, Waker::noop());
                drop(driver);
                touch(&session);
            });
        }
    }
}

#[test]
fn dropping_the_driver_drops_owners_of_bytes_outside_the_lock() {
    must_end("the owner of discarded bytes", || {
        let (session, driver, _wire) = server(Config::default());
        let stream = now(session.open()).expect("open");
        queue_foreign(&session, &stream);
        drop(driver);
        assert_eq!(session.close_reason(), Some(CloseReason::Aborted));
    });
}

#[test]
fn transport_errors_are_formatted_and_dropped_outside_the_lock() {
    for ended_before in [false, true] {
        for fails_reading in [false, true] {
            must_end("an error of the transport", move || {
                let (session, mut driver, wire) = server(Config::default());
                let stream = now(session.open()).expect("open");
                let mut cx = Context::from_waker(Waker::noop());
                assert!(stream.poll_write(&mut cx, b"data").is_ready());
                if ended_before {
                    session.abort();
                }
                let error = || Some(io::Error::other(Foreign(session.clone(), Vec::new())));
                wire.ends(|ends| match fails_reading {
                    true => ends.read_error = error(),
                    false => ends.write_error = error(),
                });
                let _ = run(&mut driver, Waker::noop());
                drop(driver);
                let reason = session.close_reason().expect("it has ended");
                let failed = matches!(reason, CloseReason::Transport(_));
                assert_eq!(failed, !ended_before, "{reason}");
                // The session keeps this reason for later calls too.
                let _ = TransportError::new("text");
            });
        }
    }
}

/// A buffer that uses the session in every method.
struct Buffer(SessionHandle, Vec<u8>);

/// As a vector reports it.
#[allow(unsafe_code, reason = "the trait is unsafe to implement")]
unsafe impl BufMut for Buffer {
    fn remaining_mut(&self) -> usize {
        touch(&self.0);
        self.1.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        touch(&self.0);
        unsafe { self.1.advance_mut(count) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        touch(&self.0);
        self.1.chunk_mut()
    }
}

#[test]
fn buffers_are_filled_outside_the_lock() {
    for len in [1, 1000, 60_000] {
        must_end("a buffer", move || {
            let (session, mut driver, wire) = server(Config::default());
            let sent: Vec<u8> = (0..len).map(|i: u32| i.to_le_bytes()[0]).collect();
            wire.receive(Command::Syn, 3, b"");
            wire.receive(Command::Psh, 3, &sent);
            assert!(run(&mut driver, Waker::noop()).is_pending());
            let stream = now(session.accept()).expect("accept");
            let mut cx = Context::from_waker(Waker::noop());
            let mut buffer = Buffer(session, Vec::new());
            while buffer.1.len() < sent.len() {
                assert!(stream.poll_read_buf(&mut cx, &mut buffer).is_ready());
            }
            assert_eq!(buffer.1, sent);
            let copied = (&sent[..]).copy_to_bytes(sent.len());
            assert_eq!(buffer.1, copied);
        });
    }
}

/// A waker that uses the session when it is cloned, woken and dropped.
fn waker(session: &SessionHandle) -> Waker {
    fn raw(session: SessionHandle) -> RawWaker {
        let data = Box::into_raw(Box::new(session));
        RawWaker::new(data.cast(), &VTABLE)
    }
    const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);
    #[allow(unsafe_code, reason = "a waker that is made of a session")]
    unsafe fn behind(data: *const ()) -> &'static SessionHandle {
        unsafe { &*data.cast() }
    }
    #[allow(unsafe_code, reason = "as above")]
    unsafe fn clone(data: *const ()) -> RawWaker {
        raw(unsafe { behind(data) }.clone())
    }
    #[allow(unsafe_code, reason = "as above")]
    unsafe fn wake(data: *const ()) {
        unsafe { drop_waker(data) }
    }
    #[allow(unsafe_code, reason = "as above")]
    unsafe fn wake_by_ref(data: *const ()) {
        touch(unsafe { behind(data) });
    }
    #[allow(unsafe_code, reason = "as above")]
    unsafe fn drop_waker(data: *const ()) {
        let session = unsafe { Box::from_raw(data.cast::<SessionHandle>().cast_mut()) };
        touch(&session);
    }
    #[allow(unsafe_code, reason = "the functions above keep the contract")]
    unsafe {
        Waker::from_raw(raw(session.clone()))
    }
}

#[test]
fn wakers_are_cloned_woken_and_dropped_outside_the_lock() {
    must_end("a waker", || {
        let config = Config::builder().max_outbound_streams(2).build();
        let (session, mut driver, wire) = server(config.expect("valid"));
        let fresh = || waker(&session);
        for _ in 0..2 {
            assert!(run(&mut driver, &fresh()).is_pending());
        }
        let stream = now(session.open()).expect("open");
        let other = now(session.open()).expect("open");
        wire.ends(|ends| (ends.takes_output, ends.flush_hangs) = (false, true));
        for _ in 0..2 {
            let waker = fresh();
            let mut cx = Context::from_waker(&waker);
            assert!(stream.poll_read(&mut cx, &mut [0]).is_pending());
            while stream.poll_write(&mut cx, &[0; 10_000]).is_ready() {}
            assert!(other.poll_write(&mut cx, b"x").is_ready());
            assert!(other.poll_flush(&mut cx).is_pending());
            assert!(stream.poll_stopped(&mut cx).is_pending());
            assert!(run(&mut driver, &fresh()).is_pending());
        }
        {
            let mut accept = pin!(session.accept());
            let mut open = pin!(session.open());
            let mut closed = pin!(session.closed());
            for _ in 0..2 {
                let waker = fresh();
                let mut cx = Context::from_waker(&waker);
                assert!(accept.as_mut().poll(&mut cx).is_pending());
                assert!(open.as_mut().poll(&mut cx).is_pending());
                assert!(closed.as_mut().poll(&mut cx).is_pending());
            }
        }
        drop(stream);
        wire.receive(Command::Syn, 3, b"");
        assert!(run(&mut driver, &fresh()).is_pending());
        drop(driver);
        assert_eq!(session.close_reason(), Some(CloseReason::Aborted));
    });
}
