//! What the command line refuses, and what its limits do.

use std::time::Duration;

use clap::Parser;
use smux_tokio::{Config, Session};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::backoff::Backoff;
use crate::cli::Cli;
use crate::closing::assert_turned_away;
use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::transports::end_in_turn;

#[test]
fn a_connect_timeout_of_zero_is_refused() {
    let client = [
        "client",
        "--listen",
        "127.0.0.1:0",
        "--server",
        "127.0.0.1:1",
    ];
    let server = [
        "server",
        "--listen",
        "127.0.0.1:0",
        "--target",
        "127.0.0.1:1",
    ];
    for end in [client, server] {
        let arguments = ["tunnel"].iter().chain(&end);
        let arguments = arguments.chain(&["--connect-timeout", "0"]);
        let error = Cli::try_parse_from(arguments).expect_err("no time at all");
        assert!(error.to_string().contains("more than 0"), "{error}");
    }
}

#[test]
fn without_a_longest_pause_there_still_is_one() {
    let mut backoff = Backoff::new(Duration::ZERO);
    for _ in 0..10 {
        assert!(backoff.pause() >= Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_turned_away() {
    let tunnel = Tunnel::start(&[], &["--max-connections", "1"]).await;
    let (mut near, mut far) = tunnel.connect().await;
    assert_turned_away(&tunnel.client).await;
    end_in_turn(&mut near, &mut far, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_takes_no_streams() {
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
