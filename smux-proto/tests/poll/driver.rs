//! What the driver does with the transport.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use smux_proto::{CloseReason, Command, Config, Header, StreamId, Version, poll::Driver};

use crate::wire::{Count, Wire, now, run, server};

#[test]
fn an_idle_driver_is_woken_once_for_many_writes() {
    let (session, mut driver, wire) = server(Config::default());
    let (wakes, waker) = Count::waker();
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wakes.take(), 0);
    let stream = now(session.open()).expect("open");
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        let written = stream.poll_write(&mut cx, b"small");
        assert_eq!(written, Poll::Ready(Ok(5)));
    }
    assert_eq!(wakes.take(), 1);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wakes.take(), 0, "that round sent everything");
    assert_eq!(wire.ends(|ends| ends.output.len()), 8 + 8 + 500);
}

/// Idle sessions do nothing else, and there may be very many.
#[test]
fn a_keep_alive_takes_one_wake_up_and_sets_one_sleep() {
    let (_session, mut driver, wire) = server(Config::default());
    let (wakes, waker) = Count::waker();
    until_it_rests(&mut driver, &wakes, &waker);
    for sent in 1..4 {
        let until = wire.ends(|ends| {
            ends.now = ends.sleeps_until.expect("it sends keep-alives");
            ends.sleeps = 0;
            ends.now
        });
        assert!(run(&mut driver, &waker).is_pending());
        assert_eq!(wakes.take(), 0);
        wire.ends(|ends| {
            assert_eq!((ends.output.len(), ends.sleeps), (sent * 8, 1));
            assert_eq!(ends.sleeps_until, Some(until + Duration::from_secs(10)));
        });
        // The peer's one changes no deadline that comes first.
        wire.receive(Command::Nop, 0, b"");
        assert!(run(&mut driver, &waker).is_pending());
        assert_eq!(wakes.take(), 0);
        assert_eq!(wire.ends(|ends| ends.sleeps), 1);
    }
}

#[test]
fn input_is_taken_while_output_is_stuck() {
    let (session, mut driver, wire) = server(Config::default());
    wire.ends(|ends| ends.takes_output = false);
    let ours = now(session.open()).expect("open");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(ours.poll_write(&mut cx, &[0; 1000]).is_ready());
    assert!(run(&mut driver, Waker::noop()).is_pending());

    wire.receive(Command::Syn, 3, b"");
    wire.receive(Command::Psh, 3, b"hello");
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let theirs = now(session.accept()).expect("accept");
    let mut text = Vec::new();
    assert_eq!(theirs.poll_read_buf(&mut cx, &mut text), Poll::Ready(Ok(5)));
    assert_eq!(text, b"hello");
    assert_eq!(wire.ends(|ends| ends.output.len()), 0);
}

/// The first of many answers wakes the driver, which a runtime may poll ahead of the other tasks.
#[test]
fn a_crowd_writes_before_a_batch_is_taken() {
    const IDS: [u32; 6] = [3, 5, 7, 9, 11, 13];
    let (session, mut driver, wire) = server(Config::default());
    let (wakes, waker) = Count::waker();
    let mut cx = Context::from_waker(Waker::noop());
    for id in IDS {
        wire.receive(Command::Syn, id, b"");
    }
    until_it_rests(&mut driver, &wakes, &waker);
    let streams = IDS.map(|_| now(session.accept()).expect("accept"));
    // What a piece of input wakes is counted with the next.
    for _ in 0..2 {
        for id in IDS {
            wire.receive(Command::Psh, id, b"question");
        }
        until_it_rests(&mut driver, &wakes, &waker);
    }
    let mut answer = |index: usize| {
        let written = streams[index].poll_write(&mut cx, b"answer");
        assert_eq!(written, Poll::Ready(Ok(6)));
    };
    answer(0);
    assert_eq!(wakes.take(), 1);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(
        wakes.take(),
        1,
        "it is polled again, behind those that wait"
    );
    assert_eq!(wire.ends(|ends| ends.output.len()), 0);

    (1..IDS.len()).for_each(&mut answer);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wire.ends(|ends| ends.output.len()), IDS.len() * (8 + 6));
    assert_eq!(wakes.take(), 0, "it makes way once for each batch");
}

fn until_it_rests(driver: &mut Driver<Wire>, wakes: &Count, waker: &Waker) {
    loop {
        assert!(run(driver, waker).is_pending());
        if wakes.take() == 0 {
            return;
        }
    }
}

#[test]
fn reading_pauses_at_a_full_buffer_and_resumes_with_room() {
    let config = Config::builder()
        .max_receive_buffer(100_000)
        .max_stream_buffer(65_536)
        .build()
        .expect("valid");
    let (session, mut driver, wire) = server(config);
    wire.receive(Command::Syn, 3, b"");
    for _ in 0..20 {
        wire.receive(Command::Psh, 3, &[1; 20_000]);
    }
    let (wakes, waker) = Count::waker();
    until_it_rests(&mut driver, &wakes, &waker);
    let reads = wire.ends(|ends| ends.reads);
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wire.ends(|ends| ends.reads), reads, "it reads no more");
    assert_eq!(wakes.take(), 0);

    let theirs = now(session.accept()).expect("accept");
    let mut cx = Context::from_waker(Waker::noop());
    let mut data = Vec::new();
    while data.len() < 20 * 20_000 {
        assert!(theirs.poll_read_buf(&mut cx, &mut data).is_ready());
        assert_eq!(wakes.take(), 1, "after {} bytes", data.len());
        until_it_rests(&mut driver, &wakes, &waker);
    }
    assert!(data.iter().all(|&byte| byte == 1));
}

#[test]
fn a_busy_driver_lets_other_tasks_run() {
    let (_session, mut driver, wire) = server(Config::default());
    let nop = Header {
        version: Version::V1,
        command: Command::Nop,
        length: 0,
        stream_id: StreamId::new(0),
    };
    wire.ends(|ends| ends.endless_input = Some(nop.encode()));
    let (wakes, waker) = Count::waker();
    assert!(run(&mut driver, &waker).is_pending());
    assert_eq!(wakes.take(), 1);
}

/// The receive buffer is full, so the peer's silence does not count.
#[test]
fn a_transport_that_never_flushes_ends_the_session() {
    let config = Config::builder()
        .max_receive_buffer(1000)
        .max_stream_buffer(1000)
        .build()
        .expect("valid");
    let (session, mut driver, wire) = server(config);
    wire.receive(Command::Syn, 3, b"");
    wire.receive(Command::Psh, 3, &[1; 1000]);
    assert!(run(&mut driver, Waker::noop()).is_pending());
    let stream = now(session.accept()).expect("accept");
    wire.ends(|ends| ends.flush_hangs = true);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_write(&mut cx, b"held back").is_ready());
    let (wakes, waker) = Count::waker();
    for seconds in [0, 15, 29] {
        wire.ends(|ends| ends.now = Duration::from_secs(seconds));
        assert!(run(&mut driver, &waker).is_pending(), "after {seconds} s");
    }
    assert_eq!(wakes.take(), 0);
    wire.ends(|ends| ends.now = Duration::from_secs(30));
    assert_eq!(
        run(&mut driver, &waker),
        Poll::Ready(CloseReason::WriteTimeout)
    );
}
