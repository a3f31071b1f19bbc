//! Many small writes, most of which do not lock the session: nothing shows it.

use std::{
    collections::HashMap,
    io::IoSlice,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use proptest::prelude::*;
use smux_proto::{
    CloseReason, Command, Config, Header, StreamError, Version,
    poll::{Driver, SessionHandle, StreamHandle},
};

use crate::wire::{Count, Wire, now, run, server};

const STREAMS: u32 = 3;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn config(version: Version) -> Config {
    let config = Config::builder()
        .version(version)
        .initial_send_window(1 << 18);
    config.build().expect("valid")
}

/// A server that holds so many streams of its peer.
fn with_streams(
    config: Config,
    count: u32,
) -> (SessionHandle, Driver<Wire>, Wire, Vec<StreamHandle>) {
    let (session, mut driver, wire) = server(config);
    for index in 0..count {
        wire.receive(Command::Syn, 3 + 2 * index, b"");
    }
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let accept = |_| now(session.accept()).expect("accept");
    let streams = (0..count).map(accept).collect();
    (session, driver, wire, streams)
}

/// What was sent on each stream, and whether a FIN was last.
fn sent(wire: &Wire) -> HashMap<u32, (Vec<u8>, bool)> {
    let bytes = wire.ends(|ends| ends.output.clone());
    let (mut rest, mut sent) = (bytes.as_slice(), HashMap::<_, (Vec<u8>, bool)>::new());
    while let Some((header, behind)) = rest.split_first_chunk() {
        let header = Header::decode(*header).expect("a frame");
        let (payload, behind) = behind.split_at(header.length.into());
        let (data, finished) = sent.entry(header.stream_id.get()).or_default();
        assert!(
            !*finished || header.command == Command::Fin,
            "{header:?} behind a FIN"
        );
        match header.command {
            Command::Psh => data.extend(payload),
            Command::Fin => *finished = true,
            _ => {}
        }
        rest = behind;
    }
    sent
}

fn write_many(stream: &StreamHandle, count: usize) {
    for _ in 0..count {
        assert_eq!(stream.poll_write(&mut cx(), &[7; 64]), Poll::Ready(Ok(64)));
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// Writes of a size, and how many.
    Write(usize, usize),
    /// Writes of two slices, and how many.
    Vectored(usize, usize, usize),
    Shared(usize),
    Flush,
    Finish,
    Drive,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..100_usize, 1..150_usize).prop_map(|(size, count)| Act::Write(size, count)),
        1 => (500..6_000_usize).prop_map(|size| Act::Write(size, 1)),
        2 => (1..100_usize, 0..100_usize, 1..50_usize)
            .prop_map(|(one, other, count)| Act::Vectored(one, other, count)),
        1 => (1..2_000_usize).prop_map(Act::Shared),
        1 => Just(Act::Flush),
        1 => Just(Act::Drive),
        1 => prop::bool::weighted(0.1).prop_map(|ends| if ends { Act::Finish } else { Act::Drive }),
    ]
}

proptest! {
    /// All that was written is sent, once and in order, before FIN. A flush that is done has seen
    /// it leave.
    #[test]
    fn what_is_written_leaves_in_order(
        acts in prop::collection::vec((0..STREAMS, act()), 1..60),
        version in prop_oneof![Just(Version::V1), Just(Version::V2)],
    ) {
        let (session, mut driver, wire, streams) = with_streams(config(version), STREAMS);
        let mut written = vec![Vec::new(); STREAMS as usize];
        let mut finished = [false; STREAMS as usize];
        let mut next = 0_u8;
        let mut data = |size| -> Vec<u8> {
            let bytes = std::iter::repeat_with(|| { next = next.wrapping_add(1); next });
            bytes.take(size).collect()
        };
        for (index, act) in acts {
            let index = index as usize;
            let (stream, id) = (&streams[index], streams[index].id().get());
            let mut note = |data: &[u8], poll: Poll<Result<usize, StreamError>>| match poll {
                Poll::Ready(Ok(count)) => written[index].extend_from_slice(&data[..count]),
                Poll::Ready(Err(error)) => assert!(finished[index], "{error}"),
                Poll::Pending => {}
            };
            match act {
                Act::Write(size, count) => for _ in 0..count {
                    let data = data(size);
                    note(&data, stream.poll_write(&mut cx(), &data));
                },
                Act::Vectored(one, other, count) => for _ in 0..count {
                    let data = data(one + other);
                    let (first, second) = data.split_at(one);
                    let slices = [IoSlice::new(first), IoSlice::new(second)];
                    note(&data, stream.poll_write_vectored(&mut cx(), &slices));
                },
                Act::Shared(size) => {
                    let data = data(size);
                    let poll = stream.poll_write_bytes(&mut cx(), &mut Bytes::from(data.clone()));
                    note(&data, poll);
                }
                Act::Flush => if stream.poll_flush(&mut cx()).is_ready() {
                    let sent = sent(&wire);
                    prop_assert_eq!(sent.get(&id).map_or(&[][..], |(data, _)| data), &written[index]);
                },
                Act::Finish => {
                    stream.finish();
                    finished[index] = true;
                }
                Act::Drive => prop_assert!(run(&mut driver, Waker::noop()).is_pending()),
            }
        }
        let queued: usize = written.iter().map(Vec::len).sum();
        let payload_sent = session.stats().payload_sent;
        prop_assert_eq!(session.stats().send_queued as u64, queued as u64 - payload_sent);
        drop(streams);
        for _ in 0..10 {
            prop_assert!(run(&mut driver, Waker::noop()).is_pending());
        }
        let mut sent = sent(&wire);
        for (id, written) in (3..).step_by(2).zip(written) {
            let (data, ended) = sent.remove(&id).unwrap_or_default();
            prop_assert!(ended && data == written);
        }
    }
}

