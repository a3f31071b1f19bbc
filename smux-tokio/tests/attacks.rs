//! The adapter's part of the attacks that a session must survive; the numbers are those of
//! `SECURITY.md`.

mod common;

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use common::{Probe, pair, stream, within};
use smux_tokio::{CloseReason, Config, OpenError, Session, Stream, StreamError};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex, split,
    },
    runtime,
    sync::Notify,
    task::JoinSet,
};

/// Polls once, to let a future begin to wait.
async fn poll_once<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// The session's close reason inside an I/O error.
fn reason(error: &io::Error) -> CloseReason {
    let source = error.get_ref();
    match source.and_then(|source| source.downcast_ref()) {
        Some(StreamError::Closed(reason)) => reason.clone(),
        other => panic!("{error:?} holds {other:?}"),
    }
}

/// A write that was dropped before it was ready has queued nothing, and does not affect the next.
#[tokio::test]
async fn attack_33_writes_are_cancelled_while_they_wait() {
    let config = Config::v2().to_builder().max_stream_send_queue(1_000);
    let (client, server) = pair(&config.build().expect("valid"));
    within(async {
        let (mut ours, mut theirs) = stream(&client, &server).await;
        let mut total = 0;
        for round in 0..50 {
            let data = vec![round; 700];
            let mut write = pin!(ours.write(&data));
            if let Poll::Ready(count) = poll_once(&mut write).await {
                total += count.expect("open");
            }
        }
        ours.shutdown().await.expect("open");
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.expect("whole");
        assert_eq!(received.len(), total);
        assert!(received.is_sorted(), "in the order of the writes");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn attack_34_the_transport_miscounts_what_it_wrote() {
    let lies: [fn(usize) -> usize; 2] = [|_| 0, |offered| offered + 1];
    for lie in lies {
        let (io, _peer) = duplex(1 << 16);
        let probe = Probe {
            lie: Some(lie),
            ..Probe::default()
        };
        let client = Session::client(probe.around(io), Config::v2());
        let opened = client.open().await;
        let ended = within(client.closed()).await;
        assert!(matches!(ended, CloseReason::Transport(_)), "{ended:?}");
        assert!(matches!(opened, Ok(_) | Err(OpenError::Closed(_))));
    }
}

/// Reads honestly, but of data claims more.
struct Overstating {
    io: DuplexStream,
    lie: fn(&mut ReadBuf<'_>),
}

impl AsyncRead for Overstating {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().get(1) == Some(&PSH) {
            (self.lie)(buf);
        }
        read
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

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

const SYN: u8 = 0;
const PSH: u8 = 2;

/// The header of a frame of version 1 on the first stream.
fn header(command: u8, len: u16) -> [u8; 8] {
    let [low, high] = len.to_le_bytes();
    [1, command, low, high, 3, 0, 0, 0]
}

/// A server over this, its peer's first stream, and its peer.
async fn served(lie: fn(&mut ReadBuf<'_>)) -> (Session, Stream, DuplexStream) {
    let (io, mut peer) = duplex(1 << 17);
    let server = Session::server(Overstating { io, lie }, Config::default());
    peer.write_all(&header(SYN, 0)).await.expect("room");
    let stream = server.accept().await.expect("accept");
    (server, stream, peer)
}

/// All sessions are on one thread, and share its buffers.
#[tokio::test]
async fn attack_34_the_transport_claims_more_than_it_read() {
    within(async {
        let (_honest, mut secret, mut secret_peer) = served(|_| {}).await;
        let (_lying, mut stream, mut peer) = served(|buf| buf.advance(49_999)).await;
        for size in [100, 20_000, 60_000] {
            let frame = [&header(PSH, size)[..], &vec![b'!'; size.into()]].concat();
            secret_peer.write_all(&frame).await.expect("room");
            let mut bytes = vec![0; size.into()];
            secret.read_exact(&mut bytes).await.expect("data");
            assert!(bytes.iter().all(|&byte| byte == b'!'));

            // One byte of data; the transport claims the rest.
            let frame = [&header(PSH, 50_000)[..], b"x"].concat();
            peer.write_all(&frame).await.expect("room");
            let mut bytes = vec![0; 50_000];
            stream
                .read_exact(&mut bytes)
                .await
                .expect("what is claimed");
            assert_eq!(bytes[0], b'x');
            assert!(!bytes.contains(&b'!'), "bytes of another session");
        }
    })
    .await;
}

#[tokio::test]
async fn attack_34_the_transport_claims_more_than_the_buffer_holds() {
    within(async {
        let (server, _stream, mut peer) = served(|buf| {
            // A larger buffer in the place of that which was given.
            *buf = ReadBuf::new(vec![b'!'; 1 << 20].leak());
            buf.set_filled(1 << 20);
        })
        .await;
        peer.write_all(&header(PSH, 1)).await.expect("room");
        let ended = server.closed().await;
        assert!(matches!(ended, CloseReason::Transport(_)), "{ended:?}");
    })
    .await;
}

/// Both sides write at full speed over a connection that holds almost nothing, and read in turns.
#[tokio::test]
async fn attack_35_both_sides_write_and_read_in_turns() {
    const TOTAL: usize = 300_000;
    let (a, b) = duplex(16);
    let client = Session::client(a, Config::v2());
    let server = Session::server(b, Config::v2());
    within(async {
        let (ours, theirs) = stream(&client, &server).await;
        let (mut our_reads, mut our_writes) = ours.into_split();
        let (mut their_reads, mut their_writes) = theirs.into_split();
        let turns = async {
            let mut buffer = vec![0; 1_000];
            for _ in 0..TOTAL / 1_000 {
                our_reads.read_exact(&mut buffer).await?;
                their_reads.read_exact(&mut buffer).await?;
            }
            io::Result::Ok(())
        };
        let data = vec![7; TOTAL];
        let ends = tokio::join!(
            our_writes.write_all(&data),
            their_writes.write_all(&data),
            turns
        );
        assert!(matches!(ends, (Ok(()), Ok(()), Ok(()))), "{ends:?}");
    })
    .await;
}

/// Dropping needs no runtime and never panics: on another thread, or while a panic unwinds.
#[test]
fn attack_46_handles_are_dropped_anywhere() {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let handles = || {
        runtime.block_on(async {
            let (client, server) = pair(&Config::v2());
            let streams = stream(&client, &server).await;
            (client, server, streams)
        })
    };
    drop(handles());
    let held = handles();
    std::thread::spawn(move || drop(held))
        .join()
        .expect("no panic");
    let held = handles();
    let unwound = std::thread::spawn(move || {
        let _held = held;
        std::panic::resume_unwind(Box::new("the application's own"));
    });
    let panic = unwound.join().expect_err("it panicked");
    assert_eq!(panic.downcast_ref(), Some(&"the application's own"));
    let held = handles();
    drop(runtime);
    drop(held);
}

#[tokio::test]
async fn attack_47_the_end_of_the_session_ends_all_waiting_calls() {
    let limits = Config::v2().to_builder().max_outbound_streams(2);
    let (io, _silent_peer) = duplex(64);
    let client = Session::client(io, limits.build().expect("valid"));
    within(async {
        let mut writer = client.open().await.expect("open");
        let mut reader = client.open().await.expect("open");
        let data = vec![7; 1 << 20];
        let mut write = pin!(writer.write_all(&data));
        let mut buffer = [0];
        let mut read = pin!(reader.read(&mut buffer));
        let (mut open, mut accept) = (pin!(client.open()), pin!(client.accept()));
        let mut closed = pin!(client.closed());
        assert!(poll_once(&mut write).await.is_pending());
        assert!(poll_once(&mut read).await.is_pending());
        assert!(poll_once(&mut open).await.is_pending());
        assert!(poll_once(&mut accept).await.is_pending());
        assert!(poll_once(&mut closed).await.is_pending());
        client.abort();
        let expected = CloseReason::Aborted;
        assert_eq!(reason(&write.await.expect_err("aborted")), expected);
        assert_eq!(reason(&read.await.expect_err("aborted")), expected);
        let opened = open.await.map(drop);
        assert_eq!(opened, Err(OpenError::Closed(expected.clone())));
        assert_eq!(accept.await.map(drop), Err(expected.clone()));
        assert_eq!(closed.await, expected);
        let flushed = writer.flush().await.expect_err("aborted");
        assert_eq!(reason(&flushed), expected);
        let shut = writer.shutdown().await.expect_err("aborted");
        assert_eq!(reason(&shut), expected);
    })
    .await;
}

// ------------------------------------------------------------------ death at every byte

/// Carries `cut` bytes of one direction between two transports, or until `end`; then cuts both
/// directions.
async fn carry_until(cut: usize, end: &Notify, from: DuplexStream, to: DuplexStream) {
    let ((from_reads, mut from_writes), (mut to_reads, mut to_writes)) = (split(from), split(to));
    let mut limited = from_reads.take(cut as u64);
    tokio::select! {
        _ = tokio::io::copy(&mut limited, &mut to_writes) => {}
        _ = tokio::io::copy(&mut to_reads, &mut from_writes) => {}
        () = end.notified() => {}
    }
}

/// Sends, reads its echo, ends, reads the end.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    for size in [1, 100, 300] {
        let data = vec![7; size];
        stream.write_all(&data).await?;
        let mut echo = vec![0; size];
        stream.read_exact(&mut echo).await?;
        assert_eq!(echo, data);
    }
    stream.shutdown().await?;
    assert_eq!(stream.read(&mut [0]).await?, 0);
    Ok(())
}

/// Returns the results of all waiting calls at the client. `asked` signals that the conversation
/// is over.
async fn client_side(client: Session, asked: &Notify) -> Vec<io::Result<()>> {
    let (mut asking, mut waiting) = (JoinSet::new(), JoinSet::new());
    let session = client.clone();
    waiting.spawn(async move {
        // The peer does not answer on this one.
        let mut stream = session.open().await?;
        stream.read_exact(&mut [0; 1_000]).await.map(drop)
    });
    for _ in 0..3 {
        let session = client.clone();
        asking.spawn(async move { ask(session.open().await?).await });
    }
    waiting.spawn(async move {
        Err(client
            .accept()
            .await
            .map(drop)
            .expect_err("no stream")
            .into())
    });
    let mut ends = asking.join_all().await;
    asked.notify_one();
    ends.extend(waiting.join_all().await);
    ends
}

async fn server_side(server: Session) -> Vec<io::Result<()>> {
    let mut waiters = JoinSet::new();
    let reason = loop {
        match server.accept().await {
            Ok(stream) => waiters.spawn(async move {
                let (mut reads, mut writes) = stream.into_split();
                tokio::io::copy(&mut reads, &mut writes).await?;
                writes.shutdown().await
            }),
            Err(reason) => break reason,
        };
    };
    let mut ends = waiters.join_all().await;
    ends.push(Err(reason.into()));
    ends
}

/// Every error holds the session's one reason; calls that needed nothing more succeeded.
fn assert_one_reason(cut: usize, session: &Session, ends: &[io::Result<()>]) {
    let expected = session.close_reason().expect("it has ended");
    assert_ne!(
        expected,
        CloseReason::KeepAliveTimeout,
        "the end of the transport was not noticed"
    );
    let errors = ends.iter().filter_map(|end| end.as_ref().err());
    for error in errors {
        let source = error.get_ref().expect("a typed source");
        let told = match (
            source.downcast_ref(),
            source.downcast_ref(),
            source.downcast_ref(),
        ) {
            (Some(StreamError::Closed(told)), _, _) => told,
            (_, Some(OpenError::Closed(told)), _) => told,
            (_, _, Some(told)) => told,
            _ => panic!("cut after {cut} bytes: {error:?}"),
        };
        assert_eq!(*told, expected, "cut after {cut} bytes");
    }
}

/// Both sessions end, and all waiting calls return the reason. Returns how many calls at the
/// client's end succeeded.
async fn die_after(cut: usize) -> usize {
    let ((a, to_a), (b, to_b)) = (duplex(64), duplex(64));
    let client = Session::client(a, Config::v2());
    let server = Session::server(b, Config::v2());
    let asked = Notify::new();
    let ((), ours, theirs) = within(async {
        tokio::join!(
            carry_until(cut, &asked, to_a, to_b),
            client_side(client.clone(), &asked),
            server_side(server.clone())
        )
    })
    .await;
    assert_one_reason(cut, &client, &ours);
    assert_one_reason(cut, &server, &theirs);
    ours.iter().filter(|end| end.is_ok()).count()
}

#[tokio::test]
async fn a_transport_that_dies_at_any_byte_ends_everything_with_one_reason() {
    let mut cut = 0;
    while die_after(cut).await < 3 {
        cut += 1;
    }
    assert!(
        cut > 1_200,
        "three streams carried 401 bytes each, not {cut}"
    );
    // Drivers end a moment after their sessions.
    within(async {
        while runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
