//! How a client reaches its server, and what it logs if it cannot.

use std::net::SocketAddr;
use std::time::Duration;

use smux_tokio::Version;
use tokio::net::UdpSocket;

use crate::cli::KcpArgs;
use crate::common::within;
use crate::ends::End;
use crate::target::{check_echo, start_echo};
use crate::transport::first_to_answer;

const KCP: [&str; 2] = ["--transport", "kcp"];

/// Only the last address has a server. Of the others one is silent, one refuses, and one is of a
/// family that may not exist here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kcp_all_addresses_of_a_name_are_tried() {
    let server = End::server("127.0.0.1:0", start_echo().await, &KCP).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let nothing = {
        let closed = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        closed.local_addr().expect("bound")
    };
    let addresses = [
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], server.address.port())),
        nothing,
        silent.local_addr().expect("bound"),
        server.address,
    ];
    let args = KcpArgs::default();
    let reached = first_to_answer(&args, addresses.into_iter(), Version::V2);
    let (_, address) = within(reached).await.expect("one of them");
    assert_eq!(address, server.address);
}

/// `localhost` is `::1` too on most systems, where nothing listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_with_two_addresses_works_over_every_transport() {
    for transport in ["tcp", "kcp"] {
        let transport = ["--transport", transport];
        let server = End::server("127.0.0.1:0", start_echo().await, &transport).await;
        let name = format!("localhost:{}", server.address.port());
        let client = End::client_of(&name, &transport).await;
        within(check_echo(client.address, 1, 100_000))
            .await
            .expect("an echo");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_of_kcp_log_that_their_settings_differ() {
    for (ours, theirs) in [("null", "none"), ("none", "null")] {
        let server = [KCP.as_slice(), &["--kcp-crypt", ours]].concat();
        let server = End::server("127.0.0.1:0", start_echo().await, &server).await;
        let client = [
            KCP.as_slice(),
            &["--kcp-crypt", theirs, "--connect-timeout", "0.5"],
        ]
        .concat();
        let client = End::client(server.address, &client).await;
        let line = client.logs("cannot reach the server").await;
        assert!(line.contains("the same --kcp-crypt"), "{line}");
        let line = server.logs("a datagram was dropped").await;
        assert!(line.contains("another --crypt"), "{line}");
        assert!(client.logged("session began").is_empty());
    }
}

/// The system reports it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kcp_a_missing_server_is_noticed_at_once() {
    let nothing = {
        let closed = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        closed.local_addr().expect("bound")
    };
    let client = [KCP.as_slice(), &["--connect-timeout", "600"]].concat();
    let client = End::client(nothing, &client).await;
    let noticed = client.logs("cannot reach the server");
    let line = tokio::time::timeout(Duration::from_secs(30), noticed).await;
    assert!(line.expect("no wait for the limit").contains("refused"));
}
