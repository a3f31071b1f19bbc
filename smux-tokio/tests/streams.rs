//! Streams as tokio's traits see them: echo over several transports and runtimes, halves, dropping,
//! cancelling.

mod common;

use std::{
    future::poll_fn,
    io::{Cursor, ErrorKind},
    net::SocketAddr,
    pin::pin,
};

use bytes::Bytes;
use common::{pair, stream, within};
use smux_tokio::{Config, Priority, Session, Stream, StreamError};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

fn configs() -> [Config; 2] {
    [Config::default(), Config::v2()]
}

/// Sends back what arrives on every stream, until the session ends.
async fn serve_echo(session: Session) {
    while let Ok(stream) = session.accept().await {
        tokio::spawn(async move {
            let (mut read, mut write) = stream.into_split();
            tokio::io::copy(&mut read, &mut write).await?;
            write.shutdown().await
        });
    }
}

/// Writes in one task and reads in another.
async fn check_echo(stream: Stream, bytes: usize) {
    let sent: Vec<u8> = (0..=250).cycle().take(bytes).collect();
    let (mut read, mut write) = stream.into_split();
    let data = Bytes::from(sent.clone());
    let writer = tokio::spawn(async move {
        write.write_all(&data).await?;
        write.shutdown().await
    });
    let mut received = Vec::new();
    read.read_to_end(&mut received).await.expect("read");
    assert!(received == sent, "{} of {bytes} bytes", received.len());
    writer.await.expect("no panic").expect("write");
}

async fn echo_over_pipe_and_tcp() {
    for config in configs() {
        let (client, server) = pair(&config);
        echo_streams(client, server).await;

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let client = Session::connect(address, config.clone());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let client = client.expect("connect");
        let (tcp, peer) = accepted.expect("accept");
        let server = Session::server_tcp(tcp, config).expect("server");
        assert_eq!(client.peer_addr(), Some(address));
        assert_eq!(client.local_addr(), Some(peer));
        assert_eq!(server.peer_addr(), Some(peer));
        echo_streams(client, server).await;
    }
}

async fn echo_streams(client: Session, server: Session) {
    tokio::spawn(serve_echo(server));
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let stream = client.open().await.expect("open");
        tasks.spawn(check_echo(stream, 100_000));
    }
    tasks.spawn(check_echo(client.open().await.expect("open"), 3_000_000));
    tasks.join_all().await;
    client.close().await;
    assert_eq!(client.stream_count(), 0);
}

