//! The windows that peers are granted: when, and how large.

use std::{collections::BTreeMap, time::Duration};

use smux_conformance::{
    frame::{Frame, Kind, counting, fin, nop, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{StreamId, Version, WindowLimit};

use super::{BUDGET, INITIAL, buffered, build, config, data_frames, server};

/// The first read, then each full half window, however the reads are cut.
#[test]
fn updates_announce_the_first_read_then_each_half_window() {
    for (window, read, announced) in [
        (65_536, 10_000, vec![10_000, 42_768, 75_536]),
        (65_536, 32_768, vec![32_768, 65_536, 98_304]),
        (65_536, 50_000, vec![50_000, 82_768, 148_304]),
        (16, 3, vec![3, 11, 19, 27]),
        (1, 7, vec![7, 14, 21, 28]),
        (1 << 20, 50_000, vec![50_000, 574_288]),
    ] {
        let config = config(Version::V2)
            .max_receive_buffer(32 << 20)
            .max_stream_buffer(window);
        let (mut harness, id) = server(config);
        let mut updates = Vec::new();
        let mut total = 0;
        while updates.len() < announced.len() {
            assert!(
                total < announced[updates.len()] + read,
                "no update after {total} bytes"
            );
            harness.peer_sends([psh(3, counting(read))]);
            assert_eq!(harness.read(id).len(), read);
            total += read;
            for frame in harness.take_frames() {
                let (consumed, granted) = frame.window_update().expect("only updates");
                assert_eq!(granted as usize, window);
                updates.push(consumed as usize);
            }
        }
        assert_eq!(updates, announced, "window {window}, reads of {read}");
    }
}

/// Steps of a large window are of 512 KiB, or what is read in a millisecond if that is more, up to
/// half the window. How fast it is read shows between two updates.
#[test]
fn updates_of_a_large_window_are_a_millisecond_apart_or_half_of_it() {
    const WINDOW: usize = 8 << 20;
    const READ: usize = 32_768;
    const STEP: usize = 512 << 10;
    for (micros_a_read, step) in [(0, WINDOW / 2), (20, 3 * STEP), (100, STEP)] {
        let config = config(Version::V2)
            .max_receive_buffer(32 << 20)
            .max_stream_buffer(WINDOW)
            .window_floor(WINDOW);
        let (mut harness, id) = server(config);
        let mut updates = Vec::new();
        for _ in 0..1_000 {
            harness.skip(Duration::from_micros(micros_a_read));
            harness.peer_sends([psh(3, counting(READ))]);
            assert_eq!(harness.read(id).len(), READ);
            for frame in harness.take_frames() {
                updates.push(frame.window_update().expect("only updates").0 as usize);
            }
        }
        assert_eq!(updates[..2], [READ, READ + STEP]);
        let steps: Vec<_> = updates[1..]
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        assert!(steps.iter().all(|bytes| *bytes == step), "{steps:?}");
        assert_eq!(steps.len(), (999 * READ - STEP) / step);
    }
}

/// Reads tell no time. One that follows long after others is no fast one.
#[test]
fn a_reader_that_slows_down_is_announced_in_small_steps_again() {
    const READ: usize = 32_768;
    let config = config(Version::V2)
        .max_receive_buffer(32 << 20)
        .max_stream_buffer(8 << 20)
        .window_floor(8 << 20);
    let (mut harness, id) = server(config);
    let mut updates = Vec::new();
    for round in 0..1_000 {
        harness.peer_sends([psh(3, counting(READ))]);
        assert_eq!(harness.read(id).len(), READ);
        if round > 500 {
            harness.skip(Duration::from_millis(1));
        }
        for frame in harness.take_frames() {
            updates.push(frame.window_update().expect("only updates").0 as usize);
        }
    }
    let steps: Vec<_> = updates.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let slow = steps.iter().rev().take_while(|bytes| **bytes == 512 << 10);
    // All that was read at that speed but one step, that the fast reads before had begun.
    assert!(
        slow.count() >= (500 * READ - (4 << 20)) / (512 << 10) - 1,
        "{steps:?}"
    );
}

#[test]
fn several_reads_before_the_transport_is_free_share_an_update() {
    let (mut harness, id) = server(config(Version::V2));
    for _ in 0..10 {
        harness.peer_sends([psh(3, counting(10_000))]);
        harness.read(id);
    }
    harness.expect_only([upd(3, 100_000, 65_536)]);
}

/// A smaller window has smaller steps: what was read and is no whole step of the larger one is
/// announced with it. A peer that has sent all that it may would never hear of it otherwise.
#[test]
fn an_update_with_a_smaller_window_announces_all_that_is_read() {
    for sent in [100_000, 140_000, 180_000, 212_992, 1_000 + INITIAL] {
        let config = config(Version::V2)
            .max_receive_buffer(32 << 20)
            .max_stream_buffer(16 << 20);
        let (mut harness, id) = server(config);
        let join = |harness: &mut Harness, ids: std::ops::Range<u32>| {
            for id in ids {
                harness.peer_sends([syn(3 + 2 * id)]);
                harness.accept();
            }
        };
        join(&mut harness, 1..32);
        harness.peer_sends([psh(3, counting(1_000))]);
        harness.read(id);
        let mut allowed = 0;
        let mut hear = |harness: &mut Harness| {
            for frame in harness.take_frames().iter().filter(|frame| frame.id == 3) {
                let (consumed, window) = frame.window_update().expect("only updates");
                allowed = (consumed + window) as usize;
            }
            allowed
        };
        assert_eq!(hear(&mut harness), 1_000 + INITIAL);
        join(&mut harness, 32..300);
        harness.set_transport_room(0);
        for piece in counting(sent - 1_000).chunks(32_768) {
            harness.peer_sends([psh(3, piece)]);
            harness.read(id);
        }
        harness.set_transport_room(None);
        let allowed = hear(&mut harness);
        assert!(allowed > sent, "up to {allowed} after {sent} bytes");
    }
}

#[test]
fn version_1_has_no_updates() {
    let (mut harness, id) = server(config(Version::V1));
    for _ in 0..100 {
        harness.peer_sends([psh(3, counting(60_000))]);
        harness.read(id);
    }
    harness.expect_nothing();
    assert_eq!(harness.session.stats().windows_granted, 0);
}

#[test]
fn after_the_peers_fin_and_after_close_no_update_is_sent() {
    let (mut harness, id) = server(config(Version::V2));
    harness.peer_sends([psh(3, counting(50_000)), fin(3)]);
    harness.read(id);
    harness.expect_nothing();
    harness.peer_sends([syn(5), psh(5, counting(50_000))]);
    let other = harness.accept();
    harness.close(other);
    harness.peer_sends([psh(5, counting(50_000))]);
    harness.expect_only([fin(5), fin(5)]);
}

/// Every peer may send the initial window at once. As long as that fits, no update is needed.
#[test]
fn early_updates_are_sent_only_when_the_budget_requires_them() {
    let fitting = BUDGET / INITIAL;
    let mut harness = Harness::server(build(config(Version::V2)));
    let ids = || (3u32..).step_by(2);
    for id in ids().take(fitting) {
        harness.peer_sends([syn(id)]);
        harness.expect_nothing();
    }
    assert_eq!(harness.session.stats().windows_granted, BUDGET);
    let next = ids().nth(fitting).expect("endless");
    harness.peer_sends([syn(next)]);
    // Streams that have sent nothing give up their windows.
    let frames = harness.take_frames();
    assert!((1..16).contains(&frames.len()), "{frames:?}");
    for frame in frames {
        let (consumed, window) = frame.window_update().expect("only updates");
        assert_eq!(consumed, 0);
        assert!((64..=65_536).contains(&window), "{window}");
    }
    assert!(harness.session.stats().windows_granted <= BUDGET);
}

#[test]
fn windows_never_sum_to_more_than_the_budget() {
    let budget = 1_000_000;
    let config = config(Version::V2)
        .max_receive_buffer(budget)
        .window_floor(1_000);
    let mut harness = Harness::server(build(config));
    let mut windows = BTreeMap::new();
    let mut note = |harness: &mut Harness| {
        for frame in harness.take_frames() {
            match (frame.kind, frame.window_update()) {
                (Kind::Upd, Some((_, window))) => drop(windows.insert(frame.id, window as usize)),
                _ => drop(windows.remove(&frame.id)),
            }
        }
        assert!(
            windows.values().all(|&window| window >= 1_000),
            "{windows:?}"
        );
        assert!(harness.session.stats().windows_granted <= budget);
        windows.values().sum::<usize>()
    };
    for id in (3..2_003).step_by(2) {
        harness.peer_sends([syn(id)]);
        note(&mut harness);
    }
    assert_eq!(harness.session.stream_count(), 1_000);
    assert!(note(&mut harness) <= budget, "what peers were told");
    harness.peer_sends([syn(2_003)]);
    harness.expect_only([fin(2_003), fin(2_003)]);
}

#[test]
fn windows_grow_again_when_streams_end() {
    let config = config(Version::V2)
        .max_receive_buffer(500_000)
        .max_stream_buffer(100_000);
    let mut harness = Harness::server(build(config));
    harness.peer_sends((3..203).step_by(2).map(syn));
    let ids: Vec<_> = (0..100).map(|_| harness.accept()).collect();
    harness.take_frames();
    let (first, others) = ids.split_first().expect("a hundred");
    for id in others {
        harness.close(*id);
    }
    harness.take_frames();
    let mut window = 0;
    for _ in 0..20 {
        harness.peer_sends([psh(3, counting(2_000))]);
        harness.read(*first);
        window = harness
            .take_frames()
            .iter()
            .filter_map(Frame::window_update)
            .fold(window, |_, (_, window)| window);
    }
    assert_eq!(window, 100_000);
}

/// The guarantee: peers that keep to their windows never stall the session, read or not.
#[test]
fn peers_that_keep_to_their_windows_cannot_stall_the_session() {
    let mut harness = Harness::server(build(config(Version::V2)));
    for id in (3..).step_by(2).take(BUDGET / INITIAL) {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data_frames(id, INITIAL));
    }
    assert!(harness.session.wants_input());
    harness.peer_sends([nop(), syn(999)]);
    assert_eq!(harness.session.stats().receive_stalls, 0);
}

/// A read renews a stream's window, but its unread data still fills the budget.
#[test]
fn unread_data_is_not_granted_to_other_streams() {
    for read in [1, 1_000, 100_000] {
        let mut harness = Harness::server(build(config(Version::V2)));
        // By stream: how far its peer has sent, and how far it may.
        let mut peers = BTreeMap::new();
        for id in (3..).step_by(2).take(BUDGET / INITIAL) {
            harness.peer_sends([syn(id)]);
            harness.peer_sends(data_frames(id, INITIAL));
            peers.insert(id, (INITIAL, INITIAL));
        }
        for _ in 0..peers.len() {
            let id = harness.accept();
            harness.read_exact(id, read);
        }
        for id in (997..1_997).step_by(2) {
            harness.peer_sends([syn(id)]);
            peers.insert(id, (0, INITIAL));
        }
        for frame in harness.take_frames() {
            let (consumed, window) = frame.window_update().expect("only updates");
            let (_, edge) = peers.get_mut(&frame.id).expect("a stream");
            *edge = consumed as usize + window as usize;
        }
        for (id, (sent, edge)) in peers {
            harness.peer_sends(data_frames(id, edge.saturating_sub(sent)));
        }
        assert!(buffered(&harness) <= BUDGET, "{} bytes", buffered(&harness));
        assert_eq!(harness.session.stats().receive_stalls, 0);
    }
}

/// The reverse: more new streams than the budget has initial windows for. The stall is counted.
#[test]
fn too_many_new_streams_at_once_can_stall_the_session() {
    let mut harness = Harness::server(build(config(Version::V2)));
    for id in (3..).step_by(2).take(BUDGET / INITIAL) {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data_frames(id, INITIAL));
    }
    harness.peer_sends([syn(997), psh(997, "x")]);
    assert!(!harness.session.wants_input());
    assert_eq!(
        harness.peer_sends_bytes(&syn(999).encode(Version::V2)),
        Ok(0)
    );
    assert_eq!(harness.session.stats().receive_stalls, 1);
    let id = harness.accept();
    harness.read_exact(id, 1);
    harness.peer_sends([syn(999)]);
}

