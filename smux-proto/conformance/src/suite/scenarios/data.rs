//! Bytes arrive whole and in order.

use std::{
    io::{Read, Write},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use fastrand::Rng;
use smux_proto::Side;

use crate::suite::{
    case::{
        Case, built, echo, expect_eof, read_all, read_exactly, read_pattern, read_pattern_to_end,
        write_pattern,
    },
    host::{Host, HostSession, HostStream},
    time::Task,
};

/// A hundred requests and replies on one stream.
pub fn echo_on_one_stream<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, accepted) = case.stream(&ours, &theirs);
    case.both(
        || echo(accepted),
        || {
            for round in 0..100 {
                let request = format!("hello {round}");
                stream.write_all(request.as_bytes()).expect("written");
                assert_eq!(read_exactly(&mut stream, request.len()), request.as_bytes());
            }
            stream.finish().expect("finished");
            expect_eof(&mut stream);
        },
    );
}

/// Data written before the peer accepts the stream is complete, and the end follows it.
pub fn data_is_there_when_accepted<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let mut stream = ours.open().expect("opened");
    for piece in ["written", " before", " accept", " returns"] {
        stream.write_all(piece.as_bytes()).expect("written");
    }
    stream.finish().expect("finished");
    let mut accepted = theirs.accept().expect("accepted");
    assert_eq!(read_all(&mut accepted), b"written before accept returns");
}

/// The side that accepts a stream may be the first to speak, and the only one.
pub fn acceptor_speaks_first<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let mut stream = ours.open().expect("opened");
    let mut accepted = theirs.accept().expect("accepted");
    accepted.write_all(b"welcome").expect("written");
    accepted.finish().expect("finished");
    assert_eq!(read_all(&mut stream), b"welcome");
}

/// Many streams at the same time, opened by either side, with many round trips each.
pub fn parallel_streams<H: Host>(case: &Case<H>) {
    let (streams, rounds) = case.scaled((24, 10), (1000, 100));
    let (ours, theirs) = case.pair();
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for number in 0..streams {
        let (opener, acceptor) = match number % 2 {
            0 => (&ours, &theirs),
            _ => (&theirs, &ours),
        };
        let (mut stream, accepted) = case.stream(opener, acceptor);
        tasks.push(Box::new(move || echo(accepted)));
        tasks.push(Box::new(move || {
            for round in 0..rounds {
                let request = format!("stream {number} round {round}");
                stream.write_all(request.as_bytes()).expect("written");
                assert_eq!(read_exactly(&mut stream, request.len()), request.as_bytes());
            }
        }));
    }
    case.all(tasks);
}

/// Streams that live for one message, one after the other.
pub fn many_short_streams<H: Host>(case: &Case<H>) {
    let streams = case.scaled(200, 10_000);
    let (ours, theirs) = case.pair();
    case.both(
        || {
            for _ in 0..streams {
                echo(theirs.accept().expect("accepted"));
            }
        },
        || {
            for number in 0..streams {
                let mut stream = ours.open().expect("opened");
                let message = format!("message {number}");
                stream.write_all(message.as_bytes()).expect("written");
                stream.finish().expect("finished");
                assert_eq!(read_all(&mut stream), message.as_bytes());
            }
        },
    );
    case.until("all streams are forgotten", || {
        ours.stream_count() + theirs.stream_count() == 0
    });
}

/// Messages are read completely through a buffer of six bytes.
pub fn tiny_read_buffer<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    for round in 0..20 {
        let message = format!("a message of more than six bytes, number {round}");
        stream.write_all(message.as_bytes()).expect("written");
        let mut come = Vec::<u8>::new();
        while come.len() < message.len() {
            let mut buffer = [0; 6];
            let count = accepted.read(&mut buffer).expect("data");
            come.extend(&buffer[..count]);
        }
        assert_eq!(come, message.as_bytes());
    }
}

/// Copying a stream into a writer ends, without an error, with exactly what was sent.
pub fn stream_is_copied_to_a_writer<H: Host>(case: &Case<H>) {
    let length = case.bytes(1 << 20, 1 << 20);
    let (ours, theirs) = case.pair();
    let (stream, accepted) = case.stream(&ours, &theirs);
    let (mut reader, mut writer) = stream.into_halves();
    let mut sink = Vec::new();
    case.all([
        Box::new(|| echo(accepted)) as Task<'_>,
        Box::new(move || write_pattern(&mut writer, 1, length, 10_000)),
        Box::new(|| {
            let copied = std::io::copy(&mut reader, &mut sink).expect("copied");
            assert_eq!(copied, length);
        }),
    ]);
    read_pattern_to_end(&mut &*sink, 1, length, 65_536);
}

/// One stream is written and read at the same time, at full speed.
pub fn bulk_both_ways_on_one_stream<H: Host>(case: &Case<H>) {
    let length = case.bytes(3 << 20, 64 << 20);
    let (ours, theirs) = case.pair();
    let (stream, accepted) = case.stream(&ours, &theirs);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for (stream, seed) in [(stream, 0), (accepted, 1)] {
        let (mut reader, mut writer) = stream.into_halves();
        tasks.push(Box::new(move || {
            write_pattern(&mut writer, seed, length, 131_072)
        }));
        tasks.push(Box::new(move || {
            read_pattern_to_end(&mut reader, 1 - seed, length, 65_536)
        }));
    }
    case.all(tasks);
}

