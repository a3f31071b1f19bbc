//! Small writes that do not lock their session, while everything else goes on.

use std::{future::poll_fn, sync::Arc, time::Duration, vec::Vec};

use bytes::Bytes;
use shuttle::{
    future::{block_on, spawn},
    rand::{Rng, thread_rng},
};

use super::{Movers, Side, Version, explore, pair, read_to_end, start, wire};
use crate::{
    CloseReason, Config, StreamError,
    poll::{SessionHandle, StreamHandle},
};

/// Enough for an outbox, and then some.
const WRITES: u8 = 12;

/// Limits that leave room for outboxes; closing never runs out of time.
fn roomy(version: Version) -> Config {
    Config::builder()
        .version(version)
        .close_timeout(Duration::from_secs(3600))
        .build()
        .expect("valid")
}

async fn opened(session: &SessionHandle) -> StreamHandle {
    session.open().await.expect("the session goes on")
}

async fn write(stream: &StreamHandle, data: &[u8]) -> Result<usize, StreamError> {
    poll_fn(|cx| stream.poll_write(cx, data)).await
}

/// Writes numbers, most of them alone, until a write fails. Returns what was written.
async fn count_up(stream: &StreamHandle, writes: u8) -> Vec<u8> {
    let mut written = Vec::new();
    for number in 0..writes {
        let done = match thread_rng().gen_range(0..8) {
            0 => {
                let mut data = Bytes::copy_from_slice(&[number]);
                poll_fn(|cx| stream.poll_write_bytes(cx, &mut data)).await
            }
            1 => {
                let flushed = poll_fn(|cx| stream.poll_flush(cx)).await;
                match flushed {
                    Ok(()) => write(stream, &[number]).await,
                    Err(error) => Err(error),
                }
            }
            _ => write(stream, &[number]).await,
        };
        match done {
            Ok(1) => written.push(number),
            Ok(count) => panic!("{count} of one byte"),
            Err(_) => break,
        }
    }
    written
}

fn arrive_in_order(movers: Movers, version: Version) {
    block_on(async {
        let [(client, client_runs), (server, server_runs)] = pair(movers, &roomy(version), 50);
        let writers = [opened(&client).await, opened(&client).await].map(|stream| {
            spawn(async move {
                let written = count_up(&stream, WRITES).await;
                stream.finish();
                poll_fn(|cx| stream.poll_flush(cx))
                    .await
                    .expect("all leaves");
                written.len()
            })
        });
        for _ in 0..2 {
            let (read, _write) = server.accept().await.expect("a stream").into_split();
            let data = read_to_end(&read).await.expect("all of it");
            assert!(data.iter().copied().eq(0..WRITES), "{data:?}");
        }
        for writer in writers {
            assert_eq!(writer.await.expect("ends without panic"), WRITES.into());
        }
        client.close().await;
        server.closed().await;
        drop((client, server));
        client_runs.ended().await;
        server_runs.ended().await;
    });
}

#[test]
fn small_writes_arrive_in_order_in_version_1() {
    explore(|movers| arrive_in_order(movers, Version::V1));
}

#[test]
fn small_writes_arrive_in_order_in_version_2() {
    explore(|movers| arrive_in_order(movers, Version::V2));
}

#[test]
fn what_was_written_before_a_close_is_sent() {
    explore(|movers| {
        block_on(async {
            let [(client, client_runs), (server, server_runs)] =
                pair(movers, &roomy(Version::V1), 50);
            let stream = opened(&client).await;
            let writer = spawn(async move { count_up(&stream, WRITES).await });
            let reader = spawn({
                let server = server.clone();
                async move {
                    // The close may come before the first write.
                    let Ok(stream) = server.accept().await else {
                        return Vec::new();
                    };
                    let mut data = Vec::new();
                    while let Ok(1..) = poll_fn(|cx| stream.poll_read_buf(cx, &mut data)).await {}
                    data
                }
            });
            assert_eq!(client.close().await, CloseReason::Local);
            let written = writer.await.expect("ends without panic");
            assert_eq!(reader.await.expect("ends without panic"), written);
            drop((client, server));
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}

/// The peer reads nothing: the writer fails once the session is aborted.
#[test]
fn an_abort_ends_small_writes() {
    explore(|movers| {
        block_on(async {
            let (wire, _peer) = wire::pair(16);
            let (client, running) = start(movers, Side::Client, roomy(Version::V1), wire);
            let stream = Arc::new(opened(&client).await);
            let writer = spawn({
                let stream = Arc::clone(&stream);
                async move {
                    for _ in 0..WRITES {
                        write(&stream, b"x").await?;
                    }
                    poll_fn(|cx| stream.poll_flush(cx)).await
                }
            });
            client.abort();
            let failed = Err(StreamError::Closed(CloseReason::Aborted));
            assert_eq!(writer.await.expect("ends without panic"), failed);
            assert_eq!(write(&stream, b"x").await.map(drop), failed);
            drop((client, stream));
            running.ended().await;
        });
    });
}

/// The peer's end is dropped while small writes go on. They fail at last, and so does a flush.
#[test]
fn small_writes_to_a_stream_that_is_read_no_more_fail() {
    explore(|movers| {
        block_on(async {
            let [(client, client_runs), (server, server_runs)] =
                pair(movers, &roomy(Version::V2), 50);
            let stream = opened(&client).await;
            let writer = spawn(async move {
                while write(&stream, b"x").await.is_ok() {
                    shuttle::future::yield_now().await;
                }
                poll_fn(|cx| stream.poll_flush(cx)).await.is_err()
            });
            drop(server.accept().await.expect("a stream"));
            // What had left before may have been flushed.
            writer.await.expect("ends without panic");
            client.close().await;
            server.closed().await;
            drop((client, server));
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}
