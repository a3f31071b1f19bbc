//! Attacks 16 to 24: data, windows, the receive budget.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, fin, nop, psh, syn},
    harness::Harness,
};
use smux_proto::{Event, ProtocolError, StreamError, StreamId, Version};

use crate::{
    BOTH, INITIAL_WINDOW, MAX_FRAME, accept, assert_serves, config, measure, server,
    server_with_stream, stats, wire,
};

/// An overrun is charged and counted, since honest peers overrun too. A stream is evicted only if
/// it overran, and only once the budget is used up.
#[test]
fn attack_16_the_peer_ignores_its_window() {
    let budget = 1 << 20;
    let (mut harness, greedy) = server_with_stream(config(Version::V2).max_receive_buffer(budget));
    let honest = accept(&mut harness, 5);
    harness.peer_sends([psh(5, counting(10_000))]);
    let frame = psh(3, counting(32_768));
    while stats(&harness).streams_evicted == 0 {
        assert!(stats(&harness).receive_buffered <= budget + MAX_FRAME);
        harness.peer_sends([frame.clone()]);
    }
    assert!(stats(&harness).window_overruns > 0);
    assert_eq!(
        harness.read_end(greedy),
        Poll::Ready(Err(StreamError::Evicted))
    );
    assert_eq!(
        harness.try_write(greedy, b"x"),
        Poll::Ready(Err(StreamError::Evicted))
    );
    assert_eq!(harness.read(honest), counting(10_000));
    assert_eq!(stats(&harness).receive_buffered, 0);
    let ends: Vec<_> = harness
        .take_frames()
        .into_iter()
        .filter(|frame| frame.id == 3)
        .collect();
    assert_eq!(ends, [fin(3), fin(3)]);
    assert_serves(&mut harness, honest);
}

/// Sending 262144 bytes on each of too many streams breaks no rule: reading pauses.
#[test]
fn attack_16_many_streams_fill_the_budget_within_their_windows() {
    let mut harness = server(config(Version::V2).max_receive_buffer(1 << 20));
    for id in [3, 5, 7, 9] {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(
            counting(INITIAL_WINDOW)
                .chunks(32_768)
                .map(|data| psh(id, data)),
        );
    }
    assert!(
        harness.session.wants_input(),
        "used up exactly, as its windows allow"
    );
    harness.peer_sends([syn(11), psh(11, "more")]);
    assert!(!harness.session.wants_input());
    assert_eq!(
        (
            stats(&harness).window_overruns,
            stats(&harness).streams_evicted
        ),
        (0, 0)
    );
    assert_eq!(stats(&harness).receive_stalls, 1);
    let first = harness.accept();
    harness.read(first);
    assert_serves(&mut harness, first);
}

#[test]
fn attack_17_an_unread_stream_is_flooded_in_version_1() {
    let limits = config(Version::V1)
        .max_receive_buffer(100_000)
        .max_stream_buffer(100_000);
    let (mut harness, unread) = server_with_stream(limits);
    let other = accept(&mut harness, 5);
    let frame = psh(3, counting(MAX_FRAME)).encode(Version::V1);
    let taken: usize = (0..1_000)
        .map(|_| harness.peer_sends_bytes(&frame).expect("no error"))
        .sum();
    assert_eq!(taken, 2 * frame.len());
    assert!(stats(&harness).receive_buffered < 100_000 + MAX_FRAME);
    harness.write(other, b"output goes on");
    harness.expect_only([psh(5, "output goes on")]);
    // Input goes on with the first byte below the budget, also a FIN behind it.
    harness.read_exact(unread, 2 * MAX_FRAME - 100_000 + 1);
    harness.peer_sends([fin(5)]);
    assert_eq!(harness.read_end(other), Poll::Ready(Ok(0)));
}

