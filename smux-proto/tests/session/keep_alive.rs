//! When a session sends a keep-alive, and when it considers its peer dead.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, nop, psh, syn},
    harness::Harness,
};
use smux_proto::{CloseReason, Config, ConfigBuilder, Event, OpenError, StreamError, Version};

/// Keep-alives after 10 s, end after 30 s, whether the peer has sent keep-alives or not.
fn config() -> ConfigBuilder {
    Config::builder().keep_alive_required(true)
}

fn build(config: ConfigBuilder) -> Config {
    config.build().expect("valid")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MILLI: Duration = Duration::from_millis(1);

// ------------------------------------------------------------------ our keep-alives

#[test]
fn an_idle_session_sends_a_keep_alive_every_interval() {
    for version in [Version::V1, Version::V2] {
        let config = config().version(version).keep_alive_timeout(seconds(1_000));
        let mut harness = Harness::client(build(config));
        for _ in 0..5 {
            harness.advance(seconds(10) - MILLI);
            harness.expect_nothing();
            harness.advance(MILLI);
            harness.expect_only([nop()]);
        }
    }
}

#[test]
fn the_interval_begins_when_the_last_byte_has_left() {
    let mut harness = Harness::client(build(config().keep_alive_timeout(seconds(1_000))));
    harness.advance(seconds(7));
    let id = harness.open();
    harness.expect_only([syn(3)]);
    harness.advance(seconds(9));
    harness.expect_nothing();
    harness.write(id, b"x");
    harness.expect_only([psh(3, "x")]);
    harness.advance(seconds(10) - MILLI);
    harness.expect_nothing();
    harness.advance(MILLI);
    harness.expect_only([nop()]);
}

#[test]
fn the_peers_frames_do_not_replace_our_keep_alives() {
    let mut harness = Harness::client(build(config()));
    harness.advance(seconds(9));
    harness.peer_sends([nop()]);
    harness.advance(seconds(1));
    harness.expect_only([nop()]);
}

#[test]
fn keep_alives_are_not_answered() {
    let mut harness = Harness::server(build(config().keep_alive_disabled()));
    harness.peer_sends((0..1_000).map(|_| nop()));
    harness.expect_nothing();
    assert_eq!(harness.events(), []);
    assert_eq!(harness.session.stats().frames_received.nop, 1_000);
}

/// The reference queues another NOP every second interval.
#[test]
fn keep_alives_do_not_pile_up_behind_a_blocked_transport() {
    let mut harness = Harness::client(build(config().keep_alive_timeout(seconds(1_000))));
    harness.set_transport_room(0);
    harness.advance(seconds(100));
    harness.set_transport_room(None);
    harness.expect_only([nop()]);
}

// ------------------------------------------------------------------ a silent peer

#[test]
fn a_silent_peer_is_declared_dead() {
    let mut harness = Harness::client(build(config()));
    harness.advance(seconds(30) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
    assert_eq!(harness.events(), [Event::Closed]);
}

#[test]
fn one_byte_is_a_sign_of_life() {
    let mut harness = Harness::client(build(config()));
    let frame = nop().encode(Version::V1);
    for byte in frame {
        harness.advance(seconds(29));
        assert_eq!(harness.peer_sends_bytes(&[byte]), Ok(1));
    }
    harness.advance(seconds(30) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn our_own_frames_are_no_sign_of_the_peers_life() {
    let mut harness = Harness::client(build(config()));
    let id = harness.open();
    for _ in 0..6 {
        harness.write(id, b"anyone?");
        harness.advance(seconds(5));
    }
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn every_call_returns_the_close_reason() {
    let mut harness = Harness::client(build(config()));
    let id = harness.open();
    harness.peer_sends([psh(3, "unread")]);
    harness.advance(seconds(30));
    let reason = CloseReason::KeepAliveTimeout;
    let closed = StreamError::Closed(reason.clone());
    assert_eq!(
        harness.session.open(),
        Poll::Ready(Err(OpenError::Closed(reason.clone())))
    );
    assert_eq!(harness.session.accept(), Poll::Ready(Err(reason)));
    assert_eq!(
        harness.try_write(id, b"x"),
        Poll::Ready(Err(closed.clone()))
    );
    assert_eq!(
        harness.read(id),
        b"unread",
        "what had arrived is still there"
    );
    assert_eq!(harness.read_end(id), Poll::Ready(Err(closed)));
}

// ------------------------------------------------------------------ our own slowness

fn stalled() -> Harness {
    let config = config().max_receive_buffer(1_000).max_stream_buffer(1_000);
    let mut harness = Harness::server(build(config));
    harness.peer_sends([syn(3), psh(3, counting(1_000))]);
    assert!(!harness.session.wants_input());
    harness
}

#[test]
fn silence_does_not_count_while_reading_is_paused() {
    let mut harness = stalled();
    harness.accept();
    harness.advance(seconds(3_600));
    assert!(!harness.session.is_closed());
}

#[test]
fn the_whole_timeout_runs_again_after_a_pause() {
    let mut harness = stalled();
    let id = harness.accept();
    harness.advance(seconds(3_600));
    assert_eq!(harness.read(id).len(), 1_000);
    harness.pump();
    harness.advance(seconds(30) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(2 * MILLI);
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}

// ------------------------------------------------------------------ a transport that takes nothing

/// A peer that does not read for a while is alive as long as it sends. In version 1 it stops
/// reading when its application leaves a stream unread.
#[test]
fn a_write_may_wait_while_the_peer_sends() {
    let mut harness = Harness::client(build(config()));
    harness.set_transport_room(0);
    let id = harness.open();
    harness.write(id, b"stuck");
    for _ in 0..10 {
        harness.advance(seconds(29));
        harness.peer_sends([nop()]);
    }
    harness.advance(seconds(30) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn one_written_byte_is_progress() {
    let mut harness = stalled();
    let id = harness.accept();
    harness.take_bytes();
    harness.set_transport_room(0);
    harness.write(id, b"stuck");
    for _ in 0..4 {
        harness.advance(seconds(29));
        harness.set_transport_room(1);
        harness.pump();
    }
    assert!(!harness.session.is_closed());
    harness.advance(seconds(30));
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

/// While reading is paused, only a write without progress shows that the peer has vanished.
#[test]
fn a_stuck_write_is_noticed_with_a_full_receive_buffer() {
    let mut harness = stalled();
    let id = harness.accept();
    harness.advance(seconds(100));
    harness.take_bytes();
    harness.set_transport_room(0);
    harness.write(id, b"stuck");
    harness.advance(seconds(30));
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

#[test]
fn a_stuck_keep_alive_is_noticed_with_a_full_receive_buffer() {
    let mut harness = stalled();
    harness.take_bytes();
    harness.set_transport_room(0);
    harness.advance(seconds(40));
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

#[test]
fn a_stuck_flush_is_noticed_with_a_full_receive_buffer() {
    let mut harness = stalled();
    let id = harness.accept();
    harness.advance(seconds(100));
    harness.write(id, b"taken by the transport, which never sends it");
    harness.take_bytes();
    harness.session.handle_flush_begin(harness.now());
    harness.advance(seconds(20));
    harness.session.handle_flush_begin(harness.now());
    harness.advance(seconds(10) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

#[test]
fn a_finished_flush_is_not_stuck() {
    let mut harness = stalled();
    harness.session.handle_flush_begin(harness.now());
    harness.advance(seconds(29));
    harness.session.handle_flush_end(harness.now());
    harness.advance(seconds(3_600));
    assert!(!harness.session.is_closed());
}

#[test]
fn a_flush_may_wait_while_the_peer_sends() {
    let mut harness = Harness::client(build(config()));
    harness.session.handle_flush_begin(harness.now());
    for _ in 0..10 {
        harness.advance(seconds(29));
        harness.peer_sends([nop()]);
    }
    assert!(!harness.session.is_closed());
}

/// The transport takes bytes between two slow flushes, so a write under way is not stuck.
#[test]
fn a_finished_flush_is_progress_of_a_write() {
    let mut harness = stalled();
    let id = harness.accept();
    harness.advance(seconds(100));
    harness.take_bytes();
    harness.set_transport_room(1);
    harness.write(id, b"slow");
    harness.pump();
    for _ in 0..3 {
        harness.session.handle_flush_begin(harness.now());
        harness.advance(seconds(20));
        harness.session.handle_flush_end(harness.now());
    }
    harness.advance(seconds(30) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

// ------------------------------------------------------------------ switched off, and odd clocks

#[test]
fn without_keep_alive_nothing_is_sent_and_no_peer_times_out() {
    let mut harness = Harness::client(build(config().keep_alive_disabled()));
    assert_eq!(harness.session.poll_timeout(), None);
    harness.set_transport_room(0);
    harness.open();
    harness.advance(seconds(1_000_000));
    assert!(!harness.session.is_closed());
    harness.set_transport_room(None);
    harness.expect_only([syn(3)]);
}

#[test]
fn the_longest_durations_do_not_overflow() {
    let config = config()
        .keep_alive_interval(Duration::MAX)
        .keep_alive_timeout(Duration::MAX);
    let mut harness = Harness::client(build(config));
    harness.advance(seconds(1));
    harness.open();
    harness.expect_only([syn(3)]);
    harness.session.drain(seconds(1), Duration::MAX);
    assert!(
        harness
            .session
            .poll_timeout()
            .is_none_or(|due| due > seconds(1_000_000_000))
    );
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut harness = Harness::client(build(config()));
    harness.advance(seconds(20));
    harness.expect([nop(), nop()]);
    harness.session.handle_timeout(seconds(3));
    assert_eq!(
        harness
            .session
            .handle_input(seconds(2), &nop().encode(Version::V1)),
        Ok(8)
    );
    harness.advance(seconds(10));
    assert!(!harness.session.is_closed());
}

/// The caller may pass any time, even the largest.
#[test]
fn the_latest_possible_time_ends_a_session_by_timeout() {
    let mut harness = Harness::client(build(config()));
    for _ in 0..3 {
        harness.session.handle_timeout(Duration::MAX);
    }
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}

// ------------------------------------------------------------------ peers that send no keep-alives

#[test]
fn silence_counts_against_a_peer_that_has_sent_keep_alives() {
    let mut harness = Harness::client(Config::default());
    harness.advance(seconds(3_600));
    assert!(!harness.session.is_closed(), "it may have nothing to say");
    harness.peer_sends([nop()]);
    harness.advance(seconds(30));
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}

#[test]
fn a_peer_without_keep_alives_is_declared_dead_when_it_takes_nothing() {
    let mut harness = Harness::client(Config::default());
    harness.advance(seconds(3_600));
    harness.take_bytes();
    harness.set_transport_room(0);
    harness.advance(seconds(10));
    harness.advance(seconds(30) - MILLI);
    assert!(!harness.session.is_closed());
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

// ------------------------------------------------------------------ clocks that are read late

/// Lets a driver look at its clock every `tick`, with a transport that takes everything or nothing.
fn tick_until_closed(harness: &mut Harness, tick: Duration) -> Duration {
    let start = harness.now();
    while !harness.session.is_terminated() && harness.now() - start < seconds(24 * 3_600) {
        harness.skip(tick);
        let now = harness.now();
        if harness.session.poll_timeout().is_some_and(|due| due <= now) {
            harness.session.handle_timeout(now);
        }
        harness.pump();
    }
    harness.now() - start
}

#[test]
fn a_coarse_clock_still_declares_a_silent_peer_dead() {
    for tick in [seconds(1), seconds(4), seconds(7), seconds(25)] {
        let mut harness = Harness::client(Config::default());
        harness.peer_sends([nop()]);
        let took = tick_until_closed(&mut harness, tick);
        assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
        assert!(
            took <= seconds(40) + 2 * tick,
            "{took:?} in steps of {tick:?}"
        );
    }
}

#[test]
fn a_coarse_clock_still_notices_a_stuck_write() {
    let mut harness = Harness::client(Config::default());
    harness.set_transport_room(0);
    harness.open();
    let took = tick_until_closed(&mut harness, seconds(4));
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
    assert!(took <= seconds(48), "{took:?}");
}

/// What the peer sent during a suspend needs time to arrive, a retransmission at least.
#[test]
fn a_suspend_grants_a_keep_alive_interval_of_grace() {
    let mut harness = Harness::client(Config::default());
    for _ in 0..3 {
        harness.peer_sends([nop()]);
        harness.skip(seconds(3_600));
        harness.session.handle_timeout(harness.now());
        harness.pump();
        harness.advance(seconds(10) - MILLI);
        assert!(!harness.session.is_closed());
    }
    harness.advance(MILLI);
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}
