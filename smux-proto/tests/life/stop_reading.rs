//! Streams on which the application reads no more.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, fin, psh, syn, upd},
    script::Script,
};
use smux_proto::{Event, StreamId, Version};

use crate::{BOTH, client, config, server_with_stream};

#[test]
fn what_has_arrived_and_what_arrives_is_dropped() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.send([psh(3, counting(10_000))]);
        peer.stop_reading(id);
        peer.send([psh(3, counting(20_000)), psh(3, "more")]);
        let stats = peer.session.stats();
        assert_eq!(stats.receive_buffered, 0);
        assert_eq!(stats.payload_discarded, 30_004);
        assert_eq!(stats.ignored.reading_stopped, 2);
        assert_eq!(stats.ignored.unknown_stream, 0);
        let stream = peer.session.stream(id).expect("it is open");
        assert_eq!((stream.unread(), stream.is_readable()), (0, true));
        assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
    }
}

#[test]
fn the_rest_of_a_frame_is_dropped_too() {
    let (mut peer, id) = server_with_stream(Version::V2);
    let frame = psh(3, counting(500)).encode(Version::V2);
    assert_eq!(peer.send_bytes(&frame[..200]), Ok(200));
    peer.stop_reading(id);
    assert_eq!(peer.send_bytes(&frame[200..]), Ok(308));
    let stats = peer.session.stats();
    assert_eq!((stats.receive_buffered, stats.payload_discarded), (0, 500));
    peer.expect_nothing();
}

/// A stream without a reader must not stop the others, as it would once the receive buffer is full.
#[test]
fn an_endless_sender_stalls_nobody() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.stop_reading(id);
        for _ in 0..200 {
            peer.send([psh(3, counting(65_535))]);
        }
        assert_eq!(peer.session.stats().receive_stalls, 0);
        assert_eq!(peer.session.stats().streams_retired, 0);
        peer.send([syn(5), psh(5, "served")]);
        let other = peer.accept();
        assert_eq!(peer.read(other), b"served");
    }
}

#[test]
fn no_window_is_renewed_and_its_share_is_free() {
    let (mut peer, id) = server_with_stream(Version::V2);
    peer.send([psh(3, counting(1_000))]);
    peer.read_exact(id, 500);
    // The update for that read is still owed.
    peer.stop_reading(id);
    assert_eq!(peer.session.stats().windows_granted, 0);
    peer.send([60_000; 3].map(|length| psh(3, counting(length))));
    peer.expect_nothing();
    peer.send([syn(5), psh(5, "x")]);
    let other = peer.accept();
    peer.read(other);
    peer.expect_only([upd(5, 1, 65_536)]);
}

#[test]
fn a_reader_that_waits_is_woken() {
    let (mut peer, id) = server_with_stream(Version::V1);
    assert_eq!(peer.read_end(id), Poll::Pending);
    peer.stop_reading(id);
    assert_eq!(peer.events(), [Event::Readable(id)]);
    assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
    peer.stop_reading(id);
    assert_eq!(peer.events(), []);
}

/// The wire has a frame for "no more data" and none for "no more reading": the latter shows when
/// the stream is closed.
#[test]
fn the_peer_is_told_when_the_stream_is_closed() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.stop_reading(id);
        peer.expect_nothing();
        peer.write(id, b"still writes");
        peer.finish(id);
        peer.expect_only([psh(3, "still writes"), fin(3)]);
        peer.close(id);
        peer.expect_only([fin(3)]);
        assert_eq!(peer.session.streams(), 0);
    }
}

#[test]
fn the_peers_end_is_still_seen() {
    for version in BOTH {
        let mut peer = client(version);
        let id: StreamId = peer.open();
        peer.stop_reading(id);
        peer.send([psh(3, "unread"), fin(3)]);
        assert_eq!(peer.events(), [Event::Finished(id)]);
        let stream = peer.session.stream(id).expect("it is open");
        assert!(stream.peer_finished());
        peer.close(id);
        peer.expect_only([syn(3), fin(3)]);
        assert_eq!(peer.session.streams(), 0);
    }
}

#[test]
fn a_session_that_stood_still_goes_on() {
    let limits = config(Version::V1)
        .max_receive_buffer(1_000)
        .max_stream_buffer(1_000);
    let mut peer = Script::server(limits.build().expect("valid"));
    peer.send([syn(3), psh(3, counting(2_000))]);
    let id = peer.accept();
    assert!(!peer.session.wants_input());
    peer.stop_reading(id);
    assert!(peer.session.wants_input());
}
