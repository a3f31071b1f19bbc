//! Reading through a borrowed buffer: what `fill_buf` lends counts as read once it is consumed.

use std::io::{BufRead, Read, Write};

use fastrand::Rng;

use crate::{
    frame::{fin, psh, syn},
    pattern::Pattern,
    suite::{
        case::{Case, built, read_exactly, reason, write_pattern},
        host::{Host, HostSession, HostStream},
    },
};

/// What is lent stays in the stream, as does what is not consumed of it. Any way of reading goes on
/// behind what was consumed.
pub fn lent_bytes_stay_until_consumed<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"some bytes").expect("written");
    case.until("they have arrived", || {
        theirs.stats().receive_buffered == 10
    });
    assert_eq!(lent(&mut accepted), b"some bytes");
    accepted.consume(0);
    assert_eq!(lent(&mut accepted), b"some bytes");
    assert_eq!(theirs.stats().receive_buffered, 10);
    accepted.consume(5);
    assert_eq!(theirs.stats().receive_buffered, 5);
    assert_eq!(lent(&mut accepted), b"bytes");
    assert_eq!(read_exactly(&mut accepted, 2), b"by");
    assert_eq!(lent(&mut accepted), b"tes");
    accepted.consume(3);
    assert_eq!(theirs.stats().receive_buffered, 0);
    stream.finish().expect("finished");
    for _ in 0..2 {
        assert_eq!(lent(&mut accepted), b"");
        accepted.consume(0);
    }
}

fn lent(stream: &mut impl BufRead) -> &[u8] {
    stream.fill_buf().expect("data or the end")
}

/// Much data, by a half of a stream, of which any part of what is lent is consumed.
pub fn lent_pieces_make_the_whole<H: Host>(case: &Case<H>) {
    let length = case.bytes(1 << 20, 64 << 20);
    let (ours, theirs) = case.pair();
    let (mut stream, accepted) = case.stream(&ours, &theirs);
    let (mut reader, _writer) = accepted.into_halves();
    case.both(
        || {
            write_pattern(&mut stream, 11, length, 100_000);
            stream.finish().expect("finished");
        },
        || {
            let mut rng = Rng::with_seed(length);
            let mut buffer = [0; 1000];
            let mut read = 0;
            loop {
                let lent = reader.fill_buf().expect("data or the end");
                let checked = Pattern { seed: 11 }.check(read, lent);
                checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
                if lent.is_empty() {
                    break;
                }
                let count = rng.usize(0..=lent.len());
                read += count as u64;
                reader.consume(count);
                if rng.u8(..) == 0 {
                    let count = reader.read(&mut buffer).expect("data or the end");
                    let checked = Pattern { seed: 11 }.check(read, &buffer[..count]);
                    checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
                    read += count as u64;
                }
            }
            assert_eq!(read, length);
        },
    );
    assert_eq!(theirs.stats().receive_buffered, 0);
}

/// Lines end where they end, in whatever frames they come, and a reader waits for their rest.
pub fn lines_are_read_across_frames<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "first\nsec"), psh(id, "ond"), psh(id, "")]);
    let mut stream = ours.accept().expect("accepted");
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    assert_eq!(line, "first\n");
    case.both(
        || {
            let rest = stream.lines().map(|line| line.expect("a line"));
            assert_eq!(rest.collect::<Vec<_>>(), ["second", "third"]);
        },
        || {
            peer.expect_nothing(&ours);
            peer.send([psh(id, "\nth"), psh(id, "ird"), fin(id)]);
        },
    );
}

/// Lending alone tells the peer nothing; the first consumption is announced exactly.
pub fn windows_follow_what_is_consumed<H: Host>(case: &Case<H>) {
    const LENGTH: u32 = 30_000;
    let (ours, mut peer) = case.peer(built(case.config().max_stream_buffer(10_000)));
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, vec![7; LENGTH as usize])]);
    let mut stream = ours.accept().expect("accepted");
    case.until("it has arrived", || {
        ours.stats().receive_buffered == LENGTH as usize
    });
    assert!(!lent(&mut stream).is_empty());
    stream.consume(0);
    peer.expect_nothing(&ours);
    assert_eq!(peer.window(id), None);
    assert!(!lent(&mut stream).is_empty());
    stream.consume(1);
    let (consumed, window) = peer.await_window(id, 1);
    assert_eq!(consumed, 1);
    let mut left = LENGTH as usize - 1;
    while left > 0 {
        let count = lent(&mut stream).len();
        stream.consume(count);
        left -= count;
    }
    peer.await_window(id, LENGTH - window / 2);
}

/// What has arrived is lent also when the session has ended, and then the reason. The end of a
/// session is never taken for the end of the stream.
pub fn lending_outlives_the_session<H: Host>(case: &Case<H>) {
    for ours_ends in [true, false] {
        let (ours, theirs) = case.pair();
        let (mut stream, mut accepted) = case.stream(&ours, &theirs);
        stream.write_all(b"kept").expect("written");
        case.until("it has arrived", || theirs.stats().receive_buffered == 4);
        match ours_ends {
            true => ours.abort(),
            false => theirs.abort(),
        }
        theirs.closed();
        assert_eq!(lent(&mut accepted), b"kept");
        accepted.consume(3);
        assert_eq!(lent(&mut accepted), b"t");
        accepted.consume(1);
        for _ in 0..2 {
            let why = reason(accepted.fill_buf());
            assert_eq!(Some(why), theirs.close_reason());
        }
    }
}
