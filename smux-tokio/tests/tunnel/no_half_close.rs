//! `--no-half-close`: the end of one direction ends both.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::closing::{assert_reset, assert_turned_away};
use crate::common::within;
use crate::ends::{End, Tunnel};

const OPTION: [&str; 1] = ["--no-half-close"];

/// Answers each byte, until it sees that the user has ended its direction.
async fn answer(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (mut tcp, _) = listener.accept().await.expect("it listens");
        connections.spawn(async move {
            while let Ok(byte) = tcp.read_u8().await {
                let _ = tcp.write_u8(byte).await;
            }
        });
    }
}

/// More users than places: they are all served only if those who have left free theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_leave_after_their_answer_free_their_places() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = listener.local_addr().expect("bound");
    tokio::spawn(answer(listener));
    let limits = [OPTION.as_slice(), &["--max-connections", "100"]].concat();
    let server = End::server("127.0.0.1:0", target, &limits).await;
    let client = End::client(server.address, &OPTION).await;
    let start = Instant::now();
    for _ in 0..4 {
        for _ in 0..90 {
            let mut near = client.connect().await;
            near.write_u8(1).await.expect("connected");
            within(near.read_u8()).await.expect("an answer");
        }
        within(async {
            while server.statistics.totals().open_streams > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    // A tenth of what waiting for the other direction would take.
    assert!(start.elapsed() < Duration::from_secs(20));
    for end in [client, server] {
        assert!(
            end.logged("failed").is_empty(),
            "{:?}",
            end.logged("failed")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_user_gets_an_answer_that_begins_late() {
    let tunnel = Tunnel::start(&OPTION, &OPTION).await;
    let (mut near, mut far) = tunnel.connect().await;
    near.write_all(b"question").await.expect("connected");
    near.shutdown().await.expect("connected");
    within(far.read_exact(&mut [0; 8]))
        .await
        .expect("the question");
    // Longer than an answer that has begun may pause.
    tokio::time::sleep(Duration::from_secs(1)).await;
    far.write_all(b"answer").await.expect("connected");
    drop(far);
    let mut answer = String::new();
    within(near.read_to_string(&mut answer))
        .await
        .expect("all of it");
    assert_eq!(answer, "answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_is_reset() {
    let limit = [OPTION.as_slice(), &["--max-connections", "1"]].concat();
    let tunnel = Tunnel::start(&OPTION, &limit).await;
    let _open = tunnel.connect().await;
    for _ in 0..3 {
        assert_turned_away(&tunnel.client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_pauses_after_its_user_has_ended_is_cut_with_a_reset() {
    let tunnel = Tunnel::start(&OPTION, &OPTION).await;
    let (mut near, mut far): (TcpStream, TcpStream) = tunnel.connect().await;
    near.write_all(b"question").await.expect("connected");
    far.write_all(b"half of it").await.expect("connected");
    within(near.read_exact(&mut [0; 10]))
        .await
        .expect("the half of it");
    near.shutdown().await.expect("connected");
    assert_reset(&mut near).await;
}
