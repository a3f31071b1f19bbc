//! Users that have ended their direction and are gone, at a target that neither reads nor ends.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::target::{check_echo, echo};
use crate::transports::{Transport, with};
use crate::usage::{alone, leaves_nothing};

/// Returns the target's connections, which it neither reads nor ends until they are dropped.
async fn users_that_are_gone(client: &End, target: &TcpListener, count: usize) -> Vec<TcpStream> {
    let mut far = Vec::new();
    for _ in 0..count {
        let mut near = client.connect().await;
        near.write_all(b"hi").await.expect("connected");
        near.shutdown().await.expect("connected");
        drop(near);
        far.push(within(target.accept()).await.expect("it listens").0);
    }
    far
}

#[test]
fn half_closed_connections_without_a_user_end() {
    alone(async {
        let count = crate::size(150, 2_000);
        let most = count.to_string();
        for transport in Transport::all() {
            let limit = ["--half-close-timeout", "1"];
            let client = with(&transport.client, &limit);
            let server = with(&transport.server, &limit);
            let server = [server.as_slice(), &["--max-connections", &most]].concat();
            let tunnel = Tunnel::start(&client, &server).await;
            let Tunnel {
                client,
                server,
                target,
            } = &tunnel;
            client.logs("session began").await;
            server.logs("session began").await;
            leaves_nothing(&[client, server], async || {
                // Each round needs all the places of those before.
                let far = users_that_are_gone(client, target, count).await;
                within(async {
                    while server.statistics.totals().open_streams > 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                })
                .await;
                drop(far);
            })
            .await;
            assert!(!server.logged("nothing has moved for too long").is_empty());
        }
    });
}

/// The limits apply to silent connections only: users that read and write are not disturbed.
#[test]
fn users_beside_half_closed_connections_are_served() {
    alone(async {
        let limits = ["--half-close-timeout", "0.5"];
        let tunnel = Tunnel::start(&limits, &limits).await;
        let Tunnel {
            client,
            server,
            target,
        } = tunnel;
        let far = users_that_are_gone(&client, &target, 20).await;
        tokio::spawn(echo(target));
        for seed in 0..20 {
            within(check_echo(client.address, seed, 200_000))
                .await
                .expect("an echo");
        }
        drop((far, server));
    });
}