#[tokio::test]
async fn echo_on_one_thread() {
    within(echo_over_pipe_and_tcp()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn echo_on_many_threads() {
    within(echo_over_pipe_and_tcp()).await;
}

#[tokio::test]
async fn other_transports_report_the_addresses_they_were_given() {
    let (client, server) = pair(&Config::default());
    assert_eq!((client.local_addr(), client.peer_addr()), (None, None));
    let local = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
    let peer = Some(SocketAddr::from(([127, 0, 0, 1], 2)));
    let client = client.with_addresses(local, peer);
    assert_eq!((client.local_addr(), client.peer_addr()), (local, peer));
    let (ours, theirs) = stream(&client, &server).await;
    assert_eq!((ours.local_addr(), ours.peer_addr()), (local, peer));
    assert_eq!((theirs.local_addr(), theirs.peer_addr()), (None, None));
}

#[tokio::test]
async fn bytes_arrive_as_written() {
    for config in configs() {
        let (client, server) = pair(&config);
        let (mut ours, mut theirs) = within(stream(&client, &server)).await;
        let data = Bytes::from(vec![7; 500_000]);
        let mut left = data.clone();
        let writer = tokio::spawn(async move {
            ours.write_all_bytes(&mut left).await.expect("write");
            ours.finish();
            assert!(left.is_empty());
            ours
        });
        let head = within(theirs.read_bytes(1000)).await.expect("read");
        assert!((1..=1000).contains(&head.len()));
        let mut rest = Vec::new();
        let copied = within(theirs.copy_to(&mut rest)).await.expect("copy");
        assert_eq!(copied, rest.len() as u64);
        assert_eq!([&head[..], &rest[..]].concat(), data);
        assert!(theirs.peer_finished());
        assert_eq!(theirs.read_bytes(1).await.expect("end"), Bytes::new());
        drop(writer.await);
    }
}

#[tokio::test]
async fn a_cancelled_copy_loses_nothing() {
    let (client, server) = pair(&Config::default());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    ours.write_all(b"one").await.expect("write");
    let mut copied = Vec::new();
    {
        let mut copy = pin!(theirs.copy_to(&mut copied));
        // Polled until it waits for more, then dropped.
        tokio::select! {
            biased;
            end = &mut copy => panic!("ended: {end:?}"),
            () = until(|| server.stats().payload_received == 3 && server.stats().receive_buffered == 0) => {}
        }
    }
    ours.write_all(b"two").await.expect("write");
    ours.finish();
    within(theirs.copy_to(&mut copied)).await.expect("copy");
    assert_eq!(copied, b"onetwo");
}

#[tokio::test]
async fn a_copy_to_a_writer_that_fails_leaves_the_rest_readable() {
    for config in configs() {
        let (client, server) = pair(&config);
        let (mut ours, mut theirs) = within(stream(&client, &server)).await;
        ours.write_all(b"head and tail").await.expect("write");
        ours.finish();
        let mut head = [0; 4];
        let mut writer = Cursor::new(&mut head[..]);
        let error = within(theirs.copy_to(&mut writer)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
        let mut tail = String::new();
        within(theirs.read_to_string(&mut tail))
            .await
            .expect("read");
        assert_eq!((&head, &*tail), (b"head", " and tail"));
    }
}

#[tokio::test]
async fn dropping_the_write_half_ends_our_data_only() {
    for config in configs() {
        let (client, server) = pair(&config);
        let (ours, mut theirs) = within(stream(&client, &server)).await;
        let (mut read, mut write) = ours.into_split();
        write.write_all(b"question").await.expect("write");
        drop(write);
        let mut text = String::new();
        within(theirs.read_to_string(&mut text))
            .await
            .expect("read");
        assert_eq!(text, "question");
        theirs.write_all(b"answer").await.expect("write");
        drop(theirs);
        text.clear();
        within(read.read_to_string(&mut text)).await.expect("read");
        assert_eq!(text, "answer");
    }
}

#[tokio::test]
async fn the_write_half_sets_the_priority() {
    let (client, server) = pair(&Config::v2());
    let (ours, _theirs) = within(stream(&client, &server)).await;
    let (read, write) = ours.into_split();
    write.set_priority(Priority::LOW);
    assert_eq!(write.priority(), Priority::LOW);
    let stream = read.reunite(write).expect("one stream");
    assert_eq!(stream.priority(), Priority::LOW);
    assert_eq!(client.streams()[0].1.priority, Priority::LOW);
}

#[tokio::test]
async fn dropping_the_read_half_alone_leaves_the_write_half() {
    let (client, server) = pair(&Config::v2());
    let (ours, mut theirs) = within(stream(&client, &server)).await;
    let (read, mut write) = ours.into_split();
    drop(read);
    theirs.write_all(b"unread").await.expect("write");
    write.write_all(b"still here").await.expect("write");
    within(write.shutdown()).await.expect("shutdown");
    let mut text = String::new();
    within(theirs.read_to_string(&mut text))
        .await
        .expect("read");
    assert_eq!(text, "still here");
    drop(write);
    within(theirs.stopped()).await.expect("told");
}

#[tokio::test]
async fn halves_poll_for_bytes() {
    let (client, server) = pair(&Config::default());
    let (ours, theirs) = within(stream(&client, &server)).await;
    let (_, mut write) = ours.into_split();
    let (mut read, theirs) = theirs.into_split();
    let mut data = Bytes::from_static(b"hello");
    let written = poll_fn(|cx| write.poll_write_bytes(cx, &mut data)).await;
    assert_eq!((written.expect("write"), data.len()), (5, 0));
    let bytes = within(poll_fn(|cx| read.poll_read_bytes(cx, 16))).await;
    assert_eq!(bytes.expect("read"), "hello");
    assert!(!write.is_stopped());
    drop((read, theirs));
    within(write.stopped()).await.expect("told");
    assert!(write.is_stopped());
}

#[tokio::test]
async fn halves_are_joined_again_if_they_belong_together() {
    let (client, server) = pair(&Config::default());
    let (a, mut a_peer) = within(stream(&client, &server)).await;
    let (b, _b_peer) = within(stream(&client, &server)).await;
    let (a_read, a_write) = a.into_split();
    let (b_read, b_write) = b.into_split();
    let error = a_read.reunite(b_write).expect_err("different streams");
    let (a_read, b_write) = (error.0, error.1);
    b_read.reunite(b_write).expect("same stream");
    let mut a = a_read.reunite(a_write).expect("same stream");
    a.write_all(b"not finished").await.expect("write");
    let mut text = [0; 12];
    within(a_peer.read_exact(&mut text)).await.expect("read");
    assert_eq!(&text, b"not finished");
    assert!(!a_peer.peer_finished());
}

#[tokio::test]
async fn a_dropped_stream_sends_what_is_queued_and_stops_the_peer() {
    for config in configs() {
        let (client, server) = pair(&config);
        let (mut ours, mut theirs) = within(stream(&client, &server)).await;
        ours.write_all(&[1; 50_000]).await.expect("write");
        assert!(!theirs.is_stopped());
        drop(ours);
        let mut data = Vec::new();
        within(theirs.read_to_end(&mut data)).await.expect("read");
        assert_eq!(data, [1; 50_000]);
        within(theirs.stopped()).await.expect("told");
        assert!(theirs.is_stopped());
        let error = theirs.write_all(b"not read").await.expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let source = error.get_ref().and_then(|e| e.downcast_ref());
        assert_eq!(source, Some(&StreamError::Stopped));
    }
}

#[test]
fn streams_are_dropped_outside_of_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let (client, server) = {
        let _context = runtime.enter();
        pair(&Config::v2())
    };
    let (mut ours, mut theirs) = runtime.block_on(within(stream(&client, &server)));
    runtime.block_on(ours.write_all(b"last")).expect("write");
    // This thread is in no runtime now.
    drop(ours);
    drop(client);
    let mut text = String::new();
    let read = within(theirs.read_to_string(&mut text));
    runtime.block_on(read).expect("read");
    assert_eq!(text, "last");
}

#[tokio::test]
async fn a_cancelled_accept_loses_no_stream_and_no_wake_up() {
    let (client, server) = pair(&Config::default());
    let mut first = Box::pin(server.accept());
    let second = {
        let server = server.clone();
        tokio::spawn(async move { server.accept().await })
    };
    tokio::task::yield_now().await;
    poll_fn(|cx| {
        assert!(first.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    let ours = client.open().await.expect("open");
    drop(first);
    let theirs = within(second).await.expect("no panic").expect("accept");
    assert_eq!(theirs.id(), ours.id());
}

#[tokio::test]
async fn a_cancelled_write_has_queued_nothing() {
    let (client, server) = pair(&Config::v2());
    let (mut ours, mut theirs) = within(stream(&client, &server)).await;
    let mut written = 0;
    // Once the window is used up, the write waits and is dropped.
    while let Some(count) = tokio::select! {
        biased;
        count = ours.write(&[0; 10_000]) => Some(count.expect("write")),
        () = settled(&client) => None,
    } {
        written += count;
    }
    ours.finish();
    let mut data = Vec::new();
    within(theirs.read_to_end(&mut data)).await.expect("read");
    assert_eq!(data.len(), written);
}

/// Waits until all sendable data has left.
async fn settled(session: &Session) {
    until(|| session.stats().send_queued == 0).await;
    tokio::task::yield_now().await;
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// Looking at what has arrived before reading it another way keeps no memory.
#[tokio::test]
async fn what_was_lent_is_kept_no_longer_than_it_is_unread() {
    let (client, server) = pair(&Config::v2());
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
}
