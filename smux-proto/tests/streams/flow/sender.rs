//! How much may be written: the peer's window, and the send queues.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{Event, StreamError, Version};

use super::{INITIAL, build, config, server};

#[test]
fn before_the_first_update_a_sender_has_the_initial_window() {
    let mut harness = Harness::client(build(config(Version::V2).max_stream_send_queue(1 << 20)));
    let id = harness.open();
    assert_eq!(
        harness.try_write(id, &counting(300_000)),
        Poll::Ready(Ok(INITIAL))
    );
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    assert_eq!(harness.session.stats().window_stalls, 1);
    let sent: usize = harness
        .take_frames()
        .iter()
        .map(|frame| frame.payload.len())
        .sum();
    assert_eq!(sent, INITIAL);
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
}

#[test]
fn the_initial_window_can_be_lowered() {
    let mut harness = Harness::client(build(config(Version::V2).initial_send_window(10)));
    let id = harness.open();
    assert_eq!(harness.try_write(id, &counting(11)), Poll::Ready(Ok(10)));
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    harness.expect_only([syn(3), psh(3, counting(10))]);
    harness.peer_sends([upd(3, 10, 20)]);
    assert_eq!(harness.try_write(id, &counting(30)), Poll::Ready(Ok(20)));
}

#[test]
fn version_1_has_no_window() {
    let mut harness = Harness::client(build(config(Version::V1)));
    let id = harness.open();
    for _ in 0..100 {
        harness.write(id, &counting(100_000));
        harness.take_frames();
    }
    assert_eq!(harness.session.stats().window_stalls, 0);
}

#[test]
fn a_full_send_queue_blocks_writers_until_the_transport_takes_bytes() {
    let config = config(Version::V1)
        .max_stream_send_queue(100)
        .max_session_send_queue(150);
    let mut harness = Harness::client(build(config));
    let (one, two) = (harness.open(), harness.open());
    assert_eq!(harness.try_write(one, &counting(500)), Poll::Ready(Ok(100)));
    assert_eq!(harness.try_write(one, b"x"), Poll::Pending);
    assert_eq!(harness.try_write(two, &counting(500)), Poll::Ready(Ok(50)));
    assert_eq!(harness.try_write(two, b"x"), Poll::Pending);
    assert_eq!(harness.session.stats().stream_queue_stalls, 1);
    assert_eq!(harness.session.stats().send_queued, 150);
    harness.events();
    harness.take_frames();
    let mut events = harness.events();
    events.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(events, [Event::Writable(one), Event::Writable(two)]);
    assert_eq!(harness.try_write(two, &counting(500)), Poll::Ready(Ok(100)));
}

/// For each update: how much a writer with 1000 bytes in flight may write after it.
#[test]
fn an_update_sets_how_much_may_be_written() {
    let in_flight = 1_000;
    let pending = Poll::Pending;
    let ahead = Poll::Ready(Err(StreamError::AcknowledgedTooMuch));
    let some = |count| Poll::Ready(Ok(count));
    let cases = [
        ("nothing new", upd(3, 0, 262_144), some(INITIAL - in_flight)),
        ("all was read", upd(3, 1_000, 500), some(500)),
        ("part was read", upd(3, 600, 500), some(100)),
        (
            "the window shrank below what is in flight",
            upd(3, 0, 999),
            pending.clone(),
        ),
        (
            "the window is what is in flight",
            upd(3, 0, 1_000),
            pending.clone(),
        ),
        ("one byte more", upd(3, 0, 1_001), some(1)),
        ("no window", upd(3, 1_000, 0), pending),
        (
            "more read than sent, by one",
            upd(3, 1_001, 5_000),
            ahead.clone(),
        ),
        (
            "more read than sent, by far",
            upd(3, 0x7fff_ffff, 5_000),
            ahead,
        ),
        (
            "less than nothing was read",
            upd(3, 0xffff_ffff, 5_000),
            some(INITIAL - in_flight),
        ),
        (
            "the largest window",
            upd(3, 1_000, 0x7fff_ffff),
            some(1 << 20),
        ),
        (
            "a window that is negative to the reference",
            upd(3, 1_000, 0x8000_0000),
            some(1 << 20),
        ),
        (
            "the largest number there is",
            upd(3, 1_000, 0xffff_ffff),
            some(1 << 20),
        ),
    ];
    for (name, update, expected) in cases {
        let config = config(Version::V2).max_stream_send_queue(1 << 20);
        let (mut harness, id) = server(config);
        harness.write(id, &counting(in_flight));
        harness.take_frames();
        harness.peer_sends([update]);
        assert_eq!(
            harness.try_write(id, &counting(1 << 20)),
            expected,
            "{name}"
        );
    }
}

