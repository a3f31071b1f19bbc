//! Timeouts: of reads, writes, flushes and accepts, also changed while a thread waits.

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

use common::{
    assert_elapsed, blocked, configs, pair, pair_with_valve, stream, tcp_pair, until, within,
};
use smux_blocking::{CloseReason, Config, Session, TimeoutElapsed};

const SHORT: Option<Duration> = Some(Duration::from_millis(50));
const LONG: Option<Duration> = Some(Duration::from_secs(3600));

#[test]
fn a_timed_out_read_loses_no_data() {
    within(|| {
        for config in configs() {
            let (client, server) = pair(&config);
            let (mut ours, mut theirs) = stream(&client, &server);
            ours.set_read_timeout(SHORT).expect("not zero");
            assert_eq!(ours.read_timeout(), SHORT);
            let begin = Instant::now();
            assert_elapsed(&ours.read(&mut [0; 8]).expect_err("nothing there"));
            assert!(Some(begin.elapsed()) >= SHORT);
            ours.set_read_timeout(LONG).expect("not zero");
            theirs.write_all(b"late").expect("write");
            let mut data = [0; 4];
            ours.read_exact(&mut data).expect("read");
            assert_eq!(&data, b"late");
        }
    });
}

#[test]
fn a_timeout_never_hides_what_has_arrived() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (mut ours, mut theirs) = stream(&client, &server);
        let shortest = Some(Duration::from_nanos(1));
        theirs.set_read_timeout(shortest).expect("not zero");
        server.set_accept_timeout(shortest).expect("not zero");
        ours.write_all(b"data").expect("write");
        until("it has arrived", || server.stats().receive_buffered == 4);
        let mut data = [0; 4];
        theirs.read_exact(&mut data).expect("read");
        assert_eq!(&data, b"data");
        ours.shutdown(Shutdown::Write).expect("shutdown");
        until("the end has arrived", || theirs.peer_finished());
        assert_eq!(theirs.read(&mut data).expect("end"), 0);
        let _next = client.open().expect("open");
        until("it has arrived", || server.stream_count() == 2);
        server.accept().expect("accept");
    });
}

#[test]
fn a_timeout_of_zero_is_refused() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (ours, _theirs) = stream(&client, &server);
        let zero = Some(Duration::ZERO);
        for refused in [
            ours.set_read_timeout(zero),
            ours.set_write_timeout(zero),
            server.set_accept_timeout(zero),
        ] {
            assert_eq!(refused.expect_err("zero").kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(ours.read_timeout(), None);
        assert_eq!(ours.write_timeout(), None);
        assert_eq!(server.accept_timeout(), None);
        // Further away than the clock reaches is no timeout either.
        ours.set_write_timeout(Some(Duration::MAX)).expect("valid");
        (&ours).write_all(b"x").expect("write");
        (&ours).flush().expect("flush");
    });
}

#[test]
fn shortening_the_read_timeout_ends_a_read_under_way() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (ours, _theirs) = stream(&client, &server);
        for before in [None, LONG] {
            ours.set_read_timeout(before).expect("not zero");
            thread::scope(|scope| {
                let reader = blocked(scope, || (&ours).read(&mut [0; 8]));
                let begin = Instant::now();
                ours.set_read_timeout(SHORT).expect("not zero");
                let error = reader.join().expect("no panic").expect_err("elapsed");
                assert_elapsed(&error);
                assert!(Some(begin.elapsed()) >= SHORT, "it counts from the change");
            });
        }
    });
}

#[test]
fn lengthening_the_read_timeout_lets_a_read_under_way_wait() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (ours, mut theirs) = stream(&client, &server);
        let (clock, _other) = stream(&client, &server);
        for after in [LONG, None] {
            ours.set_read_timeout(Some(Duration::from_secs(2)))
                .expect("not zero");
            thread::scope(|scope| {
                let reader = blocked(scope, || (&ours).read(&mut [0; 8]));
                ours.set_read_timeout(after).expect("not zero");
                // Longer than the reader's first timeout.
                let longer = Some(Duration::from_millis(2200));
                clock.set_read_timeout(longer).expect("not zero");
                assert_elapsed(&(&clock).read(&mut [0]).expect_err("nothing there"));
                assert!(!reader.is_finished());
                theirs.write_all(b"data").expect("write");
                assert_eq!(reader.join().expect("no panic").expect("data"), 4);
            });
        }
    });
}

