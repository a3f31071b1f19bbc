//! What the command line refuses, and what its limits do.

use smux_tokio::{Config, Session};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::closing::assert_turned_away;
use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::transports::end_in_turn;

#[tokio::test]
async fn a_connect_timeout_of_zero_is_refused() {
    let zero = ["--connect-timeout", "0"];
    for why in [
        End::refused_client(&zero).await,
        End::refused_server(&zero).await,
    ] {
        assert!(why.contains("more than 0"), "{why}");
    }
}

/// The client speaks first, so only a server can detect the version.
#[tokio::test]
async fn versions_are_one_and_two_and_a_server_may_detect_them() {
    for version in ["auto", "0", "3", "v2"] {
        let why = End::refused_client(&["--smux-version", version]).await;
        assert!(why.contains("it must be 1 or 2\n"), "{why}");
    }
    let why = End::refused_server(&["--smux-version", "3"]).await;
    assert!(why.contains("it must be 1 or 2, or auto\n"), "{why}");
}

/// A client that names a certificate never sends plain text.
#[tokio::test]
async fn options_of_another_transport_are_refused() {
    let client: [&[&str]; 2] = [&["--tls-ca", "cert.pem"], &["--tls-name", "localhost"]];
    let server: [&[&str]; 3] = [
        &["--tls-cert", "cert.pem"],
        &["--tls-key", "key.pem"],
        &["--tls-generate"],
    ];
    let kcp: [&[&str]; 5] = [
        &["--kcp-crypt", "null"],
        &["--kcp-mode", "fast"],
        &["--kcp-mtu", "1350"],
        &["--kcp-sndwnd", "1024"],
        &["--kcp-rcvwnd", "1024"],
    ];
    for (others, needed, tls) in [
        ("tcp", "--transport tls", true),
        ("kcp", "--transport tls", true),
        ("tcp", "--transport kcp", false),
    ] {
        let transport = ["--transport", others];
        let (client, server) = if tls {
            (&client[..], &server[..])
        } else {
            (&kcp[..], &kcp[..])
        };
        for options in client {
            let why = End::refused_client(&[options, &transport[..]].concat()).await;
            assert!(why.contains(needed), "{options:?}: {why}");
        }
        for options in server {
            let why = End::refused_server(&[options, &transport[..]].concat()).await;
            assert!(why.contains(needed), "{options:?}: {why}");
        }
    }
    let why = End::refused_server(&["--tls-name", "localhost"]).await;
    assert!(why.contains("--tls-generate"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_turned_away() {
    let tunnel = Tunnel::start(&[], &["--max-connections", "1"]).await;
    let (mut near, mut far) = tunnel.connect().await;
    assert_turned_away(&tunnel.client).await;
    end_in_turn(&mut near, &mut far, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_refuses_streams() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let _client = End::client(address, &[]).await;
    let (tcp, _) = within(listener.accept()).await.expect("it listens");
    let session = Session::server_tcp(tcp, Config::v2()).expect("connected");
    let mut stream = session.open().await.expect("room");
    let mut data = Vec::new();
    let read = within(stream.read_to_end(&mut data)).await;
    assert_eq!(read.expect("the end at once"), 0);
}
