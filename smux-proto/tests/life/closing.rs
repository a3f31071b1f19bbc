//! Closing a stream, on this side and on the other.

use std::task::Poll;

use smux_conformance::frame::{counting, fin, psh, syn, upd};
use smux_proto::{Event, StreamError, Version};

use crate::{BOTH, client, server_with_stream};

#[test]
fn a_close_sends_what_was_written_then_two_fins() {
    for version in BOTH {
        let mut peer = client(version);
        let id = peer.open();
        peer.write(id, &counting(40_000));
        peer.close(id);
        assert!(peer.session.stream(id).is_none());
        let (first, rest) = (
            counting(40_000)[..32_768].to_vec(),
            counting(40_000)[32_768..].to_vec(),
        );
        peer.expect_only([syn(3), psh(3, first), psh(3, rest), fin(3), fin(3)]);
        assert_eq!(peer.session.streams(), 0);
    }
}

#[test]
fn a_close_after_finish_adds_the_second_fin() {
    let (mut peer, id) = server_with_stream(Version::V2);
    peer.finish(id);
    peer.expect_only([fin(3)]);
    peer.close(id);
    peer.expect_only([fin(3)]);
}

#[test]
fn a_close_after_the_peers_fin_needs_one_fin_only() {
    let (mut peer, id) = server_with_stream(Version::V2);
    peer.send([fin(3)]);
    peer.close(id);
    peer.expect_only([fin(3)]);
    assert_eq!(peer.session.streams(), 0);
}

#[test]
fn a_closed_stream_is_forgotten_and_late_frames_are_ignored() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.send([psh(3, "unread")]);
        peer.close(id);
        peer.expect_only([fin(3), fin(3)]);
        peer.events();
        peer.send([psh(3, counting(5_000)), fin(3)]);
        assert_eq!(peer.session.stats().receive_buffered, 0);
        assert_eq!(peer.session.stats().ignored.unknown_stream, 2);
        assert_eq!(peer.events(), []);
        peer.expect_nothing();
    }
}

/// While it has something to send, the closed stream still counts, and its id is not free.
#[test]
fn a_closing_stream_leaves_the_table_with_its_last_frame() {
    let (mut peer, id) = server_with_stream(Version::V1);
    peer.write(id, b"last words");
    peer.close(id);
    assert_eq!(peer.session.streams(), 1);
    peer.send([syn(3)]);
    assert_eq!(peer.session.accept(), Poll::Pending);
    peer.expect_only([psh(3, "last words"), fin(3), fin(3)]);
    assert_eq!(peer.session.streams(), 0);
    peer.send([syn(3)]);
    assert_eq!(peer.accept(), id);
}

#[test]
fn an_id_can_be_used_again_and_starts_afresh() {
    let (mut peer, id) = server_with_stream(Version::V2);
    peer.send([psh(3, "old"), upd(3, 0, 10)]);
    assert_eq!(peer.read(id), b"old");
    peer.write(id, b"0123456789");
    assert_eq!(peer.try_write(id, b"no"), Poll::Pending);
    peer.close(id);
    peer.take_frames();
    peer.send([fin(3), syn(3)]);
    assert_eq!(peer.accept(), id);
    peer.write(id, &counting(20));
    peer.expect_only([psh(3, counting(20))]);
    peer.send([psh(3, "new")]);
    assert_eq!(peer.read(id), b"new");
    peer.expect_only([upd(3, 3, 65_536)]);
}

// ------------------------------------------------------------------ a peer that reads no more

#[test]
fn a_second_fin_stops_the_writer() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.send([psh(3, "bye"), fin(3)]);
        peer.events();
        peer.write(id, b"still read");
        peer.expect([psh(3, "still read")]);
        peer.send([fin(3)]);
        assert_eq!(peer.events(), [Event::Stopped(id)]);
        assert!(peer.session.stream(id).expect("there").is_stopped());
        assert_eq!(
            peer.try_write(id, b"into the void"),
            Poll::Ready(Err(StreamError::Stopped))
        );
        assert_eq!(peer.read(id), b"bye");
        peer.close(id);
        peer.expect_only([fin(3)]);
    }
}

#[test]
fn a_writer_that_waits_for_the_window_is_stopped_too() {
    let (mut peer, id) = server_with_stream(Version::V2);
    peer.send([upd(3, 0, 4)]);
    peer.write(id, b"1234");
    peer.take_frames();
    assert_eq!(peer.try_write(id, b"5"), Poll::Pending);
    peer.send([fin(3), fin(3)]);
    assert!(peer.events().contains(&Event::Stopped(id)));
    assert_eq!(
        peer.try_write(id, b"5"),
        Poll::Ready(Err(StreamError::Stopped))
    );
}

#[test]
fn further_fins_are_counted() {
    let (mut peer, id) = server_with_stream(Version::V1);
    peer.send([fin(3), fin(3)]);
    peer.events();
    peer.send([fin(3), fin(3)]);
    assert_eq!(peer.events(), []);
    assert_eq!(peer.session.stats().ignored.repeated_fin, 2);
    peer.close(id);
    peer.expect_only([fin(3)]);
}

/// What the peer would not have read is dropped, and does not count as sent.
#[test]
fn data_that_a_stop_finds_unsent_is_dropped() {
    let (mut peer, id) = server_with_stream(Version::V1);
    peer.write(id, b"sent");
    peer.expect_only([psh(3, "sent")]);
    peer.write(id, b"not sent");
    peer.send([fin(3), fin(3)]);
    peer.expect_nothing();
    let mut stream = peer.session.stream(id).expect("there");
    assert_eq!((stream.unsent(), stream.stats().bytes_sent), (0, 4));
    assert_eq!(stream.poll_sent(), Poll::Ready(Err(StreamError::Stopped)));
    assert_eq!(peer.session.stats().send_queued, 0);
}