#[test]
fn a_timed_out_write_has_queued_nothing() {
    within(|| {
        for config in configs() {
            let (client, server, valve) = pair_with_valve(&config);
            let ours = client.open().expect("open");
            let written = valve.fill(&ours);
            ours.finish();
            valve.open();
            let mut theirs = server.accept().expect("accept");
            let mut data = Vec::new();
            assert_eq!(theirs.read_to_end(&mut data).expect("read"), written);
        }
    });
}

#[test]
fn shortening_the_write_timeout_ends_a_call_under_way() {
    within(|| {
        let (client, _server, valve) = pair_with_valve(&Config::default());
        let ours = client.open().expect("open");
        valve.fill(&ours);
        ours.set_write_timeout(LONG).expect("not zero");
        let calls: [fn(&smux_blocking::Stream) -> std::io::Result<()>; 3] = [
            |mut stream| stream.write(b"more").map(drop),
            |mut stream| stream.flush(),
            |stream| stream.shutdown(Shutdown::Write),
        ];
        for call in calls {
            thread::scope(|scope| {
                let writer = blocked(scope, || call(&ours));
                ours.set_write_timeout(SHORT).expect("not zero");
                assert_elapsed(&writer.join().expect("no panic").expect_err("elapsed"));
                ours.set_write_timeout(LONG).expect("not zero");
            });
        }
    });
}

#[test]
fn accept_has_a_timeout_and_incoming_goes_on_after_it() {
    within(|| {
        let (client, server) = pair(&Config::default());
        server.set_accept_timeout(LONG).expect("not zero");
        thread::scope(|scope| {
            let acceptor = blocked(scope, || server.accept().map(drop));
            server.set_accept_timeout(SHORT).expect("not zero");
            assert_elapsed(&acceptor.join().expect("no panic").expect_err("elapsed"));
        });
        let mut incoming = server.incoming();
        let elapsed = incoming.next().expect("an item");
        assert_elapsed(&elapsed.expect_err("elapsed"));
        assert!(!server.is_closed());
        server.set_accept_timeout(None).expect("none");
        let ours = client.open().expect("open");
        let stream = incoming.next().expect("an item").expect("a stream");
        assert_eq!(stream.id(), ours.id());
        server.abort();
        let reason = incoming.next().expect("an item").expect_err("no stream");
        let reason = reason.get_ref().and_then(|inner| inner.downcast_ref());
        assert_eq!(reason, Some(&CloseReason::Aborted));
        assert!(incoming.next().is_none());
    });
}

#[test]
fn a_silent_peer_and_a_timeout_are_different_errors() {
    within(|| {
        let (near, _silent) = tcp_pair();
        let config = Config::builder()
            .keep_alive_interval(Duration::from_millis(50))
            .keep_alive_timeout(Duration::from_millis(200))
            .keep_alive_required(true)
            .build()
            .expect("valid");
        let client = Session::client(near, config).expect("client");
        let mut stream = client.open().expect("open");
        stream.set_read_timeout(LONG).expect("not zero");
        let error = stream.read(&mut [0]).expect_err("dead");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let inner = error.get_ref().expect("an inner error");
        assert!(!inner.is::<TimeoutElapsed>(), "{error:?}");
        assert_eq!(client.closed(), CloseReason::KeepAliveTimeout);
    });
}

/// Small writes go to the socket on their own thread, which it must not hold up.
#[test]
fn a_full_socket_neither_holds_small_writes_up_nor_loses_any() {
    within(|| {
        // Version 1 has no window that would stop the writes before.
        let config = Config::default();
        let (near, far) = tcp_pair();
        let client = Session::client(near, config.clone()).expect("client");
        let mut ours = client.open().expect("open");
        ours.set_write_timeout(SHORT).expect("not zero");
        let mut count = 0_u32;
        let error = loop {
            match ours.write_all(&count.to_be_bytes().repeat(256)) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
        };
        assert_elapsed(&error);
        // What was queued last waits for the socket, not for this.
        assert!(client.stats().send_queued > 0);
        assert!(!client.is_closed());

        let server = Session::server(far, config).expect("server");
        let mut theirs = server.accept().expect("accept");
        let mut message = [0; 1024];
        for number in 0..count {
            theirs.read_exact(&mut message).expect("read");
            assert_eq!(message, *number.to_be_bytes().repeat(256));
        }
        // The socket takes small writes again.
        theirs.write_all(b"done").expect("write");
        let mut answer = [0; 4];
        ours.read_exact(&mut answer).expect("read");
        assert_eq!(&answer, b"done");
    });
}
