//! How much is handed to the transport ahead of what is urgent.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use smux_proto::{
    Command, Config, Header,
    poll::{Driver, SessionHandle, StreamHandle},
};

use crate::wire::{Wire, now, run, server};

const FRAME: usize = 8 + 32_768;
/// What batches do not shrink below, and do not grow beyond.
const LEAST: usize = 60 << 10;
const MOST: usize = 240 << 10;

fn fill(stream: &StreamHandle) {
    let mut cx = Context::from_waker(Waker::noop());
    while stream.poll_write(&mut cx, &[7; 65_536]).is_ready() {}
}

/// What the slow transport takes: 10 MB/s.
const NANOSECONDS_A_BYTE: u64 = 100;

/// Moves bulk data over a transport that takes so much each time it has room, and in so much time,
/// or all at once.
fn take_turns(driver: &mut Driver<Wire>, wire: &Wire, bulk: &StreamHandle, room: Option<usize>) {
    for _ in 0..20 {
        fill(bulk);
        wire.ends(|ends| {
            ends.room = room;
            let bytes = room.map_or(0, |room| room as u64);
            ends.now += Duration::from_nanos(NANOSECONDS_A_BYTE * bytes);
        });
        assert!(run(driver, Waker::noop()).is_pending());
    }
}

/// Bytes of the session's output that are in a batch, and that the transport has not taken.
fn under_way(session: &SessionHandle, wire: &Wire) -> usize {
    let emitted = usize::try_from(session.stats().bytes_emitted).expect("it is small");
    emitted - wire.ends(|ends| ends.output.len())
}

/// Bytes between the write of a message and its first byte on the wire.
fn ahead_of_a_message(
    driver: &mut Driver<Wire>,
    wire: &Wire,
    small: &StreamHandle,
    room: usize,
) -> usize {
    let begun = wire.ends(|ends| ends.output.len());
    let mut cx = Context::from_waker(Waker::noop());
    let written = small.poll_write(&mut cx, b"0123456789");
    assert_eq!(written, Poll::Ready(Ok(10)));
    loop {
        wire.ends(|ends| ends.room = Some(room));
        assert!(run(driver, Waker::noop()).is_pending());
        let found = wire.ends(|ends| last_frame_of(&ends.output, small));
        if let Some(at) = found.filter(|at| *at >= begun) {
            return at - begun;
        }
    }
}

/// Where the last frame with data of a stream begins.
fn last_frame_of(output: &[u8], stream: &StreamHandle) -> Option<usize> {
    let (mut at, mut found) = (0, None);
    while let Some(bytes) = output[at..].first_chunk() {
        let header = Header::decode(*bytes).expect("a frame");
        if header.stream_id == stream.id() && header.command == Command::Psh {
            found = Some(at);
        }
        at = (at + 8 + usize::from(header.length)).min(output.len());
    }
    found
}

/// On a transport that takes its time, what is urgent waits for a small batch and for a frame,
/// however large batches were before.
#[test]
fn batches_shrink_when_the_transport_is_slow() {
    for room in [1_000, 10_000, 20_000] {
        let (session, mut driver, wire) = server(Config::default());
        let [small, bulk] = [(); 2].map(|()| now(session.open()).expect("open"));
        take_turns(&mut driver, &wire, &bulk, None);
        // The batch of which it does not take all is a large one.
        let fast = wire.ends(|ends| ends.output.len());
        while wire.ends(|ends| ends.output.len()) < fast + MOST + FRAME {
            take_turns(&mut driver, &wire, &bulk, Some(room));
        }
        for _ in 0..5 {
            take_turns(&mut driver, &wire, &bulk, Some(room));
            let held = under_way(&session, &wire);
            assert!(held <= LEAST + FRAME, "{held} left, {room} at a time");
            fill(&bulk);
            let ahead = ahead_of_a_message(&mut driver, &wire, &small, room);
            assert!(ahead <= LEAST + FRAME, "{ahead} ahead, {room} at a time");
        }
    }
}

/// A fast one whose reader is behind for a moment, as on loopback, keeps its large batches.
#[test]
fn batches_stay_large_when_a_fast_transport_takes_a_part() {
    let (session, mut driver, wire) = server(Config::default());
    let bulk = now(session.open()).expect("open");
    take_turns(&mut driver, &wire, &bulk, None);
    for _ in 0..20 {
        fill(&bulk);
        wire.ends(|ends| {
            ends.room = Some(100_000);
            ends.now += Duration::from_millis(1);
        });
        assert!(run(&mut driver, Waker::noop()).is_pending());
    }
    let held = under_way(&session, &wire);
    assert!(held > 2 * LEAST, "{held}");
}

#[test]
fn batches_grow_again_when_the_transport_takes_all() {
    let (session, mut driver, wire) = server(Config::default());
    let bulk = now(session.open()).expect("open");
    take_turns(&mut driver, &wire, &bulk, Some(1_000));
    let held = under_way(&session, &wire);
    assert!(held <= LEAST + FRAME, "{held}");
    take_turns(&mut driver, &wire, &bulk, None);
    fill(&bulk);
    wire.ends(|ends| ends.takes_output = false);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let held = under_way(&session, &wire);
    assert!((MOST..MOST + FRAME).contains(&held), "{held}");
}
