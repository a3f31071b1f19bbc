//! Attacks 9 to 15 and 49: opening, ending, stream ids.

use std::{collections::BTreeSet, task::Poll, time::Duration};

use smux_conformance::frame::{Kind, counting, fin, psh, syn};
use smux_proto::{
    CloseReason, Config, Event, ProtocolError, Session, StreamError, StreamId, Version,
};

use crate::{
    BOTH, MAX_FRAME, accept, assert_serves, client, config, ids, measure, server,
    server_with_stream, stats, wire,
};

#[test]
fn attack_09_streams_are_opened_and_never_accepted() {
    const BACKLOG: usize = 4_096;
    for version in BOTH {
        let mut harness = server(config(version).max_receive_buffer(64 << 20));
        let flood = wire(version, ids(BACKLOG).map(syn));
        let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&flood), Ok(flood.len())));
        assert_eq!(harness.session.stream_count(), BACKLOG);
        let each = memory.bytes_current / BACKLOG as i64;
        assert!(
            each <= 200,
            "version {version:?}: {each} bytes for a pending stream"
        );

        harness.discard_output();
        for id in ids(50_000).skip(BACKLOG) {
            harness.peer_sends([syn(id), psh(id, "never seen")]);
            harness.expect_only([fin(id), fin(id)]);
        }
        assert_eq!(harness.session.stream_count(), BACKLOG);
        assert_eq!(stats(&harness).receive_buffered, 0);
        assert_eq!(stats(&harness).receive_stalls, 0);
        let first = harness.accept();
        assert_serves(&mut harness, first);
    }
}

/// Streams that end as soon as they are opened fill only the backlog until they are accepted.
#[test]
fn attack_10_streams_are_opened_and_ended_at_once() {
    for version in BOTH {
        let limits = config(version).accept_backlog(100);
        let mut harness = server(limits.max_owed_refusals(10_000));
        let pair = |id| wire(version, [syn(id), fin(id)]);
        harness.set_transport_room(0);
        let results: Vec<_> = ids(20_000)
            .map(|id| {
                harness.pump();
                harness.peer_sends_bytes(&pair(id))
            })
            .collect();
        let ended = results.iter().position(Result::is_err);
        // One more has been handed out for writing.
        assert_eq!(ended, Some(10_101));
        assert_eq!(results[10_101], Err(ProtocolError::TooManyRefusals));
        assert_eq!(harness.session.stream_count(), 100);
        for _ in 0..100 {
            let id = harness.accept();
            assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
            harness.close(id);
        }
        assert_eq!(harness.session.stream_count(), 0);
    }
}

#[test]
fn attack_11_the_peer_forces_refusals_and_does_not_read_them() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version).max_inbound_streams(1));
        harness.set_transport_room(0);
        harness.pump();
        let flood = wire(version, ids(4_097).skip(1).map(syn));
        let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&flood), Ok(flood.len())));
        assert!(
            memory.bytes_max <= 16 * 4_096,
            "4 bytes each, for 4096: {memory:?}"
        );
        assert!(!harness.session.wants_input(), "until a batch is taken");
        harness.pump();
        let error = ids(10_000)
            .skip(4_097)
            .find_map(|id| harness.peer_sends_bytes(&syn(id).encode(version)).err());
        assert_eq!(error, Some(ProtocolError::TooManyRefusals));
        let reason = CloseReason::Protocol(ProtocolError::TooManyRefusals);
        assert_eq!(
            harness.read_end(id),
            Poll::Ready(Err(StreamError::Closed(reason)))
        );
    }
}

#[test]
fn attack_12_a_live_stream_is_opened_again() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version));
        let own = harness.open();
        harness.write(id, b"x");
        harness.peer_sends([psh(3, "one"), syn(3), psh(3, "two")]);
        assert_eq!(harness.read(id), b"onetwo");
        assert_eq!(harness.session.accept(), Poll::Pending);
        assert_eq!(
            (
                stats(&harness).ignored.duplicate_syn,
                harness.session.stream_count()
            ),
            (1, 2)
        );
        assert_serves(&mut harness, own);
    }
}

/// An id of our parity could collide with a stream of ours, so the peer may never use one.
#[test]
fn attack_13_the_peer_uses_ids_that_are_ours() {
    for version in BOTH {
        for (mut harness, foreign) in [
            (client(config(version)), [1, 3, 5, u32::MAX]),
            (server(config(version)), [0, 2, 4, u32::MAX - 1]),
        ] {
            let own = harness.open();
            harness.write(own, b"before");
            harness.take_frames();
            for id in foreign {
                harness.peer_sends([syn(id), psh(id, ""), fin(u32::MAX - 6)]);
            }
            assert_eq!(harness.session.accept(), Poll::Pending);
            assert_eq!(harness.session.stream_count(), 1);
            harness.expect_nothing();
            assert_serves(&mut harness, own);
            let next = harness.open();
            assert_ne!(next, own);
            harness.take_frames();
            assert_serves(&mut harness, next);
        }
    }
    // 0 is as good as any even number where even numbers are the peer's.
    let mut harness = client(config(Version::V1));
    let zero = accept(&mut harness, 0);
    assert_serves(&mut harness, zero);
}

