//! When a flush is done.

use std::task::{Context, Poll, Waker};

use smux_proto::{Command, Config, Header, StreamError, poll::StreamHandle};

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

/// The stream's frames stand behind updates of thousands of others when the session closes: they leave all the same,
/// and the flush says so once the transport is flushed, not before.
#[test]
fn a_flush_behind_many_updates_outlasts_a_close() {
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
    assert_eq!(flushed.take(), 1, "the session's end is told");
    assert!(flush(&ours, &waker).is_pending());
    wire.ends(|ends| ends.takes_output = true);
    for _ in 0..10 {
        assert!(run(&mut driver, Waker::noop()).is_pending());
    }
    assert_eq!(flushed.take(), 1, "all has been handed to the transport");
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

/// A finish that comes too late for its FIN must not look done.
#[test]
fn a_flush_after_a_close_tells_whether_the_end_left() {
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
