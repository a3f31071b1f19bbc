//! When a session says that it is alive, and when it takes its peer for dead.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, nop, psh, syn},
    script::Script,
};
use smux_proto::{CloseReason, Config, ConfigBuilder, Event, OpenError, StreamError, Version};

/// Keep-alives after 10 s, end after 30 s.
fn config() -> ConfigBuilder {
    Config::builder()
}

fn build(config: ConfigBuilder) -> Config {
    config.build().expect("valid")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MILLI: Duration = Duration::from_millis(1);

// ------------------------------------------------------------------ telling the peer

#[test]
fn an_idle_session_says_so_every_interval() {
    for version in [Version::V1, Version::V2] {
        let config = config().version(version).keep_alive_timeout(seconds(1_000));
        let mut peer = Script::client(build(config));
        for _ in 0..5 {
            peer.advance(seconds(10) - MILLI);
            peer.expect_nothing();
            peer.advance(MILLI);
            peer.expect_only([nop()]);
        }
    }
}

#[test]
fn the_interval_begins_when_the_last_byte_has_left() {
    let mut peer = Script::client(build(config().keep_alive_timeout(seconds(1_000))));
    peer.advance(seconds(7));
    let id = peer.open();
    peer.expect_only([syn(3)]);
    peer.advance(seconds(9));
    peer.expect_nothing();
    peer.write(id, b"x");
    peer.expect_only([psh(3, "x")]);
    peer.advance(seconds(10) - MILLI);
    peer.expect_nothing();
    peer.advance(MILLI);
    peer.expect_only([nop()]);
}

#[test]
fn what_the_peer_sends_does_not_speak_for_us() {
    let mut peer = Script::client(build(config()));
    peer.advance(seconds(9));
    peer.send([nop()]);
    peer.advance(seconds(1));
    peer.expect_only([nop()]);
}

#[test]
fn keep_alives_are_not_answered() {
    let mut peer = Script::server(build(config().keep_alive_disabled()));
    peer.send((0..1_000).map(|_| nop()));
    peer.expect_nothing();
    assert_eq!(peer.events(), []);
    assert_eq!(peer.session.stats().frames_received.nop, 1_000);
}

/// The reference queues another NOP every second interval.
#[test]
fn keep_alives_do_not_pile_up_behind_a_blocked_transport() {
    let mut peer = Script::client(build(config().keep_alive_timeout(seconds(1_000))));
    peer.set_transport_room(0);
    peer.advance(seconds(100));
    peer.set_transport_room(None);
    peer.expect_only([nop()]);
}

// ------------------------------------------------------------------ missing the peer

#[test]
fn a_silent_peer_is_given_up() {
    let mut peer = Script::client(build(config()));
    peer.advance(seconds(30) - MILLI);
    assert!(!peer.session.is_closed());
    peer.advance(MILLI);
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
    assert_eq!(peer.events(), [Event::Closed]);
}

#[test]
fn one_byte_is_a_sign_of_life() {
    let mut peer = Script::client(build(config()));
    let frame = nop().encode(Version::V1);
    for byte in frame {
        peer.advance(seconds(29));
        assert_eq!(peer.send_bytes(&[byte]), Ok(1));
    }
    peer.advance(seconds(30) - MILLI);
    assert!(!peer.session.is_closed());
    peer.advance(MILLI);
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn our_own_frames_are_no_sign_of_the_peers_life() {
    let mut peer = Script::client(build(config()));
    let id = peer.open();
    for _ in 0..6 {
        peer.write(id, b"anyone?");
        peer.advance(seconds(5));
    }
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn every_call_gives_the_reason() {
    let mut peer = Script::client(build(config()));
    let id = peer.open();
    peer.send([psh(3, "unread")]);
    peer.advance(seconds(30));
    let reason = CloseReason::KeepAliveTimeout;
    let closed = StreamError::Closed(reason.clone());
    assert_eq!(
        peer.session.open(),
        Poll::Ready(Err(OpenError::Closed(reason.clone())))
    );
    assert_eq!(peer.session.accept(), Poll::Ready(Err(reason)));
    assert_eq!(peer.try_write(id, b"x"), Poll::Ready(Err(closed.clone())));
    assert_eq!(peer.read(id), b"unread", "what had arrived is still there");
    assert_eq!(peer.read_end(id), Poll::Ready(Err(closed)));
}

// ------------------------------------------------------------------ our own slowness

fn stalled() -> Script {
    let config = config().max_receive_buffer(1_000).max_stream_buffer(1_000);
    let mut peer = Script::server(build(config));
    peer.send([syn(3), psh(3, counting(1_000))]);
    assert!(!peer.session.wants_input());
    peer
}

#[test]
fn while_we_do_not_read_silence_says_nothing() {
    let mut peer = stalled();
    peer.accept();
    peer.advance(seconds(3_600));
    assert!(!peer.session.is_closed());
}

#[test]
fn when_we_read_again_the_peer_has_the_whole_time_again() {
    let mut peer = stalled();
    let id = peer.accept();
    peer.advance(seconds(3_600));
    assert_eq!(peer.read(id).len(), 1_000);
    peer.pump();
    peer.advance(seconds(30) - MILLI);
    assert!(!peer.session.is_closed());
    peer.advance(2 * MILLI);
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
}

// ------------------------------------------------------------------ a transport that takes nothing

/// A peer that does not read for a while, as in version 1 with a stream that its application leaves
/// unread, is alive as long as it is heard of.
#[test]
fn a_write_may_wait_for_a_peer_that_is_heard_of() {
    let mut peer = Script::client(build(config()));
    peer.set_transport_room(0);
    let id = peer.open();
    peer.write(id, b"stuck");
    for _ in 0..10 {
        peer.advance(seconds(29));
        peer.send([nop()]);
    }
    peer.advance(seconds(30) - MILLI);
    assert!(!peer.session.is_closed());
    peer.advance(MILLI);
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn one_byte_is_progress() {
    let mut peer = stalled();
    let id = peer.accept();
    peer.take_bytes();
    peer.set_transport_room(0);
    peer.write(id, b"stuck");
    for _ in 0..4 {
        peer.advance(seconds(29));
        peer.set_transport_room(1);
        peer.pump();
    }
    assert!(!peer.session.is_closed());
    peer.advance(seconds(30));
    assert_eq!(peer.reason(), CloseReason::WriteTimeout);
}

/// A peer that vanishes while we do not read either is missed by what we cannot send.
#[test]
fn a_stuck_write_is_noticed_with_a_full_receive_buffer() {
    let mut peer = stalled();
    let id = peer.accept();
    peer.advance(seconds(100));
    peer.take_bytes();
    peer.set_transport_room(0);
    peer.write(id, b"stuck");
    peer.advance(seconds(30));
    assert_eq!(peer.reason(), CloseReason::WriteTimeout);
}

#[test]
fn a_stuck_keep_alive_is_noticed_with_a_full_receive_buffer() {
    let mut peer = stalled();
    peer.take_bytes();
    peer.set_transport_room(0);
    peer.advance(seconds(40));
    assert_eq!(peer.reason(), CloseReason::WriteTimeout);
}

#[test]
fn a_stuck_flush_is_noticed_with_a_full_receive_buffer() {
    let mut peer = stalled();
    let id = peer.accept();
    peer.advance(seconds(100));
    peer.write(id, b"taken by the transport, which never sends it");
    peer.take_bytes();
    peer.session.handle_flush_begin(peer.now());
    peer.advance(seconds(20));
    peer.session.handle_flush_begin(peer.now());
    peer.advance(seconds(10) - MILLI);
    assert!(!peer.session.is_closed());
    peer.advance(MILLI);
    assert_eq!(peer.reason(), CloseReason::WriteTimeout);
}

#[test]
fn a_flush_that_ends_is_forgotten() {
    let mut peer = stalled();
    peer.session.handle_flush_begin(peer.now());
    peer.advance(seconds(29));
    peer.session.handle_flush_end(peer.now());
    peer.advance(seconds(3_600));
    assert!(!peer.session.is_closed());
}

#[test]
fn a_flush_may_wait_for_a_peer_that_is_heard_of() {
    let mut peer = Script::client(build(config()));
    peer.session.handle_flush_begin(peer.now());
    for _ in 0..10 {
        peer.advance(seconds(29));
        peer.send([nop()]);
    }
    assert!(!peer.session.is_closed());
}

/// Between two flushes that are slow the transport takes bytes, so a write under way is not stuck.
#[test]
fn flushes_that_end_are_progress_of_a_write() {
    let mut peer = stalled();
    let id = peer.accept();
    peer.advance(seconds(100));
    peer.take_bytes();
    peer.set_transport_room(1);
    peer.write(id, b"slow");
    peer.pump();
    for _ in 0..3 {
        peer.session.handle_flush_begin(peer.now());
        peer.advance(seconds(20));
        peer.session.handle_flush_end(peer.now());
    }
    peer.advance(seconds(30) - MILLI);
    assert!(!peer.session.is_closed());
    peer.advance(MILLI);
    assert_eq!(peer.reason(), CloseReason::WriteTimeout);
}

// ------------------------------------------------------------------ switched off, and odd clocks

#[test]
fn switched_off_nothing_is_sent_and_nobody_given_up() {
    let mut peer = Script::client(build(config().keep_alive_disabled()));
    assert_eq!(peer.session.poll_timeout(), None);
    peer.set_transport_room(0);
    peer.open();
    peer.advance(seconds(1_000_000));
    assert!(!peer.session.is_closed());
    peer.set_transport_room(None);
    peer.expect_only([syn(3)]);
}

#[test]
fn the_longest_times_there_are_do_not_overflow() {
    let config = config()
        .keep_alive_interval(Duration::MAX)
        .keep_alive_timeout(Duration::MAX);
    let mut peer = Script::client(build(config));
    peer.advance(seconds(1));
    peer.open();
    peer.expect_only([syn(3)]);
    peer.session.drain(seconds(1), Duration::MAX);
    assert!(
        peer.session
            .poll_timeout()
            .is_none_or(|due| due > seconds(1_000_000_000))
    );
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut peer = Script::client(build(config()));
    peer.advance(seconds(20));
    peer.expect([nop(), nop()]);
    peer.session.handle_timeout(seconds(3));
    assert_eq!(
        peer.session
            .handle_input(seconds(2), &nop().encode(Version::V1)),
        Ok(8)
    );
    peer.advance(seconds(10));
    assert!(!peer.session.is_closed());
}

/// Whatever the caller takes for the time.
#[test]
fn the_end_of_time_ends_a_session_in_order() {
    let mut peer = Script::client(build(config()));
    for _ in 0..3 {
        peer.session.handle_timeout(Duration::MAX);
    }
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
}
