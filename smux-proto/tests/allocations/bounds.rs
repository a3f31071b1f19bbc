//! The most that a session holds: compared with the data it buffers, and with its configuration.

use std::task::Poll;

use bytes::{Buf, Bytes};
use smux_conformance::frame::{counting, psh, syn};
use smux_proto::{Config, Session, StreamId, Transmit, Version};

use crate::{
    BOTH, START, accept, config, discard_output, held, input, many_streams, measure, open, server,
    wire,
};

/// For a stream that holds data: its smallest buffer, and the entry that locates it.
const STREAM_WITH_DATA: usize = 64 + 96;
/// Of every session: lists that hardly grow.
const SESSION: usize = 64 << 10;

/// What the peer sends, and what the application does with it.
type Pattern = (&'static str, fn(&mut Session, &[StreamId]));

const PATTERNS: [Pattern; 9] = [
    ("frames of one byte on one stream", |session, ids| {
        let bytes = wire(
            Version::V1,
            counting(200_000)
                .chunks(1)
                .map(|byte| psh(ids[0].get(), byte)),
        );
        input(session, &bytes);
    }),
    ("one byte on every stream", |session, ids| {
        input(
            session,
            &wire(Version::V1, ids.iter().map(|id| psh(id.get(), "x"))),
        );
    }),
    (
        "a large frame on some, read but for one byte",
        |session, ids| {
            let frame = counting(65_535);
            for id in &ids[..50] {
                input(session, &psh(id.get(), &frame).encode(Version::V1));
                read_all_but(session, *id, 1, 60_000);
            }
        },
    ),
    (
        "a large frame on some, read byte by byte but for one",
        |session, ids| {
            let frame = counting(32_768);
            for id in &ids[..20] {
                input(session, &psh(id.get(), &frame).encode(Version::V1));
                read_all_but(session, *id, 1, 1);
            }
        },
    ),
    (
        "a large frame on some, taken out in pieces but for the last",
        |session, ids| {
            let frame = counting(32_768);
            for id in &ids[..50] {
                input(session, &psh(id.get(), &frame).encode(Version::V1));
                let mut stream = session.stream(*id).expect("open");
                while stream.unread() > 100 {
                    assert!(matches!(stream.read_bytes(50), Poll::Ready(Ok(_))));
                }
            }
        },
    ),
    (
        "a full segment that is read, and a byte behind it",
        |session, ids| {
            let frame = counting(32_768);
            for id in ids {
                let frames = [psh(id.get(), &frame), psh(id.get(), "x")];
                input(session, &wire(Version::V1, frames));
                read_all_but(session, *id, 1, 8_192);
            }
        },
    ),
    (
        "a full segment that is lent and consumed but for a byte",
        |session, ids| {
            let frame = counting(32_768);
            for id in ids {
                input(session, &psh(id.get(), &frame).encode(Version::V1));
                let mut stream = session.stream(*id).expect("open");
                while stream.unread() > 1 {
                    let Poll::Ready(Ok(lent)) = stream.peek_bytes() else {
                        panic!("there is something to read");
                    };
                    let count = (stream.unread() - 1).min(lent.len());
                    drop(lent);
                    stream.consume(count);
                }
            }
        },
    ),
    ("a byte, then a large frame, on some", |session, ids| {
        for id in &ids[..50] {
            input(
                session,
                &wire(
                    Version::V1,
                    [psh(id.get(), "x"), psh(id.get(), counting(65_535))],
                ),
            );
        }
    }),
    (
        "frames of sizes just above a power of two",
        |session, ids| {
            for (id, size) in ids
                .iter()
                .zip(
                    [65, 129, 1_025, 2_049, 4_097, 16_385, 32_769]
                        .iter()
                        .cycle(),
                )
                .take(300)
            {
                input(session, &psh(id.get(), counting(*size)).encode(Version::V1));
            }
        },
    ),
];

fn read_all_but(session: &mut Session, id: StreamId, left: usize, piece: usize) {
    let mut stream = session.stream(id).expect("open");
    let mut buffer = vec![0; piece];
    while stream.unread() > left {
        let count = piece.min(stream.unread() - left);
        assert!(matches!(
            stream.read(&mut buffer[..count]),
            Poll::Ready(Ok(1..))
        ));
    }
}

/// Runs a pattern on a session of a thousand streams. Returns the bytes it then holds beyond the
/// idle streams, and the most it may hold.
fn after(pattern: fn(&mut Session, &[StreamId])) -> (usize, usize) {
    let mut session = server(many_streams(Version::V1));
    let syns = (3..).step_by(2).take(1_000).map(syn);
    input(&mut session, &wire(Version::V1, syns));
    let ids: Vec<_> = (0..1_000).map(|_| accept(&mut session)).collect();
    discard_output(&mut session, &mut Transmit::new());
    let memory = measure(|| {
        pattern(&mut session, &ids);
        while session.poll_event().is_some() {}
    });
    let unread = |id: &&StreamId| {
        session
            .stream(**id)
            .is_some_and(|stream| stream.unread() > 0)
    };
    let streams = ids.iter().filter(unread).count();
    let bound = 2 * session.stats().receive_buffered + STREAM_WITH_DATA * streams;
    (held(&memory), bound)
}

#[test]
fn received_bytes_take_at_most_twice_their_memory() {
    for (name, pattern) in PATTERNS {
        let (held, bound) = after(pattern);
        assert!(
            held <= bound + SESSION,
            "{name}: {held} bytes, {bound} in use"
        );
    }
}

/// What waits to be sent costs no more if it was handed over in small pieces.
#[test]
fn queued_bytes_take_at_most_twice_their_memory() {
    for shared in [false, true] {
        let mut session = Session::client(config(Version::V1).build().expect("valid"), 1, START);
        let id = open(&mut session);
        let memory = measure(|| {
            for _ in 0..100_000 {
                let mut stream = session.stream(id).expect("open");
                let result = match shared {
                    true => stream.write_bytes(&mut Bytes::from_static(b"x")),
                    false => stream.write(b"x"),
                };
                assert_eq!(result, Poll::Ready(Ok(1)));
            }
        });
        let bound = 2 * 100_000 + 2 * STREAM_WITH_DATA;
        assert!(
            held(&memory) <= bound,
            "shared: {shared}: {} bytes",
            held(&memory)
        );
    }
}

/// A length as a copy and a body without one, again and again.
#[test]
fn copies_between_shared_bytes_take_at_most_twice_their_memory() {
    let mut session = Session::client(config(Version::V1).build().expect("valid"), 1, START);
    let ids: Vec<_> = (0..8).map(|_| open(&mut session)).collect();
    let memory = measure(|| {
        for id in &ids {
            let mut stream = session.stream(*id).expect("open");
            while stream.write(&[1, 2, 3, 4]).is_ready() {
                let _ = stream.write_bytes(&mut Bytes::from_static(&[7; 1_000]));
            }
        }
    });
    let bound = 2 * session.stats().send_queued + 2 * STREAM_WITH_DATA * ids.len();
    assert!(held(&memory) <= bound, "{} bytes", held(&memory));
}

/// The most that a session with this configuration holds, in bytes.
fn worst_case(config: &Config) -> usize {
    let received = config.max_receive_buffer() + 65_535;
    let queued = config.max_session_send_queue();
    let streams = config.max_inbound_streams() + config.max_outbound_streams();
    2 * (received + queued) + 704 * streams + 16 * config.max_owed_refusals() + (1 << 20)
}

/// The most streams allowed, data in all of them, every queue full, refusals owed. No output
/// leaves, and the application reads neither data nor events.
#[test]
fn a_session_at_all_its_limits_holds_no_more_than_its_formula() {
    for version in BOTH {
        let config = config(version)
            .max_receive_buffer(1 << 20)
            .max_stream_send_queue(8_192)
            .max_session_send_queue(1 << 20)
            .max_inbound_streams(3_000)
            .max_outbound_streams(3_000)
            .accept_backlog(3_000)
            .max_glitches(2_000)
            .max_owed_refusals(2_000)
            .build()
            .expect("valid");
        let bound = worst_case(&config);
        let mut session = None;
        let mut batch = Transmit::new();
        // As the poll layer's, at most.
        batch.set_batch_size(240 << 10);
        let memory = measure(|| {
            let mut full = Session::server(config, 1, START);
            drive_to_the_limits(&mut full, &mut batch, version);
            session = Some(full);
        });
        let session = session.expect("it was made");
        let stats = session.stats();
        assert_eq!(
            (session.stream_count(), stats.streams_refused),
            (6_000, 2_000)
        );
        assert_eq!(stats.receive_buffered, (1 << 20) + 65_534);
        assert_eq!(stats.send_queued, 1 << 20);
        assert!(
            held(&memory) <= bound,
            "{version:?}: {} bytes, {bound} by the formula",
            held(&memory)
        );
        assert!(
            held(&memory) >= bound / 2,
            "a bound far above what is ever held says nothing: {}",
            held(&memory)
        );
    }
}

fn drive_to_the_limits(session: &mut Session, batch: &mut Transmit, version: Version) {
    let inbound = (3..).step_by(2).take(3_000);
    input(session, &wire(version, inbound.map(syn)));
    let mut streams: Vec<_> = (0..3_000).map(|_| accept(session)).collect();
    // Buffers of data that was read go to the pool, up to its limit.
    for id in &streams[..30] {
        input(session, &psh(id.get(), counting(30_000)).encode(version));
    }
    for &id in &streams[..30] {
        crate::read(session, id, 30_000);
    }
    streams.extend((0..3_000).map(|_| open(session)));
    // The transport takes nothing of the first batch.
    assert!(session.poll_transmit(START, batch));
    input(
        session,
        &wire(version, (10_003..).step_by(2).take(2_000).map(syn)),
    );
    // Sizes just above a power of two waste most memory.
    for &id in &streams {
        crate::write(session, id, &[7; 129]);
        let _ = session.stream(id).expect("open").read(&mut [0; 16]);
    }
    for &id in &streams {
        let _ = session.stream(id).expect("open").write(&[7; 8_192]);
    }
    let data = counting(129);
    let each = streams.iter().map(|id| psh(id.get(), &data));
    input(session, &wire(version, each));
    // Each stream fills its first window to the last byte; one largest frame follows.
    for id in &streams {
        let left = (1 << 20) - 1 - session.stats().receive_buffered;
        if left == 0 {
            input(session, &psh(id.get(), counting(65_535)).encode(version));
            break;
        }
        let frame = psh(id.get(), counting(left.min(65_535)));
        input(session, &frame.encode(version));
    }
    assert!(!session.wants_input());
    assert!(batch.has_remaining());
}
