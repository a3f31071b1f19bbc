//! Which task is woken, and that none is missed.

use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Wake, Waker},
    time::Duration,
};

use smux_proto::{CloseReason, Command, Config, poll::SessionHandle};

use crate::wire::{Count, now, run, server};

#[test]
fn a_dropped_waiter_is_forgotten() {
    let (session, mut driver, wire) = server(Config::default());
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let (dropped, waker) = Count::waker();
    {
        let mut accept = pin!(session.accept());
        let mut cx = Context::from_waker(&waker);
        assert!(accept.as_mut().poll(&mut cx).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&dropped), 1, "its waker is dropped");
    let mut accept = pin!(session.accept());
    let (waiting, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    assert!(accept.as_mut().poll(&mut cx).is_pending());
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((dropped.take(), waiting.take()), (0, 1));
    assert!(accept.poll(&mut cx).is_ready());
}

#[test]
fn each_direction_of_a_stream_has_its_own_waker() {
    let (session, mut driver, wire) = server(Config::default());
    wire.ends(|ends| ends.takes_output = false);
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let stream = now(session.accept()).expect("accept");
    let (reader, waker) = Count::waker();
    let mut read_cx = Context::from_waker(&waker);
    assert!(
        stream
            .poll_read_buf(&mut read_cx, &mut Vec::new())
            .is_pending()
    );
    let (writer, waker) = Count::waker();
    let mut write_cx = Context::from_waker(&waker);
    let mut fill = || while stream.poll_write(&mut write_cx, &[0; 10_000]).is_ready() {};
    fill();
    // A batch leaves the queue and is stuck; then the queue is full again.
    assert!(run(&mut driver, Waker::noop()).is_pending());
    fill();
    writer.take();

    wire.receive(Command::Psh, 3, b"x");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((reader.take(), writer.take()), (1, 0));
    wire.ends(|ends| ends.takes_output = true);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((reader.take(), writer.take()), (0, 1));
}

#[test]
fn the_end_wakes_all_waiting_tasks() {
    let (session, mut driver, wire) = server(Config::default());
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let (wakes, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    let streams: Vec<_> = (0..100)
        .map(|_| now(session.open()).expect("open"))
        .collect();
    for stream in &streams {
        assert!(stream.poll_read_buf(&mut cx, &mut Vec::new()).is_pending());
    }
    let accepted = now(session.accept()).expect("accept");
    assert!(
        accepted
            .poll_read_buf(&mut cx, &mut Vec::new())
            .is_pending()
    );
    let mut accept = pin!(session.accept());
    assert!(accept.as_mut().poll(&mut cx).is_pending());
    wakes.take();
    drop(driver);
    assert!(wakes.take() >= 102);
    assert_eq!(
        now(accept).map(|stream| stream.id()),
        Err(CloseReason::Aborted)
    );
}

/// A waker that uses the session when it is woken or dropped, as a runtime may by dropping a task.
struct Reentrant {
    session: SessionHandle,
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.session.stream_count();
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.session.stream_count();
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a deadlock must fail, not hang")]
fn wakers_are_woken_and_dropped_outside_the_lock() {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let (session, mut driver, wire) = server(Config::default());
        let waker = || {
            Waker::from(Arc::new(Reentrant {
                session: session.clone(),
            }))
        };
        assert!(run(&mut driver, &waker()).is_pending());
        assert!(run(&mut driver, &waker()).is_pending());
        let stream = now(session.open()).expect("open");
        for _ in 0..2 {
            let waker = waker();
            let mut cx = Context::from_waker(&waker);
            assert!(stream.poll_read_buf(&mut cx, &mut Vec::new()).is_pending());
        }
        {
            let mut accept = pin!(session.accept());
            for _ in 0..2 {
                let waker = waker();
                let mut cx = Context::from_waker(&waker);
                assert!(accept.as_mut().poll(&mut cx).is_pending());
            }
        }
        drop(stream);
        let stream = now(session.open()).expect("open");
        let waker = waker();
        let mut cx = Context::from_waker(&waker);
        assert!(stream.poll_read_buf(&mut cx, &mut Vec::new()).is_pending());
        drop(waker);
        wire.receive(Command::Syn, 3, b"");
        drop(driver);
        done.send(session.close_reason()).expect("the test waits");
    });
    let reason = finished.recv_timeout(Duration::from_secs(60));
    assert_eq!(reason, Ok(Some(CloseReason::Aborted)));
}

#[test]
fn the_peers_stop_wakes_its_watcher_and_the_writer() {
    for stopped_first in [true, false] {
        let (session, mut driver, wire) = server(Config::default());
        wire.ends(|ends| ends.takes_output = false);
        wire.receive(Command::Syn, 3, b"");
        assert!(run(&mut driver, Waker::noop()).is_pending());
        let stream = now(session.accept()).expect("accept");
        let (watcher, waker) = Count::waker();
        let watch = || {
            let mut cx = Context::from_waker(&waker);
            assert!(stream.poll_stopped(&mut cx).is_pending());
        };
        let (writer, waker) = Count::waker();
        let write = || {
            let mut cx = Context::from_waker(&waker);
            while stream.poll_write(&mut cx, &[0; 10_000]).is_ready() {}
        };
        if stopped_first {
            watch();
            write();
        } else {
            write();
            watch();
        }
        wire.receive(Command::Fin, 3, b"");
        wire.receive(Command::Fin, 3, b"");
        assert!(run(&mut driver, Waker::noop()).is_pending());
        let woken = (watcher.take(), writer.take());
        assert_eq!(woken, (1, 1), "stopped first: {stopped_first}");
    }
}

#[test]
fn room_to_write_does_not_wake_a_watcher_of_the_peers_stop() {
    let (session, mut driver, wire) = server(Config::default());
    wire.ends(|ends| ends.takes_output = false);
    let stream = now(session.open()).expect("open");
    let (writer, waker) = Count::waker();
    let mut write_cx = Context::from_waker(&waker);
    while stream.poll_write(&mut write_cx, &[0; 10_000]).is_ready() {}
    let (watcher, waker) = Count::waker();
    let mut stop_cx = Context::from_waker(&waker);
    assert!(stream.poll_stopped(&mut stop_cx).is_pending());
    wire.ends(|ends| ends.takes_output = true);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!((watcher.take(), writer.take()), (0, 1));
}
