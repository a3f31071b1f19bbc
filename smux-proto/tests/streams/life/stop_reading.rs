//! Streams that the application has stopped reading.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{Event, StreamId, Version};

use super::{BOTH, client, config, server_with_stream};

#[test]
fn buffered_and_later_data_is_dropped() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.peer_sends([psh(3, counting(10_000))]);
        harness.stop_reading(id);
        harness.peer_sends([psh(3, counting(20_000)), psh(3, "more")]);
        let stats = harness.session.stats();
        assert_eq!(stats.receive_buffered, 0);
        assert_eq!(stats.payload_discarded, 30_004);
        assert_eq!(stats.ignored.reading_stopped, 2);
        assert_eq!(stats.ignored.unknown_stream, 0);
        let stream = harness.session.stream(id).expect("it is open");
        assert_eq!((stream.unread(), stream.is_readable()), (0, true));
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
    }
}

#[test]
fn the_rest_of_a_frame_is_dropped_too() {
    let (mut harness, id) = server_with_stream(Version::V2);
    let frame = psh(3, counting(500)).encode(Version::V2);
    assert_eq!(harness.peer_sends_bytes(&frame[..200]), Ok(200));
    harness.stop_reading(id);
    assert_eq!(harness.peer_sends_bytes(&frame[200..]), Ok(308));
    let stats = harness.session.stats();
    assert_eq!((stats.receive_buffered, stats.payload_discarded), (0, 500));
    harness.expect_nothing();
}

/// Without `stop_reading`, an unread stream would stop the others once the receive buffer is full.
#[test]
fn an_endless_sender_does_not_stall_other_streams() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.stop_reading(id);
        for _ in 0..200 {
            harness.peer_sends([psh(3, counting(65_535))]);
        }
        assert_eq!(harness.session.stats().receive_stalls, 0);
        assert_eq!(harness.session.stats().streams_evicted, 0);
        harness.peer_sends([syn(5), psh(5, "served")]);
        let other = harness.accept();
        assert_eq!(harness.read(other), b"served");
    }
}

#[test]
fn the_window_is_not_renewed_and_its_share_is_freed() {
    let (mut harness, id) = server_with_stream(Version::V2);
    harness.peer_sends([psh(3, counting(1_000))]);
    harness.read_exact(id, 500);
    // The update for that read is still owed.
    harness.stop_reading(id);
    assert_eq!(harness.session.stats().windows_granted, 0);
    harness.peer_sends([60_000; 3].map(|length| psh(3, counting(length))));
    harness.expect_nothing();
    harness.peer_sends([syn(5), psh(5, "x")]);
    let other = harness.accept();
    harness.read(other);
    harness.expect_only([upd(5, 1, 65_536)]);
}

#[test]
fn a_waiting_reader_is_woken() {
    let (mut harness, id) = server_with_stream(Version::V1);
    assert_eq!(harness.read_end(id), Poll::Pending);
    harness.stop_reading(id);
    assert_eq!(harness.events(), [Event::Readable(id)]);
    assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
    harness.stop_reading(id);
    assert_eq!(harness.events(), []);
}

/// The wire has a frame for "no more data" but none for "no more reading", so the peer learns of
/// it only when the stream is closed.
#[test]
fn the_peer_learns_of_it_when_the_stream_is_closed() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.stop_reading(id);
        harness.expect_nothing();
        harness.write(id, b"still writes");
        harness.finish(id);
        harness.expect_only([psh(3, "still writes"), fin(3)]);
        harness.close(id);
        harness.expect_only([fin(3)]);
        assert_eq!(harness.session.stream_count(), 0);
    }
}

#[test]
fn the_peers_fin_is_still_noticed() {
    for version in BOTH {
        let mut harness = client(version);
        let id: StreamId = harness.open();
        harness.stop_reading(id);
        harness.peer_sends([psh(3, "unread"), fin(3)]);
        assert_eq!(harness.events(), [Event::Finished(id)]);
        let stream = harness.session.stream(id).expect("it is open");
        assert!(stream.peer_finished());
        harness.close(id);
        harness.expect_only([syn(3), fin(3)]);
        assert_eq!(harness.session.stream_count(), 0);
    }
}

#[test]
fn a_stalled_session_goes_on() {
    let limits = config(Version::V1)
        .max_receive_buffer(1_000)
        .max_stream_buffer(1_000);
    let mut harness = Harness::server(limits.build().expect("valid"));
    harness.peer_sends([syn(3), psh(3, counting(2_000))]);
    let id = harness.accept();
    assert!(!harness.session.wants_input());
    harness.stop_reading(id);
    assert!(harness.session.wants_input());
}
