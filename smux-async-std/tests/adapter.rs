//! Cases beyond the conformance suite: TCP, sockets that cannot be shut, writers that take one
//! slice, and drivers.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice, IoSliceMut},
    net::TcpListener,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use async_io::{Async, Timer};
use smol::{
    block_on,
    future::{or, poll_once, yield_now, zip},
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    stream::StreamExt,
};
use smux_async_std::{
    Bytes, Clock, CloseReason, Config, Driver, Incoming, OwnedReadHalf, OwnedWriteHalf, Priority,
    ReuniteError, Session, ShutdownOnClose, Stream,
};
use smux_conformance::suite::connection::{Behaviour, Memory, tcp_pair};

const _: () = {
    const fn check<T: Send + Sync + Unpin>() {}
    check::<Session>();
    check::<Incoming>();
    check::<Stream>();
    check::<OwnedReadHalf>();
    check::<OwnedWriteHalf>();
    check::<Driver<Memory>>();
};

/// Fails instead of hanging. The limit is generous, since machines can be slow.
fn within<T>(future: impl Future<Output = T>) -> T {
    block_on(or(future, async {
        Timer::after(Duration::from_secs(60)).await;
        panic!("it hangs")
    }))
}

/// Without a close timeout, a close whose peer never ends hangs, and the test fails.
fn no_close_timeout() -> Config {
    let builder = Config::builder().close_timeout(Duration::from_secs(3600));
    builder.build().expect("valid")
}

fn pair() -> (Session, Session) {
    let (near, far) = Memory::pair(Behaviour::default(), Behaviour::default());
    (
        smux_async_std::smol::client(near, Config::v2()),
        smux_async_std::smol::server(far, Config::v2()),
    )
}

async fn stream(client: &Session, server: &Session) -> (Stream, Stream) {
    let ours = client.open().await.expect("open");
    let theirs = server.accept().await.expect("accept");
    (ours, theirs)
}

/// A client from `connect` and a server from `server_tcp`, over sockets of that runtime.
macro_rules! tcp_helpers {
    ($test:ident, $runtime:path, $TcpStream:ty) => {
        #[test]
        fn $test() {
            use $runtime as runtime;

            let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
            let address = listener.local_addr().expect("it is bound");
            within(async {
                let client = runtime::connect(address, no_close_timeout()).await;
                let client = client.expect("connect");
                let (tcp, peer) = listener.accept().expect("accept");
                let tcp = <$TcpStream>::try_from(tcp).expect("a socket");
                let socket = tcp.clone();
                let server = runtime::server_tcp(tcp, no_close_timeout()).expect("a server");
                assert!(socket.nodelay().expect("a socket"));
                drop(socket);

                assert_eq!(client.peer_addr(), Some(address));
                assert_eq!(client.local_addr(), Some(peer));
                let (ours, theirs) = stream(&client, &server).await;
                assert_eq!(ours.peer_addr(), Some(address));
                assert_eq!(theirs.peer_addr(), Some(peer));

                // The server notices only if the client's socket is shut.
                assert_eq!(client.close().await, CloseReason::Local);
                assert_eq!(server.closed().await, CloseReason::PeerClosed);
            });
        }
    };
}
tcp_helpers!(tcp_on_smol, smux_async_std::smol, smol::net::TcpStream);
tcp_helpers!(
    tcp_on_async_std,
    smux_async_std::async_std,
    async_std::net::TcpStream
);

#[test]
fn a_socket_is_shut_when_its_session_closes() {
    let (near, far) = tcp_pair();
    let start = |tcp, start: fn(_, _) -> _| {
        let tcp = Async::new(tcp).expect("a socket");
        let io = ShutdownOnClose::new(tcp, |tcp: &Async<std::net::TcpStream>, how| {
            tcp.get_ref().shutdown(how)
        });
        start(io, no_close_timeout())
    };
    let (client, client_driver) = start(near, Session::client_with_driver);
    let (server, server_driver) = start(far, Session::server_with_driver);
    let drivers = thread::spawn(|| within(zip(client_driver, server_driver)));
    assert_eq!(within(client.close()), CloseReason::Local);
    assert_eq!(within(server.closed()), CloseReason::PeerNeverSpoke);
    let reasons = drivers.join().expect("no panic");
    assert_eq!(reasons, (CloseReason::Local, CloseReason::PeerNeverSpoke));
}

