//! Receive limits that change at run time.

use std::task::Poll;

use proptest::prelude::*;
use smux_conformance::{
    frame::{Frame, Kind, counting, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{StreamId, Version};

use super::{BUDGET, INITIAL, buffered, config, data_frames, server};

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

fn receive_window(harness: &mut Harness, id: StreamId) -> usize {
    let stream = harness.session.stream(id).expect("open");
    stream.stats().receive_window
}

#[test]
fn a_lowered_limit_stops_input_and_keeps_what_is_held() {
    for version in VERSIONS {
        let (mut harness, id) = server(config(version));
        harness.peer_sends([psh(3, counting(50_000))]);
        harness.session.set_receive_limits(40_000, BUDGET);
        assert!(!harness.session.wants_input(), "{version:?}");
        assert_eq!(harness.session.unread(), 50_000);
        let more = psh(3, "more").encode(version);
        assert_eq!(harness.peer_sends_bytes(&more), Ok(0));
        assert_eq!(harness.session.stats().receive_stalls, 1);
        assert_eq!(harness.read_exact(id, 10_001), &counting(50_000)[..10_001]);
        assert!(harness.session.wants_input());
        assert_eq!(harness.peer_sends_bytes(&more), Ok(more.len()));
        assert_eq!(harness.read(id).len(), 39_999 + 4);
    }
}

#[test]
fn a_raised_limit_lets_input_go_on() {
    for version in VERSIONS {
        let (mut harness, _) = server(config(version));
        harness.session.set_receive_limits(1_000, BUDGET);
        harness.peer_sends([psh(3, counting(2_000))]);
        assert!(!harness.session.wants_input());
        harness.session.set_receive_limits(2_001, BUDGET);
        assert!(harness.session.wants_input());
        harness.peer_sends([psh(3, counting(2_000))]);
        assert_eq!(buffered(&harness), 4_000);
    }
}

#[test]
fn limits_keep_to_the_configuration() {
    let config = config(Version::V1)
        .max_receive_buffer(1_000)
        .max_stream_buffer(1_000);
    let (mut harness, id) = server(config);
    harness.session.set_receive_limits(usize::MAX, usize::MAX);
    harness.peer_sends([psh(3, counting(1_000))]);
    assert!(!harness.session.wants_input());
    harness.read(id);
    harness.session.set_receive_limits(0, 0);
    assert!(harness.session.wants_input(), "one frame is always taken");
}

/// The limit of what is held stays, so nothing can stall.
#[test]
fn windows_shrink_before_input_stalls() {
    let (mut harness, id) = server(config(Version::V2));
    harness.peer_sends(data_frames(3, INITIAL / 2));
    harness.session.set_receive_limits(BUDGET, 64 << 10);
    harness.read_exact(id, INITIAL / 2);
    harness.take_frames();
    assert!(receive_window(&mut harness, id) <= 64 << 10);
    assert!(receive_window(&mut harness, id) > 0);
    assert!(harness.session.wants_input());
    assert_eq!(harness.session.stats().receive_stalls, 0);
}

#[test]
fn unused_windows_are_cut_when_the_limit_falls() {
    let (mut harness, id) = server(config(Version::V2));
    harness.session.set_receive_limits(BUDGET, 64 << 10);
    harness.open();
    let frames = harness.take_frames();
    assert!(frames.iter().any(|frame| frame.kind == Kind::Upd));
    assert!(receive_window(&mut harness, id) <= 32 << 10);
}

#[test]
fn raised_windows_reach_starved_streams_at_once() {
    let (mut harness, first) = server(config(Version::V2));
    harness.peer_sends(data_frames(3, INITIAL));
    harness.session.set_receive_limits(BUDGET, 64 << 10);
    harness.peer_sends([syn(5)]);
    let starved = harness.accept();
    harness.take_frames();
    assert_eq!(harness.session.stats().starved_streams, 1);
    assert_eq!(receive_window(&mut harness, starved), 0);
    harness.session.set_receive_limits(BUDGET, BUDGET);
    assert!(harness.session.wants_transmit());
    harness.take_frames();
    assert!(receive_window(&mut harness, starved) > 0);
    assert_eq!(harness.read(first).len(), INITIAL);
}

/// A lower limit of windows turns no stream of the peer away.
#[test]
fn the_number_of_streams_follows_the_configuration() {
    let (mut harness, _) = server(config(Version::V2));
    harness.session.set_receive_limits(1, 1);
    harness.peer_sends((0..100).map(|n| syn(5 + 2 * n)));
    assert_eq!(harness.session.stats().streams_refused, 0);
    assert_eq!(harness.session.stream_count(), 101);
}

/// CONSUMED and WINDOW of the updates that leave now.
fn updates(harness: &mut Harness) -> Vec<(usize, usize)> {
    let frames = harness.take_frames();
    let updates = frames.iter().filter_map(Frame::window_update);
    updates
        .map(|(consumed, window)| (consumed as usize, window as usize))
        .collect()
}

#[derive(Clone, Debug)]
enum Act {
    Limits(usize, usize),
    Arrives(usize),
    Read(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0_usize..100_000, 0_usize..600_000).prop_map(|(held, windows)| Act::Limits(held, windows)),
        (1_usize..60_000).prop_map(Act::Arrives),
        (1_usize..80_000).prop_map(Act::Read),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changing_limits_loses_no_data(acts in acts(), v2: bool) {
        let version = VERSIONS[usize::from(v2)];
        let (mut harness, id) = server(config(version));
        let (mut wire, mut sent, mut read) = (Vec::new(), 0_u8, 0_u8);
        let mut limit = BUDGET;
        // How many bytes the peer may send, and how many it has sent.
        let (mut allowed, mut total) = (if v2 { INITIAL } else { usize::MAX }, 0);
        let mut take = |harness: &mut Harness, count: usize| {
            let mut bytes = vec![0; count];
            if let Poll::Ready(Ok(count)) = harness.try_read(id, &mut bytes) {
                for byte in &bytes[..count] {
                    read = read.wrapping_add(1);
                    assert_eq!(*byte, read);
                }
            }
        };
        for act in acts {
            match act {
                Act::Limits(held, windows) => {
                    harness.session.set_receive_limits(held, windows);
                    limit = held.max(1);
                }
                Act::Arrives(count) if total < allowed => {
                    let count = count.min(allowed - total);
                    total += count;
                    let mut payload = vec![0; count];
                    payload.fill_with(|| {
                        sent = sent.wrapping_add(1);
                        sent
                    });
                    wire.extend(psh(3, payload).encode(version));
                }
                Act::Arrives(_) => {}
                Act::Read(count) => take(&mut harness, count),
            }
            let before = harness.session.unread();
            let taken = harness.peer_sends_bytes(&wire).expect("no error");
            wire.drain(..taken);
            let held = harness.session.unread();
            prop_assert!(held <= before.max(limit + 65_535), "{held} of {limit}");
            for (consumed, window) in updates(&mut harness) {
                allowed = allowed.max(consumed + window);
            }
        }
        harness.session.set_receive_limits(1, 1);
        while !wire.is_empty() || harness.session.unread() > 0 {
            take(&mut harness, 80_000);
            let taken = harness.peer_sends_bytes(&wire).expect("no error");
            wire.drain(..taken);
        }
        prop_assert_eq!(read, sent);
        prop_assert_eq!(harness.session.stats().streams_evicted, 0);
    }
}

/// A window gets smaller while the peer has filled more than the new one. Once all is read, no
/// later read can announce the rest.
#[test]
fn a_peer_that_has_filled_a_shrinking_window_goes_on_once_all_is_read() {
    for limit in [INITIAL / 2, INITIAL / 4, 10_000, 1_001] {
        for sent in [INITIAL / 2 + 1, 212_992, INITIAL - 1] {
            let buffer = 32 << 20;
            let config = config(Version::V2)
                .max_receive_buffer(buffer)
                .max_stream_buffer(INITIAL);
            let (mut harness, id) = server(config);
            harness.peer_sends([psh(3, "1")]);
            harness.read_exact(id, 1);
            harness.expect_only([upd(3, 1, 262_144)]);
            harness.peer_sends(data_frames(3, sent));
            harness.session.set_receive_limits(buffer, limit);
            harness.read_exact(id, sent);
            let updates = harness.take_frames();
            let last = &updates.last().expect("an update").payload;
            let number = |at: usize| {
                let bytes = last[at..at + 4].try_into().expect("four bytes");
                u32::from_le_bytes(bytes) as usize
            };
            let told = number(0) + number(4);
            assert!(told > 1 + sent, "{limit} {sent}: {updates:?}");
        }
    }
}
