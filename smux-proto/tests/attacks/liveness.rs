//! Attacks 36 to 40: keep-alives, silence, clocks.

use std::{task::Poll, time::Duration};

use smux_conformance::frame::{Kind, counting, nop, psh};
use smux_proto::{CloseReason, Config, StreamError, Version};

use crate::{BOTH, assert_serves, measure, server, server_with_stream, stats};

/// The reference's: a NOP after 10 s, the end of any silent peer after 30 s.
fn keeping_alive(version: Version) -> smux_proto::ConfigBuilder {
    Config::builder().version(version).keep_alive_required(true)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn attack_36_endless_keep_alives() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(keeping_alive(version));
        let nops = nop().encode(version).repeat(1_000);
        let memory = measure(|| {
            (0..100).for_each(|_| assert_eq!(harness.peer_sends_bytes(&nops), Ok(nops.len())));
        });
        assert_eq!(memory.count_total, 0);
        harness.expect_nothing();
        assert_eq!(harness.events(), []);
        assert_eq!(stats(&harness).frames_received.nop, 100_000);
        assert_serves(&mut harness, id);
    }
}

/// With a full receive buffer nothing is read, so only a stuck write shows that the peer is gone.
#[test]
fn attack_37_the_peer_vanishes_while_our_buffer_is_full() {
    for version in BOTH {
        let limits = keeping_alive(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut harness, id) = server_with_stream(limits);
        harness.peer_sends([psh(3, counting(2_000))]);
        assert!(!harness.session.wants_input());
        harness.set_transport_room(0);
        harness.advance(seconds(10));
        assert!(!harness.session.is_closed(), "now a keep-alive is stuck");
        harness.advance(seconds(29));
        assert!(!harness.session.is_closed());
        harness.advance(seconds(1));
        assert_eq!(harness.reason(), CloseReason::WriteTimeout);
        assert_eq!(harness.read(id).len(), 2_000);
        let closed = StreamError::Closed(CloseReason::WriteTimeout);
        assert_eq!(harness.read_end(id), Poll::Ready(Err(closed)));
    }
}

#[test]
fn attack_38_our_application_is_slow() {
    for version in BOTH {
        let limits = keeping_alive(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut harness, id) = server_with_stream(limits);
        harness.peer_sends([psh(3, counting(2_000))]);
        harness.advance(seconds(3_600));
        assert!(!harness.session.is_closed(), "the silence is ours");
        let sent = harness.take_frames();
        assert_eq!(
            sent.iter().filter(|frame| frame.kind == Kind::Nop).count(),
            360
        );
        harness.read(id);
        harness.advance(seconds(29));
        assert_serves(&mut harness, id);
    }
}

/// By default silence counts only against a peer that has sent keep-alives.
#[test]
fn attack_39_the_peer_is_idle_and_sends_no_keep_alives() {
    for version in BOTH {
        for lenient in [
            Config::builder().version(version),
            Config::builder().version(version).keep_alive_disabled(),
        ] {
            let (mut harness, id) = server_with_stream(lenient);
            harness.advance(seconds(86_400));
            harness.take_frames();
            assert_serves(&mut harness, id);
        }
        let (mut harness, id) =
            server_with_stream(keeping_alive(version).keep_alive_timeout(seconds(1_000)));
        harness.advance(seconds(999));
        assert_serves(&mut harness, id);
        let (mut harness, _) = server_with_stream(Config::builder().version(version));
        harness.peer_sends([nop()]);
        harness.advance(seconds(30));
        assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
    }
}

#[test]
fn attack_40_durations_are_huge_and_clocks_jump() {
    for version in BOTH {
        let endless = keeping_alive(version).close_timeout(Duration::MAX);
        let (mut harness, id) = server_with_stream(
            endless
                .keep_alive_interval(Duration::MAX)
                .keep_alive_timeout(Duration::MAX),
        );
        assert_eq!(harness.session.poll_timeout(), Some(Duration::MAX));
        harness.advance(seconds(u64::MAX / 2));
        assert_serves(&mut harness, id);
        harness.session.drain(harness.now(), Duration::MAX);
        assert!(!harness.session.is_closed());
        harness.close_session();
        assert_eq!(harness.session.poll_timeout(), Some(Duration::MAX));
    }
}

/// A clock that goes back counts as standing still. After a jump ahead, as by a suspend, the peer
/// has a grace period in which to be heard.
#[test]
fn attack_40_the_clock_steps() {
    let (mut harness, id) = server_with_stream(keeping_alive(Version::V1));
    harness.advance(seconds(100_000 - 99_971));
    harness.peer_sends([nop()]);
    let (now, due) = (harness.now(), harness.session.poll_timeout());
    harness.session.handle_timeout(Duration::ZERO);
    let bytes = nop().encode(Version::V1);
    assert_eq!(harness.session.handle_input(Duration::ZERO, &bytes), Ok(8));
    assert_eq!(harness.session.poll_timeout(), due, "no time has passed");
    let later = now + seconds(1_000_000);
    while harness
        .session
        .poll_timeout()
        .is_some_and(|due| due <= later)
    {
        harness.session.handle_timeout(later);
    }
    assert!(
        !harness.session.is_closed(),
        "a NOP may lie unread in the transport"
    );
    let due = harness.session.poll_timeout().expect("keep-alive is on");
    assert_eq!(due - later, seconds(10), "one keep-alive interval");
    harness.session.handle_timeout(due);
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
    let closed = StreamError::Closed(CloseReason::KeepAliveTimeout);
    assert_eq!(harness.read_end(id), Poll::Ready(Err(closed)));
}

/// Calling `handle_timeout` when it is due always makes progress, whatever the settings.
#[test]
fn attack_40_no_setting_makes_timers_spin() {
    let nano = Duration::from_nanos(1);
    for (interval, timeout) in [
        (nano, nano),
        (nano, Duration::MAX),
        (Duration::MAX, Duration::MAX),
    ] {
        let config = keeping_alive(Version::V2).keep_alive_interval(interval);
        let mut harness = server(config.keep_alive_timeout(timeout));
        for _ in 0..1_000 {
            let Some(due) = harness
                .session
                .poll_timeout()
                .filter(|due| *due < Duration::MAX)
            else {
                break;
            };
            harness.session.handle_timeout(due);
            assert!(
                harness
                    .session
                    .poll_timeout()
                    .is_none_or(|next| next > due || harness.session.wants_transmit())
            );
            harness.pump();
        }
    }
}
