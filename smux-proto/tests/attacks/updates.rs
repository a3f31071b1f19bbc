//! Attacks 25 to 31: window updates.

use std::task::Poll;

use bytes::Bytes;
use smux_conformance::frame::{counting, fin, psh, syn, upd};
use smux_proto::{ConfigBuilder, Event, ProtocolError, StreamError, StreamId, Version};

use crate::{
    INITIAL_WINDOW, accept, assert_serves, config, measure, server_with_stream, stats, wire,
};
use smux_conformance::harness::Harness;

fn v2() -> ConfigBuilder {
    config(Version::V2)
}

/// A server on whose stream 3 these bytes are in flight, beside stream 5.
fn sent(bytes: usize) -> (Harness, StreamId, StreamId) {
    let (mut harness, id) = server_with_stream(v2().max_stream_send_queue(1 << 20));
    let other = accept(&mut harness, 5);
    if bytes > 0 {
        harness.write(id, &counting(bytes));
    }
    harness.discard_output();
    (harness, id, other)
}

#[test]
fn attack_25_more_is_acknowledged_than_was_sent() {
    let too_much = Poll::Ready(Err(StreamError::AcknowledgedTooMuch));
    for excess in [1, 1_000, 0x7fff_ffff - 1_000] {
        let (mut harness, id, other) = sent(1_000);
        harness.peer_sends([upd(3, 1_000 + excess, 5_000)]);
        assert_eq!(harness.try_write(id, b"x"), too_much);
        assert_serves(&mut harness, other);
        harness.peer_sends([upd(3, 1_000, 10)]);
        assert_eq!(
            harness.try_write(id, &counting(100)),
            Poll::Ready(Ok(10)),
            "mended"
        );
    }
}

/// Queued data has not left, so the peer cannot have read it.
#[test]
fn attack_25_queued_data_is_acknowledged_before_it_is_sent() {
    let (mut harness, id, _) = sent(0);
    harness.write(id, b"123");
    harness.peer_sends([upd(3, 3, 5_000)]);
    assert_eq!(
        harness.try_write(id, b"4"),
        Poll::Ready(Err(StreamError::AcknowledgedTooMuch))
    );
}

#[test]
fn attack_26_the_window_is_absurd() {
    for window in [0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff] {
        let (mut harness, id, other) = sent(1_000);
        harness.peer_sends([upd(3, 500, window)]);
        let credit = harness
            .session
            .stream(id)
            .expect("open")
            .stats()
            .send_window;
        assert_eq!(credit, 0x7fff_ffff - 500);
        assert_eq!(
            harness.try_write(id, &counting(2 << 20)),
            Poll::Ready(Ok(1 << 20)),
            "as the queue has room"
        );
        assert_serves(&mut harness, other);
    }
}

#[test]
fn attack_27_acknowledgements_go_backwards() {
    let (mut harness, id, other) = sent(1_000);
    harness.peer_sends([upd(3, 600, 500)]);
    for consumed in [599, 0, 0xffff_ffff, 0x8000_0258] {
        harness.peer_sends([upd(3, consumed, 1 << 20)]);
    }
    assert_eq!(stats(&harness).ignored.stale_upd, 4);
    assert_eq!(
        harness.try_write(id, &counting(1_000)),
        Poll::Ready(Ok(100))
    );
    assert_serves(&mut harness, other);
    let mut session = sent(0).0.session;
    let flood = upd(3, 0xffff_fff0, 1).encode(Version::V2);
    let error = (0..70_000).find_map(|_| {
        session
            .handle_input(std::time::Duration::ZERO, &flood)
            .err()
    });
    assert_eq!(error, Some(ProtocolError::TooManyGlitches));
}

