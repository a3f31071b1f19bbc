//! Attacks 32 to 35: a peer or a transport that takes nothing, writers that give up.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use smux_conformance::{
    frame::{Kind, counting, decode_all, fin, psh, syn},
    pair::Pair,
    pipe::Link,
};
use smux_proto::{
    CloseReason, Config, ProtocolError, Session, Side, StreamError, Transmit, Version,
};

use crate::{BOTH, accept, config, ids, measure, server, server_with_stream, stats, wire};

/// An owed answer is a flag of its stream, so answers do not pile up while nothing leaves.
#[test]
fn attack_32_the_peer_reads_nothing_and_makes_us_owe_answers() {
    let mut harness = server(config(Version::V2).max_receive_buffer(16 << 20));
    let streams: Vec<_> = ids(50).map(|id| accept(&mut harness, id)).collect();
    harness.set_transport_room(0);
    harness.write(streams[0], b"takes the batch");
    harness.pump();
    let frames = wire(Version::V2, ids(50).map(|id| psh(id, counting(1_000))));
    let round = |harness: &mut smux_conformance::harness::Harness| {
        assert_eq!(
            harness.peer_sends_bytes(&frames),
            Ok(frames.len()),
            "reading never waits for writing"
        );
        for &id in &streams {
            assert_eq!(harness.read_exact(id, 1_000).len(), 1_000);
        }
        harness.pump();
    };
    (0..100).for_each(|_| round(&mut harness));
    let memory = measure(|| (0..1_000).for_each(|_| round(&mut harness)));
    assert!(memory.bytes_current <= 4_096, "{memory:?}");
    harness.set_transport_room(None);
    let updates = harness
        .take_frames()
        .into_iter()
        .filter(|frame| frame.kind == Kind::Upd)
        .count();
    assert_eq!(updates, 50, "one for each stream, with the latest count");
}

#[test]
fn attack_32_unsent_refusals_end_the_session() {
    let mut harness = server(
        config(Version::V2)
            .max_inbound_streams(0)
            .max_owed_refusals(100),
    );
    harness.set_transport_room(0);
    let error = ids(10_000).find_map(|id| {
        harness.pump();
        harness.peer_sends_bytes(&syn(id).encode(Version::V2)).err()
    });
    assert_eq!(error, Some(ProtocolError::TooManyRefusals));
    assert_eq!(
        stats(&harness).streams_refused,
        102,
        "one is in the batch that is stuck"
    );
}

/// A write copies its data and returns how much it took: a writer that gives up afterwards can use
/// the buffer again, and no frame is cut.
#[test]
fn attack_33_a_writer_gives_up_in_the_middle() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version).max_stream_send_queue(1_000));
        harness.set_transport_room(3);
        let mut buffer = counting(1_500);
        assert_eq!(harness.try_write(id, &buffer), Poll::Ready(Ok(1_000)));
        assert_eq!(harness.try_write(id, &buffer[1_000..]), Poll::Pending);
        buffer.fill(0xee);
        harness.pump();
        harness.close(id);
        harness.set_transport_room(None);
        harness.expect_only([psh(3, counting(1_000)), fin(3), fin(3)]);
    }
}

#[test]
fn attack_33_the_session_ends_under_a_writer() {
    let (mut harness, id) = server_with_stream(config(Version::V1).max_stream_send_queue(10));
    harness.set_transport_room(0);
    harness.write(id, &counting(10));
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    harness.session.abort();
    let closed = Poll::Ready(Err(StreamError::Closed(CloseReason::Aborted)));
    assert_eq!(harness.try_write(id, b"x"), closed);
    assert_eq!(stats(&harness).send_queued, 0);
}

/// Reporting 0 bytes changes nothing; reporting more than there were counts as all of them.
#[test]
fn attack_34_the_transport_reports_writing_nothing_or_too_much() {
    let mut session = Session::client(Config::default(), 1, Duration::ZERO);
    let Poll::Ready(Ok(id)) = session.open() else {
        panic!("open")
    };
    let mut write = |data: &[u8]| {
        assert!(session.stream(id).expect("open").write(data).is_ready());
        let mut batch = Transmit::new();
        assert!(session.poll_transmit(Duration::ZERO, &mut batch));
        batch.advance(0);
        assert!(session.poll_transmit(Duration::ZERO, &mut batch));
        let bytes = batch.chunk().to_vec();
        batch.advance(usize::MAX);
        assert_eq!((batch.remaining(), batch.chunk()), (0, [].as_slice()));
        batch.advance(1);
        assert!(!session.poll_transmit(Duration::ZERO, &mut batch));
        bytes
    };
    assert_eq!(decode_all(&write(b"one")), [syn(3), psh(3, "one")]);
    assert_eq!(decode_all(&write(b"two")), [psh(3, "two")]);
}

/// A transport that takes nothing is considered dead once nothing arrives either.
#[test]
fn attack_34_the_transport_takes_nothing_for_ever() {
    let (mut harness, id) = server_with_stream(Config::builder());
    harness.set_transport_room(0);
    harness.write(id, b"stuck");
    harness.advance(Duration::from_secs(29));
    harness.peer_sends([psh(3, "the other direction lives")]);
    harness.advance(Duration::from_secs(29));
    assert!(!harness.session.is_closed());
    harness.advance(Duration::from_secs(1));
    assert_eq!(harness.reason(), CloseReason::WriteTimeout);
}

/// Both sides write at full speed into a connection that holds almost nothing, and read in turns.
#[test]
fn attack_35_both_sides_write_and_read_in_turns() {
    for version in BOTH {
        let config = config(version)
            .max_receive_buffer(10_000)
            .max_stream_buffer(5_000)
            .max_stream_send_queue(2_000)
            .build()
            .expect("valid");
        let link = Link {
            capacity: 7,
            ..Link::default()
        };
        let mut pair = Pair::with(config.clone(), config, link, link, 35);
        let id = pair.client.open();
        pair.client.write(id, b"x");
        pair.drive();
        assert_eq!(pair.accept(Side::Server), Some(id));
        const TOTAL: usize = 100_000;
        let mut written = [1, 0];
        let mut read = [0, 0];
        for turn in 0.. {
            assert!(
                turn < 10_000,
                "a deadlock: {written:?} written, {read:?} read"
            );
            for (side, written) in [Side::Client, Side::Server].into_iter().zip(&mut written) {
                let count = pair
                    .end(side)
                    .write(id, &[7; 1_000][..(TOTAL - *written).min(1_000)]);
                *written += count;
            }
            let (reader, read) = match turn % 2 {
                0 => (Side::Client, &mut read[0]),
                _ => (Side::Server, &mut read[1]),
            };
            *read += pair.end(reader).read(id, 5_000).expect("no end").len();
            pair.drive();
            if read == &TOTAL && written == [TOTAL; 2] {
                break;
            }
        }
    }
}
