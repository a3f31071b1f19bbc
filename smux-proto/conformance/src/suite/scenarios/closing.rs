//! How sessions end.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use smux_proto::{CloseReason, OpenError};

use crate::{
    frame::{fin, psh, syn},
    suite::{
        case::{
            Case, built, echo, expect_eof, failure, read_all, read_exactly, read_pattern_to_end,
            reason, write_pattern,
        },
        host::{Host, HostSession, HostStream},
        time::Task,
    },
};

/// No scenario may take this long.
const LONG: Duration = Duration::from_secs(600);

/// A closed session reports that it is closed.
pub fn is_closed<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    assert!(!ours.is_closed() && !theirs.is_closed());
    assert_eq!(ours.close_reason(), None);
    assert_eq!(ours.close(), CloseReason::Local);
    assert!(ours.is_closed());
    assert_eq!(ours.close_reason(), Some(CloseReason::Local));
    assert_eq!(theirs.closed(), CloseReason::PeerNeverSpoke);
    assert!(theirs.is_closed());
    assert_eq!(theirs.close_reason(), Some(CloseReason::PeerNeverSpoke));
}

/// Closing twice, here and there, is no error, and the reason stays the first.
pub fn close_twice<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    assert_eq!(ours.close(), CloseReason::Local);
    assert_eq!(ours.close(), CloseReason::Local);
    assert_eq!(theirs.close(), CloseReason::PeerNeverSpoke);
    assert_eq!(theirs.close(), CloseReason::PeerNeverSpoke);
    ours.abort();
    assert_eq!(ours.close_reason(), Some(CloseReason::Local));
}

/// Nothing can be opened, accepted or written any more once the session is closed.
pub fn calls_after_close<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    ours.close();
    theirs.closed();
    for (session, stream, why) in [
        (&ours, &mut stream, CloseReason::Local),
        (&theirs, &mut accepted, CloseReason::PeerClosed),
    ] {
        assert_eq!(reason(session.open()), why);
        assert_eq!(reason(session.accept()), why);
        assert_eq!(reason(stream.write(b"late")), why);
        assert_eq!(reason(stream.read(&mut [0; 16])), why);
        assert_eq!(stream.write(b"").expect("nothing to write"), 0);
    }
    drop((stream, accepted));
}

/// A closed session whose streams are dropped has none.
pub fn no_streams_after_close<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (stream, accepted) = case.stream(&ours, &theirs);
    assert_eq!((ours.stream_count(), theirs.stream_count()), (1, 1));
    ours.close();
    theirs.closed();
    assert_eq!(
        (ours.stream_count(), theirs.stream_count()),
        (1, 1),
        "they are held"
    );
    drop((stream, accepted));
    assert_eq!((ours.stream_count(), theirs.stream_count()), (0, 0));
}

/// No call hangs on streams that end while the session is closed.
pub fn streams_end_while_the_session_closes<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let streams: Vec<_> = (0..100).map(|_| case.stream(&ours, &theirs)).collect();
    let mut tasks: Vec<Task<'_>> = vec![Box::new(|| {
        ours.close();
    })];
    for (mut stream, accepted) in streams {
        tasks.push(Box::new(move || {
            // It may work or fail, depending on which is first; either way it ends.
            let _ = stream.write_all(b"data");
            let _ = stream.finish();
            drop((stream, accepted));
        }));
    }
    case.all(tasks);
    assert_eq!(theirs.closed(), CloseReason::PeerClosed);
}

/// Closing sends what was written, on all streams, before the connection ends.
pub fn close_flushes_queued_data<H: Host>(case: &Case<H>) {
    const LENGTH: u64 = 50_000;
    let (ours, theirs) = case.pair();
    let mut readers = Vec::new();
    for seed in 0..5 {
        let (mut stream, accepted) = case.stream(&ours, &theirs);
        write_pattern(&mut stream, seed, LENGTH, 10_000);
        stream.finish().expect("finished");
        readers.push(accepted);
        drop(stream);
    }
    let mut last = ours.open().expect("opened");
    write_pattern(&mut last, 99, LENGTH, 50_000);
    drop(last);
    case.both(
        || assert_eq!(ours.close(), CloseReason::Local),
        || {
            for (seed, reader) in (0..).zip(&mut readers) {
                read_pattern_to_end(reader, seed, LENGTH, 65_536);
            }
            let mut last = theirs.accept().expect("accepted");
            read_pattern_to_end(&mut last, 99, LENGTH, 65_536);
            assert_eq!(theirs.closed(), CloseReason::PeerClosed);
        },
    );
}

/// Flushed data reaches the peer, even if the session is aborted right after.
pub fn flushed_data_survives_an_abort<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"flushed").expect("written");
    stream.flush().expect("flushed");
    ours.abort();
    assert_eq!(read_exactly(&mut accepted, 7), b"flushed");
    failure(accepted.read(&mut [0; 16]));
}

/// A drain refuses new streams of both sides, lets open ones end, and then closes.
pub fn drain<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, accepted) = case.stream(&ours, &theirs);
    case.all([
        Box::new(|| assert_eq!(ours.drain(LONG), CloseReason::Local)) as Task<'_>,
        Box::new(|| echo(accepted)),
        Box::new(|| {
            let mut refusal = None;
            case.until("it drains", || {
                refusal = ours.open().err();
                refusal.is_some()
            });
            let error = refusal.expect("set by the condition");
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            assert_eq!(inner, Some(&OpenError::Draining));
            let mut refused = theirs.open().expect("the peer does not know yet");
            expect_eof(&mut refused);
            drop(refused);
            stream.write_all(b"goes on").expect("written");
            assert_eq!(read_exactly(&mut stream, 7), b"goes on");
            stream.finish().expect("finished");
            expect_eof(&mut stream);
            drop(stream);
        }),
    ]);
    assert_eq!(theirs.closed(), CloseReason::PeerClosed);
    assert_eq!(ours.stats().streams_refused, 1);
}

