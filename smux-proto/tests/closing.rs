//! The end of a session: closing, aborting, and what the transport does.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    script::Script,
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
fn server() -> (Script, StreamId) {
    let mut peer = Script::server(config());
    peer.send([syn(3), psh(3, "unread")]);
    let id = peer.accept();
    peer.events();
    (peer, id)
}

fn failure() -> TransportError {
    TransportError::new("the cable is out")
}

/// Every call that can tell why the session ended tells the same.
fn assert_ended(peer: &mut Script, id: StreamId, reason: &CloseReason) {
    let closed = StreamError::Closed(reason.clone());
    assert!(peer.session.is_closed());
    assert_eq!(peer.session.close_reason(), Some(reason));
    for _ in 0..2 {
        assert_eq!(
            peer.session.open(),
            Poll::Ready(Err(OpenError::Closed(reason.clone())))
        );
        assert_eq!(peer.session.accept(), Poll::Ready(Err(reason.clone())));
        assert_eq!(peer.try_write(id, b"x"), Poll::Ready(Err(closed.clone())));
        assert_eq!(peer.read_end(id), Poll::Ready(Err(closed.clone())));
    }
}

// ------------------------------------------------------------------ close

#[test]
fn a_close_sends_what_is_queued_and_no_fin() {
    let (mut peer, id) = server();
    peer.write(id, &counting(100_000));
    peer.close_session();
    assert!(
        !peer.session.wants_shutdown(),
        "not before everything has left"
    );
    let sent: Vec<u8> = peer
        .take_frames()
        .into_iter()
        .flat_map(|frame| frame.payload)
        .collect();
    assert_eq!(sent, counting(100_000));
    assert!(peer.session.wants_shutdown());
    assert!(
        !peer.session.is_terminated(),
        "the peer's last frames are still to be taken"
    );
    assert_eq!(peer.events(), [Event::Closed]);
}

#[test]
fn a_closed_session_discards_input_until_the_peers_end() {
    let (mut peer, _) = server();
    peer.close_session();
    peer.take_frames();
    assert!(peer.session.wants_input());
    peer.send([psh(3, counting(50_000)), syn(5)]);
    assert!(peer.session.wants_input());
    assert!(peer.session.stats().receive_buffered <= b"unread".len());
    peer.expect_nothing();
    assert!(!peer.session.is_terminated());
    peer.eof();
    assert!(peer.session.is_terminated());
    assert_eq!(peer.reason(), CloseReason::Local);
}

#[test]
fn a_closed_session_reads_even_if_its_buffer_was_full() {
    let config = Config::builder()
        .max_receive_buffer(10)
        .max_stream_buffer(10)
        .build()
        .expect("valid");
    let mut peer = Script::server(config);
    peer.send([syn(3), psh(3, counting(10))]);
    assert!(!peer.session.wants_input());
    peer.close_session();
    assert!(peer.session.wants_input());
    peer.send([psh(3, counting(60_000))]);
}

#[test]
fn after_a_close_every_call_says_so_and_data_that_had_arrived_is_there() {
    let (mut peer, id) = server();
    peer.close_session();
    assert_eq!(peer.read(id), b"unread");
    assert_ended(&mut peer, id, &CloseReason::Local);
}

#[test]
fn a_close_is_over_at_its_limit() {
    let (mut peer, id) = server();
    peer.advance(Duration::from_secs(1));
    peer.set_transport_room(0);
    peer.write(id, b"stuck");
    peer.close_session();
    assert_eq!(peer.session.poll_timeout(), Some(Duration::from_secs(6)));
    peer.advance(Duration::from_millis(4_999));
    assert!(!peer.session.is_terminated());
    peer.advance(Duration::from_millis(1));
    assert!(peer.session.is_terminated());
    assert_eq!(peer.session.poll_timeout(), None);
    assert_eq!(peer.reason(), CloseReason::Local);
}

#[test]
fn a_peer_that_goes_on_talking_does_not_stop_the_limit() {
    let (mut peer, _) = server();
    peer.close_session();
    for _ in 0..49 {
        peer.advance(Duration::from_millis(100));
        peer.send([psh(3, counting(1_000))]);
    }
    assert!(!peer.session.is_terminated());
    peer.advance(Duration::from_millis(100));
    assert!(peer.session.is_terminated());
}

#[test]
fn a_second_close_changes_nothing() {
    let (mut peer, id) = server();
    peer.close_session();
    let due = peer.session.poll_timeout();
    peer.advance(Duration::from_secs(1));
    peer.close_session();
    assert_eq!(peer.session.poll_timeout(), due);
    peer.session.handle_transport_error(failure());
    assert_eq!(peer.read(id), b"unread");
    assert_ended(&mut peer, id, &CloseReason::Local);
    assert_eq!(peer.events(), [Event::Closed]);
}

/// The FIN of a stream that was closed before leaves with the rest.
#[test]
fn fins_that_were_owed_are_sent() {
    let (mut peer, id) = server();
    peer.write(id, b"last");
    peer.close(id);
    peer.close_session();
    peer.expect_only([psh(3, "last"), fin(3), fin(3)]);
    assert!(peer.session.wants_shutdown());
}

/// Also if the application finishes again, as it does who waits for the flush of a finish.
#[test]
fn a_fin_that_is_owed_counts_as_sent_once_it_has_left() {
    let (mut peer, id) = server();
    peer.write(id, b"last");
    peer.finish(id);
    peer.close_session();
    peer.finish(id);
    let sent = |peer: &mut Script| peer.session.stream(id).expect("there").poll_sent();
    assert_eq!(sent(&mut peer), Poll::Pending);
    peer.expect_only([psh(3, "last"), fin(3)]);
    peer.finish(id);
    assert!(matches!(sent(&mut peer), Poll::Ready(Ok(_))));
}