/// Three unread streams hold all of their windows. The rest of the budget is below the floor, so a
/// fourth has no window. Its peer sent 100 bytes before it learned of that.
fn fourth_waits_for_others() -> (Harness, [StreamId; 4]) {
    let config = config(Version::V2)
        .max_receive_buffer(1_000_000)
        .max_stream_buffer(500_000)
        .window_floor(220_000);
    let mut harness = Harness::server(build(config));
    for id in [3, 5, 7] {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data_frames(id, INITIAL));
    }
    harness.peer_sends([syn(9), psh(9, counting(100))]);
    harness.expect_only([upd(9, 0, 0)]);
    let ids = [(); 4].map(|()| harness.accept());
    (harness, ids)
}

fn starved(harness: &Harness) -> (usize, u64) {
    let stats = harness.session.stats();
    (stats.starved_streams, stats.starvations)
}

#[test]
fn a_stream_without_a_window_gets_one_when_another_is_read() {
    let (mut harness, [first, .., fourth]) = fourth_waits_for_others();
    assert_eq!(starved(&harness), (1, 1));
    harness.advance(Duration::from_secs(2));
    let stream = harness.session.stream(fourth).expect("open");
    assert_eq!(stream.stats().window_limit, WindowLimit::Starved);
    harness.read(first);
    harness.expect_only([upd(3, 262_144, 220_000), upd(9, 0, 220_000)]);
    harness.advance(Duration::from_secs(2));
    assert_eq!(starved(&harness), (0, 1));
    let stats = harness.session.stats();
    assert_eq!(stats.starvation_time, Duration::from_secs(2));
}

