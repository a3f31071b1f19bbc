//! Windows and budgets: memory stays bounded, and no call waits for ever.

use std::{
    io::{self, Read, Write},
    sync::Mutex,
};

use smux_proto::{StreamError, Version};

use crate::{
    frame::{Kind, counting, fin, psh, syn, upd},
    suite::{
        case::{
            Case, built, echo, failure, read_exactly, read_pattern, read_pattern_to_end,
            stream_error, write_pattern,
        },
        host::{Host, HostSession, HostStream},
        time::Task,
    },
};

/// Bytes that every sender may have in flight on a stream before the first window update.
const FIRST_WINDOW: u32 = 262_144;

/// Version 2: an unread stream does not slow the others, in either direction. Its data is complete
/// when it is read at last.
pub fn unread_stream_leaves_others_alone<H: Host>(case: &Case<H>) {
    let length = case.bytes(2 << 20, 64 << 20);
    let (ours, theirs) = case.pair();
    let (mut unread, mut reader) = case.stream(&ours, &theirs);
    case.both(
        || {
            write_pattern(&mut unread, 1, length, 100_000);
            unread.finish().expect("finished");
        },
        || {
            case.until("the writer is stopped", || ours.stats().window_stalls > 0);
            for _ in 0..20 {
                case.round_trip(&ours, &theirs);
                case.round_trip(&theirs, &ours);
            }
            let (mut bulk, accepted) = case.stream(&ours, &theirs);
            case.both(
                || echo(accepted),
                || {
                    for round in 0..20 {
                        bulk.write_all(&[round; 50_000]).expect("written");
                        assert_eq!(read_exactly(&mut bulk, 50_000), [round; 50_000]);
                    }
                    bulk.finish().expect("finished");
                },
            );
            read_pattern_to_end(&mut reader, 1, length, 65_536);
        },
    );
    assert_eq!(theirs.stats().receive_stalls, 0);
}

/// Version 1: an unread stream stops the session when the receive buffer is full, not before and
/// with a bound. Once it is read, everything goes on.
pub fn unread_stream_stalls_and_recovers<H: Host>(case: &Case<H>) {
    const BUFFER: usize = 100_000;
    let length = case.bytes(1 << 20, 64 << 20);
    let config = built(case.config().max_receive_buffer(BUFFER));
    let (ours, theirs) = case.pair_with(case.plain(), config);
    let (mut unread, mut reader) = case.stream(&ours, &theirs);
    let (mut other, mut other_reader) = case.stream(&ours, &theirs);
    case.both(
        || {
            write_pattern(&mut unread, 1, length, 100_000);
            other.write_all(b"behind all that").expect("written");
        },
        || {
            case.until("the session stalls", || theirs.stats().receive_stalls > 0);
            let held = theirs.stats().receive_buffered;
            assert!(
                (BUFFER..BUFFER + 65_535).contains(&held),
                "{held} bytes held"
            );
            // The other direction is unaffected.
            let mut back = theirs.open().expect("opened");
            back.write_all(b"the other way").expect("written");
            let mut accepted = ours.accept().expect("accepted");
            assert_eq!(read_exactly(&mut accepted, 13), b"the other way");
            read_pattern(&mut reader, 1, 0, length, 65_536);
            assert_eq!(read_exactly(&mut other_reader, 15), b"behind all that");
        },
    );
    case.round_trip(&ours, &theirs);
}

/// Both ends write at full speed on many streams. In version 2 one reader a side takes the streams
/// in turns; in version 1, where an unread stream stops the others, each stream has its own. No
/// stream gets stuck.
pub fn all_streams_write_at_once<H: Host>(case: &Case<H>) {
    const STREAMS: u32 = 8;
    let length = case.bytes(1 << 19, 8 << 20);
    let (ours, theirs) = case.pair();
    let mut tasks: Vec<Task<'_>> = Vec::new();
    let (mut our_readers, mut their_readers) = (Vec::new(), Vec::new());
    for seed in 0..STREAMS {
        let (stream, accepted) = match seed % 2 {
            0 => case.stream(&ours, &theirs),
            _ => swap(case.stream(&theirs, &ours)),
        };
        for (stream, readers) in [(stream, &mut our_readers), (accepted, &mut their_readers)] {
            let (reader, mut writer) = stream.into_halves();
            tasks.push(Box::new(move || {
                write_pattern(&mut writer, seed, length, 65_536)
            }));
            readers.push((seed, reader));
        }
    }
    for readers in [our_readers, their_readers] {
        let groups: Vec<Vec<_>> = match case.version {
            Version::V1 => readers.into_iter().map(|reader| vec![reader]).collect(),
            Version::V2 => vec![readers],
        };
        for group in groups {
            tasks.push(Box::new(move || read_in_turns(group, length)));
        }
    }
    case.all(tasks);
}

