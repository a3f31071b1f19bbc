//! A write error does not stop reading: data that the peer sent is not lost.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{
    CloseReason, Config, ConfigBuilder, Event, OpenError, ProtocolError, StreamError, StreamId,
    TransportError, Version,
};

const BOTH: [Version; 2] = [Version::V1, Version::V2];

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

fn failure() -> TransportError {
    TransportError::new("broken pipe")
}

fn reason() -> CloseReason {
    CloseReason::Transport(failure())
}

fn closed<T>() -> Poll<Result<T, StreamError>> {
    Poll::Ready(Err(StreamError::Closed(reason())))
}

/// A server with stream 3 accepted, to whose transport nothing can be written any more.
fn broken(limits: ConfigBuilder) -> (Harness, StreamId) {
    let mut harness = Harness::server(limits.build().expect("valid"));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.discard_output();
    harness.write(id, b"never sent");
    harness.events();
    harness.session.handle_write_error(harness.now(), failure());
    (harness, id)
}

#[test]
fn writers_fail_and_readers_read_on() {
    for version in BOTH {
        let (mut harness, id) = broken(config(version));
        assert_eq!(harness.reason(), reason());
        assert_eq!(harness.events(), [Event::Closed]);
        assert_eq!(harness.try_write(id, b"x"), closed());
        let open = harness.session.open();
        assert_eq!(open, Poll::Ready(Err(OpenError::Closed(reason()))));
        harness.expect_nothing();
        assert_eq!(harness.read_end(id), Poll::Pending);
        harness.peer_sends([psh(3, "arrives"), fin(3)]);
        assert_eq!(harness.read(id), b"arrives");
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
        harness.expect_nothing();
        assert!(!harness.session.is_terminated());
    }
}

#[test]
fn new_streams_are_still_accepted() {
    for version in BOTH {
        let (mut harness, _) = broken(config(version));
        assert_eq!(harness.session.accept(), Poll::Pending);
        harness.peer_sends([syn(5), psh(5, "one"), fin(5), syn(7), psh(7, "two")]);
        let (five, seven) = (harness.accept(), harness.accept());
        assert_eq!(harness.session.accept(), Poll::Pending);
        harness.peer_ends();
        assert_eq!(harness.read(five), b"one");
        assert_eq!(harness.read_end(five), Poll::Ready(Ok(0)));
        assert_eq!(harness.read(seven), b"two");
        assert_eq!(harness.read_end(seven), closed());
        assert_eq!(harness.session.accept(), Poll::Ready(Err(reason())));
    }
}

#[test]
fn waiting_readers_and_acceptors_see_the_end_of_input() {
    type End = fn(&mut Harness);
    let ends: [End; 4] = [
        |harness| harness.peer_ends(),
        |harness| {
            let reset = TransportError::new("connection reset");
            harness.session.handle_transport_error(reset);
        },
        |harness| {
            let error = ProtocolError::UnknownCommand(9);
            let result = harness.peer_sends_bytes(&[
                harness.session.config().version() as u8,
                9,
                0,
                0,
                0,
                0,
                0,
                0,
            ]);
            assert_eq!(result, Err(error));
        },
        |harness| harness.advance(Duration::from_secs(5)),
    ];
    for version in BOTH {
        for end in ends {
            let (mut harness, id) = broken(config(version));
            assert_eq!(harness.events(), [Event::Closed]);
            assert_eq!(harness.read_end(id), Poll::Pending);
            end(&mut harness);
            assert!(harness.session.is_terminated());
            assert_eq!(harness.events(), [Event::Closed]);
            assert_eq!(harness.read_end(id), closed());
            assert_eq!(harness.session.accept(), Poll::Ready(Err(reason())));
            assert_eq!(harness.reason(), reason(), "the first reason stays");
        }
    }
}

#[test]
fn a_full_receive_buffer_waits_for_readers_until_the_time_limit() {
    for version in BOTH {
        let limits = config(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut harness, id) = broken(limits);
        harness.peer_sends([psh(3, counting(2_000))]);
        assert!(!harness.session.wants_input());
        harness.advance(Duration::from_millis(4_999));
        assert_eq!(harness.read(id).len(), 2_000);
        assert!(harness.session.wants_input());
        harness.peer_sends([psh(3, "the rest")]);
        harness.advance(Duration::from_millis(1));
        assert!(harness.session.is_terminated());
        assert_eq!(harness.read(id), b"the rest");
        assert_eq!(harness.read_end(id), closed());
    }
}

#[test]
fn a_flush_fails_with_the_reason() {
    let (mut harness, id) = broken(config(Version::V1));
    let sent = harness.session.stream(id).expect("it is open").poll_sent();
    assert_eq!(sent, closed());
}

