//! Two sessions and a connection between them: wherever it breaks, no data is lost and no call
//! hangs.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use smux_conformance::{
    frame::counting,
    pair::{End, Pair},
    pipe::{Death, Link},
};
use smux_proto::{CloseReason, Config, Event, Session, Side, StreamId, Transmit, Version};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

fn configs() -> [Config; 3] {
    let v2 = Config::builder()
        .version(Version::V2)
        .build()
        .expect("valid");
    [Config::default(), v2, Config::v2()]
}

/// A narrow, slow connection that splits every read and write.
fn narrow() -> Link {
    Link {
        capacity: 4_096,
        delay: Duration::from_millis(20),
        rate: None,
        max_cut: 1_000,
        death: None,
    }
}

/// A stream opened on one side and accepted on the other.
fn open(pair: &mut Pair, side: Side) -> StreamId {
    let id = pair.end(side).open();
    pair.drive();
    assert_eq!(pair.accept(other(side)), Some(id));
    id
}

/// Reads all that is there.
fn drain(end: &mut End, id: StreamId, into: &mut Vec<u8>) -> bool {
    loop {
        match end.read(id, 5_000) {
            None => return true,
            Some(data) if data.is_empty() => return false,
            Some(data) => into.extend(data),
        }
    }
}

#[test]
fn requests_and_answers_pass_over_half_closed_streams() {
    for config in configs() {
        for side in SIDES {
            let mut pair = Pair::with(config.clone(), config.clone(), narrow(), narrow(), 7);
            let id = open(&mut pair, side);
            let (request, answer) = (counting(300_000), counting(200_000));
            transfer(&mut pair, side, id, &request);
            transfer(&mut pair, other(side), id, &answer);
            for side in SIDES {
                pair.end(side).session.stream(id).expect("there").close();
            }
            pair.drive();
            assert!(pair.is_quiet());
            assert_eq!(
                (
                    pair.client.session.stream_count(),
                    pair.server.session.stream_count()
                ),
                (0, 0)
            );
        }
    }
}

/// Writes all of `data` on one side, then FIN, and reads it to its end on the other.
fn transfer(pair: &mut Pair, from: Side, id: StreamId, data: &[u8]) {
    let (mut rest, mut received) = (data, Vec::new());
    loop {
        let count = if rest.is_empty() {
            0
        } else {
            pair.end(from).write(id, rest)
        };
        rest = &rest[count..];
        if rest.is_empty() {
            pair.end(from).session.stream(id).expect("there").finish();
        }
        pair.drive();
        let before = received.len();
        let ended = drain(pair.end(other(from)), id, &mut received);
        if ended {
            break;
        }
        pair.drive();
        assert!(
            count > 0 || received.len() > before,
            "stuck after {before} bytes, {} unwritten",
            rest.len()
        );
    }
    assert!(
        received == data,
        "{} of {} bytes, or not the same",
        received.len(),
        data.len()
    );
}

/// Both write at full speed on many streams and read in turns.
#[test]
fn sides_that_write_before_they_read_do_not_deadlock() {
    let config = Config::v2();
    let mut pair = Pair::with(config.clone(), config, narrow(), narrow(), 3);
    let ids: Vec<_> = (0..20).map(|n| open(&mut pair, SIDES[n % 2])).collect();
    let data = counting(70_000);
    let mut unwritten = vec![[&*data; 2]; ids.len()];
    let mut received = vec![[const { Vec::new() }; 2]; ids.len()];
    for turn in 0.. {
        for (&id, unwritten) in ids.iter().zip(&mut unwritten) {
            for (side, rest) in SIDES.into_iter().zip(unwritten) {
                let count = pair.end(side).write(id, rest);
                *rest = &rest[count..];
            }
        }
        pair.drive();
        let which = turn % ids.len();
        for (side, into) in SIDES.into_iter().zip(&mut received[which]) {
            drain(pair.end(side), ids[which], into);
        }
        if received
            .iter()
            .flatten()
            .all(|received| received.len() == data.len())
        {
            break;
        }
        assert!(
            turn < 10_000,
            "no end in sight: {:?}",
            received.iter().flatten().map(Vec::len).collect::<Vec<_>>()
        );
    }
    assert!(received.iter().flatten().all(|received| *received == data));
}

#[test]
fn many_short_streams_leave_no_state() {
    for config in configs() {
        let mut pair = Pair::new(config, 11);
        for _ in 0..300 {
            for side in SIDES {
                let id = pair.end(side).open();
                assert_eq!(pair.end(side).write(id, b"short"), 5);
                pair.end(side).session.stream(id).expect("there").close();
            }
            pair.drive();
            for side in SIDES {
                let id = pair.accept(side).expect("a stream");
                assert_eq!(pair.end(side).read(id, 10), Some(b"short".to_vec()));
                assert_eq!(pair.end(side).read(id, 10), None);
                pair.end(side).session.stream(id).expect("there").close();
            }
        }
        pair.drive();
        for side in SIDES {
            let session = &pair.end(side).session;
            assert_eq!(session.stream_count(), 0);
            let stats = session.stats();
            assert_eq!(
                (
                    stats.receive_buffered,
                    stats.send_queued,
                    stats.windows_granted
                ),
                (0, 0, 0)
            );
            assert_eq!(
                (
                    stats.streams_opened,
                    stats.streams_accepted,
                    stats.streams_refused
                ),
                (300, 300, 0)
            );
        }
    }
}

