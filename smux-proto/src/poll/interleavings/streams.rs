//! Streams on several tasks while their session goes on.

use std::{future::poll_fn, vec, vec::Vec};

use shuttle::future::{block_on, spawn, yield_now};

use super::{
    Movers, Side, Version, explore, given_up, pair, read_to_end, start, tight, wire, write_all,
};
use crate::{
    CloseReason, Config, StreamError,
    poll::{SessionHandle, StreamHandle},
};

async fn opened(session: &SessionHandle) -> StreamHandle {
    session.open().await.expect("the session goes on")
}

async fn accepted(session: &SessionHandle) -> StreamHandle {
    session.accept().await.expect("the session goes on")
}

/// Sends `data` and reads to the end, on two tasks. Neither is the first task that waits to read.
async fn exchange(stream: StreamHandle, data: Vec<u8>) -> Vec<u8> {
    let (read, write) = stream.into_split();
    given_up(poll_fn(|cx| read.stream().poll_peek(cx, &mut [0]))).await;
    let writer = spawn(async move { write_all(&write, &data).await });
    let reader = spawn(async move { read_to_end(&read).await });
    let written = writer.await.expect("ends without panic");
    assert_eq!(written, Ok(()));
    reader
        .await
        .expect("ends without panic")
        .expect("all of it")
}

fn halves_on_two_tasks(movers: Movers, version: Version) {
    block_on(async {
        let [(client, client_runs), (server, server_runs)] = pair(movers, &tight(version), 50);
        let (up, down) = (vec![1; 70], vec![2; 60]);
        let there = spawn({
            let (server, down) = (server.clone(), down.clone());
            async move { exchange(accepted(&server).await, down).await }
        });
        let read = exchange(opened(&client).await, up.clone()).await;
        assert_eq!(read, down);
        assert_eq!(there.await.expect("ends without panic"), up);
        assert_eq!(client.close().await, CloseReason::Local);
        assert_eq!(server.closed().await, CloseReason::PeerClosed);
        drop((client, server));
        client_runs.ended().await;
        server_runs.ended().await;
    });
}

#[test]
fn halves_on_two_tasks_wait_for_room_in_the_receive_buffer() {
    explore(|movers| halves_on_two_tasks(movers, Version::V1));
}

#[test]
fn halves_on_two_tasks_wait_for_window_updates() {
    explore(|movers| halves_on_two_tasks(movers, Version::V2));
}

#[test]
fn a_flushed_write_has_reached_the_transport() {
    explore(|movers| {
        block_on(async {
            let (wire, _peer) = wire::pair(1000);
            let sent = wire.output.clone();
            let (client, running) = start(movers, Side::Client, Config::default(), wire);
            let flush = async |stream: &StreamHandle, sent: &wire::Channel, data: &[u8]| {
                let written = poll_fn(|cx| stream.poll_write(cx, data)).await;
                assert_eq!(written, Ok(data.len()));
                let flushed = poll_fn(|cx| stream.poll_flush(cx)).await;
                assert_eq!(flushed, Ok(()));
                assert!(sent.carries(data), "{data:?} is held back");
            };
            let (first, second) = (opened(&client).await, opened(&client).await);
            let other = spawn({
                let sent = sent.clone();
                async move {
                    flush(&second, &sent, b"one").await;
                    flush(&second, &sent, b"two").await;
                }
            });
            flush(&first, &sent, b"three").await;
            flush(&first, &sent, b"four").await;
            other.await.expect("ends without panic");
            client.abort();
            drop((client, first));
            running.ended().await;
        });
    });
}

#[test]
fn a_stream_dropped_while_data_arrives_disturbs_no_other() {
    explore(|movers| {
        block_on(async {
            let [(client, client_runs), (server, server_runs)] =
                pair(movers, &tight(Version::V2), 50);
            let (kept, dropped) = (opened(&client).await, opened(&client).await);
            // Both are on their way, in this order.
            let (there, gone) = (accepted(&server).await, accepted(&server).await);
            assert_eq!((there.id(), gone.id()), (kept.id(), dropped.id()));
            let reader = spawn(async move {
                let (read, _write) = gone.into_split();
                let _ = read_to_end(&read).await;
            });
            let writer = spawn(async move {
                let _ = poll_fn(|cx| dropped.poll_write(cx, b"to nobody")).await;
                poll_fn(|cx| dropped.poll_stopped(cx)).await
            });
            let other = spawn(exchange(there, vec![3; 30]));
            let sent = spawn(exchange(kept, vec![4; 30]));
            yield_now().await;
            reader.abort();
            let _ = reader.await;
            assert_eq!(writer.await.expect("ends without panic"), Ok(()));
            assert_eq!(other.await.expect("ends without panic"), [4; 30]);
            assert_eq!(sent.await.expect("ends without panic"), [3; 30]);
            drop((client, server));
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}

/// The peer reads nothing, so that the other stream's write stays blocked.
#[test]
fn a_flush_beside_a_blocked_write_is_done() {
    explore(|movers| {
        block_on(async {
            let (wire, _peer) = wire::pair(40);
            let (client, running) = start(movers, Side::Client, Config::default(), wire);
            let (ours, other) = (opened(&client).await, opened(&client).await);
            let written = poll_fn(|cx| ours.poll_write(cx, b"hello")).await;
            assert_eq!(written, Ok(5));
            let written = poll_fn(|cx| other.poll_write(cx, &[1; 50])).await;
            assert_eq!(written, Ok(50));
            let blocked = spawn(async move { poll_fn(|cx| other.poll_flush(cx)).await });
            let flushed = poll_fn(|cx| ours.poll_flush(cx)).await;
            assert_eq!(flushed, Ok(()));
            client.abort();
            let failed = blocked.await.expect("ends without panic");
            assert_eq!(failed, Err(StreamError::Closed(CloseReason::Aborted)));
            drop((client, ours));
            running.ended().await;
        });
    });
}