fn read_in_turns(mut readers: Vec<(u32, impl Read)>, length: u64) {
    const TURN: u64 = 20_000;
    let mut read = 0;
    while read < length {
        let end = (read + TURN).min(length);
        for (seed, reader) in &mut readers {
            read_pattern(reader, *seed, read, end, 65_536);
        }
        read = end;
    }
}

fn swap<T>((one, two): (T, T)) -> (T, T) {
    (two, one)
}

/// A receive buffer much smaller than what is moved, and than a frame.
pub fn small_receive_buffer<H: Host>(case: &Case<H>) {
    let length = case.bytes(100_000, 1 << 20);
    for buffer in [1, 1000] {
        let small = case
            .config()
            .max_stream_buffer(buffer)
            .max_receive_buffer(buffer);
        let length = if buffer == 1 { length / 200 } else { length };
        // Version 2: so that not all is sent before the first window update.
        let ours = built(case.config().initial_send_window(1));
        let (ours, theirs) = case.pair_with(ours, built(small.clone()));
        for seed in 0..2 {
            let (mut stream, mut accepted) = case.stream(&ours, &theirs);
            case.both(
                || {
                    write_pattern(&mut stream, seed, length, 50_000);
                    stream.finish().expect("finished");
                },
                || read_pattern_to_end(&mut accepted, seed, length, 777),
            );
        }
    }
}

/// Writes that end just before, at and just after a window, flushed and only then read.
pub fn window_boundaries<H: Host>(case: &Case<H>) {
    for window in [4096, 65_536, 262_144] {
        let config = built(case.config().max_stream_buffer(window));
        let (ours, theirs) = case.pair_with(case.plain(), config);
        for length in [window - 1, window, window + 1] {
            let (mut stream, mut accepted) = case.stream(&ours, &theirs);
            let length = length as u64;
            case.both(
                || {
                    for seed in 0..3 {
                        write_pattern(&mut stream, seed, length, 300_000);
                    }
                    stream.finish().expect("finished");
                },
                || {
                    for seed in 0..3 {
                        read_pattern(&mut accepted, seed, 0, length, window);
                    }
                    assert_eq!(accepted.read(&mut [0; 16]).expect("the end"), 0);
                },
            );
        }
    }
}

/// Version 2: without any update exactly the first window leaves; each further byte needs one.
pub fn first_window_is_kept<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = case.our_id(0);
    let data = counting(FIRST_WINDOW as usize + 100_000);
    let (first, rest) = data.split_at(FIRST_WINDOW as usize);
    let mut stream = ours.open().expect("opened");
    case.both(
        || {
            stream.write_all(&data).expect("written");
            stream.finish().expect("finished");
        },
        || {
            peer.expect([syn(id)]);
            peer.expect_data(id, first);
            peer.expect_nothing(&ours);
            // A window that shrinks below what is in flight only makes the writer wait.
            peer.send([upd(id, 1, 65_536)]);
            peer.expect_nothing(&ours);
            peer.send([upd(id, 1, FIRST_WINDOW)]);
            peer.expect_data(id, &rest[..1]);
            peer.expect_nothing(&ours);
            peer.send([upd(id, FIRST_WINDOW + 1, 0)]);
            peer.expect_nothing(&ours);
            // An older one, that acknowledges less.
            peer.send([upd(id, 1, 65_536)]);
            peer.expect_nothing(&ours);
            peer.send([upd(id, FIRST_WINDOW + 1, 0x7fff_ffff)]);
            peer.expect_data(id, &rest[1..]);
            peer.expect([fin(id)]);
        },
    );
}

/// Version 2: a peer that acknowledges more than was sent makes writing fail, until it corrects
/// that.
pub fn acknowledged_too_much<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = case.our_id(0);
    let mut stream = ours.open().expect("opened");
    peer.expect([syn(id)]);
    peer.send([upd(id, 10, FIRST_WINDOW)]);
    peer.expect_nothing(&ours);
    let error = failure(stream.write(b"data"));
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(
        stream_error(Err::<(), _>(error)),
        StreamError::AcknowledgedTooMuch
    );
    peer.send([upd(id, 0, FIRST_WINDOW)]);
    peer.expect_nothing(&ours);
    stream.write_all(b"data").expect("it works again");
    peer.expect([psh(id, "data")]);
}