#[test]
fn streams_that_nobody_accepted_are_there_before_the_reason() {
    let mut peer = Script::server(config());
    peer.send([syn(3), psh(3, "hello"), syn(5)]);
    peer.eof();
    let id = peer.accept();
    assert_eq!(peer.read(id), b"hello");
    peer.accept();
    assert_eq!(
        peer.session.accept(),
        Poll::Ready(Err(CloseReason::PeerClosed))
    );
}

// ------------------------------------------------------------------ abort

#[test]
fn an_abort_is_over_at_once() {
    let (mut peer, id) = server();
    peer.write(id, b"never sent");
    peer.session.abort();
    assert!(peer.session.is_terminated());
    peer.expect_nothing();
    assert_eq!(peer.session.poll_timeout(), None);
    assert_eq!(peer.read(id), b"unread");
    assert_ended(&mut peer, id, &CloseReason::Aborted);
}

#[test]
fn an_abort_cuts_a_close_short() {
    let (mut peer, _) = server();
    peer.close_session();
    assert!(!peer.session.is_terminated());
    peer.session.abort();
    assert!(peer.session.is_terminated());
    assert_eq!(peer.reason(), CloseReason::Local, "the first reason stays");
}

// ------------------------------------------------------------------ the transport ends

#[test]
fn the_end_between_frames_is_the_peers_close() {
    let (mut peer, id) = server();
    peer.eof();
    assert_eq!(peer.read(id), b"unread");
    assert_ended(&mut peer, id, &CloseReason::PeerClosed);
    assert_eq!(peer.events(), [Event::Closed]);
    assert!(peer.session.is_terminated());
}

#[test]
fn the_end_inside_a_frame_is_truncation_wherever_it_is() {
    let frame = psh(3, "four").encode(Version::V1);
    for cut in 1..frame.len() {
        let (mut peer, id) = server();
        assert_eq!(peer.send_bytes(&frame[..cut]), Ok(cut));
        peer.eof();
        let arrived = ["unread", &"four"[..cut.saturating_sub(8)]].concat();
        assert_eq!(peer.read(id), arrived.as_bytes());
        assert_ended(&mut peer, id, &CloseReason::Truncated);
    }
}

#[test]
fn a_stream_whose_fin_was_seen_ends_well_all_the_same() {
    let (mut peer, id) = server();
    peer.send([fin(3)]);
    peer.eof();
    assert_eq!(peer.read(id), b"unread");
    assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
}

#[test]
fn a_failure_of_the_transport_is_the_reason() {
    let (mut peer, id) = server();
    peer.write(id, b"never sent");
    peer.session.handle_transport_error(failure());
    assert!(peer.session.is_terminated());
    peer.expect_nothing();
    assert_eq!(peer.read(id), b"unread");
    assert_ended(&mut peer, id, &CloseReason::Transport(failure()));
    assert!(peer.reason().to_string().contains("the cable is out"));
}

#[test]
fn a_protocol_error_is_the_reason() {
    let (mut peer, id) = server();
    let error = ProtocolError::UnknownCommand(99);
    assert_eq!(
        peer.send_bytes(&[1, 99, 0, 0, 0, 0, 0, 0]),
        Err(error.clone())
    );
    assert_eq!(peer.read(id), b"unread");
    assert_ended(&mut peer, id, &CloseReason::Protocol(error));
    assert_eq!(peer.events(), [Event::Closed]);
}

#[test]
fn a_session_is_over_some_time_after_a_protocol_error() {
    let (mut peer, _) = server();
    assert!(peer.send_bytes(&[77; 8]).is_err());
    peer.advance(Duration::from_secs(5));
    assert!(peer.session.is_terminated());
}

#[test]
fn what_was_received_is_given_back_when_it_is_read_or_closed_after_the_end() {
    let (mut peer, id) = server();
    peer.eof();
    assert_eq!(peer.session.stats().receive_buffered, 6);
    peer.read_exact(id, 2);
    assert_eq!(peer.session.stats().receive_buffered, 4);
    peer.close(id);
    assert_eq!(peer.session.stats().receive_buffered, 0);
    assert!(peer.session.stream(id).is_none());
}

// ------------------------------------------------------------------ sent

#[test]
fn a_flush_waits_for_the_bytes_to_be_handed_out() {
    let (mut peer, id) = server();
    let sent = |peer: &mut Script| peer.session.stream(id).expect("there").poll_sent();
    assert!(
        matches!(sent(&mut peer), Poll::Ready(Ok(_))),
        "nothing is queued"
    );
    peer.write(id, b"12345");
    assert_eq!(sent(&mut peer), Poll::Pending);
    peer.events();
    peer.expect_only([psh(3, "12345")]);
    assert_eq!(peer.events(), [Event::Writable(id)]);
    let Poll::Ready(Ok(mark)) = sent(&mut peer) else {
        panic!("all has left")
    };
    assert_eq!(mark, 13);
    assert_eq!(peer.session.stats().bytes_emitted, 13);
}

#[test]
fn a_flush_that_cannot_come_true_says_why() {
    let (mut peer, id) = server();
    peer.write(id, b"12345");
    peer.session.abort();
    let sent = peer.session.stream(id).expect("there").poll_sent();
    assert_eq!(
        sent,
        Poll::Ready(Err(StreamError::Closed(CloseReason::Aborted)))
    );
}
