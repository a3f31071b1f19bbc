//! Waiting times by cause, in the session's own time.

use std::{collections::BTreeMap, task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{SessionStats, StallCause, StreamId, Version};

use super::{build, config, server};

const SECOND: Duration = Duration::from_secs(1);

/// A client of version 2. Its streams have used up windows of 10 bytes, and a write waits on each.
fn without_window<const N: usize>() -> (Harness, [StreamId; N]) {
    let mut harness = Harness::client(build(config(Version::V2).initial_send_window(10)));
    let ids = [(); N].map(|()| harness.open());
    for id in ids {
        harness.write(id, &counting(10));
        block(&mut harness, id);
    }
    (harness, ids)
}

fn block(harness: &mut Harness, id: StreamId) {
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
}

fn stats(harness: &Harness) -> SessionStats {
    harness.session.stats()
}

fn write_stall(harness: &mut Harness, id: StreamId) -> Option<StallCause> {
    let stream = harness.session.stream(id).expect("open");
    stream.stats().write_stall
}

#[test]
fn a_wait_for_the_peers_window_is_timed() {
    let (mut harness, [id]) = without_window();
    assert_eq!(write_stall(&mut harness, id), Some(StallCause::PeerWindow));
    harness.advance(3 * SECOND);
    assert_eq!(stats(&harness).window_stall_time, 3 * SECOND);
    harness.peer_sends([upd(3, 10, 10)]);
    assert_eq!(write_stall(&mut harness, id), None);
    harness.advance(4 * SECOND);
    harness.write(id, b"goes on");
    let stats = stats(&harness);
    assert_eq!(
        (stats.window_stalls, stats.window_stall_time),
        (1, 3 * SECOND)
    );
    assert_eq!(stats.stream_queue_stall_time, Duration::ZERO);
    assert_eq!(stats.session_queue_stall_time, Duration::ZERO);
}

/// The waits of several streams add up to no more than the time that has passed.
#[test]
fn concurrent_waits_are_timed_once() {
    let (mut harness, [..]) = without_window::<2>();
    harness.advance(SECOND);
    harness.peer_sends([upd(3, 10, 10)]);
    harness.advance(SECOND);
    harness.peer_sends([upd(5, 10, 10)]);
    harness.advance(SECOND);
    let stats = stats(&harness);
    assert_eq!(
        (stats.window_stalls, stats.window_stall_time),
        (2, 2 * SECOND)
    );
}

/// An idle session is not told the time, so its last known time is long past when a write waits.
#[test]
fn the_time_before_a_write_waits_does_not_count() {
    let mut harness = Harness::client(build(config(Version::V2).initial_send_window(10)));
    let id = harness.open();
    harness.write(id, &counting(10));
    harness.pump();
    block(&mut harness, id);
    harness.session.advance_time(10 * SECOND);
    assert_eq!(stats(&harness).window_stall_time, Duration::ZERO);
    harness.session.advance_time(12 * SECOND);
    assert_eq!(stats(&harness).window_stall_time, 2 * SECOND);
}

/// The list of streams shows which one waits, and since when.
#[test]
fn a_waiting_write_tells_how_long() {
    let (mut harness, [one, two]) = without_window();
    harness.advance(3 * SECOND);
    harness.peer_sends([upd(one.get(), 10, 10)]);
    harness.write(one, &counting(10));
    // An idle session was last told the time long ago, but is told it by who waits.
    harness.skip(60 * SECOND);
    block(&mut harness, one);
    harness.session.advance_time(harness.now());
    harness.skip(2 * SECOND);
    harness.session.advance_time(harness.now());
    let waits: BTreeMap<_, _> = (harness.session.streams())
        .map(|(id, stream)| (id, (stream.write_stall, stream.write_stall_time)))
        .collect();
    let window = Some(StallCause::PeerWindow);
    assert_eq!(waits[&one], (window, 2 * SECOND));
    assert_eq!(waits[&two], (window, 65 * SECOND));
    harness.peer_sends([upd(one.get(), 20, 10)]);
    let stream = harness.session.stream(one).expect("open");
    assert_eq!(stream.stats().write_stall_time, Duration::ZERO);
}

#[test]
fn waits_for_the_streams_and_the_sessions_queue_are_distinguished() {
    let config = config(Version::V1)
        .max_frame_size(50)
        .max_stream_send_queue(100)
        .max_session_send_queue(150);
    let mut harness = Harness::client(build(config));
    harness.set_transport_room(0);
    let (one, two) = (harness.open(), harness.open());
    harness.pump(); // a batch with the two SYNs is under way, and nothing follows it
    assert_eq!(harness.try_write(one, &counting(500)), Poll::Ready(Ok(100)));
    block(&mut harness, one);
    harness.advance(SECOND);
    assert_eq!(harness.try_write(two, &counting(500)), Poll::Ready(Ok(50)));
    block(&mut harness, two);
    harness.advance(SECOND);
    assert_eq!(
        write_stall(&mut harness, one),
        Some(StallCause::StreamQueue)
    );
    assert_eq!(
        write_stall(&mut harness, two),
        Some(StallCause::SessionQueue)
    );
    harness.set_transport_room(None);
    harness.advance(SECOND);
    let stats = stats(&harness);
    assert_eq!(
        (stats.stream_queue_stalls, stats.stream_queue_stall_time),
        (1, 2 * SECOND)
    );
    assert_eq!(
        (stats.session_queue_stalls, stats.session_queue_stall_time),
        (1, SECOND)
    );
    assert_eq!(stats.window_stall_time, Duration::ZERO);
    assert_eq!(stats.transport_time, 2 * SECOND);
}

/// However a write stops waiting, its time stops with it.
#[test]
fn a_waits_time_stops_however_it_ends() {
    type End = (&'static str, fn(&mut Harness, StreamId));
    let ends: [End; 7] = [
        ("update", |harness, _| harness.peer_sends([upd(3, 10, 10)])),
        ("wrong update", |harness, _| {
            harness.peer_sends([upd(3, 11, 10)])
        }),
        ("finish", Harness::finish),
        ("close", Harness::close),
        ("stopped", |harness, _| harness.peer_sends([fin(3), fin(3)])),
        ("session closed", |harness, _| harness.close_session()),
        ("transport gone", |harness, _| harness.peer_ends()),
    ];
    for (name, end) in ends {
        let (mut harness, [id]) = without_window();
        harness.advance(SECOND);
        end(&mut harness, id);
        harness.advance(SECOND);
        assert_eq!(stats(&harness).window_stall_time, SECOND, "{name}");
    }
}

#[test]
fn a_pause_of_reading_is_timed_while_it_lasts() {
    let (mut harness, id) = server(
        config(Version::V1)
            .max_receive_buffer(10)
            .max_stream_buffer(10),
    );
    harness.peer_sends([psh(3, counting(10))]);
    harness.session.advance_time(5 * SECOND);
    assert_eq!(stats(&harness).receive_stall_time, 5 * SECOND);
    harness.read(id);
    harness.session.advance_time(6 * SECOND);
    assert_eq!(stats(&harness).receive_stall_time, 6 * SECOND);
    // There is room; the peer is just idle.
    harness.session.advance_time(3_600 * SECOND);
    harness.peer_sends([psh(3, counting(10))]);
    assert_eq!(stats(&harness).receive_stall_time, 6 * SECOND);
    harness.session.advance_time(3_601 * SECOND);
    harness.close(id);
    harness.session.advance_time(3_602 * SECOND);
    harness.session.advance_time(3_609 * SECOND);
    let stats = stats(&harness);
    assert_eq!(
        (stats.receive_stalls, stats.receive_stall_time),
        (2, 8 * SECOND)
    );
}

#[test]
fn transport_time_runs_while_a_batch_is_unwritten() {
    let (mut harness, id) = server(config(Version::V1));
    harness.set_transport_room(0);
    harness.write(id, b"waits in the transport");
    harness.advance(2 * SECOND);
    harness.set_transport_room(5);
    harness.advance(SECOND); // some of it has left, the rest waits
    harness.set_transport_room(None);
    harness.advance(SECOND); // and leaves when this begins
    harness.peer_sends([syn(5)]);
    assert_eq!(stats(&harness).transport_time, 3 * SECOND);
}

/// The guide names a counter for each wait.
#[test]
fn the_counters_of_the_guide_exist() {
    let stats = format!("{:?}", SessionStats::default());
    let guide = include_str!("../../../docs/sizing.md");
    let named = guide.split('`').filter(|code| code.contains("_stall"));
    let mut counters = 0;
    for name in named {
        assert!(stats.contains(&format!(" {name}: ")), "no counter {name}");
        counters += 1;
    }
    assert!(counters > 4, "{counters}");
}
