//! Attacks 36 to 40: keep-alives, silence, clocks.

use std::{task::Poll, time::Duration};

use smux_conformance::frame::{Kind, counting, nop, psh};
use smux_proto::{CloseReason, Config, StreamError, Version};

use crate::{BOTH, assert_serves, measure, server, server_with_stream, stats};

/// The reference's: a NOP after 10 s, the end after 30 s.
fn keeping_alive(version: Version) -> smux_proto::ConfigBuilder {
    Config::builder().version(version)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn attack_36_keep_alives_without_end() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(keeping_alive(version));
        let nops = nop().encode(version).repeat(1_000);
        let memory = measure(|| {
            (0..100).for_each(|_| assert_eq!(peer.send_bytes(&nops), Ok(nops.len())));
        });
        assert_eq!(memory.count_total, 0);
        peer.expect_nothing();
        assert_eq!(peer.events(), []);
        assert_eq!(stats(&peer).frames_received.nop, 100_000);
        assert_serves(&mut peer, id);
    }
}

/// A full receive buffer makes us deaf; that the peer is gone shows in what we cannot send.
#[test]
fn attack_37_the_peer_vanishes_while_our_buffer_is_full() {
    for version in BOTH {
        let limits = keeping_alive(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut peer, id) = server_with_stream(limits);
        peer.send([psh(3, counting(2_000))]);
        assert!(!peer.session.wants_input());
        peer.set_transport_room(0);
        peer.advance(seconds(10));
        assert!(!peer.session.is_closed(), "now a keep-alive is stuck");
        peer.advance(seconds(29));
        assert!(!peer.session.is_closed());
        peer.advance(seconds(1));
        assert_eq!(peer.reason(), CloseReason::WriteTimeout);
        assert_eq!(peer.read(id).len(), 2_000);
        let closed = StreamError::Closed(CloseReason::WriteTimeout);
        assert_eq!(peer.read_end(id), Poll::Ready(Err(closed)));
    }
}

#[test]
fn attack_38_our_application_is_slow() {
    for version in BOTH {
        let limits = keeping_alive(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut peer, id) = server_with_stream(limits);
        peer.send([psh(3, counting(2_000))]);
        peer.advance(seconds(3_600));
        assert!(!peer.session.is_closed(), "the silence is ours");
        let sent = peer.take_frames();
        assert_eq!(
            sent.iter().filter(|frame| frame.kind == Kind::Nop).count(),
            360
        );
        peer.read(id);
        peer.advance(seconds(29));
        assert_serves(&mut peer, id);
    }
}

/// Whether a silent peer is dead is a question of configuration; by default it is after 30 s.
#[test]
fn attack_39_the_peer_is_idle_and_sends_no_keep_alives() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(keeping_alive(version).keep_alive_disabled());
        peer.advance(seconds(1_000_000));
        assert_serves(&mut peer, id);
        let (mut peer, id) =
            server_with_stream(keeping_alive(version).keep_alive_timeout(seconds(1_000)));
        peer.advance(seconds(999));
        assert_serves(&mut peer, id);
        let (mut peer, _) = server_with_stream(keeping_alive(version));
        peer.advance(seconds(30));
        assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
    }
}

#[test]
fn attack_40_durations_are_huge_and_clocks_jump() {
    for version in BOTH {
        let endless = keeping_alive(version).close_timeout(Duration::MAX);
        let (mut peer, id) = server_with_stream(
            endless
                .keep_alive_interval(Duration::MAX)
                .keep_alive_timeout(Duration::MAX),
        );
        assert_eq!(peer.session.poll_timeout(), Some(Duration::MAX));
        peer.advance(seconds(u64::MAX / 2));
        assert_serves(&mut peer, id);
        peer.session.drain(peer.now(), Duration::MAX);
        assert!(!peer.session.is_closed());
        peer.close_session();
        assert_eq!(peer.session.poll_timeout(), Some(Duration::MAX));
    }
}

/// A clock that goes back stands still; one that jumps ahead, as after a suspend, leaves the peer a
/// moment to be heard.
#[test]
fn attack_40_the_clock_steps() {
    let (mut peer, id) = server_with_stream(keeping_alive(Version::V1));
    peer.advance(seconds(100_000 - 99_971));
    peer.send([nop()]);
    let (now, due) = (peer.now(), peer.session.poll_timeout());
    peer.session.handle_timeout(Duration::ZERO);
    let bytes = nop().encode(Version::V1);
    assert_eq!(peer.session.handle_input(Duration::ZERO, &bytes), Ok(8));
    assert_eq!(peer.session.poll_timeout(), due, "no time has passed");
    let later = now + seconds(1_000_000);
    while peer.session.poll_timeout().is_some_and(|due| due <= later) {
        peer.session.handle_timeout(later);
    }
    assert!(
        !peer.session.is_closed(),
        "a NOP may lie unread in the transport"
    );
    let due = peer.session.poll_timeout().expect("keep-alive is on");
    assert!(due - later <= seconds(1));
    peer.session.handle_timeout(due);
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
    let closed = StreamError::Closed(CloseReason::KeepAliveTimeout);
    assert_eq!(peer.read_end(id), Poll::Ready(Err(closed)));
}

/// Doing what is due when it is due always makes progress, whatever the settings.
#[test]
fn attack_40_no_setting_makes_timers_spin() {
    let nano = Duration::from_nanos(1);
    for (interval, timeout) in [
        (nano, nano),
        (nano, Duration::MAX),
        (Duration::MAX, Duration::MAX),
    ] {
        let config = keeping_alive(Version::V2).keep_alive_interval(interval);
        let mut peer = server(config.keep_alive_timeout(timeout));
        for _ in 0..1_000 {
            let Some(due) = peer
                .session
                .poll_timeout()
                .filter(|due| *due < Duration::MAX)
            else {
                break;
            };
            peer.session.handle_timeout(due);
            assert!(
                peer.session
                    .poll_timeout()
                    .is_none_or(|next| next > due || peer.session.wants_transmit())
            );
            peer.pump();
        }
    }
}
