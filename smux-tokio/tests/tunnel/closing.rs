//! How connections, sessions and the tunnel's two ends close.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::within;
use crate::ends::{End, Tunnel, connect};
use crate::target::{check_echo, echo, receive, send};

const SIZE: u64 = 16 << 20;

/// Nothing is left to read, and the connection was reset.
pub(crate) async fn assert_reset(tcp: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = within(tcp.read_to_end(&mut rest)).await;
    assert_eq!(
        read.expect_err("a reset").kind(),
        ErrorKind::ConnectionReset
    );
}

/// A connection into the tunnel that it resets, maybe before we have seen it accepted.
pub(crate) async fn assert_turned_away(client: &End) {
    match within(TcpStream::connect(client.address)).await {
        Ok(mut near) => assert_reset(&mut near).await,
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// An address without a listener.
pub(crate) async fn nowhere() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_cannot_be_reached_resets_the_connection() {
    let server = End::server("127.0.0.1:0", nowhere().await, &[]).await;
    let client = End::client(server.address, &[]).await;
    for _ in 0..3 {
        assert_turned_away(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_passes_through() {
    let tunnel = Tunnel::start(&[], &[]).await;
    let (near, mut far) = tunnel.connect().await;
    near.set_zero_linger().expect("connected");
    drop(near);
    assert_reset(&mut far).await;

    let (mut near, far) = tunnel.connect().await;
    far.set_zero_linger().expect("connected");
    drop(far);
    assert_reset(&mut near).await;
}

/// The tunnel does not read a connection while the target takes nothing, so it learns of the reset
/// only once the target reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_passes_through_when_the_target_reads_again() {
    let tunnel = Tunnel::start(&[], &[]).await;
    let (mut near, mut far) = tunnel.connect().await;
    let stuck = tokio::time::timeout(Duration::from_secs(1), send(&mut near, 0, 1 << 30)).await;
    assert!(stuck.is_err(), "it must not take a GiB");
    near.set_zero_linger().expect("connected");
    drop(near);
    assert_reset(&mut far).await;
}

/// The user closes both directions while the target sends, so the data has no reader any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_whose_user_is_gone_is_reset() {
    let tunnel = Tunnel::start(&[], &[]).await;
    let (near, mut far) = tunnel.connect().await;
    drop(near);
    let sent = within(send(&mut far, 0, 1 << 40)).await;
    let kind = sent.expect_err("the user is gone").kind();
    assert!(
        matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{kind:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_connections_are_reset_in_time() {
    let client = End::client(nowhere().await, &["--connect-timeout", "0.2"]).await;
    assert_turned_away(&client).await;
}

const QUICK: [&str; 4] = ["--keep-alive", "0.1", "--keep-alive-timeout", "0.5"];

/// A lost session must not look like the end of data; the next connection gets a new session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_resets_its_connections_and_is_found_again() {
    for transport in ["tcp", "kcp"] {
        let both = [["--transport", transport].as_slice(), &QUICK].concat();
        let client = [both.as_slice(), &["--max-backoff", "0.1"]].concat();
        let Tunnel {
            client,
            server,
            target,
        } = Tunnel::start(&client, &both).await;
        let (mut near, mut far) = connect(&client, &target).await;
        far.write_all(b"half of it").await.expect("connected");
        let mut part = [0; 10];
        within(near.read_exact(&mut part))
            .await
            .expect("the half of it");
        let address = server.address.to_string();
        server.kill().await;
        assert_reset(&mut near).await;
        assert_reset(&mut far).await;

        let behind = target.local_addr().expect("bound");
        tokio::spawn(echo(target));
        let _server = End::server(&address, behind, &both).await;
        within(check_echo(client.address, 1, 100_000))
            .await
            .expect("an echo");
    }
}

/// Over KCP only silence shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_client_frees_its_session_and_connections() {
    for transport in ["tcp", "kcp"] {
        let both = [["--transport", transport].as_slice(), &QUICK].concat();
        let tunnel = Tunnel::start(&both, &both).await;
        let (mut near, mut far) = tunnel.connect().await;
        near.write_all(b"half of it").await.expect("connected");
        let mut part = [0; 10];
        within(far.read_exact(&mut part))
            .await
            .expect("the half of it");
        tunnel.client.kill().await;
        assert_reset(&mut far).await;
        assert_reset(&mut near).await;
        within(async {
            while tunnel.server.statistics.totals().sessions > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

/// Data in flight arrives, and both ends exit, whichever shuts down first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_loses_nothing() {
    for transport in [&["--transport", "tcp"], &["--transport", "kcp"]] {
        for server_first in [false, true] {
            let tunnel = Tunnel::start(transport, transport).await;
            let (mut near, mut far) = tunnel.connect().await;
            let (mut near_read, mut near_write) = near.split();
            let (mut far_read, mut far_write) = far.split();
            let Tunnel { client, server, .. } = tunnel;
            let (first, second) = if server_first {
                (server, client)
            } else {
                (client, server)
            };
            let up = async {
                send(&mut near_write, 1, SIZE).await?;
                first.request_shutdown();
                near_write.shutdown().await
            };
            let down = async {
                send(&mut far_write, 2, SIZE).await?;
                second.request_shutdown();
                far_write.shutdown().await
            };
            within(async {
                tokio::try_join!(
                    up,
                    down,
                    receive(&mut far_read, 1, SIZE),
                    receive(&mut near_read, 2, SIZE)
                )
            })
            .await
            .expect("everything");
            first.ended().await;
            second.ended().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_stops_accepting_and_cuts_long_connections() {
    let tunnel = Tunnel::start(&["--drain", "0.3"], &["--drain", "0.3"]).await;
    let (mut near, mut far) = tunnel.connect().await;
    let Tunnel { client, server, .. } = tunnel;
    let address = client.address;
    client.request_shutdown();
    client.ended().await;
    let refused = TcpStream::connect(address).await;
    assert_eq!(
        refused.expect_err("the listener is closed").kind(),
        ErrorKind::ConnectionRefused
    );
    assert_reset(&mut near).await;
    assert_reset(&mut far).await;
    server.request_shutdown();
    server.ended().await;
}

/// A user or target that has ended its direction and does not read cannot hold up a shutdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_cuts_connections_that_do_not_read() {
    let tunnel = Tunnel::start(&["--drain", "0.1"], &["--drain", "0.1"]).await;
    let (mut near, mut far) = tunnel.connect().await;
    let (mut silent_near, mut silent_far) = tunnel.connect().await;
    silent_near.shutdown().await.expect("connected");
    far.shutdown().await.expect("connected");
    let stuck = tokio::time::timeout(Duration::from_secs(1), async {
        tokio::join!(
            send(&mut near, 1, 1 << 30),
            send(&mut silent_far, 2, 1 << 30)
        )
    });
    assert!(stuck.await.is_err(), "it must not take a GiB");
    let Tunnel { client, server, .. } = tunnel;
    client.request_shutdown();
    server.request_shutdown();
    tokio::join!(client.ended(), server.ended());
    assert_reset(&mut silent_near).await;
    assert_reset(&mut far).await;
}