#[test]
fn no_frame_is_owed_after_a_write_error() {
    let limits = config(Version::V2).accept_backlog(1).max_owed_refusals(3);
    let (mut harness, id) = broken(limits);
    harness.peer_sends([psh(3, counting(10_000))]);
    harness.read(id);
    // One waits to be accepted, the others are refused.
    harness.peer_sends((5..50).step_by(2).map(syn));
    assert!(!harness.session.wants_transmit());
    harness.expect_nothing();
    let accepted = harness.accept();
    for id in [id, accepted] {
        harness.close(id);
    }
    assert_eq!(harness.session.stream_count(), 0);
    assert_eq!(harness.session.stats().windows_granted, 0);
}

/// An evicted stream owes no FIN while nothing can be sent, so the table does not keep it.
#[test]
fn a_closed_evicted_stream_leaves_the_table() {
    let limits = config(Version::V2)
        .max_receive_buffer(300_000)
        .max_stream_buffer(1_000);
    let (mut harness, id) = broken(limits);
    while harness.session.stats().streams_evicted == 0 {
        harness.peer_sends([psh(3, counting(60_000))]);
    }
    assert_eq!(harness.read_end(id), closed());
    harness.close(id);
    assert_eq!(harness.session.stream_count(), 0);
}

// ------------------------------------------------------------------ in every state

#[test]
fn a_second_write_error_and_a_drain_change_nothing() {
    let (mut harness, id) = broken(config(Version::V1));
    let due = harness.session.poll_timeout();
    harness.advance(Duration::from_secs(1));
    let other = TransportError::new("still broken");
    harness.session.handle_write_error(harness.now(), other);
    harness.session.drain(harness.now(), Duration::ZERO);
    assert_eq!(harness.session.poll_timeout(), due);
    harness.peer_sends([psh(3, "arrives")]);
    assert_eq!(harness.read(id), b"arrives");
    assert_eq!(harness.reason(), reason());
}

#[test]
fn a_close_after_a_write_error_ends_at_once() {
    let (mut harness, id) = broken(config(Version::V1));
    harness.peer_sends([psh(3, "arrived")]);
    harness.close_session();
    assert!(harness.session.is_terminated());
    assert_eq!(harness.read(id), b"arrived");
    assert_eq!(harness.read_end(id), closed());
}

#[test]
fn a_write_error_ends_a_closing_session_at_once() {
    for sent in [false, true] {
        let mut harness = Harness::server(config(Version::V1).build().expect("valid"));
        harness.peer_sends([syn(3)]);
        let id = harness.accept();
        harness.write(id, b"last words");
        harness.close_session();
        if sent {
            harness.discard_output();
        }
        assert_eq!(harness.session.wants_shutdown(), sent);
        harness.session.handle_write_error(harness.now(), failure());
        assert!(harness.session.is_terminated());
        assert_eq!(harness.reason(), CloseReason::Local);
    }
}

#[test]
fn a_draining_session_keeps_refusing_streams() {
    let mut harness = Harness::server(config(Version::V1).build().expect("valid"));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness
        .session
        .drain(harness.now(), Duration::from_secs(60));
    harness.session.handle_write_error(harness.now(), failure());
    harness.peer_sends([psh(3, "arrives"), fin(3), syn(5)]);
    assert_eq!(harness.session.stats().streams_refused, 1);
    assert_eq!(harness.read(id), b"arrives");
    assert_eq!(harness.session.poll_timeout(), Some(Duration::from_secs(5)));
}

#[test]
fn a_write_error_after_the_end_changes_nothing() {
    let mut harness = Harness::server(config(Version::V1).build().expect("valid"));
    harness.peer_ends();
    harness.session.handle_write_error(harness.now(), failure());
    assert_eq!(harness.reason(), CloseReason::PeerNeverSpoke);
    assert_eq!(harness.events(), [Event::Closed]);
}

/// Window updates can no longer be sent, but the windows stay accounted for.
#[test]
fn window_accounting_stays_right() {
    let mut harness = Harness::server(config(Version::V2).build().expect("valid"));
    harness.peer_sends([syn(3), psh(3, "first")]);
    let id = harness.accept();
    harness.read(id);
    harness.expect_only([upd(3, 5, 65_536)]);
    harness.session.handle_write_error(harness.now(), failure());
    for _ in 0..10 {
        harness.peer_sends([psh(3, counting(60_000))]);
        assert_eq!(harness.read(id).len(), 60_000);
    }
    let stats = harness.session.stats();
    assert!(stats.windows_granted <= harness.session.config().max_receive_buffer());
    assert_eq!(stats.receive_buffered, 0);
    harness.expect_nothing();
}