/// Pieces of random length, echoed and compared.
pub fn random_lengths<H: Host>(case: &Case<H>) {
    let length = case.bytes(2 << 20, 5 << 30);
    let (ours, theirs) = case.pair();
    let (stream, accepted) = case.stream(&ours, &theirs);
    let (mut reader, mut writer) = stream.into_halves();
    case.all([
        Box::new(|| echo(accepted)) as Task<'_>,
        Box::new(move || {
            let mut rng = Rng::with_seed(7);
            let mut written = 0;
            let mut buffer = vec![0; 1 << 20];
            while written < length {
                let piece = rng.u64(1..=1 << 20).min(length - written);
                let part = &mut buffer[..usize::try_from(piece).expect("at most a mebibyte")];
                crate::pattern::Pattern { seed: 9 }.fill(written, part);
                writer.write_all(part).expect("written");
                written += piece;
            }
        }),
        Box::new(move || {
            let mut rng = Rng::with_seed(8);
            let mut read = 0;
            while read < length {
                let end = (read + rng.u64(1..=200_000)).min(length);
                read_pattern(&mut reader, 9, read, end, 50_000);
                read = end;
            }
            expect_eof(&mut reader);
        }),
    ]);
}

/// Frames of the smallest and the largest size, and of sizes that do not fit what is written.
pub fn frames_of_every_size<H: Host>(case: &Case<H>) {
    for (size, length) in [
        (1, 2000),
        (2, 2001),
        (1000, 100_000),
        (32_768, 1 << 19),
        (65_535, 1 << 19),
    ] {
        let config = built(case.config().max_frame_size(size));
        let (ours, theirs) = case.pair_with(config, case.plain());
        let (mut stream, mut accepted) = case.stream(&ours, &theirs);
        case.both(
            || {
                write_pattern(&mut stream, 3, length, 262_144);
                stream.finish().expect("finished");
            },
            || read_pattern_to_end(&mut accepted, 3, length, 65_536),
        );
        let frames = ours.stats().frames_sent.psh;
        assert!(
            frames >= length.div_ceil(size as u64),
            "{frames} frames of at most {size} bytes"
        );
    }
}

/// Writing nothing succeeds, also after the end, and sends nothing; reading into nothing likewise.
pub fn empty_reads_and_writes<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    assert_eq!(stream.write(b"").expect("nothing to write"), 0);
    assert_eq!(accepted.read(&mut []).expect("nothing to read"), 0);
    stream.finish().expect("finished");
    assert_eq!(stream.write(b"").expect("nothing to write"), 0);
    assert_eq!(read_all(&mut accepted), b"");
    assert_eq!(ours.stats().frames_sent.psh, 0);
    ours.abort();
    assert_eq!(stream.write(b"").expect("nothing to write"), 0);
    assert_eq!(stream.read(&mut []).expect("nothing to read"), 0);
}

/// Several threads accept and several open: each stream comes to exactly one, and none waits in
/// vain.
pub fn several_accept_at_once<H: Host>(case: &Case<H>) {
    const STREAMS: u32 = 30;
    let (ours, theirs) = case.pair();
    let accepted = Mutex::new(Vec::new());
    let opened = AtomicU32::new(0);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for _ in 0..3 {
        tasks.push(Box::new(|| {
            while let Ok(mut stream) = theirs.accept() {
                accepted
                    .lock()
                    .expect("no panic under the lock")
                    .push(stream.id());
                stream.write_all(b"accepted").expect("written");
            }
        }));
        tasks.push(Box::new(|| {
            while opened.fetch_add(1, Ordering::Relaxed) < STREAMS {
                let mut stream = ours.open().expect("opened");
                assert_eq!(read_all(&mut stream), b"accepted");
            }
        }));
    }
    tasks.push(Box::new(|| {
        case.until("all are accepted", || {
            accepted.lock().expect("no panic under the lock").len() == STREAMS as usize
        });
        case.until("all have ended", || ours.stream_count() == 0);
        theirs.close();
    }));
    case.all(tasks);
    let mut accepted = accepted.into_inner().expect("no panic under the lock");
    accepted.sort_by_key(|id| id.get());
    accepted.dedup();
    assert_eq!(accepted.len(), STREAMS as usize);
}

/// A server that detects the version takes that of its client, and can open streams itself from
/// then on.
pub fn detected_version<H: Host>(case: &Case<H>) {
    let detects = built(case.config().detect_version(true));
    let (ours, theirs) = match case.side {
        Side::Server => case.pair_with(detects, case.plain()),
        Side::Client => case.pair_with(case.plain(), detects),
    };
    let (client, server) = match case.side {
        Side::Client => (&ours, &theirs),
        Side::Server => (&theirs, &ours),
    };
    case.both(
        || {
            // Waits for the client's first frame.
            let mut stream = server.open().expect("opened");
            stream.write_all(b"from the server").expect("written");
            stream.finish().expect("finished");
            expect_eof(&mut stream);
        },
        || {
            case.round_trip(client, server);
            let mut stream = client.accept().expect("accepted");
            assert_eq!(read_all(&mut stream), b"from the server");
        },
    );
}
