//! Users and targets that are gone, and how the tunnel notices.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::closing::{assert_reset, assert_turned_away};
use crate::common::within;
use crate::ends::{End, Tunnel};

/// After the end of its data a connection is not read, so reading cannot show its reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_after_the_end_of_data_passes_through() {
    let tunnel = Tunnel::start(&[], &[]).await;
    for user_first in [true, false] {
        let (near, far) = tunnel.connect().await;
        let (mut gone, mut other) = if user_first { (near, far) } else { (far, near) };
        gone.shutdown().await.expect("connected");
        let mut rest = Vec::new();
        within(other.read_to_end(&mut rest)).await.expect("its end");
        gone.set_zero_linger().expect("connected");
        drop(gone);
        // The other end does nothing, and the reset does not need it.
        within(async {
            let ends = [&tunnel.client, &tunnel.server];
            while ends
                .iter()
                .any(|end| end.statistics.totals().open_streams > 0)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_half_closed_connection_is_reset() {
    let limit = ["--half-close-timeout", "0.3"];
    let tunnel = Tunnel::start(&limit, &limit).await;
    let (mut near, mut far) = tunnel.connect().await;
    near.shutdown().await.expect("connected");
    assert_reset(&mut near).await;
    let mut rest = Vec::new();
    let told = within(async {
        // The end of data came first.
        drop(far.read_to_end(&mut rest).await);
        while far.write_all(b"answer").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    told.await;
    tunnel.client.logs("nothing has moved for too long").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_half_closed_connection_goes_on() {
    let limit = ["--half-close-timeout", "0.3"];
    let tunnel = Tunnel::start(&limit, &limit).await;
    let (mut near, mut far) = tunnel.connect().await;
    near.shutdown().await.expect("connected");
    let start = Instant::now();
    let mut sent = Vec::<u8>::new();
    while start.elapsed() < Duration::from_secs(1) {
        far.write_all(b"more").await.expect("connected");
        sent.extend(b"more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    far.shutdown().await.expect("connected");
    let mut received = Vec::new();
    within(near.read_to_end(&mut received)).await.expect("all");
    assert!(received == sent);
}

/// The system probes whether the other end is alive, which finds ends that vanish silently.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_users_and_targets_have_tcp_keep_alive() {
    let tunnel = Tunnel::start(&[], &[]).await;
    let (near, far) = tunnel.connect().await;
    let user = (tunnel.client.address, near.local_addr().expect("connected"));
    let target = (
        far.peer_addr().expect("connected"),
        far.local_addr().expect("bound"),
    );
    for (local, peer) in [user, target] {
        within(async {
            while timer(local, peer) != Some(KEEP_ALIVE) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

#[cfg(target_os = "linux")]
const KEEP_ALIVE: u8 = 2;

/// The timer that runs for a connection over IPv4 loopback.
#[cfg(target_os = "linux")]
fn timer(local: SocketAddr, peer: SocketAddr) -> Option<u8> {
    let name = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table of connections");
    let row = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next()? == name(local) && fields.next()? == name(peer);
        is_it.then(|| fields.nth(2).map(str::to_owned))
    });
    row.flatten()?.split(':').next()?.parse().ok()
}

/// Connections and sessions of a vanished client take all places, until they are freed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_client_frees_its_places_though_its_targets_do_nothing() {
    let limits = ["--max-sessions", "1", "--max-connections", "2"];
    let tunnel = Tunnel::start(&[], &limits).await;
    let mut far = Vec::new();
    for _ in 0..2 {
        let (mut near, target) = tunnel.connect().await;
        near.write_all(b"hi").await.expect("connected");
        near.shutdown().await.expect("connected");
        far.push((near, target));
    }
    assert_turned_away(&tunnel.client).await;
    let Tunnel {
        client,
        server,
        target,
    } = tunnel;
    client.kill().await;
    let client = End::client(server.address, &["--max-backoff", "0.2"]).await;
    // A session that begins before the server has noticed the loss is turned away, and resets the
    // connections that were given to it.
    let (mut near, mut served) = within(async {
        loop {
            let mut near = client.connect().await;
            tokio::select! {
                accepted = target.accept() => break (near, accepted.expect("it listens").0),
                _ = near.read_u8() => {}
            }
        }
    })
    .await;
    served.write_all(b"answer").await.expect("connected");
    within(near.read_exact(&mut [0; 6]))
        .await
        .expect("an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_arrived_before_the_session_was_lost_is_delivered() {
    let tunnel = Tunnel::start(&[], &[]).await;
    let (mut near, mut far) = tunnel.connect().await;
    // It fits the system's buffers for a target that does not read: a reset drops the rest.
    let size = 30_000;
    near.write_all(&vec![7; size]).await.expect("connected");
    within(async {
        while tunnel.server.statistics.totals().received < size as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let Tunnel { client, .. } = tunnel;
    client.kill().await;
    let mut received = vec![0; size];
    within(far.read_exact(&mut received))
        .await
        .expect("all of it");
    assert_reset(&mut far).await;
}

/// A server that answers, and so seems alive, but ends each session at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_sessions_do_not_shorten_the_pauses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let _client = End::client(address, &[]).await;
    let accept = async |listener: &TcpListener| {
        let (mut tcp, _): (TcpStream, _) = listener.accept().await.expect("it listens");
        // A frame that does nothing.
        let _ = tcp.write_all(&[2, 3, 0, 0, 0, 0, 0, 0]).await;
        let _ = tcp.shutdown().await;
        drop(tcp.read_to_end(&mut Vec::new()).await);
    };
    let start = Instant::now();
    // Pauses of at least 0.1, 0.2, 0.4 and 0.8 seconds between five.
    for _ in 0..5 {
        within(accept(&listener)).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(1_500));
}
