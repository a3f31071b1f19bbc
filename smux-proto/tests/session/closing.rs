//! The end of a session: closing, aborting, and what the transport does.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{
    CloseReason, Config, Event, OpenError, ProtocolError, StreamError, StreamId, TransportError,
    Version,
};

fn config() -> Config {
    Config::builder()
        .keep_alive_disabled()
        .build()
        .expect("valid")
}

/// A server with stream 3 accepted that holds "unread".
fn server() -> (Harness, StreamId) {
    let mut harness = Harness::server(config());
    harness.peer_sends([syn(3), psh(3, "unread")]);
    let id = harness.accept();
    harness.events();
    (harness, id)
}

fn failure() -> TransportError {
    TransportError::new("the cable is out")
}

/// Every call that reports why the session ended returns this reason.
fn assert_ended(harness: &mut Harness, id: StreamId, reason: &CloseReason) {
    let closed = StreamError::Closed(reason.clone());
    assert!(harness.session.is_closed());
    assert_eq!(harness.session.close_reason(), Some(reason));
    for _ in 0..2 {
        assert_eq!(
            harness.session.open(),
            Poll::Ready(Err(OpenError::Closed(reason.clone())))
        );
        assert_eq!(harness.session.accept(), Poll::Ready(Err(reason.clone())));
        assert_eq!(
            harness.try_write(id, b"x"),
            Poll::Ready(Err(closed.clone()))
        );
        assert_eq!(harness.read_end(id), Poll::Ready(Err(closed.clone())));
    }
}

// ------------------------------------------------------------------ close

#[test]
fn a_close_sends_what_is_queued_and_no_fin() {
    let (mut harness, id) = server();
    harness.write(id, &counting(100_000));
    harness.close_session();
    assert!(
        !harness.session.wants_shutdown(),
        "not before everything has left"
    );
    let sent: Vec<u8> = harness
        .take_frames()
        .into_iter()
        .flat_map(|frame| frame.payload)
        .collect();
    assert_eq!(sent, counting(100_000));
    assert!(harness.session.wants_shutdown());
    assert!(
        !harness.session.is_terminated(),
        "the peer's last frames are still to be read"
    );
    assert_eq!(harness.events(), [Event::Closed]);
}

#[test]
fn a_closed_session_discards_input_until_the_peers_end() {
    let (mut harness, _) = server();
    harness.close_session();
    harness.take_frames();
    assert!(harness.session.wants_input());
    harness.peer_sends([psh(3, counting(50_000)), syn(5)]);
    assert!(harness.session.wants_input());
    assert!(harness.session.stats().receive_buffered <= b"unread".len());
    harness.expect_nothing();
    assert!(!harness.session.is_terminated());
    harness.peer_ends();
    assert!(harness.session.is_terminated());
    assert_eq!(harness.reason(), CloseReason::Local);
}

#[test]
fn a_closed_session_reads_even_if_its_buffer_was_full() {
    let config = Config::builder()
        .max_receive_buffer(10)
        .max_stream_buffer(10)
        .build()
        .expect("valid");
    let mut harness = Harness::server(config);
    harness.peer_sends([syn(3), psh(3, counting(10))]);
    assert!(!harness.session.wants_input());
    harness.close_session();
    assert!(harness.session.wants_input());
    harness.peer_sends([psh(3, counting(60_000))]);
}

#[test]
fn after_close_calls_fail_and_arrived_data_stays_readable() {
    let (mut harness, id) = server();
    harness.close_session();
    assert_eq!(harness.read(id), b"unread");
    assert_ended(&mut harness, id, &CloseReason::Local);
}

