//! Junk from strangers does not disturb a legitimate user.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, MissedTickBehavior};

use crate::common::within;
use crate::ends::End;
use crate::target::{check_echo, start_echo};
use crate::transports::{Transport, with};
use crate::usage::{alone, leaves_nothing};

/// Datagrams a second.
const RATE: usize = 1_100;

/// The first datagram of a conversation that does not exist.
fn push(data: &[u8]) -> Vec<u8> {
    let mut datagram = fastrand::u32(1..).to_le_bytes().to_vec();
    datagram.extend([81, 0, 128, 0]);
    datagram.extend([0; 12]);
    datagram.extend(u32::try_from(data.len()).expect("short").to_le_bytes());
    datagram.extend(data);
    datagram
}

/// In turn: bytes that are not smux, the start of a frame, a whole frame, and no KCP at all.
fn junk(n: usize) -> Vec<u8> {
    match n % 8 {
        0..4 => push(&[fastrand::u8(..)]),
        4 => push(&[2]),
        5 => push(&[2, 3, 0, 0, 0, 0, 0, 0]),
        6 => vec![fastrand::u8(..); 10],
        _ => std::iter::repeat_with(|| fastrand::u8(..))
            .take(100)
            .collect(),
    }
}

async fn flood(server: SocketAddr, time: Duration) {
    let mut sockets = Vec::new();
    for _ in 0..crate::size(110, RATE) {
        sockets.push(UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < time {
        ticks.tick().await;
        for _ in 0..RATE / 100 {
            let _ = sockets[sent % sockets.len()]
                .send_to(&junk(sent), server)
                .await;
            sent += 1;
        }
    }
}

#[test]
fn junk_datagrams_do_not_lock_clients_out() {
    alone(async {
        let kcp = [
            "--transport",
            "kcp",
            "--keep-alive",
            "0.5",
            "--keep-alive-timeout",
            "2",
        ];
        let limits = [kcp.as_slice(), &["--max-sessions", "2"]].concat();
        let server = End::server("127.0.0.1:0", start_echo().await, &limits).await;
        let client = End::client(server.address, &kcp).await;
        server.logs("session began").await;
        let time = Duration::from_millis(crate::size(2_000, 20_000));
        leaves_nothing(&[&client, &server], async || {
            let paying = async {
                let start = Instant::now();
                let mut seed = 0;
                while start.elapsed() < time {
                    within(check_echo(client.address, seed, 20_000))
                        .await
                        .expect("an echo");
                    seed += 1;
                }
                // A new client finds a place.
                let late = End::client(server.address, &kcp).await;
                within(check_echo(late.address, seed, 20_000))
                    .await
                    .expect("an echo");
                late.request_shutdown();
                late.ended().await;
            };
            tokio::join!(
                flood(server.address, time + Duration::from_millis(500)),
                paying
            );
            // KCP cannot signal its end, and the late client is gone.
            within(async {
                while server.statistics.totals().sessions > 1 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
        })
        .await;
        assert!(server.logged("turned away").is_empty());
        let lines = server.logged("a datagram was dropped").len() as u64;
        assert!(
            (1..=2 + 3 * (time.as_secs() + 30) / 10).contains(&lines),
            "{lines} lines"
        );
    });
}

#[test]
fn silent_connections_take_no_session() {
    alone(async {
        let [tcp, tls, _] = Transport::all();
        for transport in [tcp, tls] {
            silence_takes_no_session(&transport).await;
        }
    });
}

async fn silence_takes_no_session(transport: &Transport) {
    let limits = ["--max-sessions", "1", "--first-frame-timeout", "2"];
    let limits = with(&transport.server, &limits);
    let server = End::server("127.0.0.1:0", start_echo().await, &limits).await;
    // It gets the only place while they wait for it.
    leaves_nothing(&[&server], async || {
        let mut silent = Vec::new();
        for _ in 0..400 {
            silent.push(
                TcpStream::connect(server.address)
                    .await
                    .expect("it listens"),
            );
        }
        let client = End::client(server.address, &with(&transport.client, &[])).await;
        for seed in 0..20 {
            within(check_echo(client.address, seed, 10_000))
                .await
                .expect("an echo");
        }
        client.request_shutdown();
        client.ended().await;
        for mut tcp in silent {
            let mut nothing = [0; 1];
            assert!(matches!(
                within(tcp.read(&mut nothing)).await,
                Ok(0) | Err(_)
            ));
        }
    })
    .await;
    assert!(!server.logged("too many have sent no frame").is_empty());
    assert!(!server.logged("no frame in time").is_empty());
}
