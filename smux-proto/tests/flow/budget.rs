//! The receive budget: when input stops, and that what it counts is what is held.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, nop, psh, syn},
    script::Script,
};
use smux_proto::{StreamId, Version};

use crate::{buffered, config, server};

fn v1_with_budget(bytes: usize) -> (Script, StreamId) {
    server(
        config(Version::V1)
            .max_receive_buffer(bytes)
            .max_stream_buffer(bytes),
    )
}

/// The numbers were measured with the reference: a frame may begin while one token is left.
#[test]
fn a_frame_may_begin_while_one_token_is_left() {
    let (mut peer, id) = v1_with_budget(1_000);
    peer.send([psh(3, counting(999))]);
    assert!(peer.session.wants_input());
    peer.send([nop(), psh(3, counting(60_000))]);
    assert!(!peer.session.wants_input());
    assert_eq!(peer.send_bytes(&nop().encode(Version::V1)), Ok(0));
    assert_eq!(peer.read_exact(id, 59_999).len(), 59_999);
    assert!(!peer.session.wants_input(), "1000 of 1000 are used");
    assert_eq!(peer.send_bytes(&nop().encode(Version::V1)), Ok(0));
    peer.read_exact(id, 1);
    assert!(peer.session.wants_input());
    peer.send([nop()]);
}

#[test]
fn the_budget_is_exceeded_by_less_than_one_frame() {
    let (mut peer, _) = v1_with_budget(1);
    peer.send([psh(3, counting(65_535))]);
    assert_eq!(buffered(&peer), 65_535);
    assert!(!peer.session.wants_input());
}

#[test]
fn input_stops_before_the_first_frame_that_may_not_begin() {
    let (mut peer, id) = v1_with_budget(10);
    let frames = [psh(3, "0123456789"), psh(3, "abc"), syn(5)];
    let bytes = frames.map(|frame| frame.encode(Version::V1)).concat();
    assert_eq!(peer.send_bytes(&bytes), Ok(18));
    assert_eq!(peer.read(id), b"0123456789");
    assert_eq!(peer.send_bytes(&bytes[18..]), Ok(bytes.len() - 18));
    assert_eq!(peer.read(id), b"abc");
    assert_eq!(peer.accept().get(), 5);
}

#[test]
fn one_unread_stream_stops_the_others_in_version_1() {
    let (mut peer, id) = v1_with_budget(1_000);
    peer.send([syn(5)]);
    let other = peer.accept();
    peer.send([psh(3, counting(1_000))]);
    let waiting = psh(5, "waits").encode(Version::V1);
    assert_eq!(peer.send_bytes(&waiting), Ok(0));
    peer.write(other, b"output is not stopped");
    peer.expect_only([psh(5, "output is not stopped")]);
    peer.read_exact(id, 1);
    assert_eq!(peer.send_bytes(&waiting), Ok(waiting.len()));
    assert_eq!(peer.read(other), b"waits");
}

#[test]
fn pauses_are_counted_and_timed() {
    let (mut peer, id) = v1_with_budget(10);
    peer.send([psh(3, counting(10))]);
    assert_eq!(peer.send_bytes(&nop().encode(Version::V1)), Ok(0));
    peer.advance(Duration::from_secs(7));
    peer.read(id);
    peer.send([nop()]);
    assert_eq!(peer.session.stats().receive_stalls, 1);
    assert_eq!(
        peer.session.stats().receive_stall_time,
        Duration::from_secs(7)
    );
}

/// On whatever path received bytes go, what they took of the budget comes back.
#[test]
fn tokens_come_back() {
    type Path = (&'static str, fn(&mut Script, StreamId));
    let paths: [Path; 6] = [
        ("read", |peer, id| drop(peer.read(id))),
        ("read without copying", |peer, id| {
            while let Poll::Ready(Ok(bytes)) =
                peer.session.stream(id).expect("there").read_bytes(77)
            {
                assert!(!bytes.is_empty());
            }
        }),
        ("peek and consume", |peer, id| {
            let mut stream = peer.session.stream(id).expect("there");
            while let Poll::Ready(Ok(bytes)) = stream.peek() {
                let count = bytes.len().div_ceil(2);
                stream.consume(count);
            }
        }),
        ("close", |peer, id| peer.close(id)),
        ("finish, peer's FIN, close", |peer, id| {
            peer.finish(id);
            peer.send([fin(3)]);
            peer.close(id);
        }),
        ("close after the session ended", |peer, id| {
            peer.session.abort();
            peer.close(id);
        }),
    ];
    for version in [Version::V1, Version::V2] {
        for (name, path) in paths {
            let (mut peer, id) = server(config(version));
            peer.send([
                psh(3, counting(1_000)),
                psh(3, "x"),
                psh(3, counting(60_000)),
            ]);
            assert_eq!(buffered(&peer), 61_001);
            path(&mut peer, id);
            peer.pump();
            assert_eq!(buffered(&peer), 0, "{name}");
        }
    }
}

#[test]
fn data_that_nobody_wants_costs_nothing() {
    let (mut peer, id) = v1_with_budget(1_000);
    peer.close(id);
    peer.take_frames();
    for _ in 0..5 {
        peer.send([psh(3, counting(60_000)), psh(99, counting(60_000))]);
    }
    assert!(peer.session.wants_input());
    assert_eq!(buffered(&peer), 0);
    assert_eq!(peer.session.stats().receive_stalls, 0);
}

#[test]
fn closing_a_stream_in_the_middle_of_its_frame_gives_its_tokens_back() {
    let (mut peer, id) = v1_with_budget(1_000);
    let frame = psh(3, counting(600)).encode(Version::V1);
    let (start, rest) = frame.split_at(300);
    assert_eq!(peer.send_bytes(start), Ok(300));
    peer.close(id);
    assert_eq!(buffered(&peer), 0);
    assert_eq!(peer.send_bytes(rest), Ok(rest.len()));
    assert_eq!(buffered(&peer), 0);
    peer.send([nop()]);
}
