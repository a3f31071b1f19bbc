//! The life of a session: flushing, closing, draining, dying, and what keeps it alive.

mod common;

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    pin::{Pin, pin},
    sync::atomic::Ordering::SeqCst,
    task::Poll,
    time::Duration,
};

use common::{Probe, pair, stream, within, within_a_day};
use futures_core::{Stream as _, stream::FusedStream as _};
use smux_tokio::{CloseReason, Config, OpenError, Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex},
    time::Instant,
};

#[tokio::test]
async fn a_buffering_transport_is_flushed_when_nothing_is_left_to_send() {
    let (a, b) = duplex(64 * 1024);
    let client = Session::client(BufWriter::with_capacity(1 << 20, a), Config::default());
    let server = Session::server(BufWriter::with_capacity(1 << 20, b), Config::default());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    for i in 0..10 {
        ours.write_u8(i).await.expect("write");
        assert_eq!(within(theirs.read_u8()).await.expect("read"), i);
    }
}

#[tokio::test]
async fn flush_waits_for_the_transport_to_flush() {
    let (a, mut b) = duplex(64 * 1024);
    let probe = Probe::default();
    let client = Session::client(probe.around(a), Config::default());
    let mut stream = client.open().await.expect("open");
    stream.write_all(&[0; 1000]).await.expect("write");
    assert_eq!(probe.written.load(SeqCst), 0, "a write waits for nothing");
    within(stream.flush()).await.expect("flush");
    assert_eq!(probe.flushed.load(SeqCst), 8 + 8 + 1000);
    within(stream.shutdown()).await.expect("shutdown");
    assert_eq!(probe.flushed.load(SeqCst), 8 + 8 + 1000 + 8);
    within(b.read_exact(&mut [0; 1024])).await.expect("read");
}

#[tokio::test]
async fn flush_ends_beside_a_stream_that_never_stops_sending() {
    for threads in [false, true] {
        let flush = async {
            let (a, mut b) = duplex(64 * 1024);
            let client = Session::client(a, Config::default());
            tokio::spawn(async move { tokio::io::copy(&mut b, &mut tokio::io::sink()).await });
            let mut busy = client.open().await.expect("open");
            let writer =
                tokio::spawn(async move { while busy.write_all(&[0; 100_000]).await.is_ok() {} });
            let mut stream = client.open().await.expect("open");
            for _ in 0..100 {
                stream.write_all(b"message").await.expect("write");
                stream.flush().await.expect("flush");
            }
            client.abort();
            writer.await.expect("no panic");
        };
        if threads {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("runtime");
            within(runtime.spawn(flush)).await.expect("no panic");
            runtime.shutdown_background();
        } else {
            within(flush).await;
        }
    }
}