#[test]
fn dropping_the_driver_aborts_the_session() {
    let (near, _far) = Memory::pair(Behaviour::default(), Behaviour::default());
    let (session, mut driver) = Session::client_with_driver(near, Config::v2());
    let mut stream = block_on(session.open()).expect("open");
    assert_eq!(block_on(poll_once(&mut driver)), None);
    let mut reading = pin!(stream.read_bytes(10));
    assert!(block_on(poll_once(&mut reading)).is_none());
    drop(driver);
    let error = within(reading).expect_err("it is aborted");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(within(session.closed()), CloseReason::Aborted);
    assert!(within(session.open()).is_err());
}

/// Its writer implements only the required methods, and records the length of each write.
#[derive(Clone, Default)]
struct OneSlice(Arc<Mutex<Vec<usize>>>);

impl AsyncRead for OneSlice {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for OneSlice {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().expect("no panic").push(buf.len());
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_writer_of_one_slice_gets_whole_frames() {
    let io = OneSlice::default();
    let config = Config::builder()
        .max_frame_size(2000)
        .build()
        .expect("valid");
    let (session, driver) = Session::client_with_driver(io.clone(), config);
    let work = async {
        let mut stream = session.open().await.expect("open");
        stream.write_all(&[7; 50_000]).await.expect("write");
        stream.flush().await.expect("flush");
    };
    within(or(work, async {
        driver.await;
    }));
    let writes = io.0.lock().expect("no panic");
    assert_eq!(writes.iter().sum::<usize>(), 8 + 25 * 8 + 50_000);
    // The first few writes show it. Then follow 25 payloads of a slice each, and their headers.
    assert!(writes.len() < 10, "{writes:?}");
}

/// Takes all slices, except in the first write, which takes only one, as if there were no more
/// room.
#[derive(Clone, Default)]
struct Partial(OneSlice);

impl AsyncRead for Partial {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Partial {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut writes = self.0.0.lock().expect("no panic");
        let taken = match writes.is_empty() {
            true => bufs[0].len(),
            false => bufs.iter().map(|buf| buf.len()).sum(),
        };
        writes.push(bufs.len());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn one_partial_write_does_not_end_vectored_writes() {
    let io = Partial::default();
    let (session, driver) = Session::client_with_driver(io.clone(), Config::default());
    let work = async {
        let mut stream = session.open().await.expect("open");
        for _ in 0..5 {
            stream.write_all(&[7; 100_000]).await.expect("write");
            stream.flush().await.expect("flush");
        }
    };
    within(or(work, async {
        driver.await;
    }));
    let slices = io.0.0.lock().expect("no panic");
    let several = slices.iter().skip(1).filter(|&&count| count > 1).count();
    assert!(several >= 5, "{slices:?}");
}

#[test]
fn a_vectored_read_fills_one_buffer_after_the_other() {
    let (client, server) = pair();
    within(async {
        let (mut ours, mut theirs) = stream(&client, &server).await;
        ours.write_all(b"hello world").await.expect("write");
        ours.close().await.expect("close");
        let (mut a, mut b, mut c) = ([0; 3], [0; 4], [0; 10]);
        // Once the end has arrived, all data has.
        while !theirs.peer_finished() {
            yield_now().await;
        }
        let mut bufs = [&mut a[..], &mut [], &mut b, &mut c].map(IoSliceMut::new);
        let count = theirs.read_vectored(&mut bufs).await.expect("read");
        assert_eq!(
            (count, &a, &b, &c),
            (11, b"hel", b"lo w", b"orld\0\0\0\0\0\0")
        );
        let mut bufs = [IoSliceMut::new(&mut a)];
        assert_eq!(theirs.read_vectored(&mut bufs).await.expect("the end"), 0);
    });
}

#[test]
fn copying_ends_with_the_peers_data() {
    let (client, server) = pair();
    within(async {
        let (mut ours, mut theirs) = stream(&client, &server).await;
        let sent: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        let writing = async {
            ours.write_all(&sent).await.expect("write");
            ours.close().await.expect("close");
        };
        let mut copied = Vec::new();
        let (count, ()) = zip(theirs.copy_to(&mut copied), writing).await;
        assert_eq!(count.expect("copy"), 1_000_000);
        assert!(copied == sent);
    });
}

#[test]
fn the_write_half_sets_the_priority() {
    within(async {
        let (client, server) = pair();
        let (ours, _theirs) = stream(&client, &server).await;
        let (read, write) = ours.into_split();
        write.set_priority(Priority::LOW);
        assert_eq!(write.priority(), Priority::LOW);
        let stream = read.reunite(write).expect("one stream");
        assert_eq!(stream.priority(), Priority::LOW);
        assert_eq!(client.streams()[0].1.priority, Priority::LOW);
    });
}

#[test]
fn halves_poll_for_bytes() {
    let (client, server) = pair();
    within(async {
        let (ours, theirs) = stream(&client, &server).await;
        let (_, mut write) = ours.into_split();
        let (mut read, theirs) = theirs.into_split();
        let mut data = Bytes::from_static(b"hello");
        let written = poll_fn(|cx| write.poll_write_bytes(cx, &mut data)).await;
        assert_eq!((written.expect("write"), data.len()), (5, 0));
        let bytes = poll_fn(|cx| read.poll_read_bytes(cx, 16)).await;
        assert_eq!(bytes.expect("read"), "hello");
        assert!(!write.is_stopped());
        drop((read, theirs));
        write.stopped().await.expect("told");
        assert!(write.is_stopped());
    });
}

#[test]
fn halves_are_joined_again_if_they_belong_together() {
    let (client, server) = pair();
    within(async {
        let (a, mut a_peer) = stream(&client, &server).await;
        let (b, _b_peer) = stream(&client, &server).await;
        let (a_read, a_write) = a.into_split();
        let (b_read, b_write) = b.into_split();
        let ReuniteError(a_read, b_write) = a_read.reunite(b_write).expect_err("two streams");
        b_read.reunite(b_write).expect("one stream");
        let mut a = a_read.reunite(a_write).expect("one stream");
        a.write_all(b"not finished").await.expect("write");
        let mut text = [0; 12];
        a_peer.read_exact(&mut text).await.expect("read");
        assert_eq!(&text, b"not finished");
        assert!(!a_peer.peer_finished());
    });
}

#[test]
fn incoming_ends_with_the_reason_of_the_session() {
    let (client, server) = pair();
    within(async {
        let mut incoming = server.incoming();
        let ours = client.open().await.expect("open");
        let theirs = incoming.next().await.expect("a stream").expect("no end");
        assert_eq!(theirs.id(), ours.id());
        client.close().await;
        let reason = incoming.next().await.expect("a reason");
        assert_eq!(reason.map(drop), Err(CloseReason::PeerClosed));
        assert!(incoming.next().await.is_none());
    });
}

/// Reads honestly, but of data claims so much more.
struct Overstating {
    io: Memory,
    claims: usize,
}

impl AsyncRead for Overstating {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let claims = self.claims;
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        read.map_ok(|count| count + if count > 0 && buf[1] == 2 { claims } else { 0 })
    }
}

impl AsyncWrite for Overstating {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// The header of a frame of version 1 on the first stream.
fn header(command: u8, len: u16) -> [u8; 8] {
    let [low, high] = len.to_le_bytes();
    [1, command, low, high, 3, 0, 0, 0]
}

/// A server on the executor's thread, its peer's first stream, and its peer.
async fn served(claims: usize) -> (Session, Stream, Memory) {
    let (io, mut peer) = Memory::pair(Behaviour::default(), Behaviour::default());
    let server = smux_async_std::smol::server(Overstating { io, claims }, Config::default());
    peer.write_all(&header(0, 0)).await.expect("SYN");
    let stream = server.accept().await.expect("accept");
    (server, stream, peer)
}

#[test]
fn overstated_reads_deliver_no_bytes_of_other_sessions() {
    within(async {
        let (_honest, mut secret, mut secret_peer) = served(0).await;
        let (_lying, mut stream, mut peer) = served(49_999).await;
        for size in [100, 20_000, 60_000] {
            let frame = [&header(2, size)[..], &vec![b'!'; size.into()]].concat();
            secret_peer.write_all(&frame).await.expect("written");
            let mut bytes = vec![0; size.into()];
            secret.read_exact(&mut bytes).await.expect("data");
            assert!(bytes.iter().all(|&byte| byte == b'!'));

            // One byte of data; the transport claims the rest.
            let frame = [&header(2, 50_000)[..], b"x"].concat();
            peer.write_all(&frame).await.expect("written");
            let mut bytes = vec![0; 50_000];
            stream
                .read_exact(&mut bytes)
                .await
                .expect("what is claimed");
            assert_eq!(bytes[0], b'x');
            assert!(!bytes.contains(&b'!'), "bytes of another session");
        }
    });
}

#[test]
fn a_read_that_claims_more_than_its_buffer_ends_the_session() {
    within(async {
        for claims in [1 << 20, usize::MAX >> 1] {
            let (server, _stream, mut peer) = served(claims).await;
            peer.write_all(&header(2, 1)).await.expect("written");
            let ended = server.closed().await;
            assert!(matches!(ended, CloseReason::Transport(_)), "{ended:?}");
        }
    });
}

/// Looking at what has arrived before reading it another way keeps no memory.
#[test]
fn what_was_lent_is_kept_no_longer_than_it_is_unread() {
    within(async {
        let (client, server) = pair();
        let (mut near, far) = stream(&client, &server).await;
        let (mut far, _writer) = far.into_split();
        near.write_all(&[7; 1000]).await.expect("written");
        let mut whole = Vec::new();
        while whole.len() < 1000 {
            assert!(!far.fill_buf().await.expect("data").is_empty());
            let bytes = far.read_bytes(usize::MAX).await.expect("data");
            assert!(bytes.is_unique(), "the stream still has them, too");
            whole.extend_from_slice(&bytes);
        }
        assert_eq!(whole, [7; 1000]);
    });
}

/// Time that the test moves. It has no waker: the test polls.
#[derive(Clone, Default)]
struct ManualTimer(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    now: Duration,
    sleeps_until: Option<Duration>,
}

impl ManualTimer {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().expect("no panic")
    }