#[test]
fn idle_sessions_keep_each_other_alive() {
    for config in configs() {
        let mut pair = Pair::with(config.clone(), config, narrow(), narrow(), 5);
        pair.advance(Duration::from_secs(3_600));
        for side in SIDES {
            assert!(!pair.end(side).session.is_closed());
            assert!((350..=360).contains(&pair.end(side).session.stats().frames_received.nop));
        }
    }
}

/// A closing side waits for the peer's end, so none of its data is lost.
#[test]
fn data_written_before_close_arrives() {
    for config in configs() {
        for side in SIDES {
            let mut pair = Pair::with(config.clone(), config.clone(), narrow(), narrow(), 9);
            let id = open(&mut pair, side);
            let data = counting(60_000);
            assert_eq!(pair.end(side).write(id, &data), data.len());
            assert_eq!(pair.end(other(side)).write(id, &data), data.len());
            pair.close(side);
            pair.drive();
            let mut received = Vec::new();
            while let Poll::Ready(Ok(count @ 1..)) = read(pair.end(other(side)), id, &mut received)
            {
                assert!(count <= 1_000);
            }
            assert!(received == data);
            assert_eq!(
                pair.end(side).session.close_reason(),
                Some(&CloseReason::Local)
            );
            assert_eq!(
                pair.end(other(side)).session.close_reason(),
                Some(&CloseReason::PeerClosed)
            );
            assert!(pair.client.dropped_transport() && pair.server.dropped_transport());
        }
    }
}

fn read(
    end: &mut End,
    id: StreamId,
    into: &mut Vec<u8>,
) -> Poll<Result<usize, smux_proto::StreamError>> {
    let mut buffer = [0; 1_000];
    let result = end.session.stream(id).expect("there").read(&mut buffer);
    if let Poll::Ready(Ok(count)) = result {
        into.extend(&buffer[..count]);
    }
    result
}

/// The connection dies at each byte of a conversation in turn; no data is invented.
#[test]
fn both_sides_end_wherever_the_connection_dies() {
    let script_len = 8 + 8 + 40 + 8;
    for death in [Death::Eof, Death::Reset] {
        for at in 0..=script_len {
            for side in SIDES {
                dies(side, at, death);
            }
        }
    }
}

fn dies(side: Side, at: u64, death: Death) {
    let dying = Link {
        death: Some((at, death)),
        max_cut: 13,
        ..Link::default()
    };
    let config = Config::builder()
        .version(Version::V2)
        .build()
        .expect("valid");
    let (upstream, downstream) = match side {
        Side::Client => (dying, Link::default()),
        Side::Server => (Link::default(), dying),
    };
    let mut pair = Pair::with(config.clone(), config, upstream, downstream, at);
    let data = counting(40);
    let id = pair.end(side).open();
    assert_eq!(pair.end(side).write(id, &data), 40);
    pair.end(side).session.stream(id).expect("there").finish();
    pair.drive();
    let accepted = pair.accept(other(side));
    assert_eq!(accepted.is_some(), at >= 8, "{side:?} {death:?} at {at}");
    if let Some(id) = accepted {
        let mut received = Vec::new();
        let end = loop {
            match read(pair.end(other(side)), id, &mut received) {
                Poll::Ready(Ok(1..)) => {}
                other => break other,
            }
        };
        assert!(data.starts_with(&received));
        let complete = at >= 64;
        assert_eq!(
            end == Poll::Ready(Ok(0)),
            complete,
            "{side:?} {death:?} at {at}: {end:?}"
        );
        assert!(end.is_ready(), "a reader hangs");
        assert!(!complete || received == data);
    }
    pair.advance(Duration::from_secs(60));
    for side in SIDES {
        let end = pair.end(side);
        let reason = end.session.close_reason().cloned();
        assert!(reason.is_some(), "{side:?} goes on, {death:?} at {at}");
        assert_eq!(
            end.session.accept().map(|result| result.err()),
            Poll::Ready(reason.clone())
        );
        // Where only writing failed, the end of the input has a reason of its own.
        let told = end.events.iter().filter(|event| **event == Event::Closed);
        let write_failed = matches!(reason, Some(CloseReason::Transport(_)));
        assert!((1..=1 + usize::from(write_failed)).contains(&told.count()));
        assert!(end.dropped_transport());
    }
}

/// How bytes are copied depends on where they lie in their pages of memory. What they are does not.
#[test]
fn data_arrives_wherever_it_lies_in_memory() {
    let data = counting(3 * 4_096);
    let mut into = vec![0; data.len()];
    let (mut client, mut server) = (
        Session::client(Config::default(), 1, Duration::ZERO),
        Session::server(Config::default(), 2, Duration::ZERO),
    );
    let Poll::Ready(Ok(id)) = client.open() else {
        panic!("there is room")
    };
    let mut batch = Transmit::new();
    for offset in (0..4_096).step_by(8) {
        let written = &data[offset..offset + 5_000];
        let mut stream = client.stream(id).expect("open");
        assert_eq!(stream.write(written), Poll::Ready(Ok(written.len())));
        while client.poll_transmit(Duration::ZERO, &mut batch) {
            let count = batch.chunk().len();
            assert_eq!(
                server.handle_input(Duration::ZERO, batch.chunk()),
                Ok(count)
            );
            batch.advance(count);
        }
        while server.accept().is_ready() {}
        let mut stream = server.stream(id).expect("accepted");
        let read = &mut into[4_096 - offset..][..written.len()];
        assert_eq!(stream.read(read), Poll::Ready(Ok(written.len())));
        assert!(read == written, "{offset} bytes into a page");
    }
}