/// A drain ends after its limit, though a stream is still open.
pub fn drain_ends_at_its_limit<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"before").expect("written");
    assert_eq!(ours.drain(Duration::from_millis(50)), CloseReason::Local);
    assert_eq!(theirs.closed(), CloseReason::PeerClosed);
    assert_eq!(read_exactly(&mut accepted, 6), b"before");
    assert_eq!(reason(accepted.read(&mut [0; 16])), CloseReason::PeerClosed);
}

/// An abort ends everything at once; the peer sees that the connection is gone.
pub fn abort<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    ours.abort();
    assert_eq!(ours.closed(), CloseReason::Aborted);
    assert_eq!(reason(stream.write(b"late")), CloseReason::Aborted);
    assert_eq!(reason(stream.read(&mut [0; 16])), CloseReason::Aborted);
    assert_eq!(reason(ours.open()), CloseReason::Aborted);
    let theirs_says = theirs.closed();
    assert_eq!(reason(accepted.read(&mut [0; 16])), theirs_says);
    assert_ne!(theirs_says, CloseReason::Local);
}

/// A peer that does not end the connection does not hold up closing for longer than its limit.
pub fn close_ends_at_its_limit<H: Host>(case: &Case<H>) {
    let config = built(case.config().close_timeout(Duration::from_millis(50)));
    let (ours, mut peer) = case.peer(config);
    let mut stream = ours.open().expect("opened");
    stream.write_all(b"last words").expect("written");
    assert_eq!(ours.close(), CloseReason::Local);
    let id = case.our_id(0);
    peer.expect([syn(id), psh(id, "last words")]);
    peer.expect_end();
}

/// Without any session handle, streams go on, the peer's new ones are refused, and the session
/// closes with the last one.
pub fn streams_outlive_the_session_handle<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    let waiting = theirs.open().expect("opened");
    case.until("a stream waits to be accepted", || ours.stream_count() == 2);
    let clone = ours.clone();
    drop(ours);
    assert_eq!(clone.stream_count(), 2);
    drop(clone);
    let mut refused = theirs.open().expect("the peer does not know");
    expect_eof(&mut refused);
    drop((waiting, refused));
    stream.write_all(b"still here").expect("written");
    assert_eq!(read_exactly(&mut accepted, 10), b"still here");
    accepted.write_all(b"so am I").expect("written");
    assert_eq!(read_exactly(&mut stream, 7), b"so am I");
    drop(stream);
    assert_eq!(read_all(&mut accepted), b"");
    assert_eq!(theirs.closed(), CloseReason::PeerClosed);
}

/// Dropping everything sends what was written first.
pub fn dropping_everything_flushes<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    write_pattern(&mut stream, 6, 50_000, 50_000);
    drop(ours);
    drop(stream);
    read_pattern_to_end(&mut accepted, 6, 50_000, 65_536);
    assert_eq!(theirs.closed(), CloseReason::PeerClosed);
}

/// The connection ends between two frames: reading returns the arrived data, then the reason.
pub fn connection_ends<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "before the end")]);
    peer.finish();
    assert_eq!(ours.closed(), CloseReason::PeerClosed);
    let mut stream = ours.accept().expect("it has arrived");
    assert_eq!(read_exactly(&mut stream, 14), b"before the end");
    let error = failure(stream.read(&mut [0; 16]));
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(reason(Err::<(), _>(error)), CloseReason::PeerClosed);
    assert_eq!(reason(stream.write(b"late")), CloseReason::PeerClosed);
    assert_eq!(reason(ours.accept()), CloseReason::PeerClosed);
    assert_eq!(reason(ours.open()), CloseReason::PeerClosed);
    assert!(ours.is_closed());
}

/// An end inside a frame has a reason of its own; the part of the frame that arrived is readable.
pub fn connection_ends_inside_a_frame<H: Host>(case: &Case<H>) {
    let frame = psh(0, "cut in the middle").encode(case.version);
    for cut in [3, 8, 11] {
        let (ours, mut peer) = case.peer(case.plain());
        let id = peer.fresh_id();
        peer.send([syn(id)]);
        let mut bytes = frame.clone();
        bytes[4..8].copy_from_slice(&id.to_le_bytes());
        peer.send_bytes(&bytes[..cut]).expect("sent");
        let mut stream = ours.accept().expect("accepted");
        peer.finish();
        assert_eq!(ours.closed(), CloseReason::Truncated);
        let mut come = Vec::new();
        let error = failure(stream.read_to_end(&mut come));
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(reason(Err::<(), _>(error)), CloseReason::Truncated);
        assert_eq!(come, &b"cut"[..cut.saturating_sub(8)]);
    }
}

/// Writing after the connection is gone fails sooner or later, with the session's reason.
pub fn write_after_the_connection_is_gone<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id)]);
    let mut stream = ours.accept().expect("accepted");
    drop(peer);
    let error = loop {
        if let Err(error) = stream.write(&[0; 1000]) {
            break error;
        }
    };
    assert_eq!(Some(reason(Err::<(), _>(error))), ours.close_reason());
}

/// If the peer sends FIN and then ends the connection, the reader sees the end of the stream.
pub fn end_of_stream_beats_end_of_connection<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "whole"), fin(id)]);
    peer.finish();
    ours.closed();
    let mut stream = ours.accept().expect("it has arrived");
    assert_eq!(read_all(&mut stream), b"whole");
    expect_eof(&mut stream);
}
