//! The life of a session: opening, accepting, closing, draining, dying.

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

use common::{blocked, client_with_valve, pair, stream, until, within};
use smux_blocking::{CloseReason, Config, Incoming, OpenError, Session, Stream};

const fn assert_send_sync<T: Send + Sync + Unpin>() {}
const _: () = {
    assert_send_sync::<Session>();
    assert_send_sync::<Incoming>();
    assert_send_sync::<Stream>();
};

#[test]
fn close_delivers_what_is_queued() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (mut ours, mut theirs) = stream(&client, &server);
        let data = vec![9; 200_000];
        let expected = data.clone();
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).expect("read");
            assert!(received == expected, "{} bytes", received.len());
        });
        ours.write_all(&data).expect("write");
        ours.finish();
        assert_eq!(client.close(), CloseReason::Local);
        assert_eq!(client.close(), CloseReason::Local, "again");
        reader.join().expect("no panic");
        assert_eq!(server.closed(), CloseReason::PeerClosed);
        assert_eq!(
            client.open().expect_err("closed"),
            OpenError::Closed(CloseReason::Local)
        );
        let error = ours.write(b"x").expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn close_waits_for_a_silent_peer_until_its_limit() {
    within(|| {
        let (near, _silent) = common::tcp_pair();
        let limit = Duration::from_millis(200);
        let config = Config::builder().close_timeout(limit).build();
        let client = Session::client(near, config.expect("valid")).expect("client");
        let begin = Instant::now();
        assert_eq!(client.close(), CloseReason::Local);
        assert!(begin.elapsed() >= limit);
    });
}

#[test]
fn drain_lets_open_streams_end() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (mut ours, mut theirs) = stream(&client, &server);
        thread::scope(|scope| {
            let drain = blocked(scope, || client.drain(Duration::from_secs(3600)));
            assert_eq!(client.open().expect_err("draining"), OpenError::Draining);
            ours.write_all(b"the end").expect("write");
            drop(ours);
            let mut text = String::new();
            theirs.read_to_string(&mut text).expect("read");
            assert_eq!(text, "the end");
            drop(theirs);
            assert_eq!(drain.join().expect("no panic"), CloseReason::Local);
        });
        assert_eq!(server.closed(), CloseReason::PeerClosed);
    });
}

#[test]
fn all_calls_return_the_same_reason_when_the_transport_ends() {
    within(|| {
        let (near, mut far) = common::tcp_pair();
        let (client, valve) = client_with_valve(near, &Config::default());
        let ours = client.open().expect("open");
        valve.fill(&ours);
        thread::scope(|scope| {
            let reader = blocked(scope, || (&ours).read(&mut [0]).map(drop));
            let writer = blocked(scope, || (&ours).write(b"more").map(drop));
            let flusher = blocked(scope, || (&ours).flush());
            let acceptor = blocked(scope, || client.accept().map(drop));
            let closed = blocked(scope, || client.closed());
            // Inside a header.
            far.write_all(&[1, 2, 3]).expect("write");
            far.shutdown(Shutdown::Write).expect("shutdown");
            let reason = closed.join().expect("no panic");
            assert_eq!(reason, CloseReason::Truncated);
            for call in [reader, writer, flusher, acceptor] {
                let error = call.join().expect("no panic").expect_err("dead");
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
            }
        });
        assert_eq!(client.close_reason(), Some(CloseReason::Truncated));
    });
}

#[test]
fn threads_share_what_they_accept() {
    within(|| {
        let (client, server) = pair(&Config::default());
        thread::scope(|scope| {
            let acceptors: Vec<_> = (0..4)
                .map(|_| blocked(scope, || server.incoming().flatten().count()))
                .collect();
            for _ in 0..100 {
                client.open().expect("open");
            }
            until("all are gone", || {
                client.stream_count() + server.stream_count() == 0
            });
            client.abort();
            let counts = acceptors.into_iter().map(|acceptor| acceptor.join());
            let total: usize = counts.map(|count| count.expect("no panic")).sum();
            assert_eq!(total, 100);
        });
        assert_eq!(client.stats().streams_refused, 0);
    });
}

#[test]
fn open_waits_for_room() {
    within(|| {
        let config = Config::builder().max_outbound_streams(1).build();
        let (client, server) = pair(&config.expect("valid"));
        let (first, theirs) = stream(&client, &server);
        thread::scope(|scope| {
            let second = blocked(scope, || client.open());
            drop((first, theirs));
            second.join().expect("no panic").expect("open");
        });
    });
}

#[test]
fn a_stream_keeps_its_session() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (mut ours, mut theirs) = stream(&client, &server);
        drop(client);
        // Without a session handle the stream is refused.
        let mut refused = server.open().expect("open");
        assert_eq!(refused.read(&mut [0]).expect("refused"), 0);
        ours.write_all(&[1]).expect("write");
        assert_eq!(theirs.read(&mut [0; 2]).expect("read"), 1);
        assert!(!server.is_closed());
        drop(ours);
        assert_eq!(server.closed(), CloseReason::PeerClosed);
    });
}
