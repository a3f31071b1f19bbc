//! How long things wait, by cause, in the session's own time.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn, upd},
    script::Script,
};
use smux_proto::{SessionStats, StallCause, StreamId, Version};

use crate::{build, config, server};

const SECOND: Duration = Duration::from_secs(1);

/// A client of version 2 with streams whose windows of 10 bytes are written full, and a write waits
/// on each.
fn without_window<const N: usize>() -> (Script, [StreamId; N]) {
    let mut peer = Script::client(build(config(Version::V2).initial_send_window(10)));
    let ids = [(); N].map(|()| peer.open());
    for id in ids {
        peer.write(id, &counting(10));
        block(&mut peer, id);
    }
    (peer, ids)
}

fn block(peer: &mut Script, id: StreamId) {
    assert_eq!(peer.try_write(id, b"x"), Poll::Pending);
}

fn stats(peer: &Script) -> SessionStats {
    peer.session.stats()
}

fn write_stall(peer: &mut Script, id: StreamId) -> Option<StallCause> {
    let stream = peer.session.stream(id).expect("open");
    stream.stats().write_stall
}

#[test]
fn a_wait_for_the_peers_window_is_timed() {
    let (mut peer, [id]) = without_window();
    assert_eq!(write_stall(&mut peer, id), Some(StallCause::PeerWindow));
    peer.advance(3 * SECOND);
    assert_eq!(stats(&peer).window_stall_time, 3 * SECOND);
    peer.send([upd(3, 10, 10)]);
    assert_eq!(write_stall(&mut peer, id), None);
    peer.advance(4 * SECOND);
    peer.write(id, b"goes on");
    let stats = stats(&peer);
    assert_eq!(
        (stats.window_stalls, stats.window_stall_time),
        (1, 3 * SECOND)
    );
    assert_eq!(stats.stream_queue_stall_time, Duration::ZERO);
    assert_eq!(stats.session_queue_stall_time, Duration::ZERO);
}

/// Times of several streams do not add up to more than has passed.
#[test]
fn streams_that_wait_at_the_same_time_are_timed_once() {
    let (mut peer, [..]) = without_window::<2>();
    peer.advance(SECOND);
    peer.send([upd(3, 10, 10)]);
    peer.advance(SECOND);
    peer.send([upd(5, 10, 10)]);
    peer.advance(SECOND);
    let stats = stats(&peer);
    assert_eq!(
        (stats.window_stalls, stats.window_stall_time),
        (2, 2 * SECOND)
    );
}

/// The session was not told the time while it idled, so the last time it knows is long ago when a
/// write waits.
#[test]
fn the_time_before_a_write_had_to_wait_does_not_count() {
    let mut peer = Script::client(build(config(Version::V2).initial_send_window(10)));
    let id = peer.open();
    peer.write(id, &counting(10));
    peer.pump();
    block(&mut peer, id);
    peer.session.note_time(10 * SECOND);
    assert_eq!(stats(&peer).window_stall_time, Duration::ZERO);
    peer.session.note_time(12 * SECOND);
    assert_eq!(stats(&peer).window_stall_time, 2 * SECOND);
}

#[test]
fn waits_for_the_stream_and_for_the_session_are_told_apart() {
    let config = config(Version::V1)
        .max_frame_size(50)
        .max_stream_send_queue(100)
        .max_session_send_queue(150);
    let mut peer = Script::client(build(config));
    peer.set_transport_room(0);
    let (one, two) = (peer.open(), peer.open());
    peer.pump(); // a batch with the two SYNs is under way, and nothing follows it
    assert_eq!(peer.try_write(one, &counting(500)), Poll::Ready(Ok(100)));
    block(&mut peer, one);
    peer.advance(SECOND);
    assert_eq!(peer.try_write(two, &counting(500)), Poll::Ready(Ok(50)));
    block(&mut peer, two);
    peer.advance(SECOND);
    assert_eq!(write_stall(&mut peer, one), Some(StallCause::StreamQueue));
    assert_eq!(write_stall(&mut peer, two), Some(StallCause::SessionQueue));
    peer.set_transport_room(None);
    peer.advance(SECOND);
    let stats = stats(&peer);
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
fn every_end_of_a_wait_ends_its_time() {
    type End = (&'static str, fn(&mut Script, StreamId));
    let ends: [End; 7] = [
        ("update", |peer, _| peer.send([upd(3, 10, 10)])),
        ("wrong update", |peer, _| peer.send([upd(3, 11, 10)])),
        ("finish", Script::finish),
        ("close", Script::close),
        ("stopped", |peer, _| peer.send([fin(3), fin(3)])),
        ("session closed", |peer, _| peer.close_session()),
        ("transport gone", |peer, _| peer.eof()),
    ];
    for (name, end) in ends {
        let (mut peer, [id]) = without_window();
        peer.advance(SECOND);
        end(&mut peer, id);
        peer.advance(SECOND);
        assert_eq!(stats(&peer).window_stall_time, SECOND, "{name}");
    }
}

#[test]
fn a_pause_of_reading_is_timed_while_it_lasts() {
    let (mut peer, id) = server(
        config(Version::V1)
            .max_receive_buffer(10)
            .max_stream_buffer(10),
    );
    peer.send([psh(3, counting(10))]);
    peer.session.note_time(5 * SECOND);
    assert_eq!(stats(&peer).receive_stall_time, 5 * SECOND);
    peer.read(id);
    peer.session.note_time(6 * SECOND);
    assert_eq!(stats(&peer).receive_stall_time, 6 * SECOND);
    // There is room, and that nothing arrives is the peer's doing.
    peer.session.note_time(3_600 * SECOND);
    peer.send([psh(3, counting(10))]);
    assert_eq!(stats(&peer).receive_stall_time, 6 * SECOND);
    peer.session.note_time(3_601 * SECOND);
    peer.close(id);
    peer.session.note_time(3_602 * SECOND);
    peer.session.note_time(3_609 * SECOND);
    let stats = stats(&peer);
    assert_eq!(
        (stats.receive_stalls, stats.receive_stall_time),
        (2, 8 * SECOND)
    );
}

#[test]
fn the_transports_time_is_that_of_batches_not_yet_written() {
    let (mut peer, id) = server(config(Version::V1));
    peer.set_transport_room(0);
    peer.write(id, b"waits in the transport");
    peer.advance(2 * SECOND);
    peer.set_transport_room(5);
    peer.advance(SECOND); // some of it has left, the rest waits
    peer.set_transport_room(None);
    peer.advance(SECOND); // and leaves when this begins
    peer.send([syn(5)]);
    assert_eq!(stats(&peer).transport_time, 3 * SECOND);
}

/// The guide names a counter for each wait.
#[test]
fn the_counters_of_the_guide_exist() {
    let stats = format!("{:?}", SessionStats::default());
    let guide = include_str!("../../docs/sizing.md");
    let named = guide.split('`').filter(|code| code.contains("_stall"));
    let mut counters = 0;
    for name in named {
        assert!(stats.contains(&format!(" {name}: ")), "no counter {name}");
        counters += 1;
    }
    assert!(counters > 4, "{counters}");
}
