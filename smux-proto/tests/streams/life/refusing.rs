//! SYNs that open no stream, and useless frames.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{CloseReason, Config, ProtocolError, Version};

use super::{config, server, server_with_stream};

#[test]
fn a_syn_for_an_open_stream_is_ignored_and_counted() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness.write(id, b"x");
    harness.peer_sends([psh(3, "one"), syn(3), psh(3, "two")]);
    assert_eq!(harness.read(id), b"onetwo");
    assert_eq!(harness.session.accept(), Poll::Pending);
    assert_eq!(harness.session.stats().ignored.duplicate_syn, 1);
    harness.expect_only([psh(3, "x")]);
}

#[test]
fn a_syn_with_an_id_of_ours_is_ignored_and_counted() {
    let own = [
        (
            Harness::client as fn(Config) -> Harness,
            [1, 3, 5, u32::MAX],
        ),
        (Harness::server, [0, 2, 4, u32::MAX - 1]),
    ];
    for (side, ids) in own {
        let mut harness = side(config(Version::V1).build().expect("valid"));
        harness.peer_sends(ids.map(syn));
        assert_eq!(harness.session.accept(), Poll::Pending);
        assert_eq!(harness.session.stats().ignored.own_parity_syn, 4);
        assert_eq!(harness.session.stream_count(), 0);
        harness.expect_nothing();
        harness.open();
        assert_eq!(
            harness.take_frames().len(),
            1,
            "and does not stand in the way of our own streams"
        );
    }
}

#[test]
fn beyond_the_backlog_streams_are_refused() {
    for (half_close, answer) in [(true, vec![fin(7), fin(7)]), (false, vec![fin(7)])] {
        let config = config(Version::V1)
            .accept_backlog(2)
            .half_close(half_close)
            .build()
            .expect("valid");
        let mut harness = Harness::server(config);
        harness.peer_sends([syn(3), syn(5), syn(7), psh(7, counting(9_999)), fin(7)]);
        harness.expect_only(answer);
        assert_eq!(harness.session.stats().streams_refused, 1);
        assert_eq!(harness.session.stats().receive_buffered, 0);
        assert_eq!([harness.accept().get(), harness.accept().get()], [3, 5]);
        harness.peer_sends([syn(7)]);
        assert_eq!(harness.accept().get(), 7, "a refused id can be tried again");
    }
}

#[test]
fn beyond_the_stream_limit_streams_are_refused_until_one_ends() {
    let config = config(Version::V1)
        .max_inbound_streams(1)
        .build()
        .expect("valid");
    let mut harness = Harness::server(config);
    harness.peer_sends([syn(3), syn(5)]);
    harness.expect_only([fin(5), fin(5)]);
    let id = harness.accept();
    harness.peer_sends([fin(3)]);
    harness.close(id);
    harness.expect_only([fin(3)]);
    harness.peer_sends([syn(5)]);
    assert_eq!(harness.accept().get(), 5);
}

#[test]
fn after_accepting_has_stopped_all_streams_are_refused() {
    let mut harness = server(Version::V1);
    harness.peer_sends([syn(3), psh(3, "waiting"), syn(5)]);
    harness.session.stop_accepting();
    harness.peer_sends([syn(7)]);
    let mut refused = harness.take_frames();
    refused.sort_by_key(|frame| frame.id);
    assert_eq!(refused, [3, 3, 5, 5, 7, 7].map(fin));
    assert_eq!(harness.session.stream_count(), 0);
    assert_eq!(harness.session.stats().receive_buffered, 0);
    assert_eq!(harness.session.accept(), Poll::Pending);
}

#[test]
fn unsent_refusals_end_the_session_at_their_limit() {
    let config = config(Version::V1)
        .max_inbound_streams(0)
        .max_owed_refusals(10)
        .build()
        .expect("valid");
    let mut harness = Harness::server(config);
    harness.set_transport_room(0);
    for id in (3..23).step_by(2) {
        harness.peer_sends([syn(id)]);
    }
    let flood = (23..103).step_by(2).find_map(|id| {
        harness.pump();
        harness.peer_sends_bytes(&syn(id).encode(Version::V1)).err()
    });
    assert_eq!(flood, Some(ProtocolError::TooManyRefusals));
    assert_eq!(
        harness.reason(),
        CloseReason::Protocol(ProtocolError::TooManyRefusals)
    );
}

#[test]
fn sent_refusals_do_not_count_against_their_limit() {
    let config = config(Version::V1)
        .max_inbound_streams(0)
        .max_owed_refusals(10)
        .build()
        .expect("valid");
    let mut harness = Harness::server(config);
    for id in (3..2_003).step_by(2) {
        harness.peer_sends([syn(id)]);
        harness.expect_only([fin(id), fin(id)]);
    }
    assert_eq!(harness.session.stats().streams_refused, 1_000);
}

