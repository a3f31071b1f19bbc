//! The windows that peers are told: when, and how large.

use std::collections::BTreeMap;

use smux_conformance::{
    frame::{Frame, Kind, counting, fin, nop, psh, syn, upd},
    script::Script,
};
use smux_proto::{StreamId, Version};

use crate::{BUDGET, INITIAL, buffered, build, config, data_frames, server};

/// The first read, then whole halves of the window, however the reads are cut.
#[test]
fn updates_tell_the_first_read_and_then_halves_of_the_window() {
    for (window, read, announced) in [
        (65_536, 10_000, vec![10_000, 42_768, 75_536]),
        (65_536, 32_768, vec![32_768, 65_536, 98_304]),
        (65_536, 50_000, vec![50_000, 82_768, 148_304]),
        (16, 3, vec![3, 11, 19, 27]),
        (1, 7, vec![7, 14, 21, 28]),
        (1 << 20, 50_000, vec![50_000, 574_288]),
    ] {
        let (mut peer, id) = server(config(Version::V2).max_stream_buffer(window));
        let mut updates = Vec::new();
        let mut total = 0;
        while updates.len() < announced.len() {
            assert!(
                total < announced[updates.len()] + read,
                "no update after {total} bytes"
            );
            peer.send([psh(3, counting(read))]);
            assert_eq!(peer.read(id).len(), read);
            total += read;
            for frame in peer.take_frames() {
                let (consumed, granted) = frame.window_update().expect("only updates");
                assert_eq!(granted as usize, window);
                updates.push(consumed as usize);
            }
        }
        assert_eq!(updates, announced, "window {window}, reads of {read}");
    }
}

#[test]
fn several_reads_before_the_transport_is_free_share_an_update() {
    let (mut peer, id) = server(config(Version::V2));
    for _ in 0..10 {
        peer.send([psh(3, counting(10_000))]);
        peer.read(id);
    }
    peer.expect_only([upd(3, 100_000, 65_536)]);
}

#[test]
fn version_1_has_no_updates() {
    let (mut peer, id) = server(config(Version::V1));
    for _ in 0..100 {
        peer.send([psh(3, counting(60_000))]);
        peer.read(id);
    }
    peer.expect_nothing();
    assert_eq!(peer.session.stats().windows_granted, 0);
}

#[test]
fn after_the_peers_fin_and_after_close_no_update_is_sent() {
    let (mut peer, id) = server(config(Version::V2));
    peer.send([psh(3, counting(50_000)), fin(3)]);
    peer.read(id);
    peer.expect_nothing();
    peer.send([syn(5), psh(5, counting(50_000))]);
    let other = peer.accept();
    peer.close(other);
    peer.send([psh(5, counting(50_000))]);
    peer.expect_only([fin(5), fin(5)]);
}

/// Every peer may send the initial window at once. As long as that fits, nothing needs to be said.
#[test]
fn early_updates_are_sent_only_when_the_budget_asks_for_them() {
    let fitting = BUDGET / INITIAL;
    let mut peer = Script::server(build(config(Version::V2)));
    let ids = || (3u32..).step_by(2);
    for id in ids().take(fitting) {
        peer.send([syn(id)]);
        peer.expect_nothing();
    }
    assert_eq!(peer.session.stats().windows_granted, BUDGET);
    let next = ids().nth(fitting).expect("endless");
    peer.send([syn(next)]);
    let frames = peer.take_frames();
    let early = frames
        .iter()
        .find(|frame| frame.id == next)
        .and_then(Frame::window_update);
    let (consumed, window) = early.expect("an early update for the new stream");
    assert_eq!(consumed, 0);
    assert!((64..=65_536).contains(&window), "{window}");
    assert!(peer.session.stats().windows_granted <= BUDGET);
}

#[test]
fn windows_never_sum_to_more_than_the_budget() {
    let budget = 1_000_000;
    let config = config(Version::V2)
        .max_receive_buffer(budget)
        .window_floor(1_000);
    let mut peer = Script::server(build(config));
    let mut windows = BTreeMap::new();
    let mut note = |peer: &mut Script| {
        for frame in peer.take_frames() {
            match (frame.kind, frame.window_update()) {
                (Kind::Upd, Some((_, window))) => drop(windows.insert(frame.id, window as usize)),
                _ => drop(windows.remove(&frame.id)),
            }
        }
        assert!(
            windows.values().all(|&window| window >= 1_000),
            "{windows:?}"
        );
        assert!(peer.session.stats().windows_granted <= budget);
        windows.values().sum::<usize>()
    };
    for id in (3..2_003).step_by(2) {
        peer.send([syn(id)]);
        note(&mut peer);
    }
    assert_eq!(peer.session.streams(), 1_000);
    assert!(note(&mut peer) <= budget, "what peers were told");
    peer.send([syn(2_003)]);
    peer.expect_only([fin(2_003), fin(2_003)]);
}

