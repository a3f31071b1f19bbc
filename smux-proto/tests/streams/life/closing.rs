//! Closing a stream, on this side and on the other.

use std::task::Poll;

use smux_conformance::frame::{counting, fin, psh, syn, upd};
use smux_proto::{Event, StreamError, Version};

use super::{BOTH, client, server_with_stream};

#[test]
fn a_close_sends_what_was_written_then_two_fins() {
    for version in BOTH {
        let mut harness = client(version);
        let id = harness.open();
        harness.write(id, &counting(40_000));
        harness.close(id);
        assert!(harness.session.stream(id).is_none());
        let (first, rest) = (
            counting(40_000)[..32_768].to_vec(),
            counting(40_000)[32_768..].to_vec(),
        );
        harness.expect_only([syn(3), psh(3, first), psh(3, rest), fin(3), fin(3)]);
        assert_eq!(harness.session.stream_count(), 0);
    }
}

#[test]
fn a_close_after_finish_adds_the_second_fin() {
    let (mut harness, id) = server_with_stream(Version::V2);
    harness.finish(id);
    harness.expect_only([fin(3)]);
    harness.close(id);
    harness.expect_only([fin(3)]);
}

#[test]
fn a_close_after_the_peers_fin_needs_one_fin_only() {
    let (mut harness, id) = server_with_stream(Version::V2);
    harness.peer_sends([fin(3)]);
    harness.close(id);
    harness.expect_only([fin(3)]);
    assert_eq!(harness.session.stream_count(), 0);
}

#[test]
fn a_closed_stream_is_forgotten_and_late_frames_are_ignored() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.peer_sends([psh(3, "unread")]);
        harness.close(id);
        harness.expect_only([fin(3), fin(3)]);
        harness.events();
        harness.peer_sends([psh(3, counting(5_000)), fin(3)]);
        assert_eq!(harness.session.stats().receive_buffered, 0);
        assert_eq!(harness.session.stats().ignored.unknown_stream, 2);
        assert_eq!(harness.events(), []);
        harness.expect_nothing();
    }
}

/// While it has something to send, the closed stream still counts, and its id is not free.
#[test]
fn a_closing_stream_leaves_the_table_with_its_last_frame() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness.write(id, b"last words");
    harness.close(id);
    assert_eq!(harness.session.stream_count(), 1);
    harness.peer_sends([syn(3)]);
    assert_eq!(harness.session.accept(), Poll::Pending);
    harness.expect_only([psh(3, "last words"), fin(3), fin(3)]);
    assert_eq!(harness.session.stream_count(), 0);
    harness.peer_sends([syn(3)]);
    assert_eq!(harness.accept(), id);
}

#[test]
fn a_reused_id_starts_afresh() {
    let (mut harness, id) = server_with_stream(Version::V2);
    harness.peer_sends([psh(3, "old"), upd(3, 0, 10)]);
    assert_eq!(harness.read(id), b"old");
    harness.write(id, b"0123456789");
    assert_eq!(harness.try_write(id, b"no"), Poll::Pending);
    harness.close(id);
    harness.take_frames();
    harness.peer_sends([fin(3), syn(3)]);
    assert_eq!(harness.accept(), id);
    harness.write(id, &counting(20));
    harness.expect_only([psh(3, counting(20))]);
    harness.peer_sends([psh(3, "new")]);
    assert_eq!(harness.read(id), b"new");
    harness.expect_only([upd(3, 3, 65_536)]);
}

// ------------------------------------------------------------------ a peer that reads no more

#[test]
fn a_second_fin_stops_the_writer() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.peer_sends([psh(3, "bye"), fin(3)]);
        harness.events();
        harness.write(id, b"still read");
        harness.expect([psh(3, "still read")]);
        harness.peer_sends([fin(3)]);
        assert_eq!(harness.events(), [Event::Stopped(id)]);
        assert!(harness.session.stream(id).expect("there").is_stopped());
        assert_eq!(
            harness.try_write(id, b"into the void"),
            Poll::Ready(Err(StreamError::Stopped))
        );
        assert_eq!(harness.read(id), b"bye");
        harness.close(id);
        harness.expect_only([fin(3)]);
    }
}

#[test]
fn a_second_fin_stops_a_writer_that_waits_for_the_window() {
    let (mut harness, id) = server_with_stream(Version::V2);
    harness.peer_sends([upd(3, 0, 4)]);
    harness.write(id, b"1234");
    harness.take_frames();
    assert_eq!(harness.try_write(id, b"5"), Poll::Pending);
    harness.peer_sends([fin(3), fin(3)]);
    assert!(harness.events().contains(&Event::Stopped(id)));
    assert_eq!(
        harness.try_write(id, b"5"),
        Poll::Ready(Err(StreamError::Stopped))
    );
}

#[test]
fn further_fins_are_counted() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness.peer_sends([fin(3), fin(3)]);
    harness.events();
    harness.peer_sends([fin(3), fin(3)]);
    assert_eq!(harness.events(), []);
    assert_eq!(harness.session.stats().ignored.repeated_fin, 2);
    harness.close(id);
    harness.expect_only([fin(3)]);
}

/// Data that the peer would not read is dropped, and does not count as sent.
#[test]
fn the_peers_stop_drops_unsent_data() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness.write(id, b"sent");
    harness.expect_only([psh(3, "sent")]);
    harness.write(id, b"not sent");
    harness.peer_sends([fin(3), fin(3)]);
    harness.expect_nothing();
    let mut stream = harness.session.stream(id).expect("there");
    assert_eq!((stream.unsent(), stream.stats().bytes_sent), (0, 4));
    assert_eq!(stream.poll_sent(), Poll::Ready(Err(StreamError::Stopped)));
    assert_eq!(harness.session.stats().send_queued, 0);
}
