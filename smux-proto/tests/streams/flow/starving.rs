//! No stream starves while budget is free, and none keeps others from being opened.

use std::time::Duration;

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{Config, StreamId, Version};

use super::{INITIAL, build, config, data_frames};

fn window(harness: &mut Harness, id: StreamId) -> usize {
    let stream = harness.session.stream(id).expect("open");
    stream.stats().receive_window
}

/// Two streams that hold the whole budget; one byte of each is read.
fn full() -> (Harness, [StreamId; 2]) {
    let config = config(Version::V2)
        .max_receive_buffer(131_072)
        .max_stream_buffer(65_536);
    let mut harness = Harness::server(build(config));
    let ids = [3, 5].map(|id| {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data_frames(id, 65_536));
        harness.accept()
    });
    for id in ids {
        harness.read_exact(id, 1);
    }
    (harness, ids)
}

#[test]
fn freed_budget_goes_to_a_waiting_stream() {
    let (mut harness, ids) = full();
    harness.peer_sends([syn(7)]);
    let waits = harness.accept();
    harness.take_frames();
    for id in ids {
        harness.read_exact(id, 32_000);
    }
    harness.take_frames();
    let stats = harness.session.stats();
    assert!(window(&mut harness, waits) > 0, "{stats:?}");
}

#[test]
fn freed_budget_goes_to_a_later_stream() {
    let (mut harness, ids) = full();
    harness.peer_sends([syn(7), fin(7), fin(7)]);
    let gone = harness.accept();
    harness.close(gone);
    harness.take_frames();
    for id in ids {
        harness.read_exact(id, 32_000);
    }
    harness.peer_sends([syn(9)]);
    let new = harness.accept();
    harness.take_frames();
    let stats = harness.session.stats();
    assert!(window(&mut harness, new) > 0, "{stats:?}");
}

#[test]
fn an_upload_goes_on_while_half_of_the_budget_is_free() {
    let mut harness = Harness::server(Config::v2());
    let ids: Vec<_> = (0..128)
        .map(|n| {
            harness.peer_sends([syn(3 + 2 * n)]);
            let id = harness.accept();
            harness.peer_sends(data_frames(id.get(), INITIAL));
            id
        })
        .collect();
    harness.peer_sends([syn(1_001)]);
    let upload = harness.accept();
    for id in &ids {
        harness.read_exact(*id, INITIAL / 2);
    }
    let mut sent = 0;
    for _ in 0..8 {
        harness.take_frames();
        let room = window(&mut harness, upload).min(32_768);
        assert!(room > 0, "{:?}", harness.session.stats());
        harness.peer_sends([psh(1_001, counting(room))]);
        sent += harness.read(upload).len();
    }
    assert!(sent >= 100_000, "{sent}");
    assert_eq!(harness.session.stats().starved_streams, 0);
}

/// More streams with windows in use than one call checks: the session asks to be called again until
/// it finds a window, and then no more.
#[test]
fn windows_in_use_are_reclaimed_for_a_starved_stream() {
    const STREAMS: u32 = 3_000;
    let config = config(Version::V2)
        .max_receive_buffer(STREAMS as usize * 2_000)
        .max_stream_buffer(STREAMS as usize * 1_000)
        .window_floor(500);
    let mut harness = Harness::server(build(config));
    harness.peer_sends((0..STREAMS).map(|n| syn(3 + 2 * n)));
    harness.discard_output();
    for n in 0..STREAMS {
        let id = harness.accept();
        harness.peer_sends([psh(3 + 2 * n, counting(100))]);
        harness.read(id);
    }
    // Unread data leaves no more budget than the windows take.
    let reader = StreamId::new(3);
    let room = window(&mut harness, reader);
    harness.peer_sends([psh(3, counting(room - 100))]);
    for n in 0..2_000 {
        let id = 10_001 + 2 * n;
        harness.peer_sends([syn(id)]);
        let new = harness.accept();
        harness.advance(Duration::from_millis(1));
        harness.discard_output();
        assert!(
            window(&mut harness, new) > 0,
            "stream {n}: {:?}",
            harness.session.stats()
        );
    }
    assert!(harness.session.stats().starvations > 0);
    assert_eq!(harness.session.poll_timeout(), None);
}