#[test]
fn attack_18_data_arrives_in_frames_of_one_byte() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version));
        let bytes = wire(
            version,
            counting(100_000).chunks(1).map(|byte| psh(3, byte)),
        );
        let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&bytes), Ok(bytes.len())));
        assert_eq!(stats(&harness).receive_buffered, 100_000);
        assert!(memory.bytes_current <= 2 * 100_000 + 1_024, "{memory:?}");
        assert_eq!(harness.read(id), counting(100_000));
        assert_serves(&mut harness, id);
    }
}

/// The same over many streams, one byte in each.
#[test]
fn attack_18_one_byte_in_each_of_many_streams() {
    let (mut harness, first) = server_with_stream(config(Version::V1).accept_backlog(10_000));
    harness.peer_sends((5..20_003).step_by(2).map(syn));
    let bytes = wire(Version::V1, (5..20_003).step_by(2).map(|id| psh(id, "x")));
    let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&bytes), Ok(bytes.len())));
    let each = memory.bytes_current / 9_999;
    assert!(each <= 64 + 96, "a segment of 64 bytes and a node: {each}");
    assert_serves(&mut harness, first);
}

#[test]
fn attack_19_data_frames_without_data() {
    for version in BOTH {
        let limits = config(version).max_glitches(1_000);
        let (mut harness, id) = server_with_stream(limits);
        assert_eq!(harness.read_end(id), Poll::Pending);
        let empty = psh(3, "").encode(version);
        let memory = measure(|| {
            (0..1_000).for_each(|_| assert_eq!(harness.peer_sends_bytes(&empty), Ok(8)))
        });
        assert_eq!(memory.count_total, 0);
        assert_eq!(harness.events(), []);
        assert_eq!(harness.read_end(id), Poll::Pending, "no end of the stream");
        assert_eq!(stats(&harness).ignored.empty_psh, 1_000);
        assert_eq!(
            harness.peer_sends_bytes(&empty),
            Err(ProtocolError::TooManyGlitches)
        );
    }
}

#[test]
fn attack_20_data_for_missing_streams() {
    for version in BOTH {
        let (mut harness, gone) = server_with_stream(config(version).max_receive_buffer(100_000));
        let id = accept(&mut harness, 5);
        harness.close(gone);
        harness.discard_output();
        let frames = [
            psh(3, counting(MAX_FRAME)),
            psh(0, "x"),
            psh(u32::MAX, counting(1_000)),
            fin(7),
        ];
        let bytes = wire(version, frames);
        let memory = measure(|| {
            (0..100).for_each(|_| assert_eq!(harness.peer_sends_bytes(&bytes), Ok(bytes.len())))
        });
        assert_eq!(memory.count_total, 0, "{memory:?}");
        harness.expect_nothing();
        assert_eq!(
            (
                harness.session.stream_count(),
                stats(&harness).receive_buffered
            ),
            (1, 0)
        );
        assert_eq!(stats(&harness).ignored.unknown_stream, 400);
        assert_serves(&mut harness, id);
    }
}

#[test]
fn attack_21_data_behind_the_fin() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version).max_glitches(10));
        let other = accept(&mut harness, 5);
        harness.peer_sends([psh(3, "before"), fin(3)]);
        let late = psh(3, counting(1_000)).encode(version).repeat(100);
        let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&late), Ok(late.len())));
        assert_eq!(memory.count_total, 0, "{memory:?}");
        assert_eq!(
            (
                stats(&harness).ignored.after_fin,
                stats(&harness).receive_buffered
            ),
            (100, 6)
        );
        assert_eq!(harness.read(id), b"before");
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
        assert_serves(&mut harness, other);
    }
}

#[test]
fn attack_22_the_peer_ends_its_data_while_we_write() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version));
        harness.write(id, b"one ");
        harness.peer_sends([fin(3)]);
        harness.write(id, b"two ");
        harness.expect_only([psh(3, "one two ")]);
        harness.write(id, b"three");
        harness.expect_only([psh(3, "three")]);
        harness.close(id);
        harness.expect_only([fin(3)]);
    }
}