    /// Moves on to when the session wants to be polled, and returns that time.
    fn skip(&self) -> Duration {
        let mut times = self.times();
        times.now = times.sleeps_until.take().expect("it waits for a deadline");
        times.now
    }
}

impl smux_async_std::Timer for ManualTimer {
    fn clock(&self) -> Clock {
        let timer = self.clone();
        Clock::new(move || timer.times().now)
    }

    fn poll_sleep(&mut self, _: &mut Context<'_>, until: Duration) -> Poll<()> {
        let mut times = self.times();
        times.sleeps_until = Some(until);
        if times.now < until {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

#[test]
fn a_session_on_a_given_timer_keeps_deadlines_without_a_runtime() {
    let (near, far) = Memory::pair(Behaviour::default(), Behaviour::default());
    let timers = [ManualTimer::default(), ManualTimer::default()];
    let config = Config::builder().keep_alive_required(true);
    let config = config.build().expect("valid");
    let [ours, theirs] = timers.clone();
    let (client, mut driver) = Session::client_with_timer(near, config.clone(), 1, ours);
    let (server, mut server_driver) = Session::server_with_timer(far, config, 2, theirs);
    let mut cx = Context::from_waker(Waker::noop());

    let Ok(Some(mut stream)) = client.try_open() else {
        panic!("there is room for a stream");
    };
    assert!(pin!(stream.write_all(b"hello")).poll(&mut cx).is_ready());
    assert!(Pin::new(&mut driver).poll(&mut cx).is_pending());
    assert!(Pin::new(&mut server_driver).poll(&mut cx).is_pending());
    let Poll::Ready(Ok(mut accepted)) = pin!(server.accept()).poll(&mut cx) else {
        panic!("the stream has arrived");
    };
    let mut text = [0; 5];
    assert!(
        pin!(accepted.read_exact(&mut text))
            .poll(&mut cx)
            .is_ready()
    );
    assert_eq!(&text, b"hello");

    // The server is not driven any more: the client has to notice by its timer.
    let ended = loop {
        let now = timers[0].skip();
        if let Poll::Ready(reason) = Pin::new(&mut driver).poll(&mut cx) {
            break (reason, now);
        }
    };
    assert_eq!(
        ended,
        (CloseReason::KeepAliveTimeout, Duration::from_secs(30))
    );
}