#[test]
fn unread_data_of_a_stream_without_a_window_stays_accounted_for() {
    let (mut harness, [first, second, third, fourth]) = fourth_waits_for_others();
    let stats = harness.session.stats();
    assert_eq!(stats.windows_exceeded, 100);
    harness.read_exact(fourth, 50);
    harness.expect_nothing();
    harness.read(first);
    harness.expect_only([upd(3, 262_144, 220_000), upd(9, 50, 220_000)]);
    let stats = harness.session.stats();
    assert_eq!(stats.windows_granted, 2 * INITIAL + 2 * 220_000);
    assert_eq!(stats.windows_exceeded, 0);
    for id in [first, second, third, fourth] {
        harness.close(id);
    }
    assert_eq!(harness.session.stats().windows_granted, 0);
}

/// However little it is, and whatever update the stream that is read gets itself.
#[test]
fn room_for_the_window_floor_is_granted_as_soon_as_it_is_read() {
    let (mut harness, [first, .., fourth]) = fourth_waits_for_others();
    let missing = 220_000 - (1_000_000 - 3 * INITIAL - 100);
    harness.read_exact(first, missing - 1);
    harness.expect_only([upd(3, 6_531, 220_000)]);
    harness.read_exact(first, 1);
    harness.expect_only([upd(9, 0, 220_000)]);
    assert_eq!(harness.read(fourth).len(), 100);
}