/// Each small update allows one small frame, as in Go.
#[test]
fn attack_28_the_window_stays_at_0_or_1() {
    let (mut harness, id, other) = sent(0);
    harness.peer_sends([upd(3, 0, 0)]);
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    assert_eq!(stats(&harness).window_stalls, 1);
    assert_serves(&mut harness, other);
    let memory = measure(|| {
        for consumed in 0..1_000 {
            harness.peer_sends([upd(3, consumed, 1)]);
            assert_eq!(harness.try_write(id, &[7; 4_096]), Poll::Ready(Ok(1)));
            assert_eq!(harness.try_write(id, &[7; 4_096]), Poll::Pending);
            harness.discard_output();
        }
    });
    assert!(memory.bytes_max <= 4_096, "nothing piles up: {memory:?}");
    assert_eq!(stats(&harness).frames_sent.psh, 1_001);
    assert_serves(&mut harness, other);
    // A waiting task can give up: the stream ends at once and leaves the table.
    harness.close(id);
    harness.expect_only([fin(3), fin(3)]);
}

#[test]
fn attack_29_endless_updates() {
    let (mut harness, id, other) = sent(10);
    harness.peer_sends([upd(3, 0, 10)]);
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    harness.events();
    let update = upd(3, 0, 10).encode(Version::V2);
    let memory = measure(|| {
        (0..100_000).for_each(|_| assert_eq!(harness.peer_sends_bytes(&update), Ok(16)))
    });
    assert_eq!(memory.count_total, 0);
    assert_eq!(harness.events(), [], "the window did not grow");
    harness.expect_nothing();
    harness.peer_sends((11..1_011).map(|window| upd(3, 0, window)));
    assert_eq!(harness.events(), [Event::Writable(id)], "one wake-up");
    assert_serves(&mut harness, other);
}

#[test]
fn attack_30_updates_for_missing_streams() {
    let (mut harness, id, other) = sent(10);
    harness.close(id);
    harness.discard_output();
    let updates = wire(
        Version::V2,
        [0, 1, 2, 3, 77, u32::MAX].map(|id| upd(id, u32::MAX, u32::MAX)),
    );
    let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&updates), Ok(updates.len())));
    assert_eq!(memory.count_total, 0);
    assert_eq!(stats(&harness).ignored.unknown_stream, 6);
    assert_eq!(harness.session.stream_count(), 1);
    harness.expect_nothing();
    assert_serves(&mut harness, other);
    harness.peer_sends([syn(3)]);
    let again = harness.accept();
    assert_eq!(
        harness
            .session
            .stream(again)
            .expect("new")
            .stats()
            .send_window,
        INITIAL_WINDOW
    );
}

/// Counters on the wire wrap at 2^32, here in both directions at once.
#[test]
fn attack_31_more_than_four_gigabytes_on_a_stream() {
    const PIECE: usize = WINDOW as usize;
    const WINDOW: u32 = 65_536;
    let (mut harness, id) =
        server_with_stream(v2().max_stream_buffer(PIECE).max_frame_size(32_768));
    let data = Bytes::from(vec![7; PIECE]);
    let halves = [psh(3, &data[..PIECE / 2]), psh(3, &data[PIECE / 2..])];
    let halves = halves.map(|frame| frame.encode(Version::V2)).concat();
    let pieces = (1 << 32) / PIECE + 3;
    for piece in 1..=pieces {
        let acknowledged = u32::try_from((piece * PIECE) % (1 << 32)).expect("modulo 2^32");
        assert_eq!(harness.peer_sends_bytes(&halves), Ok(halves.len()));
        let mut stream = harness.session.stream(id).expect("open");
        assert_eq!(
            stream.write_bytes(&mut data.clone()),
            Poll::Ready(Ok(PIECE))
        );
        while let Poll::Ready(Ok(shown)) = stream.peek() {
            let count = shown.len();
            stream.consume(count);
        }
        if piece + 3 > pieces {
            assert_eq!(
                harness.take_frames().first(),
                Some(&upd(3, acknowledged, WINDOW))
            );
        }
        harness.discard_output();
        harness.peer_sends([upd(3, acknowledged, WINDOW)]);
    }
    let stream = harness.session.stream(id).expect("open").stats();
    assert_eq!(
        (stream.bytes_sent, stream.bytes_read),
        ((pieces * PIECE) as u64, (pieces * PIECE) as u64)
    );
    assert_eq!(
        (
            stats(&harness).ignored.stale_upd,
            stats(&harness).window_overruns
        ),
        (0, 0)
    );
}