#[test]
fn a_close_ends_at_its_time_limit() {
    let (mut harness, id) = server();
    harness.advance(Duration::from_secs(1));
    harness.set_transport_room(0);
    harness.write(id, b"stuck");
    harness.close_session();
    assert_eq!(harness.session.poll_timeout(), Some(Duration::from_secs(6)));
    harness.advance(Duration::from_millis(4_999));
    assert!(!harness.session.is_terminated());
    harness.advance(Duration::from_millis(1));
    assert!(harness.session.is_terminated());
    assert_eq!(harness.session.poll_timeout(), None);
    assert_eq!(harness.reason(), CloseReason::Local);
}

#[test]
fn a_talking_peer_does_not_extend_the_close_limit() {
    let (mut harness, _) = server();
    harness.close_session();
    for _ in 0..49 {
        harness.advance(Duration::from_millis(100));
        harness.peer_sends([psh(3, counting(1_000))]);
    }
    assert!(!harness.session.is_terminated());
    harness.advance(Duration::from_millis(100));
    assert!(harness.session.is_terminated());
}

#[test]
fn a_second_close_changes_nothing() {
    let (mut harness, id) = server();
    harness.close_session();
    let due = harness.session.poll_timeout();
    harness.advance(Duration::from_secs(1));
    harness.close_session();
    assert_eq!(harness.session.poll_timeout(), due);
    harness.session.handle_transport_error(failure());
    assert_eq!(harness.read(id), b"unread");
    assert_ended(&mut harness, id, &CloseReason::Local);
    assert_eq!(harness.events(), [Event::Closed]);
}

/// The FIN of a stream that was closed before the session leaves with the queued data.
#[test]
fn a_close_sends_owed_fins() {
    let (mut harness, id) = server();
    harness.write(id, b"last");
    harness.close(id);
    harness.close_session();
    harness.expect_only([psh(3, "last"), fin(3), fin(3)]);
    assert!(harness.session.wants_shutdown());
}

/// Also if the application calls `finish` again, as waiting for its flush does.
#[test]
fn an_owed_fin_counts_as_sent_once_it_has_left() {
    let (mut harness, id) = server();
    harness.write(id, b"last");
    harness.finish(id);
    harness.close_session();
    harness.finish(id);
    let sent = |harness: &mut Harness| harness.session.stream(id).expect("there").poll_sent();
    assert_eq!(sent(&mut harness), Poll::Pending);
    harness.expect_only([psh(3, "last"), fin(3)]);
    harness.finish(id);
    assert!(matches!(sent(&mut harness), Poll::Ready(Ok(_))));
}

#[test]
fn unaccepted_streams_come_before_the_close_reason() {
    let mut harness = Harness::server(config());
    harness.peer_sends([syn(3), psh(3, "hello"), syn(5)]);
    harness.peer_ends();
    let id = harness.accept();
    assert_eq!(harness.read(id), b"hello");
    harness.accept();
    assert_eq!(
        harness.session.accept(),
        Poll::Ready(Err(CloseReason::PeerClosed))
    );
}

// ------------------------------------------------------------------ abort

#[test]
fn an_abort_ends_at_once() {
    let (mut harness, id) = server();
    harness.write(id, b"never sent");
    harness.session.abort();
    assert!(harness.session.is_terminated());
    harness.expect_nothing();
    assert_eq!(harness.session.poll_timeout(), None);
    assert_eq!(harness.read(id), b"unread");
    assert_ended(&mut harness, id, &CloseReason::Aborted);
}

#[test]
fn an_abort_cuts_a_close_short() {
    let (mut harness, _) = server();
    harness.close_session();
    assert!(!harness.session.is_terminated());
    harness.session.abort();
    assert!(harness.session.is_terminated());
    assert_eq!(
        harness.reason(),
        CloseReason::Local,
        "the first reason stays"
    );
}

// ------------------------------------------------------------------ the transport ends

#[test]
fn an_end_between_frames_is_the_peers_close() {
    let (mut harness, id) = server();
    harness.peer_ends();
    assert_eq!(harness.read(id), b"unread");
    assert_ended(&mut harness, id, &CloseReason::PeerClosed);
    assert_eq!(harness.events(), [Event::Closed]);
    assert!(harness.session.is_terminated());
}

