//! The receive budget: when input stops, and that it counts exactly the bytes that are held.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, nop, psh, syn},
    harness::Harness,
};
use smux_proto::{StreamId, Version};

use super::{buffered, config, server};

fn v1_with_budget(bytes: usize) -> (Harness, StreamId) {
    server(
        config(Version::V1)
            .max_receive_buffer(bytes)
            .max_stream_buffer(bytes),
    )
}

/// The numbers were measured with Go: a frame may begin while one byte of budget is left.
#[test]
fn a_frame_may_begin_while_one_byte_of_budget_is_left() {
    let (mut harness, id) = v1_with_budget(1_000);
    harness.peer_sends([psh(3, counting(999))]);
    assert!(harness.session.wants_input());
    harness.peer_sends([nop(), psh(3, counting(60_000))]);
    assert!(!harness.session.wants_input());
    assert_eq!(harness.peer_sends_bytes(&nop().encode(Version::V1)), Ok(0));
    assert_eq!(harness.read_exact(id, 59_999).len(), 59_999);
    assert!(!harness.session.wants_input(), "1000 of 1000 are used");
    assert_eq!(harness.peer_sends_bytes(&nop().encode(Version::V1)), Ok(0));
    harness.read_exact(id, 1);
    assert!(harness.session.wants_input());
    harness.peer_sends([nop()]);
}

#[test]
fn the_budget_is_exceeded_by_less_than_one_frame() {
    let (mut harness, _) = v1_with_budget(1);
    harness.peer_sends([psh(3, counting(65_535))]);
    assert_eq!(buffered(&harness), 65_535);
    assert!(!harness.session.wants_input());
}

#[test]
fn input_stops_before_a_frame_without_budget() {
    let (mut harness, id) = v1_with_budget(10);
    let frames = [psh(3, "0123456789"), psh(3, "abc"), syn(5)];
    let bytes = frames.map(|frame| frame.encode(Version::V1)).concat();
    assert_eq!(harness.peer_sends_bytes(&bytes), Ok(18));
    assert_eq!(harness.read(id), b"0123456789");
    assert_eq!(harness.peer_sends_bytes(&bytes[18..]), Ok(bytes.len() - 18));
    assert_eq!(harness.read(id), b"abc");
    assert_eq!(harness.accept().get(), 5);
}

#[test]
fn one_unread_stream_stops_the_others_in_version_1() {
    let (mut harness, id) = v1_with_budget(1_000);
    harness.peer_sends([syn(5)]);
    let other = harness.accept();
    harness.peer_sends([psh(3, counting(1_000))]);
    let waiting = psh(5, "waits").encode(Version::V1);
    assert_eq!(harness.peer_sends_bytes(&waiting), Ok(0));
    harness.write(other, b"output is not stopped");
    harness.expect_only([psh(5, "output is not stopped")]);
    harness.read_exact(id, 1);
    assert_eq!(harness.peer_sends_bytes(&waiting), Ok(waiting.len()));
    assert_eq!(harness.read(other), b"waits");
}

#[test]
fn pauses_are_counted_and_timed() {
    let (mut harness, id) = v1_with_budget(10);
    harness.peer_sends([psh(3, counting(10))]);
    assert_eq!(harness.peer_sends_bytes(&nop().encode(Version::V1)), Ok(0));
    harness.advance(Duration::from_secs(7));
    harness.read(id);
    harness.peer_sends([nop()]);
    assert_eq!(harness.session.stats().receive_stalls, 1);
    assert_eq!(
        harness.session.stats().receive_stall_time,
        Duration::from_secs(7)
    );
}

/// However received bytes are read or discarded, their budget is refunded.
#[test]
fn every_way_of_discarding_data_refunds_the_budget() {
    type Path = (&'static str, fn(&mut Harness, StreamId));
    let paths: [Path; 6] = [
        ("read", |harness, id| drop(harness.read(id))),
        ("read without copying", |harness, id| {
            while let Poll::Ready(Ok(bytes)) =
                harness.session.stream(id).expect("there").read_bytes(77)
            {
                assert!(!bytes.is_empty());
            }
        }),
        ("peek and consume", |harness, id| {
            let mut stream = harness.session.stream(id).expect("there");
            while let Poll::Ready(Ok(bytes)) = stream.peek() {
                let count = bytes.len().div_ceil(2);
                stream.consume(count);
            }
        }),
        ("close", |harness, id| harness.close(id)),
        ("finish, peer's FIN, close", |harness, id| {
            harness.finish(id);
            harness.peer_sends([fin(3)]);
            harness.close(id);
        }),
        ("close after the session ended", |harness, id| {
            harness.session.abort();
            harness.close(id);
        }),
    ];
    for version in [Version::V1, Version::V2] {
        for (name, path) in paths {
            let (mut harness, id) = server(config(version));
            harness.peer_sends([
                psh(3, counting(1_000)),
                psh(3, "x"),
                psh(3, counting(60_000)),
            ]);
            assert_eq!(buffered(&harness), 61_001);
            path(&mut harness, id);
            harness.pump();
            assert_eq!(buffered(&harness), 0, "{name}");
        }
    }
}

#[test]
fn discarded_data_costs_no_budget() {
    let (mut harness, id) = v1_with_budget(1_000);
    harness.close(id);
    harness.take_frames();
    for _ in 0..5 {
        harness.peer_sends([psh(3, counting(60_000)), psh(99, counting(60_000))]);
    }
    assert!(harness.session.wants_input());
    assert_eq!(buffered(&harness), 0);
    assert_eq!(harness.session.stats().receive_stalls, 0);
}

#[test]
fn closing_a_stream_in_mid_frame_refunds_its_budget() {
    let (mut harness, id) = v1_with_budget(1_000);
    let frame = psh(3, counting(600)).encode(Version::V1);
    let (start, rest) = frame.split_at(300);
    assert_eq!(harness.peer_sends_bytes(start), Ok(300));
    harness.close(id);
    assert_eq!(buffered(&harness), 0);
    assert_eq!(harness.peer_sends_bytes(rest), Ok(rest.len()));
    assert_eq!(buffered(&harness), 0);
    harness.peer_sends([nop()]);
}
