//! Limits: what a session refuses, and which calls wait.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
};

use smux_proto::{CloseReason, ProtocolError};

use crate::{
    frame::syn,
    suite::{
        case::{Case, built, expect_eof, read_all, read_exactly},
        host::{Host, HostSession, HostStream},
    },
};

/// Each side's streams have ids of their own, which begin where the protocol says and go up by two.
pub fn ids_of_streams<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    for number in 0..3 {
        let (opened, accepted) = case.stream(&ours, &theirs);
        assert_eq!(opened.id().get(), case.our_id(number));
        assert_eq!(accepted.id(), opened.id());
        let (opened, _accepted) = case.stream(&theirs, &ours);
        assert_eq!(opened.id().get(), case.their_id(number));
    }
}

/// Streams are accepted in the order in which they were opened.
pub fn accepted_in_order<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let opened: Vec<_> = (0..50).map(|_| ours.open().expect("opened")).collect();
    for stream in &opened {
        assert_eq!(theirs.accept().expect("accepted").id(), stream.id());
    }
}

/// Streams beyond the backlog are refused with FIN; those in it, and later ones, are fine.
pub fn full_backlog_refuses<H: Host>(case: &Case<H>) {
    let theirs = built(case.config().accept_backlog(3));
    let (ours, theirs) = case.pair_with(case.plain(), theirs);
    let mut waiting: Vec<_> = (0..3).map(|_| ours.open().expect("opened")).collect();
    for _ in 0..5 {
        let mut refused = ours.open().expect("opened");
        expect_eof(&mut refused);
    }
    assert_eq!(theirs.stats().streams_refused, 5);
    for stream in &mut waiting {
        stream.write_all(b"patient").expect("written");
        let mut accepted = theirs.accept().expect("accepted");
        assert_eq!(read_exactly(&mut accepted, 7), b"patient");
    }
    case.round_trip(&ours, &theirs);
    assert_eq!(theirs.stats().streams_refused, 5);
}

/// Streams beyond the limit are refused with FIN, until others have ended.
pub fn inbound_limit_refuses<H: Host>(case: &Case<H>) {
    let theirs = built(case.config().max_inbound_streams(2));
    let (ours, theirs) = case.pair_with(case.plain(), theirs);
    let one = case.stream(&ours, &theirs);
    let two = case.stream(&ours, &theirs);
    let mut refused = ours.open().expect("opened");
    expect_eof(&mut refused);
    drop((one, refused));
    case.until("the first stream has ended", || theirs.stream_count() == 1);
    case.round_trip(&ours, &theirs);
    drop(two);
}

/// A side that takes no streams at all refuses every one, and can open its own.
pub fn inbound_limit_of_zero<H: Host>(case: &Case<H>) {
    let theirs = built(case.config().max_inbound_streams(0));
    let (ours, theirs) = case.pair_with(case.plain(), theirs);
    let mut refused = ours.open().expect("opened");
    assert_eq!(read_all(&mut refused), b"");
    case.round_trip(&theirs, &ours);
}

/// Opening beyond the limit waits until a stream has ended.
pub fn outbound_limit_waits<H: Host>(case: &Case<H>) {
    let ours = built(case.config().max_outbound_streams(2));
    let (ours, theirs) = case.pair_with(ours, case.plain());
    let one = case.stream(&ours, &theirs);
    let _two = case.stream(&ours, &theirs);
    let ended = AtomicBool::new(false);
    case.both(
        || {
            let third = ours.open().expect("opened, when there is room");
            assert!(
                ended.load(Ordering::Relaxed),
                "it waits for the end of another stream"
            );
            assert_eq!(third.id().get(), case.our_id(2));
        },
        || {
            case.round_trip(&theirs, &ours);
            ended.store(true, Ordering::Relaxed);
            drop(one);
        },
    );
}

/// A peer that opens streams but reads no refusals ends the session at the limit.
pub fn owed_refusals_are_bounded<H: Host>(case: &Case<H>) {
    let config = case.config().max_inbound_streams(0).max_owed_refusals(10);
    let (ours, mut peer) = case.narrow_peer(built(config));
    // The session reads on although its answers are not read: else this would block for ever.
    loop {
        let streams: Vec<_> = (0..1000)
            .map(|_| syn(peer.fresh_id()).encode(case.version))
            .collect();
        if peer.send_bytes(&streams.concat()).is_err() {
            break;
        }
    }
    assert_eq!(
        ours.closed(),
        CloseReason::Protocol(ProtocolError::TooManyRefusals)
    );
}

/// Streams that both ends have finished and read no longer count, though both still hold them.
pub fn spent_streams_do_not_count<H: Host>(case: &Case<H>) {
    let ours = built(case.config().max_outbound_streams(2));
    let theirs = built(case.config().max_inbound_streams(2));
    let (ours, theirs) = case.pair_with(ours, theirs);
    let mut held = Vec::new();
    for _ in 0..10 {
        let (mut opened, mut accepted) = case.stream(&ours, &theirs);
        opened.write_all(b"request").expect("written");
        opened.finish().expect("finished");
        assert_eq!(read_all(&mut accepted), b"request");
        accepted.write_all(b"answer").expect("written");
        accepted.finish().expect("finished");
        assert_eq!(read_all(&mut opened), b"answer");
        held.push((opened, accepted));
        case.until("neither side counts it", || {
            ours.stream_count() + theirs.stream_count() == 0
        });
    }
}