#[test]
fn an_end_inside_a_frame_is_truncation() {
    let frame = psh(3, "four").encode(Version::V1);
    for cut in 1..frame.len() {
        let (mut harness, id) = server();
        assert_eq!(harness.peer_sends_bytes(&frame[..cut]), Ok(cut));
        harness.peer_ends();
        let arrived = ["unread", &"four"[..cut.saturating_sub(8)]].concat();
        assert_eq!(harness.read(id), arrived.as_bytes());
        assert_ended(&mut harness, id, &CloseReason::Truncated);
    }
}

#[test]
fn a_stream_whose_fin_arrived_still_ends_cleanly() {
    let (mut harness, id) = server();
    harness.peer_sends([fin(3)]);
    harness.peer_ends();
    assert_eq!(harness.read(id), b"unread");
    assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
}

#[test]
fn a_failure_of_the_transport_is_the_reason() {
    let (mut harness, id) = server();
    harness.write(id, b"never sent");
    harness.session.handle_transport_error(failure());
    assert!(harness.session.is_terminated());
    harness.expect_nothing();
    assert_eq!(harness.read(id), b"unread");
    assert_ended(&mut harness, id, &CloseReason::Transport(failure()));
    assert!(harness.reason().to_string().contains("the cable is out"));
}

#[test]
fn a_protocol_error_is_the_reason() {
    let (mut harness, id) = server();
    let error = ProtocolError::UnknownCommand(99);
    assert_eq!(
        harness.peer_sends_bytes(&[1, 99, 0, 0, 0, 0, 0, 0]),
        Err(error.clone())
    );
    assert_eq!(harness.read(id), b"unread");
    assert_ended(&mut harness, id, &CloseReason::Protocol(error));
    assert_eq!(harness.events(), [Event::Closed]);
}

#[test]
fn a_session_terminates_within_its_close_limit_after_a_protocol_error() {
    let (mut harness, _) = server();
    assert!(harness.peer_sends_bytes(&[77; 8]).is_err());
    harness.advance(Duration::from_secs(5));
    assert!(harness.session.is_terminated());
}

#[test]
fn reading_or_closing_after_the_end_refunds_the_budget() {
    let (mut harness, id) = server();
    harness.peer_ends();
    assert_eq!(harness.session.stats().receive_buffered, 6);
    harness.read_exact(id, 2);
    assert_eq!(harness.session.stats().receive_buffered, 4);
    harness.close(id);
    assert_eq!(harness.session.stats().receive_buffered, 0);
    assert!(harness.session.stream(id).is_none());
}

// ------------------------------------------------------------------ sent

#[test]
fn a_flush_waits_for_the_bytes_to_be_handed_out() {
    let (mut harness, id) = server();
    let sent = |harness: &mut Harness| harness.session.stream(id).expect("there").poll_sent();
    assert!(
        matches!(sent(&mut harness), Poll::Ready(Ok(_))),
        "nothing is queued"
    );
    harness.write(id, b"12345");
    assert_eq!(sent(&mut harness), Poll::Pending);
    harness.events();
    harness.expect_only([psh(3, "12345")]);
    assert_eq!(harness.events(), [Event::Writable(id)]);
    let Poll::Ready(Ok(mark)) = sent(&mut harness) else {
        panic!("all has left")
    };
    assert_eq!(mark, 13);
    assert_eq!(harness.session.stats().bytes_emitted, 13);
}

#[test]
fn a_flush_cut_short_returns_the_reason() {
    let (mut harness, id) = server();
    harness.write(id, b"12345");
    harness.session.abort();
    let sent = harness.session.stream(id).expect("there").poll_sent();
    assert_eq!(
        sent,
        Poll::Ready(Err(StreamError::Closed(CloseReason::Aborted)))
    );
}
