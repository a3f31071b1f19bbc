//! Waiting times while no I/O tells the session the time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use smux_proto::{
    Command, Config, Side, StallCause,
    poll::{Clock, SessionHandle, connect},
};

use crate::wire::{Count, Wire, now, run, server};

const MILLI: Duration = Duration::from_millis(1);

/// The start of a wait and the counters are exact even if the driver does not run.
#[test]
fn waits_are_timed_while_the_driver_is_idle() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = Clock::new({
        let seconds = Arc::clone(&seconds);
        move || Duration::from_secs(seconds.load(SeqCst))
    });
    let config = Config::builder().max_stream_send_queue(10).build();
    let (session, _driver) = connect(Side::Client, config.expect("valid"), clock, Wire::default());
    let stream = now(session.open()).expect("open");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_write(&mut cx, &[0; 10]).is_ready());
    seconds.store(10, SeqCst);
    assert!(stream.poll_write(&mut cx, &[0]).is_pending());
    seconds.store(12, SeqCst);
    let stats = session.stats();
    assert_eq!(stats.stream_queue_stall_time, Duration::from_secs(2));
    assert_eq!(stream.stats().write_stall, Some(StallCause::StreamQueue));
}

/// A read pause ends when there is room, not when the peer sends again.
#[test]
fn the_peers_idle_time_does_not_count_as_a_read_pause() {
    const BUDGET: usize = 10_000;
    let config = Config::builder()
        .max_receive_buffer(BUDGET)
        .max_stream_buffer(BUDGET);
    let (session, mut driver, wire) = server(config.keep_alive_disabled().build().expect("valid"));
    let (_, waker) = Count::waker();
    wire.receive(Command::Syn, 3, b"");
    wire.receive(Command::Psh, 3, &[0; BUDGET]);
    assert!(run(&mut driver, &waker).is_pending());
    let stream = now(session.accept()).expect("accept");
    assert_eq!(session.stats().receive_stalls, 1);
    wire.ends(|ends| ends.now += MILLI);
    let mut cx = Context::from_waker(Waker::noop());
    let read = stream.poll_read_buf(&mut cx, &mut Vec::new());
    assert_eq!(read, Poll::Ready(Ok(BUDGET)));
    assert!(run(&mut driver, &waker).is_pending());
    wire.ends(|ends| ends.now += Duration::from_secs(3_600));
    assert_eq!(session.stats().receive_stall_time, MILLI);
}

/// A clock is the embedder's: it may have locks of its own, and use the session.
#[test]
#[allow(clippy::disallowed_methods, reason = "a deadlock must fail, not hang")]
fn the_clock_is_read_outside_the_lock() {
    let used = Arc::new(Mutex::new(None::<SessionHandle>));
    let clock = Clock::new({
        let used = Arc::clone(&used);
        move || {
            if let Some(session) = &*used.lock().expect("no panic") {
                assert_eq!(session.stream_count(), 1);
            }
            Duration::ZERO
        }
    });
    let (done, all_done) = mpsc::channel();
    thread::spawn(move || {
        let config = Config::builder().max_stream_send_queue(10).build();
        let (session, driver) =
            connect(Side::Client, config.expect("valid"), clock, Wire::default());
        let stream = now(session.open()).expect("open");
        *used.lock().expect("no panic") = Some(session.clone());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_write(&mut cx, &[0; 11]).is_ready());
        assert!(stream.poll_write(&mut cx, &[0]).is_pending());
        session.stats();
        *used.lock().expect("no panic") = None;
        drop((stream, driver));
        done.send(()).expect("the test waits");
    });
    let end = all_done.recv_timeout(Duration::from_secs(10));
    assert_eq!(end, Ok(()), "the clock waits for the lock");
}
