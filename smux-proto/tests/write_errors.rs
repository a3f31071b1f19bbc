//! Writing fails, reading does not: what the peer sent is not lost with it.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn, upd},
    script::Script,
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
fn broken(limits: ConfigBuilder) -> (Script, StreamId) {
    let mut peer = Script::server(limits.build().expect("valid"));
    peer.send([syn(3)]);
    let id = peer.accept();
    peer.discard_output();
    peer.write(id, b"never sent");
    peer.events();
    peer.session.handle_write_error(peer.now(), failure());
    (peer, id)
}

#[test]
fn writers_hear_of_it_and_readers_read_on() {
    for version in BOTH {
        let (mut peer, id) = broken(config(version));
        assert_eq!(peer.reason(), reason());
        assert_eq!(peer.events(), [Event::Closed]);
        assert_eq!(peer.try_write(id, b"x"), closed());
        let open = peer.session.open();
        assert_eq!(open, Poll::Ready(Err(OpenError::Closed(reason()))));
        peer.expect_nothing();
        assert_eq!(peer.read_end(id), Poll::Pending);
        peer.send([psh(3, "arrives"), fin(3)]);
        assert_eq!(peer.read(id), b"arrives");
        assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
        peer.expect_nothing();
        assert!(!peer.session.is_terminated());
    }
}

#[test]
fn streams_that_arrive_are_accepted() {
    for version in BOTH {
        let (mut peer, _) = broken(config(version));
        assert_eq!(peer.session.accept(), Poll::Pending);
        peer.send([syn(5), psh(5, "one"), fin(5), syn(7), psh(7, "two")]);
        let (five, seven) = (peer.accept(), peer.accept());
        assert_eq!(peer.session.accept(), Poll::Pending);
        peer.eof();
        assert_eq!(peer.read(five), b"one");
        assert_eq!(peer.read_end(five), Poll::Ready(Ok(0)));
        assert_eq!(peer.read(seven), b"two");
        assert_eq!(peer.read_end(seven), closed());
        assert_eq!(peer.session.accept(), Poll::Ready(Err(reason())));
    }
}

#[test]
fn who_waits_for_input_hears_of_its_end() {
    type End = fn(&mut Script);
    let ends: [End; 4] = [
        |peer| peer.eof(),
        |peer| {
            let reset = TransportError::new("connection reset");
            peer.session.handle_transport_error(reset);
        },
        |peer| {
            let error = ProtocolError::UnknownCommand(9);
            let result =
                peer.send_bytes(&[peer.session.config().version() as u8, 9, 0, 0, 0, 0, 0, 0]);
            assert_eq!(result, Err(error));
        },
        |peer| peer.advance(Duration::from_secs(5)),
    ];
    for version in BOTH {
        for end in ends {
            let (mut peer, id) = broken(config(version));
            assert_eq!(peer.events(), [Event::Closed]);
            assert_eq!(peer.read_end(id), Poll::Pending);
            end(&mut peer);
            assert!(peer.session.is_terminated());
            assert_eq!(peer.events(), [Event::Closed]);
            assert_eq!(peer.read_end(id), closed());
            assert_eq!(peer.session.accept(), Poll::Ready(Err(reason())));
            assert_eq!(peer.reason(), reason(), "the first reason stays");
        }
    }
}

#[test]
fn a_full_receive_buffer_waits_for_the_application_up_to_the_limit() {
    for version in BOTH {
        let limits = config(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut peer, id) = broken(limits);
        peer.send([psh(3, counting(2_000))]);
        assert!(!peer.session.wants_input());
        peer.advance(Duration::from_millis(4_999));
        assert_eq!(peer.read(id).len(), 2_000);
        assert!(peer.session.wants_input());
        peer.send([psh(3, "the rest")]);
        peer.advance(Duration::from_millis(1));
        assert!(peer.session.is_terminated());
        assert_eq!(peer.read(id), b"the rest");
        assert_eq!(peer.read_end(id), closed());
    }
}

#[test]
fn a_flush_fails_with_the_reason() {
    let (mut peer, id) = broken(config(Version::V1));
    let sent = peer.session.stream(id).expect("it is open").poll_sent();
    assert_eq!(sent, closed());
}