#[test]
fn windows_grow_again_when_streams_end() {
    let config = config(Version::V2)
        .max_receive_buffer(500_000)
        .max_stream_buffer(100_000);
    let mut peer = Script::server(build(config));
    peer.send((3..203).step_by(2).map(syn));
    let ids: Vec<_> = (0..100).map(|_| peer.accept()).collect();
    peer.take_frames();
    let (first, others) = ids.split_first().expect("a hundred");
    for id in others {
        peer.close(*id);
    }
    peer.take_frames();
    let mut window = 0;
    for _ in 0..20 {
        peer.send([psh(3, counting(2_000))]);
        peer.read(*first);
        window = peer
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
    let mut peer = Script::server(build(config(Version::V2)));
    for id in (3..).step_by(2).take(BUDGET / INITIAL) {
        peer.send([syn(id)]);
        peer.send(data_frames(id, INITIAL));
    }
    assert!(peer.session.wants_input());
    peer.send([nop(), syn(999)]);
    assert_eq!(peer.session.stats().receive_stalls, 0);
}

/// A read renews a stream's window, but what it has left unread fills the budget all the same.
#[test]
fn what_is_left_unread_is_nobody_elses_window() {
    for read in [1, 1_000, 100_000] {
        let mut peer = Script::server(build(config(Version::V2)));
        // By stream: how far its peer has sent, and how far it may.
        let mut peers = BTreeMap::new();
        for id in (3..).step_by(2).take(BUDGET / INITIAL) {
            peer.send([syn(id)]);
            peer.send(data_frames(id, INITIAL));
            peers.insert(id, (INITIAL, INITIAL));
        }
        for _ in 0..peers.len() {
            let id = peer.accept();
            peer.read_exact(id, read);
        }
        for id in (997..1_997).step_by(2) {
            peer.send([syn(id)]);
            peers.insert(id, (0, INITIAL));
        }
        for frame in peer.take_frames() {
            let (consumed, window) = frame.window_update().expect("only updates");
            let (_, edge) = peers.get_mut(&frame.id).expect("a stream");
            *edge = consumed as usize + window as usize;
        }
        for (id, (sent, edge)) in peers {
            peer.send(data_frames(id, edge.saturating_sub(sent)));
        }
        assert!(buffered(&peer) <= BUDGET, "{} bytes", buffered(&peer));
        assert_eq!(peer.session.stats().receive_stalls, 0);
    }
}

/// The other side of its condition: more fresh streams than the budget has initial windows for.
#[test]
fn too_many_fresh_streams_at_once_can_stall_it_and_that_is_counted() {
    let mut peer = Script::server(build(config(Version::V2)));
    for id in (3..).step_by(2).take(BUDGET / INITIAL) {
        peer.send([syn(id)]);
        peer.send(data_frames(id, INITIAL));
    }
    peer.send([syn(997), psh(997, "x")]);
    assert!(!peer.session.wants_input());
    assert_eq!(peer.send_bytes(&syn(999).encode(Version::V2)), Ok(0));
    assert_eq!(peer.session.stats().receive_stalls, 1);
    let id = peer.accept();
    peer.read_exact(id, 1);
    peer.send([syn(999)]);
}

/// Two streams whose shares are more than the initial window. The first has all that one stream may
/// have and was sent it, and `read` of 100 bytes of the second were read, so that its window is to
/// be renewed while there is nothing to renew it from.
fn second_waits_for_first(read: u32) -> (Script, [StreamId; 2]) {
    let config = config(Version::V2)
        .max_receive_buffer((1 << 20) + INITIAL)
        .max_stream_buffer(1 << 20)
        .window_floor(600_000);
    let (mut peer, first) = server(config);
    peer.send([psh(3, "x")]);
    peer.read(first);
    peer.expect_only([upd(3, 1, 1 << 20)]);
    peer.send(data_frames(3, 1 << 20));
    peer.send([syn(5), psh(5, counting(100))]);
    let second = peer.accept();
    peer.read_exact(second, read as usize);
    peer.expect_only([upd(5, read, 0)]);
    (peer, [first, second])
}

#[test]
fn a_stream_left_without_a_window_gets_one_when_another_is_read() {
    let (mut peer, [first, _]) = second_waits_for_first(100);
    peer.read(first);
    peer.expect_only([upd(3, 983_041, 655_360), upd(5, 100, 655_360)]);
}

#[test]
fn what_a_stream_without_a_window_has_unread_is_not_lost_when_it_gets_one() {
    let (mut peer, [first, second]) = second_waits_for_first(50);
    peer.read(first);
    // All that is free: 50 bytes less than a share.
    peer.expect_only([upd(3, 983_041, 655_360), upd(5, 50, 655_360)]);
    assert_eq!(peer.session.stats().windows_granted, (1 << 20) + INITIAL);
    peer.close(first);
    peer.close(second);
    assert_eq!(peer.session.stats().windows_granted, 0);
}

/// What was read of the first is less than half of its window, and yet all that the second needs.
#[test]
fn what_a_stream_holds_above_its_share_is_free_as_soon_as_it_is_read() {
    let (mut peer, [first, _]) = second_waits_for_first(100);
    peer.read_exact(first, (1 << 20) - 655_360 - 1);
    peer.expect_nothing();
    peer.read_exact(first, 1);
    peer.expect_only([upd(3, 327_681, 655_360), upd(5, 100, 655_360)]);
}
