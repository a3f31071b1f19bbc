//! Threads that wait for data read from the transport themselves, in turn with the session's
//! reader.
#![cfg(unix)]

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

use common::{assert_elapsed, blocked, pair, stream, within};
use smux_blocking::{CloseReason, Config, Session, Stream, StreamError};

/// So many that threads are trusted to come back soon, even after a long gap.
const MANY: usize = 300;

/// A session whose threads read themselves, and a stream of it.
fn lively() -> (Session, Session, Stream, Stream) {
    let (client, server) = pair(&quiet());
    let (ours, theirs) = stream(&client, &server);
    round_trips(&ours, &theirs, MANY);
    (client, server, ours, theirs)
}

/// Keep-alive would end reads that wait for too long.
fn quiet() -> Config {
    let config = Config::v2().to_builder().keep_alive_disabled();
    config.build().expect("valid")
}

fn round_trips(mut ours: &Stream, mut theirs: &Stream, count: usize) {
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..count {
                let mut message = [0; 8];
                theirs.read_exact(&mut message).expect("read");
                theirs.write_all(&message).expect("write");
            }
        });
        for number in 0..count {
            let message = number.to_be_bytes();
            let mut echo = [0; 8];
            ours.write_all(&message).expect("write");
            ours.read_exact(&mut echo).expect("read");
            assert_eq!(echo, message);
        }
    });
}

#[test]
fn input_is_read_though_the_thread_that_read_it_last_does_not_return() {
    within(|| {
        let (client, server, ours, theirs) = lively();
        let (other, peer) = stream(&client, &server);
        for (mut to, mut from) in [(&other, &peer), (&peer, &other)] {
            round_trips(&ours, &theirs, MANY);
            thread::scope(|scope| {
                let reader = blocked(scope, || from.read(&mut [0; 8]));
                to.write_all(b"data").expect("write");
                assert_eq!(reader.join().expect("no panic").expect("data"), 4);
            });
        }
        // The same for what is no data.
        round_trips(&ours, &theirs, MANY);
        let late = client.open().expect("open");
        (&late).write_all(b"x").expect("write");
        let accepted = server.accept().expect("accept");
        drop(late);
        round_trips(&ours, &theirs, MANY);
        assert_eq!((&accepted).read(&mut [0; 8]).expect("data"), 1);
        assert_eq!((&accepted).read(&mut [0; 8]).expect("end"), 0);
    });
}

#[test]
fn a_window_is_updated_though_no_thread_reads() {
    within(|| {
        let (_client, _server, ours, theirs) = lively();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut data = Vec::new();
                (&theirs).read_to_end(&mut data).expect("read");
                assert_eq!(data.len(), 8 << 20);
            });
            // Both ends' threads were about to read.
            (&ours).write_all(&vec![7; 8 << 20]).expect("write");
            ours.shutdown(Shutdown::Write).expect("flush");
        });
    });
}

#[test]
fn a_thread_that_reads_notices_its_timeout_and_what_others_do() {
    within(|| {
        let (client, _server, mut ours, theirs) = lively();
        for millis in [5, 40, 100] {
            let timeout = Some(Duration::from_millis(millis));
            ours.set_read_timeout(timeout).expect("not zero");
            let begin = Instant::now();
            assert_elapsed(&ours.read(&mut [0; 8]).expect_err("nothing there"));
            assert!(Some(begin.elapsed()) >= timeout);
            ours.set_read_timeout(None).expect("none");
            round_trips(&ours, &theirs, MANY);
        }

        thread::scope(|scope| {
            let reader = blocked(scope, || (&ours).read(&mut [0; 8]));
            let short = Some(Duration::from_millis(1));
            ours.set_read_timeout(short).expect("not zero");
            assert_elapsed(&reader.join().expect("no panic").expect_err("elapsed"));
        });
        ours.set_read_timeout(None).expect("none");

        round_trips(&ours, &theirs, MANY);
        thread::scope(|scope| {
            let reader = blocked(scope, || (&theirs).read(&mut [0; 8]));
            theirs.shutdown(Shutdown::Read).expect("no flush");
            assert_eq!(reader.join().expect("no panic").expect("end"), 0);
        });

        thread::scope(|scope| {
            let reader = blocked(scope, || (&ours).read(&mut [0; 8]));
            client.abort();
            let error = reader.join().expect("no panic").expect_err("aborted");
            let inner = error
                .get_ref()
                .and_then(|e| e.downcast_ref::<StreamError>());
            assert!(inner.is_some(), "{error:?}");
        });
        assert_eq!(client.closed(), CloseReason::Aborted);
    });
}

#[test]
fn clones_that_read_the_same_stream_miss_nothing() {
    const COUNT: usize = 2_000;
    within(|| {
        let (_client, _server, ours, theirs) = lively();
        thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let mut clone = theirs.try_clone().expect("clone");
                    scope.spawn(move || {
                        let mut count = 0;
                        loop {
                            match clone.read(&mut [0; 3]).expect("read") {
                                0 => break count,
                                read => count += read,
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..COUNT {
                (&ours).write_all(b"data").expect("write");
            }
            ours.finish();
            let counts = readers
                .into_iter()
                .map(|reader| reader.join().expect("no panic"));
            assert_eq!(counts.sum::<usize>(), 4 * COUNT);
        });
    });
}

#[test]
fn the_end_of_the_session_reaches_a_thread_that_reads() {
    within(|| {
        for aborts in [false, true] {
            let (client, server, ours, theirs) = lively();
            thread::scope(|scope| {
                let reader = blocked(scope, || (&theirs).read(&mut [0; 8]));
                let closing = scope.spawn(|| match aborts {
                    true => client.abort(),
                    false => drop(client.close()),
                });
                let error = reader.join().expect("no panic").expect_err("the end");
                assert_ne!(error.kind(), ErrorKind::TimedOut, "{error:?}");
                closing.join().expect("no panic");
            });
            drop((ours, theirs, client));
            server.closed();
        }
    });
}

#[test]
fn a_crowd_of_threads_gets_its_own_data_each() {
    within(|| {
        let (client, server) = pair(&quiet());
        let streams: Vec<_> = (0..60).map(|_| stream(&client, &server)).collect();
        thread::scope(|scope| {
            for (ours, theirs) in &streams {
                scope.spawn(|| round_trips(ours, theirs, MANY));
            }
        });
        // A crowd that is gone does not hold up the last.
        let (ours, theirs) = &streams[0];
        round_trips(ours, theirs, MANY);
    });
}
