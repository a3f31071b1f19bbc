//! The behaviour that every transport must have.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::folder::Folder;
use crate::target::{check_echo, echo, receive, send};

const SIZE: u64 = 1 << 20;

/// Each direction ends in its own time, the user's first and the target's first, on every session
/// of the tunnel.
async fn carries_and_half_closes(tunnel: &Tunnel) {
    for seed in 0..4 {
        let (mut near, mut far) = within(tunnel.connect()).await;
        match seed % 2 {
            0 => end_in_turn(&mut near, &mut far, seed).await,
            _ => end_in_turn(&mut far, &mut near, seed).await,
        }
    }
}

/// `first` sends and ends, then `second`; both are checked.
pub(crate) async fn end_in_turn(first: &mut TcpStream, second: &mut TcpStream, seed: u32) {
    let ended_first = async {
        send(first, seed, SIZE).await?;
        first.shutdown().await
    };
    within(async { tokio::try_join!(ended_first, receive(second, seed, SIZE)) })
        .await
        .expect("the first direction");
    let ended_second = async {
        send(second, !seed, SIZE).await?;
        second.shutdown().await
    };
    within(async { tokio::try_join!(ended_second, receive(first, !seed, SIZE)) })
        .await
        .expect("the second direction");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_carries_half_close() {
    for version in ["1", "2"] {
        let tunnel = Tunnel::start(&["--smux-version", version, "--sessions", "2"], &[]).await;
        carries_and_half_closes(&tunnel).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_carries_half_close() {
    let folder = Folder::new();
    let (cert, key) = (folder.file("cert.pem"), folder.file("key.pem"));
    let server = ["--tls-cert", &cert, "--tls-key", &key, "--tls-generate"];
    let server = [["--transport", "tls"].as_slice(), &server].concat();
    let client = ["--transport", "tls", "--tls-ca", &cert];
    let tunnel = Tunnel::start(&client, &server).await;
    carries_and_half_closes(&tunnel).await;
    // An existing certificate is kept.
    let made = std::fs::read(&cert).expect("it was written");
    let tunnel = Tunnel::start(&client, &server).await;
    carries_and_half_closes(&tunnel).await;
    assert_eq!(std::fs::read(&cert).expect("it is there"), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcp_carries_half_close() {
    for crypt in ["null", "none"] {
        for version in ["1", "2"] {
            let kcp = [
                "--transport",
                "kcp",
                "--kcp-mode",
                "fast3",
                "--kcp-crypt",
                crypt,
            ];
            let version = ["--smux-version", version];
            let tunnel = Tunnel::start(&[kcp.as_slice(), &version].concat(), &kcp).await;
            carries_and_half_closes(&tunnel).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_an_untrusted_certificate_is_refused() {
    let folder = Folder::new();
    let [ours, ours_key, theirs, theirs_key] =
        ["ours.pem", "ours.key", "theirs.pem", "theirs.key"].map(|name| folder.file(name));
    let tls = ["--transport", "tls", "--tls-generate"];
    let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = target.local_addr().expect("bound");
    let mut servers = Vec::new();
    for (cert, key) in [(&ours, &ours_key), (&theirs, &theirs_key)] {
        let files = ["--tls-cert", cert, "--tls-key", key];
        let server = [tls.as_slice(), &files].concat();
        servers.push(End::server("127.0.0.1:0", target, &server).await);
    }
    let client = [
        "--transport",
        "tls",
        "--tls-ca",
        &theirs,
        "--connect-timeout",
        "0.2",
    ];
    let client = End::client(servers[0].address, &client).await;
    let mut near = client.connect().await;
    let read = within(near.read_u8()).await;
    assert_eq!(
        read.expect_err("it must fail").kind(),
        std::io::ErrorKind::ConnectionReset
    );
    assert_eq!(servers[0].statistics.totals().sessions, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_share_several_sessions() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = listener.local_addr().expect("bound");
    tokio::spawn(echo(listener));
    let server = End::server("127.0.0.1:0", target, &[]).await;
    let client = End::client(server.address, &["--sessions", "3"]).await;
    let mut users = tokio::task::JoinSet::new();
    for seed in 0..100 {
        users.spawn(check_echo(client.address, seed, u64::from(seed) * 1000));
    }
    within(async {
        while let Some(checked) = users.join_next().await {
            checked.expect("no panic").expect("an echo");
        }
    })
    .await;
    for end in [client, server] {
        end.request_shutdown();
        let statistics = end.statistics.clone();
        end.ended().await;
        assert_eq!(statistics.totals().streams, 100);
    }
}
