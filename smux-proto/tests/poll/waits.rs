//! How long things wait, when nothing else tells the session the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Waker},
    time::Duration,
};

use smux_proto::{
    Config, Side, StallCause,
    poll::{Clock, connect},
};

use crate::wire::{Wire, now};

/// Neither a write that begins to wait nor whoever asks for the counters waits for the driver.
#[test]
fn waits_are_timed_while_nothing_moves() {
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