#[test]
fn small_writes_fill_a_send_queue_and_no_more() {
    for size in [1, 10, 64, 100, 500, 512, 513] {
        let (session, driver, wire, streams) = with_streams(config(Version::V1), 1);
        wire.ends(|ends| ends.takes_output = false);
        let limit = session.config().max_stream_send_queue();
        let mut queued = 0;
        while let Poll::Ready(count) = streams[0].poll_write(&mut cx(), &vec![7; size]) {
            queued += count.expect("the session goes on");
        }
        assert_eq!(queued, limit, "writes of {size}");
        assert_eq!(session.stats().send_queued, limit);
        drop(driver);
    }
}

#[test]
fn small_writes_keep_to_the_window_of_the_peer() {
    let config = Config::builder()
        .version(Version::V2)
        .initial_send_window(10_000);
    let config = config.build().expect("valid");
    let (_session, mut driver, wire, streams) = with_streams(config, 1);
    let mut written = 0;
    while let Poll::Ready(count) = streams[0].poll_write(&mut cx(), &[7; 64]) {
        written += count.expect("the session goes on");
    }
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(written, 10_000);
    assert_eq!(sent(&wire)[&3].0.len(), 10_000);
}

#[test]
fn a_close_sends_what_small_writes_have_queued() {
    let (session, mut driver, wire, streams) = with_streams(config(Version::V1), 2);
    streams.iter().for_each(|stream| write_many(stream, 100));
    session.start_close();
    assert_eq!(
        streams[0].poll_write(&mut cx(), &[7; 64]),
        Poll::Ready(Err(StreamError::Closed(CloseReason::Local)))
    );
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let sent = sent(&wire);
    assert_eq!(
        [&sent[&3], &sent[&5]].map(|(data, _)| data.len()),
        [6_400; 2]
    );
}

#[test]
fn small_writes_fail_as_soon_as_the_session_has_ended() {
    let (session, _driver, _wire, streams) = with_streams(config(Version::V1), 1);
    write_many(&streams[0], 100);
    session.abort();
    let failed = Poll::Ready(Err(StreamError::Closed(CloseReason::Aborted)));
    assert_eq!(streams[0].poll_write(&mut cx(), &[7; 64]), failed);
    assert_eq!(streams[0].poll_flush(&mut cx()).map_ok(|()| 0), failed);
}

#[test]
fn a_flush_tells_that_the_peer_reads_small_writes_no_more() {
    let (session, mut driver, wire, streams) = with_streams(config(Version::V1), 1);
    wire.ends(|ends| ends.takes_output = false);
    write_many(&streams[0], 100);
    // With half-close, the second FIN says that nothing is read any more.
    wire.receive(Command::Fin, 3, b"");
    wire.receive(Command::Fin, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let failed = Poll::Ready(Err(StreamError::Stopped));
    assert_eq!(streams[0].poll_flush(&mut cx()), failed);
    assert_eq!(session.stats().send_queued, 0);
    assert_eq!(
        streams[0].poll_write(&mut cx(), &[7; 64]),
        Poll::Ready(Err(StreamError::Stopped))
    );
}

/// Other handles see what was written as if each write had queued it at once.
#[test]
fn counters_include_small_writes() {
    let (session, mut driver, _wire, streams) = with_streams(config(Version::V1), 1);
    write_many(&streams[0], 100);
    assert_eq!(session.stats().send_queued, 6_400);
    write_many(&streams[0], 100);
    assert_eq!(streams[0].stats().unsent, 12_800);
    write_many(&streams[0], 100);
    assert_eq!(session.streams()[0].1.unsent, 19_200);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(session.stats().send_queued, 0);
    assert_eq!(session.stats().payload_sent, 19_200);
}

/// Room that small writes have been lent and do not use is room for others.
#[test]
fn many_small_writers_leave_room_for_others() {
    const MANY: u32 = 400;
    let (session, mut driver, wire, mut streams) = with_streams(config(Version::V1), MANY);
    write_many(&streams[0], 1);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    wire.ends(|ends| ends.takes_output = false);
    let other = streams.pop().expect("the last one");
    streams.iter().for_each(|stream| write_many(stream, 5));
    let (count, waker) = Count::waker();
    for _ in 0..300 {
        let write = || other.poll_write(&mut Context::from_waker(&waker), &[7; 64]);
        let poll = match write() {
            Poll::Pending => {
                assert!(count.take() > 0, "the room that is left is lent");
                write()
            }
            ready => ready,
        };
        assert_eq!(poll, Poll::Ready(Ok(64)));
    }
    assert_eq!(session.stats().send_queued, (5 * streams.len() + 300) * 64);
}
