//! The bodies of the fuzz targets. They accept any input, and panic if a session misbehaves.

mod frames;
mod output;
mod seeds;

pub use frames::frames;
pub use seeds::seeds;

use std::{iter, task::Poll, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Buf;
use smux_proto::{
    CloseReason, Config, Event, Session, SessionStats, Side, StreamError, StreamId, Transmit,
    Version,
};

use crate::{
    pipe::Link,
    world::{Operation, World},
};

// ------------------------------------------------------------------ bytes

/// Input of [`raw_bytes`]: four bytes choose the session and the cuts, the rest is its input.
pub const RAW_BYTES_HEADER: usize = 4;

/// Feeds any bytes to a session of any role and version: their effect does not depend on the cuts.
pub fn raw_bytes(data: &[u8]) {
    let Some((&[role, limits, first, second], input)) =
        data.split_first_chunk::<RAW_BYTES_HEADER>()
    else {
        return;
    };
    let small = limits & 1 != 0;
    let budget = if small { 1_000 } else { 4 << 20 };
    let config = Config::builder()
        .version(if role & 1 == 0 {
            Version::V1
        } else {
            Version::V2
        })
        .detect_version(role & 4 != 0)
        .half_close(limits & 2 == 0)
        .max_receive_buffer(budget)
        .max_stream_buffer(budget.min(65_536))
        .max_inbound_streams(if small { 3 } else { 1_000 })
        .accept_backlog(if limits & 4 != 0 { 2 } else { 1_000 })
        .max_glitches(if limits & 8 != 0 { 5 } else { 65_536 })
        .build()
        .expect("valid");
    let session = || match role & 2 {
        0 => Session::client(config.clone(), 1, Duration::ZERO),
        _ => Session::server(config.clone(), 1, Duration::ZERO),
    };
    same_in_pieces(
        session,
        input,
        &[usize::from(first) + 1, usize::from(second) + 1],
    );
}

/// Bytes have the same effect in one piece as in pieces of these lengths, repeated.
///
/// # Panics
///
/// If the effects differ.
pub fn same_in_pieces(session: impl Fn() -> Session, bytes: &[u8], lengths: &[usize]) {
    let whole = observe(session(), bytes, &[usize::MAX]);
    let pieces = observe(session(), bytes, lengths);
    assert_eq!(
        whole, pieces,
        "in one piece (left), in pieces of {lengths:?} (right)"
    );
}

/// A stream, what was read of it, and how it read when nothing was left.
type StreamSeen = (StreamId, Vec<u8>, Poll<Result<usize, StreamError>>);

/// Everything observable about a session.
#[derive(Debug, Default, PartialEq)]
struct Observed {
    events: Vec<Event>,
    reads: Vec<StreamSeen>,
    sent: Vec<u8>,
    reason: Option<CloseReason>,
    stats: SessionStats,
}

/// Feeds a session; its application reads and writes when the receive buffer is full and at the
/// end.
fn observe(mut session: Session, bytes: &[u8], lengths: &[usize]) -> Observed {
    let now = Duration::ZERO;
    let mut seen = Observed::default();
    let mut streams: Vec<StreamId> = Vec::new();
    streams.extend(own_stream(&mut session));
    let mut rest = bytes;
    for length in lengths.iter().copied().cycle() {
        let piece = &rest[..length.min(rest.len())];
        let Ok(taken) = session.handle_input(now, piece) else {
            break;
        };
        rest = &rest[taken..];
        if taken < piece.len() {
            assert!(
                !session.wants_input(),
                "input is left although it is wanted"
            );
            serve(&mut session, &mut streams, &mut seen);
            assert!(
                session.wants_input(),
                "all is read, but input is not wanted"
            );
        } else if rest.is_empty() {
            break;
        }
    }
    seen.reason = session.close_reason().cloned();
    serve(&mut session, &mut streams, &mut seen);
    seen.stats = session.stats();
    // The pieces may change only how much of a malformed input is counted.
    if seen.reason.is_some() {
        seen.stats.bytes_received = 0;
    }
    assert_eq!(seen.stats.receive_buffered, 0, "all is read");
    for id in streams {
        if let Some(stream) = session.stream(id) {
            stream.close();
        }
    }
    session.abort();
    assert_eq!(session.stream_count(), 0, "all are closed");
    seen
}

fn own_stream(session: &mut Session) -> Option<StreamId> {
    match session.open() {
        Poll::Ready(Ok(id)) => Some(id),
        _ => None,
    }
}

/// Takes events, accepts and reads everything, writes a little, takes the output.
fn serve(session: &mut Session, streams: &mut Vec<StreamId>, seen: &mut Observed) {
    seen.events.extend(iter::from_fn(|| session.poll_event()));
    while let Poll::Ready(Ok(id)) = session.accept() {
        streams.push(id);
    }
    for &id in streams.iter() {
        let Some(mut stream) = session.stream(id) else {
            continue;
        };
        let mut data = vec![0; stream.unread()];
        if !data.is_empty() {
            assert_eq!(stream.read(&mut data), Poll::Ready(Ok(data.len())));
        }
        let end = stream.read(&mut [0]);
        assert!(
            !matches!(end, Poll::Ready(Ok(1))),
            "more than `unread` reported"
        );
        // Its outcome shows in the output and the statistics.
        let _ = stream.write(b"answer");
        seen.reads.push((id, data, end));
    }
    let mut batch = Transmit::new();
    while session.poll_transmit(Duration::ZERO, &mut batch) {
        seen.sent.extend(batch.chunk());
        batch.advance(batch.chunk().len());
    }
}

// ------------------------------------------------------------------ operations

/// Input of [`operations`].
#[derive(Debug, Arbitrary)]
struct Run {
    version_2: bool,
    half_close: bool,
    budget: u16,
    queue: u16,
    frame: u16,
    backlog: u8,
    keep_alive: bool,
    links: [(u16, u8, u16); 2],
    seed: u64,
    steps: Vec<(bool, Operation)>,
}

/// Any calls on a pair of sessions over any connection: the applications see queues of bytes.
pub fn operations(data: &[u8]) {
    let Ok(run) = Unstructured::new(data).arbitrary::<Run>() else {
        return;
    };
    let (budget, queue) = (usize::from(run.budget) + 1, usize::from(run.queue) + 1);
    let config = Config::builder()
        .version(if run.version_2 {
            Version::V2
        } else {
            Version::V1
        })
        .half_close(run.half_close)
        .max_receive_buffer(budget)
        .max_stream_buffer(budget)
        .max_stream_send_queue(queue)
        .max_session_send_queue(queue)
        .max_frame_size(usize::from(run.frame).max(1))
        .accept_backlog(usize::from(run.backlog).max(1))
        .keep_alive_timeout(Duration::from_secs(if run.keep_alive {
            20
        } else {
            1 << 40
        }))
        .build()
        .expect("valid");
    let links = run.links.map(|(capacity, delay, max_cut)| Link {
        capacity: usize::from(capacity) + 1,
        delay: Duration::from_millis(delay.into()),
        rate: None,
        max_cut: usize::from(max_cut) + 1,
        death: None,
    });
    let mut world = World::new(&config, links, run.seed);
    for (client, operation) in run.steps {
        world.perform(if client { Side::Client } else { Side::Server }, operation);
        world.check();
    }
    world.finish();
}