#[tokio::test]
async fn close_delivers_what_is_queued() {
    let (client, server) = pair(&Config::default());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    let data = vec![9; 200_000];
    let reader = tokio::spawn(async move {
        let mut data = Vec::new();
        let end = theirs.read_to_end(&mut data).await;
        (data, end.map_err(|error| error.kind()))
    });
    ours.write_all(&data).await.expect("write");
    ours.finish();
    assert_eq!(within(client.close()).await, CloseReason::Local);
    assert_eq!(within(client.close()).await, CloseReason::Local, "again");
    let (received, end) = within(reader).await.expect("no panic");
    assert_eq!(received, data);
    assert_eq!(end, Ok(200_000));
    assert_eq!(within(server.closed()).await, CloseReason::PeerClosed);
    assert_eq!(
        client.open().await.expect_err("closed"),
        OpenError::Closed(CloseReason::Local)
    );
    let error = ours.write(b"x").await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_a_silent_peer_until_its_limit() {
    let (a, _b) = duplex(64 * 1024);
    let client = Session::client(a, Config::default());
    let start = Instant::now();
    assert_eq!(within_a_day(client.close()).await, CloseReason::Local);
    let limit = Config::default().close_timeout();
    let took = start.elapsed();
    assert!(took >= limit && took < limit * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_noticed() {
    let (a, _b) = duplex(64 * 1024);
    let config = Config::builder().keep_alive_required(true);
    let client = Session::client(a, config.build().expect("valid"));
    let start = Instant::now();
    assert_eq!(
        within_a_day(client.closed()).await,
        CloseReason::KeepAliveTimeout
    );
    let keep_alive = Config::default().keep_alive().expect("on by default");
    let took = start.elapsed();
    assert!(
        took >= keep_alive.timeout && took < keep_alive.timeout * 2,
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn keep_alive_keeps_two_idle_peers() {
    let (client, server) = pair(&Config::default());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    ours.write_u8(1).await.expect("write");
    assert_eq!(within_a_day(theirs.read_u8()).await.expect("read"), 1);
}

#[tokio::test(start_paused = true)]
async fn drain_lets_open_streams_end() {
    let (client, server) = pair(&Config::default());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    let draining = {
        let client = client.clone();
        tokio::spawn(async move { client.drain(Duration::from_secs(3600)).await })
    };
    tokio::task::yield_now().await;
    assert_eq!(
        client.open().await.expect_err("draining"),
        OpenError::Draining
    );
    ours.write_all(b"the end").await.expect("write");
    drop(ours);
    let mut text = String::new();
    within_a_day(theirs.read_to_string(&mut text))
        .await
        .expect("read");
    assert_eq!(text, "the end");
    drop(theirs);
    let drained = within_a_day(draining).await.expect("no panic");
    assert_eq!(drained, CloseReason::Local);
    assert_eq!(within_a_day(server.closed()).await, CloseReason::PeerClosed);
}

#[tokio::test(start_paused = true)]
async fn drain_ends_at_its_limit() {
    let (client, server) = pair(&Config::default());
    let _streams = within_a_day(stream(&client, &server)).await;
    // The driver sleeps for the next keep-alive now.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let limit = Duration::from_secs(1);
    let drained = within_a_day(client.drain(limit)).await;
    assert_eq!(drained, CloseReason::Local);
    let took = start.elapsed();
    assert!(took >= limit && took < limit * 2, "{took:?}");
}

#[tokio::test]
async fn all_calls_return_the_same_reason_when_the_transport_ends() {
    let (a, mut b) = duplex(1024);
    let config = Config::default();
    let client = Session::client(a, config);
    let (mut read, mut write) = client.open().await.expect("open").into_split();
    let reader = tokio::spawn(async move { read.read_u8().await.map(drop) });
    let writer = tokio::spawn(async move {
        loop {
            write.write_all(&[0; 10_000]).await?;
        }
    });
    let mut flushed = client.open().await.expect("open");
    let flusher = tokio::spawn(async move {
        flushed.write_all(&[0; 10_000]).await?;
        flushed.flush().await
    });
    let session = client.clone();
    let acceptor = tokio::spawn(async move { session.accept().await.map(drop) });
    let session = client.clone();
    let closed = tokio::spawn(async move { session.closed().await });
    // The pipe holds less than the queued data, so all calls wait once some of it has arrived.
    within(b.read_exact(&mut [0; 2000])).await.expect("read");
    // Inside a header.
    b.write_all(&[1, 2, 3]).await.expect("write");
    drop(b);

    let reason = within(closed).await.expect("no panic");
    let io_errors = [reader, writer, flusher].map(|task| async move {
        let result: io::Result<()> = within(task).await.expect("no panic");
        result.expect_err("dead").kind()
    });
    let kind = io::Error::from(reason.clone()).kind();
    for error in io_errors {
        assert_eq!(error.await, kind);
    }
    assert_eq!(
        within(acceptor).await.expect("no panic"),
        Err(reason.clone())
    );
    assert_eq!(
        client.open().await.expect_err("dead"),
        OpenError::Closed(reason.clone())
    );
    assert_eq!(within(client.close()).await, reason);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_miscounts_ends_the_session() {
    miscounts(|_| 0, ErrorKind::WriteZero).await;
    miscounts(|offered| offered + 1, ErrorKind::Other).await;
}

async fn miscounts(lie: fn(usize) -> usize, kind: ErrorKind) {
    let (a, _b) = duplex(1024);
    let probe = Probe {
        lie: Some(lie),
        ..Probe::default()
    };
    let client = Session::client(probe.around(a), Config::default());
    let _stream = client.open().await.expect("open");
    let reason = within(client.closed()).await;
    assert!(matches!(reason, CloseReason::Transport(_)), "{reason:?}");
    assert_eq!(io::Error::from(reason).kind(), kind);
}

#[tokio::test]
async fn dropping_the_driver_aborts_the_session() {
    let (a, _b) = duplex(1024);
    let (client, driver) = Session::client_with_driver(a, Config::default());
    let driver = tokio::spawn(driver);
    let stream = client.open().await.expect("open");
    let (mut read, _write) = stream.into_split();
    let reader = tokio::spawn(async move { read.read_u8().await });
    tokio::task::yield_now().await;
    driver.abort();
    assert_eq!(
        within(client.accept()).await.expect_err("aborted"),
        CloseReason::Aborted
    );
    assert_eq!(within(client.closed()).await, CloseReason::Aborted);
    let error = within(reader)
        .await
        .expect("no panic")
        .expect_err("aborted");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn a_session_outlives_its_runtime() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let (client, server) = {
        let _context = runtime.enter();
        pair(&Config::default())
    };
    let (ours, _theirs) = runtime.block_on(within(stream(&client, &server)));
    drop(runtime);
    assert!(client.is_closed());
    assert_eq!(client.close_reason(), Some(CloseReason::Aborted));
    drop((ours, client, server));
}

#[tokio::test]
async fn the_transport_is_dropped_when_the_session_ends() {
    let (a, mut b) = duplex(1024);
    let probe = Probe::default();
    let (client, driver) = Session::client_with_driver(probe.around(a), Config::default());
    let mut driver = pin!(driver);
    let mut closed = pin!(client.closed());
    poll_fn(|cx| {
        assert!(driver.as_mut().poll(cx).is_pending());
        assert!(closed.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    client.abort();
    assert!(!probe.dropped.load(SeqCst));
    assert_eq!(within(&mut driver).await, CloseReason::Aborted);
    assert!(
        probe.dropped.load(SeqCst),
        "though the driver is still here"
    );
    assert_eq!(within(closed).await, CloseReason::Aborted);
    assert_eq!(within(b.read(&mut [0])).await.expect("end"), 0);
}

#[tokio::test]
async fn a_stream_keeps_its_session() {
    let (client, server) = pair(&Config::default());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    drop(client);
    // Without a session handle the stream is refused.
    let mut refused = server.open().await.expect("open");
    assert_eq!(within(refused.read(&mut [0])).await.expect("refused"), 0);
    ours.write_u8(1).await.expect("write");
    assert_eq!(within(theirs.read_u8()).await.expect("read"), 1);
    assert!(!server.is_closed());
    drop(ours);
    assert_eq!(within(server.closed()).await, CloseReason::PeerClosed);
}

#[tokio::test]
async fn incoming_ends_with_the_reason_of_the_session() {
    let (client, server) = pair(&Config::default());
    let mut incoming = server.incoming();
    // It accepts on its own.
    drop(server);
    let ours = client.open().await.expect("open");
    let mut next = async || poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx)).await;
    let theirs = within(next()).await.expect("a stream").expect("no end");
    assert_eq!(theirs.id(), ours.id());
    client.abort();
    let reason = within(next()).await.expect("a reason");
    assert_eq!(reason.map(drop), Err(CloseReason::PeerClosed));
    assert!(within(next()).await.is_none());
    assert!(incoming.is_terminated());
}

#[tokio::test]
async fn a_server_can_detect_the_version() {
    let (a, b) = duplex(1024);
    let config = Config::builder()
        .detect_version(true)
        .build()
        .expect("valid");
    let server = Session::server(b, config);
    let mut opening = pin!(server.open());
    poll_fn(|cx| {
        assert!(opening.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    let client = Session::client(a, Config::v2());
    let _ours = client.open().await.expect("open");
    within(opening).await.expect("open");
    assert_eq!(server.version(), client.version());
}
