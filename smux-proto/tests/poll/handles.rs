//! Which handles keep a session open, and which only watch it.

use std::{
    collections::HashSet,
    pin::pin,
    task::{Context, Poll, Waker},
};

use smux_proto::{CloseReason, Command, Config, StreamError, poll::SessionHandle};

use crate::wire::{Count, now, run, server};

#[test]
fn watching_does_not_keep_a_session_open() {
    let (session, mut driver, wire) = server(Config::default());
    let (weak, mut closed) = (session.downgrade(), pin!(session.on_closed()));
    let (woken, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    drop(session);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert!(wire.ends(|ends| ends.closed), "it closes by itself");
    assert!(weak.upgrade().is_none());
    drop(driver);
    assert_eq!(woken.take(), 1);
    assert_eq!(closed.poll(&mut cx), Poll::Ready(CloseReason::Local));
}

#[test]
fn a_weak_handle_upgrades_while_a_handle_or_stream_exists() {
    let (session, _driver, _wire) = server(Config::default());
    let weak = session.downgrade();
    let upgraded = weak.upgrade().expect("there is a handle");
    assert_eq!((upgraded.id(), weak.id()), (session.id(), session.id()));
    let stream = now(session.open()).expect("open");
    drop((session, upgraded));
    let upgraded = weak.upgrade().expect("there is a stream");
    drop(stream);
    assert!(!upgraded.is_closed(), "the new handle keeps the session");
    drop(upgraded);
    assert!(weak.upgrade().is_none());
}

#[test]
#[allow(
    clippy::mutable_key_type,
    reason = "the number decides, which never changes"
)]
fn handles_on_the_same_session_are_equal() {
    let (session, _driver, _wire) = server(Config::default());
    let (other, _other_driver, _other_wire) = server(Config::default());
    assert_eq!(session, session.clone());
    assert_ne!(session, other);
    assert_ne!(session.id(), other.id());
    let set: HashSet<SessionHandle> = [session.clone(), session, other].into();
    assert_eq!(set.len(), 2);
}

#[test]
fn watching_for_the_peers_stop_does_not_keep_the_stream_open() {
    let (session, mut driver, wire) = server(Config::default());
    let stream = now(session.open()).expect("open");
    let mut stopped = pin!(stream.stopped());
    let (woken, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    assert!(stopped.as_mut().poll(&mut cx).is_pending());
    drop(stream);
    assert_eq!(woken.take(), 1);
    let over = Poll::Ready(Err(StreamError::Finished));
    assert_eq!(stopped.poll(&mut cx), over);

    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let stream = now(session.accept()).expect("accept");
    let mut stopped = pin!(stream.stopped());
    assert!(stopped.as_mut().poll(&mut cx).is_pending());
    wire.receive(Command::Fin, 3, b"");
    wire.receive(Command::Fin, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(woken.take(), 1);
    assert_eq!(stopped.poll(&mut cx), Poll::Ready(Ok(())));
}

/// In version 1 an unaccepted stream stalls the whole session once the receive buffer is full.
#[test]
fn refused_streams_do_not_hold_up_our_own() {
    let config = Config::builder()
        .max_receive_buffer(1000)
        .max_stream_buffer(1000);
    let (session, mut driver, wire) = server(config.build().expect("valid"));
    let ours = now(session.open()).expect("open");
    session.stop_accepting();
    wire.receive(Command::Syn, 3, b"");
    wire.receive(Command::Psh, 3, &[0; 2000]);
    wire.receive(Command::Psh, ours.id().get(), b"pong");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let mut cx = Context::from_waker(Waker::noop());
    let mut answer = [0; 4];
    assert_eq!(ours.poll_read(&mut cx, &mut answer), Poll::Ready(Ok(4)));
    assert_eq!(session.stats().streams_refused, 1);
    assert!(pin!(session.accept()).poll(&mut cx).is_pending());
}

#[test]
fn try_open_neither_waits_nor_overtakes_waiting_tasks() {
    let config = Config::builder().max_outbound_streams(1).build();
    let (mut session, mut driver, _wire) = server(config.expect("valid"));
    let only = session.try_open().expect("the session goes on");
    assert!(only.is_some());
    let none = session.try_open().expect("the session goes on");
    assert!(none.is_none());
    let (woken, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    assert!(session.poll_open(&mut cx).is_pending());
    drop(only);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(woken.take(), 1);
    let passed = session.clone().try_open().expect("the session goes on");
    assert!(passed.is_none());
    assert!(session.poll_open(&mut cx).is_ready());
}

#[test]
fn a_dropped_handle_gives_up_its_places_in_line() {
    let (session, mut driver, wire) = server(Config::default());
    let mut impatient = session.clone();
    let (woken, waker) = Count::waker();
    let mut cx = Context::from_waker(&waker);
    assert!(impatient.poll_accept(&mut cx).is_pending());
    let mut patient = pin!(session.accept());
    assert!(patient.as_mut().poll(&mut cx).is_pending());
    wire.receive(Command::Syn, 3, b"");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    assert_eq!(woken.take(), 1, "one task is called");
    drop(impatient);
    assert_eq!(woken.take(), 1, "and then the next");
    assert!(patient.poll(&mut cx).is_ready());
}
