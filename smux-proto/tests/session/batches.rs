//! Batches on their way to the transport: whose they are, and how far they have come.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use smux_conformance::frame::{Frame, counting, decode_all, nop, syn};
use smux_proto::{CloseReason, Config, Session, StreamId, Transmit, Version};

const NOW: Duration = Duration::ZERO;

fn client(seed: u64) -> (Session, StreamId) {
    let mut session = Session::client(Config::default(), seed, NOW);
    match session.open() {
        Poll::Ready(Ok(id)) => (session, id),
        other => panic!("open: {other:?}"),
    }
}

fn write(session: &mut Session, id: StreamId, data: &[u8]) {
    let count = session.stream(id).expect("open").write(data);
    assert_eq!(count, Poll::Ready(Ok(data.len())));
}

fn take(batch: &mut Transmit, count: usize) -> Vec<u8> {
    batch.copy_to_bytes(count).to_vec()
}

/// Everything that this session has to send, by this batch.
fn drain(session: &mut Session, batch: &mut Transmit, into: &mut Vec<u8>) {
    while session.poll_transmit(NOW, batch) {
        let all = batch.remaining();
        into.extend(take(batch, all));
    }
}

fn payload(bytes: &[u8]) -> Vec<u8> {
    let frames = decode_all(bytes);
    frames.into_iter().flat_map(|frame| frame.payload).collect()
}

/// An operation in flight has their addresses.
#[test]
fn a_batch_that_moves_leaves_its_bytes_in_place() {
    let (mut session, id) = client(7);
    write(&mut session, id, b"copied beside the headers");
    write(&mut session, id, &counting(50_000));
    let mut batch = Transmit::new();
    assert!(session.poll_transmit(NOW, &mut batch));
    batch.advance(20);
    let places = |batch: &Transmit| batch.slices().map(<[u8]>::as_ptr_range).collect::<Vec<_>>();
    let before = places(&batch);
    let mut moved = Box::new(batch);
    assert!(before.len() > 2);
    assert_eq!(places(&moved), before);
    let bytes: Vec<u8> = moved.slices().flatten().copied().collect();
    assert_eq!(moved.remaining(), bytes.len());
    assert_eq!(take(&mut moved, bytes.len()), bytes);
}

#[test]
fn a_batch_goes_to_the_transport_of_its_session_only() {
    // The same seed and the same frames: only their identity distinguishes the two sessions.
    let ((mut first, id), (mut second, _)) = (client(7), client(7));
    write(&mut first, id, &counting(400_000));
    let mut batch = Transmit::new();
    assert!(first.poll_transmit(NOW, &mut batch));
    let before = batch.remaining() - 100;
    let mut sent = take(&mut batch, before);
    assert!(!second.poll_transmit(NOW, &mut batch));
    second.handle_written(NOW, &mut batch);
    second.abort();
    assert!(!second.poll_transmit(NOW, &mut batch));
    assert_eq!(batch.remaining(), 100);
    assert_eq!(second.stats().bytes_emitted, 0);
    drain(&mut first, &mut batch, &mut sent);
    assert!(payload(&sent) == counting(400_000), "whole and in order");
}

#[test]
fn an_empty_batch_serves_any_session() {
    let (mut first, mut second) = (client(7).0, client(7).0);
    let mut batch = Transmit::new();
    for session in [&mut first, &mut second] {
        let mut sent = Vec::new();
        drain(session, &mut batch, &mut sent);
        assert_eq!(sent, syn(3).encode(Version::V1));
    }
}

#[test]
fn a_batch_of_a_dropped_session_serves_no_other() {
    let (first, _) = client(7);
    let mut first = Box::new(first);
    let mut batch = Transmit::new();
    assert!(first.poll_transmit(NOW, &mut batch));
    drop(first);
    for seed in 8..100 {
        let (mut next, _) = client(seed);
        assert!(!next.poll_transmit(NOW, &mut batch));
    }
    assert_eq!(batch.remaining(), 8);
}

#[test]
fn a_session_survives_being_moved_while_a_batch_is_out() {
    let (mut session, id) = client(7);
    write(&mut session, id, &counting(200_000));
    let mut batch = Transmit::new();
    assert!(session.poll_transmit(NOW, &mut batch));
    let mut sent = take(&mut batch, 10);
    let mut moved = Box::new(session);
    drain(&mut moved, &mut batch, &mut sent);
    assert!(payload(&sent) == counting(200_000), "whole and in order");
}

#[test]
fn a_second_batch_is_filled_while_the_first_is_being_written() {
    let (mut session, id) = client(7);
    let data = counting(300_000);
    write(&mut session, id, &data);
    let (mut first, mut second) = (Transmit::new(), Transmit::new());
    let mut sent = Vec::new();
    while session.poll_transmit(NOW, &mut first) {
        assert!(session.poll_transmit(NOW, &mut second) || session.bytes_emitted() > 300_000);
        // Anything more in the first batch would overtake the second.
        let left = first.remaining();
        sent.extend(take(&mut first, left / 2));
        assert!(session.poll_transmit(NOW, &mut first));
        assert_eq!(first.remaining(), left - left / 2);
        for batch in [&mut first, &mut second] {
            let left = batch.remaining();
            sent.extend(take(batch, left));
        }
        session.handle_written(NOW, &mut first);
        session.handle_written(NOW, &mut second);
    }
    assert!(payload(&sent) == data, "whole and in order");
    assert!(!session.wants_transmit(), "everything was seen to leave");
}

#[test]
fn the_transport_is_shut_after_the_last_batch() {
    let (mut session, id) = client(7);
    write(&mut session, id, &counting(100_000));
    let (mut first, mut second) = (Transmit::new(), Transmit::new());
    assert!(session.poll_transmit(NOW, &mut first));
    assert!(session.poll_transmit(NOW, &mut second));
    session.close(NOW);
    first.advance(first.remaining());
    while session.poll_transmit(NOW, &mut first) {
        first.advance(first.remaining());
    }
    second.advance(second.remaining() - 1);
    assert!(session.poll_transmit(NOW, &mut second));
    assert!(!session.wants_shutdown(), "a byte is left");
    second.advance(1);
    assert!(!session.poll_transmit(NOW, &mut second));
    assert!(session.wants_shutdown());
}

/// Dropping a batch with bytes in it ends the transport. A batch that was written is reported by
/// the next call.
#[test]
fn any_later_batch_reports_progress() {
    let mut session = client(7).0;
    let seconds = Duration::from_secs;
    let sent = |session: &mut Session, now, batch: &mut Transmit| -> Vec<Frame> {
        assert!(session.poll_transmit(now, batch));
        let all = batch.remaining();
        decode_all(&take(batch, all))
    };
    assert_eq!(sent(&mut session, NOW, &mut Transmit::new()), [syn(3)]);
    write(&mut session, StreamId::new(3), b"x");
    let mut batch = Transmit::new();
    sent(&mut session, seconds(29), &mut batch);
    assert!(!session.poll_transmit(seconds(29), &mut batch));
    session.handle_timeout(seconds(39));
    assert_eq!(session.close_reason(), None::<&CloseReason>);
    assert_eq!(sent(&mut session, seconds(39), &mut batch), [nop()]);
}