/// The next reclaimable window may be far down the queue: the session asks to be called again.
#[test]
fn the_search_for_windows_resumes_by_itself() {
    const BUDGET: usize = 16 << 20;
    let config = config(Version::V2)
        .max_receive_buffer(BUDGET)
        .max_stream_buffer(BUDGET / 2)
        .accept_backlog(10_000);
    let mut harness = Harness::server(build(config));
    harness.peer_sends((0..10_000).map(|n| syn(3 + 2 * n)));
    let ids: Vec<_> = (0..10_000).map(|_| harness.accept()).collect();
    // Four streams grow until only the reserve for newcomers is left.
    for _ in 0..20 {
        for id in &ids[..4] {
            let window = window(&mut harness, *id);
            harness.peer_sends(data_frames(id.get(), window));
            harness.read(*id);
            harness.discard_output();
        }
        harness.advance(Duration::from_millis(50));
    }
    // Another stream's peer overruns its window: now no reserve is left.
    let stats = harness.session.stats();
    let free = BUDGET - stats.windows_granted - stats.windows_exceeded;
    assert!(free < BUDGET / 2, "{stats:?}");
    let more = window(&mut harness, ids[9]) + free;
    harness.peer_sends(data_frames(ids[9].get(), more));
    harness.peer_sends([syn(30_001)]);
    harness.discard_output();
    let mut calls = 0;
    while harness.session.stats().starved_streams > 0 {
        let due = harness.session.poll_timeout();
        assert_eq!(due, Some(harness.now()), "after {calls} calls");
        harness.session.handle_timeout(harness.now());
        harness.discard_output();
        calls += 1;
    }
    assert!((1..25).contains(&calls), "{calls} calls");
    assert_eq!(harness.session.poll_timeout(), None);
}

#[test]
fn the_peers_streams_do_not_take_the_room_of_ours() {
    let config = config(Version::V2)
        .max_receive_buffer(64_000)
        .max_stream_buffer(64_000)
        .window_floor(64);
    let mut harness = Harness::server(build(config));
    harness.peer_sends((0..1_000).map(|n| syn(3 + 2 * n)));
    assert_eq!(harness.session.stream_count(), 1_000);
    let ours = harness.open();
    harness.discard_output();
    assert!(window(&mut harness, ours) > 0);
    harness.write(ours, b"request");
    harness.peer_sends([psh(ours.get(), "a")]);
    assert_eq!(harness.read(ours), b"a");
    // The reverse holds too.
    for _ in 1..1_000 {
        harness.open();
    }
    harness.peer_sends([fin(3), fin(3)]);
    let first = harness.accept();
    harness.close(first);
    harness.discard_output();
    harness.peer_sends([syn(5_001)]);
    assert_eq!(harness.session.stream_count(), 2_000);
}

/// Ended streams return their whole windows, in any order.
#[test]
fn nothing_stays_granted_once_all_streams_are_gone() {
    let (mut harness, ids) = full();
    harness.read_exact(ids[0], 100);
    harness.peer_sends([syn(7), psh(7, "before it hears"), fin(7)]);
    let third = harness.accept();
    harness.close(third);
    for id in ids {
        harness.close(id);
    }
    harness.discard_output();
    let stats = harness.session.stats();
    assert_eq!(
        (
            stats.windows_granted,
            stats.windows_exceeded,
            stats.starved_streams
        ),
        (0, 0, 0)
    );
}

/// A budget of fewer bytes than there are streams would leave one without a window for ever.
#[test]
fn each_stream_of_either_side_has_a_byte_of_the_budget() {
    let config = config(Version::V2)
        .max_receive_buffer(2)
        .max_stream_buffer(1)
        .window_floor(1);
    let mut harness = Harness::server(build(config));
    harness.peer_sends([syn(3), syn(5), syn(7)]);
    assert_eq!(harness.session.stats().streams_refused, 1);
    assert!(harness.session.open().is_pending());
    harness.peer_sends([fin(3), fin(3)]);
    let first = harness.accept();
    harness.close(first);
    harness.take_frames();
    assert!(harness.session.open().is_ready());
}