#[test]
fn attack_14_more_streams_are_opened_than_allowed() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(config(version).max_inbound_streams(1));
        let data = wire(version, [psh(5, counting(MAX_FRAME)), fin(5)]);
        harness.peer_sends([syn(5)]);
        harness.expect_only([fin(5), fin(5)]);
        let memory = measure(|| {
            for _ in 0..100 {
                assert_eq!(harness.peer_sends_bytes(&data), Ok(data.len()));
            }
        });
        assert_eq!(memory.count_total, 0, "{memory:?}");
        harness.expect_nothing();
        assert_eq!(
            (
                stats(&harness).streams_refused,
                stats(&harness).receive_buffered
            ),
            (1, 0)
        );
        assert_serves(&mut harness, id);
    }
}

/// Using up all 2^31 ids would take too long; this shows that none is used twice.
#[test]
fn attack_15_ids_are_not_used_again() {
    let mut harness = client(config(Version::V1));
    for expected in ids(100_000) {
        let id = harness.open();
        assert_eq!(id.get(), expected);
        harness.close(id);
        harness.discard_output();
    }
    assert_eq!(harness.session.stream_count(), 0);
}

/// The order of the streams in a session's table, which follows from the hash of their ids.
fn order(ids: &[u32], seed: u64) -> String {
    let config = Config::builder()
        .accept_backlog(1 << 16)
        .build()
        .expect("valid");
    let mut session = Session::server(config, seed, Duration::ZERO);
    for &id in ids {
        let bytes = syn(id).encode(Version::V1);
        assert_eq!(session.handle_input(Duration::ZERO, &bytes), Ok(8));
    }
    let text = format!("{session:?}");
    let slots = text
        .split_once("slots: {")
        .expect("the table shows its slots")
        .1;
    slots
        .split_once('}')
        .expect("and where they end")
        .0
        .to_owned()
}

/// Where ids stand in one table tells nothing about another: the hash is seeded.
#[test]
fn attack_49_ids_that_would_collide_in_another_session() {
    let patterns: [fn(u32) -> u32; 4] = [
        |n| 2 * n + 1,
        |n| (n << 17) | 1,
        |n| (n << 16).swap_bytes() | 1,
        |n| n.reverse_bits() | 1,
    ];
    for pattern in patterns {
        let some: Vec<u32> = (0..500).map(pattern).collect();
        assert_eq!(order(&some, 1), order(&some, 1));
        let seeds: BTreeSet<String> = (0..20).map(|seed| order(&some, seed)).collect();
        assert_eq!(seeds.len(), 20, "every seed has an order of its own");
    }
}

/// Whatever the ids, each stream gets its own data, and the table takes the same memory.
#[test]
fn attack_49_ids_with_a_pattern_cost_no_more_than_others() {
    let patterns: [fn(u32) -> u32; 3] =
        [|n| 2 * n + 1, |n| (n << 17) | 1, |n| n.reverse_bits() | 1];
    let costs = patterns.map(|pattern| {
        let mut harness = server(
            config(Version::V1)
                .accept_backlog(1 << 15)
                .max_inbound_streams(1 << 15),
        );
        let numbers: Vec<u32> = (0..1 << 14).map(pattern).collect();
        let bytes = wire(Version::V1, numbers.iter().copied().map(syn));
        let memory = measure(|| assert_eq!(harness.peer_sends_bytes(&bytes), Ok(bytes.len())));
        for id in numbers {
            assert_eq!(harness.accept(), StreamId::new(id));
            harness.peer_sends([psh(id, id.to_le_bytes())]);
        }
        let readable: Vec<_> = harness
            .events()
            .into_iter()
            .filter(|event| *event != Event::Acceptable)
            .collect();
        assert_eq!(readable.len(), 1 << 14);
        for event in readable {
            let Event::Readable(id) = event else {
                panic!("{event:?}")
            };
            assert_eq!(harness.read_exact(id, 4), id.get().to_le_bytes());
        }
        memory.bytes_current
    });
    assert!(costs.iter().all(|&cost| cost == costs[0]), "{costs:?}");
}

/// A refusal is answered with FINs only, never with data or a SYN.
#[test]
fn attack_11_refusals_are_fins_and_nothing_else() {
    let mut harness = server(config(Version::V2).max_inbound_streams(0));
    harness.peer_sends(ids(1_000).map(syn));
    let answers = harness.take_frames();
    assert_eq!(answers.len(), 2_000);
    assert!(
        answers
            .iter()
            .all(|frame| frame.kind == Kind::Fin && frame.payload.is_empty())
    );
}
