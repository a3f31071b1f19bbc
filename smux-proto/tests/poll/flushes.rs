//! When a flush completes.

use std::{
    io::ErrorKind,
    task::{Context, Poll, Waker},
    time::Duration,
};

use smux_proto::{
    CloseReason, Command, Config, Header, Side, StreamError,
    poll::{Clock, Driver, Pumps, SessionHandle, StreamHandle},
};

use crate::wire::{Count, Wire, now, run, server};

/// More window updates than go into one batch.
const UPDATES: u32 = 3_000;

fn flush(stream: &StreamHandle, waker: &Waker) -> Poll<Result<(), StreamError>> {
    stream.poll_shutdown(&mut Context::from_waker(waker))
}

/// Commands of all frames that were written for this stream, in order.
fn written(wire: &Wire, stream: u32) -> Vec<Command> {
    let bytes = wire.ends(|ends| ends.output.clone());
    let (mut rest, mut commands) = (bytes.as_slice(), Vec::new());
    while let Some((bytes, behind)) = rest.split_first_chunk() {
        let header = Header::decode(*bytes).expect("a frame");
        if header.stream_id.get() == stream {
            commands.push(header.command);
        }
        rest = &behind[header.length.into()..];
    }
    commands
}

/// When the session closes, updates of thousands of streams precede this stream's frames. The
/// frames still leave, and the flush completes once the transport is flushed, not before.
#[test]
fn a_flush_behind_many_updates_completes_despite_a_close() {
    let (session, mut driver, wire) = server(Config::v2());
    for id in (3..).step_by(2).take(UPDATES as usize) {
        wire.receive(Command::Syn, id, b"");
        wire.receive(Command::Psh, id, b"x");
    }
    while wire.ends(|ends| !ends.input.is_empty()) {
        assert!(run(&mut driver, Waker::noop()).is_pending());
    }
    wire.ends(|ends| {
        ends.output.clear();
        (ends.takes_output, ends.flush_hangs) = (false, true);
    });
    let mut cx = Context::from_waker(Waker::noop());
    let mut others = Vec::new();
    for _ in 0..UPDATES {
        let stream = now(session.accept()).expect("accept");
        assert!(stream.poll_read_buf(&mut cx, &mut Vec::new()).is_ready());
        others.push(stream);
    }
    // A batch of updates is under way, and stuck.
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let ours = now(session.open()).expect("open");
    let data = ours.poll_write(&mut cx, &[7; 100_000]);
    assert_eq!(data, Poll::Ready(Ok(100_000)));
    let (flushed, waker) = Count::waker();
    assert!(flush(&ours, &waker).is_pending());

    session.start_close();
    assert_eq!(flushed.take(), 1, "the session's end is reported");
    assert!(flush(&ours, &waker).is_pending());
    wire.ends(|ends| ends.takes_output = true);
    for _ in 0..10 {
        assert!(run(&mut driver, Waker::noop()).is_pending());
    }
    assert_eq!(
        flushed.take(),
        1,
        "everything has been handed to the transport"
    );
    assert!(
        flush(&ours, &waker).is_pending(),
        "which has not sent it yet"
    );
    assert!(!wire.ends(|ends| ends.closed));

    wire.ends(|ends| ends.flush_hangs = false);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(flushed.take(), 1);
    assert_eq!(flush(&ours, &waker), Poll::Ready(Ok(())));
    assert!(wire.ends(|ends| ends.closed), "the write side is shut");
    let frames = written(&wire, ours.id().get());
    assert_eq!(frames.first(), Some(&Command::Syn));
    assert_eq!(frames.last(), Some(&Command::Fin));
    for stream in others {
        let updates = written(&wire, stream.id().get());
        assert!(updates.contains(&Command::Upd), "{}", stream.id());
    }
}

/// A finish too late for its FIN to leave must not succeed.
#[test]
fn a_flush_after_a_close_tells_whether_the_fin_left() {
    for finishes_in_time in [true, false] {
        let (session, mut driver, wire) = server(Config::v2());
        wire.ends(|ends| ends.takes_output = false);
        let ours = now(session.open()).expect("open");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(ours.poll_write(&mut cx, b"queued").is_ready());
        if finishes_in_time {
            ours.finish();
        }
        session.start_close();
        wire.ends(|ends| ends.takes_output = true);
        assert!(run(&mut driver, Waker::noop()).is_pending());
        let done = flush(&ours, Waker::noop());
        let late = StreamError::Closed(session.close_reason().expect("it closes"));
        let expected = if finishes_in_time { Ok(()) } else { Err(late) };
        assert_eq!(done, Poll::Ready(expected));
        let frames = written(&wire, ours.id().get());
        assert_eq!(frames.contains(&Command::Fin), finishes_in_time);
    }
}