/// Version 2: a sender that keeps to its windows always makes progress, however small they are. The
/// first read is announced, and windows stay within the limits.
pub fn strict_sender_makes_progress<H: Host>(case: &Case<H>) {
    for window in [1, 3, 16, 10_000] {
        let config = built(case.config().max_stream_buffer(window));
        let (ours, mut peer) = case.peer(config);
        let id = peer.fresh_id();
        let total = u32::try_from(window.min(3000) * 20).expect("it is small");
        peer.send([syn(id)]);
        let mut stream = ours.accept().expect("accepted");
        let mut sent = 0;
        while sent < total {
            let credit = match peer.window(id) {
                Some((consumed, window)) => window - (sent - consumed),
                None => 1,
            };
            let piece = credit.min(total - sent).min(30_000);
            peer.send([psh(id, vec![7; piece as usize])]);
            sent += piece;
            let come = read_exactly(&mut stream, piece as usize);
            assert!(come.iter().all(|byte| *byte == 7));
            // With half a window unacknowledged at the latest there is an update.
            let (consumed, announced) = peer.window(id).unwrap_or_default();
            if consumed == 0 || sent - consumed >= announced {
                peer.await_window(id, consumed + 1);
            }
            let (_, announced) = peer.window(id).expect("the first read is announced");
            assert!(
                (1..=window).contains(&(announced as usize)),
                "window {announced}"
            );
        }
    }
}

/// Version 2: a peer that ignores windows costs its own stream, once the receive buffer is full;
/// the session goes on.
pub fn flooded_stream_is_evicted<H: Host>(case: &Case<H>) {
    let config = built(
        case.config()
            .max_stream_buffer(10_000)
            .max_receive_buffer(600_000),
    );
    let (ours, mut peer) = case.peer(config);
    let id = peer.fresh_id();
    peer.send([syn(id)]);
    let mut stream = ours.accept().expect("accepted");
    for _ in 0..30 {
        peer.send([psh(id, vec![0; 32_768])]);
    }
    peer.expect([fin(id), fin(id)]);
    peer.expect_nothing(&ours);
    let mut buffer = vec![0; 65_536];
    let error = loop {
        match stream.read(&mut buffer) {
            Ok(0) => panic!("an end without an error"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(stream_error(Err::<(), _>(error)), StreamError::Evicted);
    assert_eq!(ours.stats().streams_evicted, 1);
}

/// Streams that are dropped unread, and later data for them, take no room in the receive buffer.
pub fn abandoned_streams_cost_nothing<H: Host>(case: &Case<H>) {
    let config = built(
        case.config()
            .max_stream_buffer(50_000)
            .max_receive_buffer(50_000),
    );
    let (ours, mut peer) = case.peer(config);
    for _ in 0..20 {
        let id = peer.fresh_id();
        peer.send([syn(id), psh(id, vec![0; 10_000])]);
        drop(ours.accept().expect("accepted"));
        peer.expect([fin(id), fin(id)]);
        peer.send([psh(id, vec![0; 30_000]), fin(id)]);
    }
    peer.expect_nothing(&ours);
    assert_eq!(ours.stats().receive_buffered, 0);
    assert_eq!(ours.stream_count(), 0);
}

/// The session reads on although its own output is stuck.
pub fn stuck_output_does_not_stop_reading<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.narrow_peer(case.plain());
    let (id, other) = (peer.fresh_id(), peer.fresh_id());
    peer.send([syn(id), syn(other)]);
    let (mut stuck, mut reader) = (
        ours.accept().expect("accepted"),
        ours.accept().expect("accepted"),
    );
    let data = counting(100_000);
    stuck.write_all(&data).expect("it is queued");
    let come = Mutex::new(Vec::new());
    case.both(
        || {
            for piece in data.chunks(10_000) {
                peer.send([psh(other, piece)]);
            }
            peer.send([fin(other)]);
        },
        || {
            reader
                .read_to_end(&mut come.lock().expect("no panic under the lock"))
                .expect("all of it");
        },
    );
    assert!(come.into_inner().expect("no panic under the lock") == data);
    assert_eq!(peer.receive().map(|frame| frame.kind), Some(Kind::Psh));
}
