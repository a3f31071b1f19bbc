//! Sessions that are lost, with what they carried.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::common::within;
use crate::ends::{End, connect};
use crate::link::Link;
use crate::transports::{Transport, with};
use crate::usage::{alone, leaves_nothing};

const QUICK: [&str; 4] = ["--keep-alive", "0.1", "--keep-alive-timeout", "0.5"];

/// Connections in each state in which an end can wait for the other.
async fn in_every_state(client: &End, target: &TcpListener) -> Vec<(TcpStream, TcpStream)> {
    let mut pairs = Vec::new();
    for (near_ends, far_ends) in [(false, false), (true, false), (false, true)] {
        let (mut near, mut far) = within(connect(client, target)).await;
        near.write_all(b"question").await.expect("connected");
        far.write_all(b"answer").await.expect("connected");
        if near_ends {
            near.shutdown().await.expect("connected");
        }
        if far_ends {
            far.shutdown().await.expect("connected");
        }
        pairs.push((near, far));
    }
    pairs
}

async fn counts(server: &End, sessions: usize) {
    within(async {
        while server.statistics.totals().sessions != sessions {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Neither the users nor the targets do anything: the ends must detect the loss themselves.
#[test]
fn a_cut_link_ends_all_connections_over_it() {
    alone(async {
        for transport in Transport::all() {
            let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = target.local_addr().expect("bound");
            let server = with(&transport.server, &QUICK);
            let server = [server.as_slice(), &["--max-sessions", "1"]].concat();
            let server = End::server("127.0.0.1:0", address, &server).await;
            let link = if transport.is_udp {
                Link::udp(server.address).await
            } else {
                Link::tcp(server.address).await
            };
            let client = [QUICK.as_slice(), &["--max-backoff", "0.2"]].concat();
            let client = End::client(link.address, &with(&transport.client, &client)).await;
            counts(&server, 1).await;
            leaves_nothing(&[&client, &server], async || {
                let pairs = in_every_state(&client, &target).await;
                link.cut();
                counts(&server, 0).await;
                within(async {
                    // Its own handle, beside the listener's.
                    while client.statistics.totals().open_streams > 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                })
                .await;
                link.heal();
                // The only place is free again.
                counts(&server, 1).await;
                // Dropped only now, so that until here only the tunnel could end the connections.
                drop(pairs);
                client.logs("session lost").await;
            })
            .await;
        }
    });
}

#[test]
fn a_hundred_lost_sessions_leak_nothing() {
    alone(async {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = target.local_addr().expect("bound");
        let server = End::server("127.0.0.1:0", address, &["--max-sessions", "10"]).await;
        let link = Link::tcp(server.address).await;
        let options = ["--sessions", "10", "--max-backoff", "0.2"];
        let client = End::client(link.address, &options).await;
        counts(&server, 10).await;
        // Three times what is written here.
        leaves_nothing(&[&client, &server], async || {
            for _ in 0..4 {
                let mut pairs = Vec::new();
                for _ in 0..4 {
                    pairs.extend(in_every_state(&client, &target).await);
                }
                link.reset();
                counts(&server, 0).await;
                counts(&server, 10).await;
            }
        })
        .await;
        assert!(client.logged("session lost").len() >= 100);
    });
}