/// A peer that counts as Go does would see a credit of 2^31 or more as negative.
#[test]
fn a_window_beyond_31_bits_counts_as_the_largest() {
    for window in [0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let (mut harness, id) = server(config(Version::V2));
        harness.peer_sends([upd(3, 0, window)]);
        let stream = harness.session.stream(id).expect("there");
        assert_eq!(stream.stats().send_window, 0x7fff_ffff, "{window:#x}");
    }
}

#[test]
fn an_excessive_acknowledgement_is_corrected_by_the_next_update() {
    let (mut harness, id) = server(config(Version::V2));
    harness.write(id, b"123");
    harness.peer_sends([upd(3, 3, 100)]);
    assert_eq!(
        harness.try_write(id, b"4"),
        Poll::Ready(Err(StreamError::AcknowledgedTooMuch)),
        "what has not left cannot have been read"
    );
    harness.expect_only([psh(3, "123")]);
    harness.peer_sends([upd(3, 3, 100)]);
    harness.write(id, b"4");
    harness.expect_only([psh(3, "4")]);
}

#[test]
fn an_old_update_changes_nothing_and_is_counted() {
    let (mut harness, id) = server(config(Version::V2));
    harness.write(id, &counting(100));
    harness.take_frames();
    harness.peer_sends([upd(3, 50, 60), upd(3, 40, 1_000_000)]);
    assert_eq!(harness.session.stats().ignored.stale_upd, 1);
    assert_eq!(harness.try_write(id, &counting(100)), Poll::Ready(Ok(10)));
}

#[test]
fn an_update_wakes_a_writer_only_if_there_is_more_to_write() {
    let (mut harness, id) = server(config(Version::V2));
    harness.peer_sends([upd(3, 0, 10)]);
    harness.write(id, &counting(10));
    harness.take_frames();
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    harness.events();
    harness.peer_sends((0..10_000).map(|_| upd(3, 0, 10)));
    assert_eq!(harness.events(), []);
    harness.peer_sends([upd(3, 0, 11), upd(3, 0, 12)]);
    assert_eq!(harness.events(), [Event::Writable(id)]);
    assert_eq!(harness.try_write(id, b"xyz"), Poll::Ready(Ok(2)));
}

#[test]
fn an_update_for_a_missing_stream_is_ignored_and_counted() {
    let (mut harness, id) = server(config(Version::V2));
    harness.peer_sends([upd(77, 0, 1), upd(77, u32::MAX, u32::MAX)]);
    assert_eq!(harness.session.stats().ignored.unknown_stream, 2);
    harness.write(id, b"fine");
    harness.expect_only([psh(3, "fine")]);
}

#[test]
fn a_window_of_one_byte_carries_all_data() {
    let (mut harness, id) = server(config(Version::V2));
    let mut received = Vec::new();
    for (consumed, byte) in (0..).zip(b"slowly but surely") {
        harness.peer_sends([upd(3, consumed, 1)]);
        harness.write(id, &[*byte]);
        assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
        received.extend(
            harness
                .take_frames()
                .into_iter()
                .flat_map(|frame| frame.payload),
        );
    }
    assert_eq!(received, b"slowly but surely");
}
