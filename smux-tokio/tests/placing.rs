//! Where a session runs, what it does to its socket, and how its errors read.

mod common;

use std::{
    error::Error,
    io::{self, ErrorKind},
    iter::successors,
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
    time::Duration,
};

use common::{pair, stream, within};
use smux_tokio::{CloseReason, Config, DropOnShutdown, Session, StreamError, TransportError};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, DuplexStream, duplex, join, split},
    net::TcpListener,
    runtime::Runtime,
    task::yield_now,
};

#[test]
fn a_session_runs_on_the_given_runtime() {
    let (apart, ours) = (
        Runtime::new().expect("runtime"),
        Runtime::new().expect("runtime"),
    );
    let (a, b) = duplex(1000);
    // This thread is in no runtime.
    let client = Session::client_on(apart.handle(), a, Config::v2());
    let server = Session::server_on(apart.handle(), b, Config::v2());
    ours.block_on(within(async {
        let (mut near, mut far) = stream(&client, &server).await;
        near.write_all(b"across").await.expect("write");
        assert_eq!(far.read_bytes(100).await.expect("read"), "across");
    }));
    drop(apart);
    assert_eq!(client.close_reason(), Some(CloseReason::Aborted));
}

/// It is held up once, which it measures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_keeps_its_thread_does_not_hold_its_session_up() {
    const TRIES: usize = 20;
    let (a, b) = duplex(1000);
    let client = Session::client(a, Config::v2());
    let server = Session::server(b, Config::v2());
    let (mut near, mut far) = stream(&client, &server).await;
    let (arrived, arrivals) = mpsc::channel();
    let reading = tokio::spawn(async move {
        while !far.read_bytes(100).await.expect("read").is_empty() {
            arrived.send(()).expect("the writer waits");
        }
    });
    let writing = tokio::spawn(async move {
        let mut meanwhile = 0;
        for _ in 0..TRIES {
            near.write_all(b"more").await.expect("write");
            // As a computation does, this yields to no task.
            let arrival = arrivals.recv_timeout(Duration::from_millis(300));
            meanwhile += usize::from(arrival.is_ok());
            near.flush().await.expect("flush");
            while arrival.is_err() && arrivals.try_recv().is_err() {
                yield_now().await;
            }
        }
        meanwhile
    });
    let meanwhile = within(writing).await.expect("no panic");
    assert!(meanwhile >= TRIES / 2, "{meanwhile} of {TRIES}");
    within(reading).await.expect("no panic");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_holds_little_unsent_data() {
    use smux_tokio::TcpOptions;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = listener.local_addr().expect("bound");
    let lowat = |tcp: &tokio::net::TcpStream| {
        let socket = socket2::SockRef::from(tcp);
        (
            socket.tcp_notsent_lowat().expect("known"),
            tcp.nodelay().expect("known"),
        )
    };
    let connect = async || {
        tokio::net::TcpStream::connect(address)
            .await
            .expect("connect")
    };
    let tcp = connect().await;
    let before = lowat(&tcp).0;
    TcpOptions::default().apply(&tcp).expect("set");
    assert_eq!(lowat(&tcp), (16 << 10, true));
    let tcp = connect().await;
    let options = TcpOptions::default().notsent_lowat(None).nodelay(false);
    options.apply(&tcp).expect("set");
    assert_eq!(lowat(&tcp), (before, false));
}

/// As a child's standard input: its shutdown does nothing.
struct Input(tokio::io::WriteHalf<DuplexStream>);

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = Pin::new(&mut self.0).poll_shutdown(&mut cx);
    }
}

#[tokio::test]
async fn closing_drops_a_writer_that_ends_when_dropped() {
    let (near, far) = duplex(1000);
    let (output, input) = split(near);
    let io = join(output, DropOnShutdown::new(Input(input)));
    let config = Config::v2().to_builder();
    let config = config.close_timeout(Duration::from_secs(3600));
    let client = Session::client(io, config.build().expect("valid"));
    let server = Session::server(far, Config::v2());
    assert_eq!(within(client.close()).await, CloseReason::Local);
    assert_eq!(within(server.closed()).await, CloseReason::PeerNeverSpoke);
}

/// A transport whose writes fail.
struct Broken;

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::Error::from_raw_os_error(32)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(unix)]
#[tokio::test]
async fn errors_lead_to_the_transports_error() {
    let (input, _peer) = duplex(10);
    let session = Session::client(join(input, Broken), Config::v2());
    let mut stream = session.open().await.expect("open");
    stream.write_all(b"lost").await.expect("queued");
    let error = within(stream.flush()).await.expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let typed = error.get_ref().expect("a typed error");
    assert!(matches!(
        typed.downcast_ref(),
        Some(StreamError::Closed(CloseReason::Transport(_)))
    ));
    let causes: Vec<_> = successors(error.source(), |&cause| cause.source()).collect();
    assert!(causes[0].is::<CloseReason>(), "{causes:?}");
    assert!(causes[1].is::<TransportError>(), "{causes:?}");
    let last: &io::Error = causes[2].downcast_ref().expect("the transport's own");
    assert_eq!(last.raw_os_error(), Some(32));
}

#[tokio::test]
async fn a_watching_task_does_not_keep_the_session_open() {
    let (client, server) = pair(&Config::v2());
    let weak = client.downgrade();
    let watching = tokio::spawn(client.on_closed());
    assert_eq!(weak.upgrade().as_ref(), Some(&client));
    drop(client);
    assert_eq!(within(server.closed()).await, CloseReason::PeerNeverSpoke);
    let reason = within(watching).await.expect("no panic");
    assert_eq!(reason, CloseReason::Local);
    assert!(weak.upgrade().is_none());
}