/// Streams that were opened and ended at once stay until they are accepted, and no longer.
#[test]
fn streams_opened_and_ended_at_once_are_bounded_by_the_backlog() {
    let config = config(Version::V2)
        .accept_backlog(100)
        .build()
        .expect("valid");
    let mut harness = Harness::server(config);
    for id in (3..20_003).step_by(2) {
        harness.peer_sends([syn(id), fin(id)]);
        assert!(harness.session.stream_count() <= 100);
        harness.discard_output();
    }
    assert_eq!(harness.session.stats().streams_refused, 9_900);
    for _ in 0..100 {
        let id = harness.accept();
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
        harness.close(id);
    }
    harness.take_frames();
    assert_eq!(harness.session.stream_count(), 0);
}

#[test]
fn useless_frames_end_the_session_at_the_limit() {
    let useless = [syn(3), psh(3, ""), syn(2)];
    for frame in useless {
        let config = config(Version::V1).max_glitches(50).build().expect("valid");
        let mut harness = Harness::server(config);
        harness.peer_sends([syn(3)]);
        let bytes = frame.encode(Version::V1);
        let error = (0..200).find_map(|_| harness.peer_sends_bytes(&bytes).err());
        assert_eq!(error, Some(ProtocolError::TooManyGlitches), "{frame:?}");
    }
}

#[test]
fn useful_frames_offset_useless_ones() {
    let config = config(Version::V1).max_glitches(50).build().expect("valid");
    let mut harness = Harness::server(config);
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    for _ in 0..1_000 {
        harness.peer_sends([psh(3, ""), psh(3, "useful")]);
    }
    assert_eq!(harness.read(id).len(), 6_000);
}

#[test]
fn refusals_of_a_peer_that_reads_them_never_end_the_session() {
    for version in [Version::V1, Version::V2] {
        let (mut harness, id) = server_with_stream(version);
        let now = harness.now();
        harness.session.drain(now, Duration::from_secs(3_600));
        for n in 1..=70_000 {
            harness.peer_sends([syn(3 + 2 * n)]);
            if n % 100 == 0 {
                harness.write(id, b"a part of it");
            }
            harness.discard_output();
        }
        assert_eq!(harness.session.stats().streams_refused, 70_000);
    }
}

#[test]
fn a_burst_of_opens_waits_for_output_to_be_asked_for() {
    let mut harness = Harness::server(Config::default());
    let flood: Vec<u8> = (0..20_000)
        .flat_map(|n| syn(3 + 2 * n).encode(Version::V1))
        .collect();
    let mut rest = flood.as_slice();
    let mut refusals = 0;
    while !rest.is_empty() {
        let taken = harness.peer_sends_bytes(rest).expect("the peer reads");
        rest = &rest[taken..];
        assert_eq!(harness.session.wants_input(), rest.is_empty());
        refusals += harness.take_frames().len();
        assert!(harness.session.wants_input(), "output was asked for");
    }
    assert_eq!(refusals, 2 * (20_000 - 4_096));
    assert_eq!(harness.session.stats().receive_stalls, 0);
}

#[test]
fn data_behind_a_fin_is_no_glitch() {
    let mut harness = Harness::server(Config::default());
    let frame = counting(1_024);
    for n in 0..2_000 {
        let id = 3 + 2 * n;
        harness.peer_sends([syn(id)]);
        harness.peer_sends((0..8).map(|_| psh(id, &frame)));
        harness.peer_sends([fin(id)]);
        let late = psh(id, &frame).encode(Version::V1).repeat(120);
        assert_eq!(harness.peer_sends_bytes(&late), Ok(late.len()));
        let accepted = harness.accept();
        assert_eq!(harness.read(accepted).len(), 8 * 1_024);
        harness.close(accepted);
        harness.discard_output();
    }
    assert_eq!(harness.session.stats().ignored.after_fin, 240_000);
}

#[test]
fn a_second_fin_is_no_glitch() {
    for half_close in [false, true] {
        let config = Config::builder().half_close(half_close).max_glitches(0);
        let mut harness = Harness::server(config.build().expect("valid"));
        harness.peer_sends([syn(3), fin(3), fin(3)]);
        let id = harness.accept();
        assert!(harness.session.stream(id).expect("open").is_stopped());
        assert_eq!(
            harness.peer_breaks(&fin(3)),
            ProtocolError::TooManyGlitches,
            "a third one is"
        );
    }
}

#[test]
fn useless_frames_decay_with_time() {
    let config = config(Version::V1)
        .max_glitches(100)
        .build()
        .expect("valid");
    let mut harness = Harness::server(config);
    harness.peer_sends([syn(3)]);
    for _ in 0..1_000 {
        harness.peer_sends((0..50).map(|_| syn(3)));
        harness.skip(Duration::from_secs(60));
    }
    let flood = syn(3).encode(Version::V1).repeat(101);
    assert_eq!(
        harness.peer_sends_bytes(&flood),
        Err(ProtocolError::TooManyGlitches)
    );
}
