//! Wherever the bytes are cut, the result is the same.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use proptest::{collection::vec, prelude::*};
use smux_conformance::frame::{self, counting};
use smux_proto::{
    CloseReason, Config, Event, Header, Session, SessionStats, StreamError, StreamId, Transmit,
    Version, WindowUpdate,
};

use crate::{any_frame, cases, small, version};

/// Mostly whole frames, sometimes anything.
fn input(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        40 => any_frame().prop_map(move |frame| frame.encode(version)),
        1 => vec(any::<u8>(), 1..20),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// All that can be seen of a session that was given input and then read.
#[derive(Debug, PartialEq)]
struct Seen {
    taken: usize,
    events: Vec<Event>,
    streams: Vec<(StreamId, Contents)>,
    reason: Option<CloseReason>,
    sent: Vec<u8>,
    stats: SessionStats,
}

/// Feeds input in pieces of these lengths (again and again) until it is taken or refused.
fn feed(config: Config, input: &[u8], cuts: &[usize]) -> Seen {
    let mut session = Session::server(config, 1, Duration::ZERO);
    let mut cuts = cuts.iter().copied().cycle();
    let mut taken = 0;
    while taken < input.len() && session.wants_input() {
        let end = input
            .len()
            .min(taken + cuts.next().unwrap_or(usize::MAX - taken));
        match session.handle_input(Duration::ZERO, &input[taken..end]) {
            Ok(count) => taken += count,
            Err(_) => break,
        }
    }
    let reason = session.close_reason().cloned();
    let mut stats = session.stats();
    let events = std::iter::from_fn(|| session.poll_event()).collect();
    let accepted: Vec<_> = std::iter::from_fn(|| match session.accept() {
        Poll::Ready(Ok(id)) => Some(id),
        _ => None,
    })
    .collect();
    let streams = accepted
        .into_iter()
        .map(|id| (id, read_all(&mut session, id)));
    let streams = streams.collect();
    // How far input was taken when it was found to be wrong depends on the cuts.
    if reason.is_some() {
        taken = 0;
        stats.bytes_received = 0;
    }
    Seen {
        taken,
        events,
        streams,
        reason,
        sent: transmit(&mut session, usize::MAX),
        stats,
    }
}

/// The data of a stream, and what a read says after it.
type Contents = (Vec<u8>, Poll<Result<usize, StreamError>>);

fn read_all(session: &mut Session, id: StreamId) -> Contents {
    let (mut data, mut buffer) = (Vec::new(), [0; 999]);
    let mut stream = session.stream(id).expect("accepted");
    loop {
        match stream.read(&mut buffer) {
            Poll::Ready(Ok(count @ 1..)) => data.extend(&buffer[..count]),
            end => return (data, end),
        }
    }
}

/// Takes all output, in pieces of at most this many bytes.
fn transmit(session: &mut Session, piece: usize) -> Vec<u8> {
    let (mut batch, mut sent) = (Transmit::new(), Vec::new());
    while session.poll_transmit(Duration::ZERO, &mut batch) {
        let chunk = batch.chunk();
        let count = chunk.len().min(piece);
        sent.extend(&chunk[..count]);
        batch.advance(count);
    }
    sent
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn headers_and_updates_survive_the_wire(bytes: [u8; 8], version in 1..=2_u8, command in 0..=4_u8) {
        let mut bytes = bytes;
        let update = WindowUpdate::decode(bytes);
        prop_assert_eq!(update.encode(), bytes);
        bytes[..2].copy_from_slice(&[version, command]);
        let header = Header::decode(bytes).expect("valid");
        prop_assert_eq!(header.encode(), bytes);
    }

    /// The transport may cut the peer's bytes anywhere.
    #[test]
    fn cuts_in_the_input_make_no_difference(
        (version, input) in version().prop_flat_map(|version| (Just(version), input(version))),
        cuts in vec(1..200_usize, 1..20),
    ) {
        let whole = feed(small(version), &input, &[]);
        prop_assert_eq!(&feed(small(version), &input, &cuts), &whole);
        prop_assert_eq!(&feed(small(version), &input, &[1]), &whole);
    }

    /// The transport may take our bytes in any pieces.
    #[test]
    fn cuts_in_the_output_make_no_difference(
        version in version(),
        writes in vec((0..4_usize, 0..5_000_usize, any::<bool>()), 1..20),
        piece in 1..3_000_usize,
    ) {
        let output = |piece| {
            let config = Config::builder().version(version).build().expect("valid");
            let mut session = Session::client(config, 1, Duration::ZERO);
            let ids: Vec<_> = (0..4).filter_map(|_| match session.open() {
                Poll::Ready(Ok(id)) => Some(id),
                _ => None,
            }).collect();
            for &(which, len, finish) in &writes {
                let mut stream = session.stream(ids[which]).expect("open");
                let _ = stream.write(&counting(len));
                if finish && len % 7 == 0 {
                    stream.finish();
                }
            }
            transmit(&mut session, piece)
        };
        let whole = output(usize::MAX);
        prop_assert_eq!(&output(piece), &whole);
        frame::decode_all(&whole);
    }
}