/// A way in which received bytes are discarded.
type Discard = (&'static str, fn(&mut Harness, StreamId));

const DISCARDS: [Discard; 11] = [
    ("closed", |harness, id| harness.close(id)),
    ("finished by both, closed", |harness, id| {
        harness.finish(id);
        harness.peer_sends([fin(3), fin(3)]);
        harness.close(id);
    }),
    ("closed in the middle of a frame", |harness, id| {
        let frame = psh(3, counting(500)).encode(Version::V2);
        assert_eq!(harness.peer_sends_bytes(&frame[..200]), Ok(200));
        harness.close(id);
        assert_eq!(harness.peer_sends_bytes(&frame[200..]), Ok(308));
    }),
    ("reading stopped", |harness, id| {
        harness.stop_reading(id);
        harness.peer_sends([psh(3, counting(5_000)), fin(3), psh(3, "x")]);
    }),
    ("reading stopped in the middle of a frame", |harness, id| {
        let frame = psh(3, counting(500)).encode(Version::V2);
        assert_eq!(harness.peer_sends_bytes(&frame[..200]), Ok(200));
        harness.stop_reading(id);
        assert_eq!(harness.peer_sends_bytes(&frame[200..]), Ok(308));
    }),
    ("evicted for an overrun", |harness, id| {
        while stats(harness).streams_evicted == 0 {
            harness.peer_sends([psh(3, counting(MAX_FRAME))]);
        }
        harness.close(id);
    }),
    ("accepting has stopped", |harness, id| {
        harness.peer_sends([syn(5), psh(5, counting(5_000))]);
        harness.session.stop_accepting();
        harness.close(id);
    }),
    ("refused", |harness, id| {
        harness.session.stop_accepting();
        harness.peer_sends([syn(5), psh(5, counting(5_000))]);
        harness.close(id);
    }),
    ("session closed", |harness, id| {
        harness.close_session();
        harness.peer_sends([psh(3, counting(5_000)), syn(5), psh(5, "x")]);
        harness.close(id);
    }),
    ("protocol error", |harness, id| {
        assert!(harness.peer_sends_bytes(&[77; 8]).is_err());
        harness.close(id);
    }),
    ("transport ended in a frame", |harness, id| {
        let frame = psh(3, counting(500)).encode(Version::V2);
        assert_eq!(harness.peer_sends_bytes(&frame[..200]), Ok(200));
        harness.peer_ends();
        harness.close(id);
    }),
];

#[test]
fn attack_23_discarded_bytes_are_refunded() {
    for (name, discard) in DISCARDS {
        let (mut harness, id) = server_with_stream(config(Version::V2).max_receive_buffer(1 << 20));
        harness.peer_sends([psh(3, counting(10_000)), psh(3, "x")]);
        harness.read_exact(id, 5_000);
        assert_eq!(stats(&harness).receive_buffered, 5_001);
        discard(&mut harness, id);
        harness.events();
        harness.discard_output();
        let stats = stats(&harness);
        assert_eq!(
            (stats.receive_buffered, stats.windows_granted),
            (0, 0),
            "{name}"
        );
        assert_eq!(stats.send_queued, 0, "{name}");
        assert!(stats.payload_discarded >= 5_001, "{name}");
    }
}

#[test]
fn attack_24_the_largest_frame_arrives_with_one_byte_of_budget_left() {
    for version in BOTH {
        let limits = config(version)
            .max_receive_buffer(1_000)
            .max_stream_buffer(1_000);
        let (mut harness, id) = server_with_stream(limits);
        harness.peer_sends([psh(3, counting(999)), psh(3, counting(MAX_FRAME))]);
        assert_eq!(stats(&harness).receive_buffered, 999 + MAX_FRAME);
        assert!(!harness.session.wants_input());
        assert_eq!(harness.peer_sends_bytes(&nop().encode(version)), Ok(0));
        assert_eq!(harness.read(id).len(), 999 + MAX_FRAME);
        assert_eq!(stats(&harness).receive_buffered, 0);
        assert!(!harness.events().contains(&Event::Closed));
        assert_serves(&mut harness, id);
    }
}