#[test]
fn nothing_is_owed_to_anybody_any_more() {
    let limits = config(Version::V2).accept_backlog(1).max_owed_refusals(3);
    let (mut peer, id) = broken(limits);
    peer.send([psh(3, counting(10_000))]);
    peer.read(id);
    // One waits to be accepted, the others are refused.
    peer.send((5..50).step_by(2).map(syn));
    assert!(!peer.session.wants_transmit());
    peer.expect_nothing();
    let accepted = peer.accept();
    for id in [id, accepted] {
        peer.close(id);
    }
    assert_eq!(peer.session.streams(), 0);
    assert_eq!(peer.session.stats().windows_granted, 0);
}

/// A stream that is given up while nothing can be sent leaves no FIN behind that would keep it.
#[test]
fn a_stream_given_up_for_an_overrun_goes() {
    let limits = config(Version::V2)
        .max_receive_buffer(300_000)
        .max_stream_buffer(1_000);
    let (mut peer, id) = broken(limits);
    while peer.session.stats().streams_retired == 0 {
        peer.send([psh(3, counting(60_000))]);
    }
    assert_eq!(peer.read_end(id), closed());
    peer.close(id);
    assert_eq!(peer.session.streams(), 0);
}

// ------------------------------------------------------------------ in every state

#[test]
fn a_second_write_error_and_a_drain_change_nothing() {
    let (mut peer, id) = broken(config(Version::V1));
    let due = peer.session.poll_timeout();
    peer.advance(Duration::from_secs(1));
    let other = TransportError::new("still broken");
    peer.session.handle_write_error(peer.now(), other);
    peer.session.drain(peer.now(), Duration::ZERO);
    assert_eq!(peer.session.poll_timeout(), due);
    peer.send([psh(3, "arrives")]);
    assert_eq!(peer.read(id), b"arrives");
    assert_eq!(peer.reason(), reason());
}

#[test]
fn a_close_after_it_is_over_at_once() {
    let (mut peer, id) = broken(config(Version::V1));
    peer.send([psh(3, "arrived")]);
    peer.close_session();
    assert!(peer.session.is_terminated());
    assert_eq!(peer.read(id), b"arrived");
    assert_eq!(peer.read_end(id), closed());
}

#[test]
fn a_session_that_closes_is_over_at_once() {
    for sent in [false, true] {
        let mut peer = Script::server(config(Version::V1).build().expect("valid"));
        peer.send([syn(3)]);
        let id = peer.accept();
        peer.write(id, b"last words");
        peer.close_session();
        if sent {
            peer.discard_output();
        }
        assert_eq!(peer.session.wants_shutdown(), sent);
        peer.session.handle_write_error(peer.now(), failure());
        assert!(peer.session.is_terminated());
        assert_eq!(peer.reason(), CloseReason::Local);
    }
}

#[test]
fn a_session_that_drains_goes_on_refusing() {
    let mut peer = Script::server(config(Version::V1).build().expect("valid"));
    peer.send([syn(3)]);
    let id = peer.accept();
    peer.session.drain(peer.now(), Duration::from_secs(60));
    peer.session.handle_write_error(peer.now(), failure());
    peer.send([psh(3, "arrives"), fin(3), syn(5)]);
    assert_eq!(peer.session.stats().streams_refused, 1);
    assert_eq!(peer.read(id), b"arrives");
    assert_eq!(peer.session.poll_timeout(), Some(Duration::from_secs(5)));
}

#[test]
fn after_the_end_it_changes_nothing() {
    let mut peer = Script::server(config(Version::V1).build().expect("valid"));
    peer.eof();
    peer.session.handle_write_error(peer.now(), failure());
    assert_eq!(peer.reason(), CloseReason::PeerClosed);
    assert_eq!(peer.events(), [Event::Closed]);
}

/// The update that says what was read is of no use any more, and the session's accounts stay right.
#[test]
fn windows_are_kept_in_order() {
    let mut peer = Script::server(config(Version::V2).build().expect("valid"));
    peer.send([syn(3), psh(3, "first")]);
    let id = peer.accept();
    peer.read(id);
    peer.expect_only([upd(3, 5, 65_536)]);
    peer.session.handle_write_error(peer.now(), failure());
    for _ in 0..10 {
        peer.send([psh(3, counting(60_000))]);
        assert_eq!(peer.read(id).len(), 60_000);
    }
    let stats = peer.session.stats();
    assert!(stats.windows_granted <= peer.session.config().max_receive_buffer());
    assert_eq!(stats.receive_buffered, 0);
    peer.expect_nothing();
}