/// The transport has taken all of one stream's bytes and is blocked in the middle of another's.
fn blocked_behind_a_stream() -> (SessionHandle, Driver<Wire>, Wire, [StreamHandle; 2]) {
    let (session, mut driver, wire) = server(Config::default());
    let [ours, other] = [(); 2].map(|()| now(session.open()).expect("open"));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(ours.poll_write(&mut cx, b"hello").is_ready());
    assert!(other.poll_write(&mut cx, &[1; 50_000]).is_ready());
    wire.ends(|ends| ends.room = Some(20_000));
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(wire.ends(|ends| ends.output.len()), 20_000);
    (session, driver, wire, [ours, other])
}

#[test]
fn a_flush_does_not_wait_for_writes_of_other_streams() {
    let (_session, mut driver, _wire, [ours, other]) = blocked_behind_a_stream();
    let (wakes, waker) = Count::waker();
    assert!(run(&mut driver, &waker).is_pending());
    let (flushed, flush_waker) = Count::waker();
    let mut cx = Context::from_waker(&flush_waker);
    assert!(other.poll_flush(&mut cx).is_pending());
    assert_eq!(wakes.take(), 0, "not all of it is written");
    assert!(ours.poll_flush(&mut cx).is_pending());
    assert_eq!(wakes.take(), 1);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(flushed.take(), 1);
    assert_eq!(ours.poll_flush(&mut cx), Poll::Ready(Ok(())));
    assert!(other.poll_flush(&mut cx).is_pending());
}

/// A transport that takes little at a time is not flushed after each piece.
#[test]
fn the_transport_is_flushed_only_when_a_stream_gains_by_it() {
    let (_session, mut driver, wire, [_ours, other]) = blocked_behind_a_stream();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(other.poll_flush(&mut cx).is_pending());
    for _ in 0..29 {
        wire.ends(|ends| ends.room = Some(1000));
        assert!(run(&mut driver, Waker::noop()).is_pending());
    }
    assert_eq!(wire.ends(|ends| ends.flushes), 0);
    wire.ends(|ends| ends.room = None);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(wire.ends(|ends| ends.flushes), 1);
    assert_eq!(other.poll_flush(&mut cx), Poll::Ready(Ok(())));
}

/// The session ends while a flush of the transport hangs. Then the flush fails, or the write pump
/// is dropped. The read pump never returns, so the last pump never ends.
#[test]
fn a_flush_fails_once_the_transport_cannot_be_flushed() {
    for fails in [true, false] {
        let (
            session,
            Pumps {
                read,
                mut write,
                timer: _timer,
            },
        ) = Pumps::new(
            Side::Client,
            Config::default(),
            Clock::new(|| Duration::ZERO),
        );
        let stream = now(session.open()).expect("open");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_write(&mut cx, b"hello").is_ready());
        let mut wire = Wire::default();
        wire.ends(|ends| (ends.takes_output, ends.flush_hangs) = (true, true));
        assert!(write.poll(&mut cx, &mut wire).is_pending());
        let (woken, waker) = Count::waker();
        let mut flush_cx = Context::from_waker(&waker);
        assert!(stream.poll_flush(&mut flush_cx).is_pending());
        session.abort();
        woken.take();
        assert!(
            stream.poll_flush(&mut flush_cx).is_pending(),
            "it may still be flushed"
        );
        if fails {
            wire.ends(|ends| ends.flush_error = Some(ErrorKind::BrokenPipe.into()));
            assert!(write.poll(&mut cx, &mut wire).is_ready());
        } else {
            drop(write);
        }
        assert_eq!(woken.take(), 1);
        let late = StreamError::Closed(CloseReason::Aborted);
        assert_eq!(stream.poll_flush(&mut flush_cx), Poll::Ready(Err(late)));
        drop(read);
    }
}
