//! Sessions that open no more streams.

use crate::common::within;
use crate::ends::{End, connect};
use crate::target::{check_echo, receive, send};
use crate::usage::{alone, leaves_nothing};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// A session whose ids are used up opens no more streams. Using up 2^31 ids would take days, so
/// the limit is lowered.
#[test]
fn a_session_out_of_ids_is_replaced_and_its_connections_go_on() {
    alone(async {
        let echoes = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = echoes.local_addr().expect("bound");
        tokio::spawn(crate::target::echo(echoes));
        let server = End::server("127.0.0.1:0", address, &[]).await;
        let client = End::client(server.address, &["--session-connections", "3"]).await;
        client.logs("session began").await;
        server.logs("session began").await;
        leaves_nothing(&[&client, &server], async || {
            for seed in 0..crate::size(30, 3_000) {
                within(check_echo(client.address, seed, 10_000))
                    .await
                    .expect("an echo");
            }
        })
        .await;
        assert_eq!(
            client.statistics.totals().streams,
            u64::from(3 * crate::size(30, 3_000_u32)),
        );
        assert!(!client.logged("replaced").is_empty());
        assert!(client.logged("session lost").is_empty());
    });
}

#[test]
fn a_connection_outlives_the_replacement_of_its_session() {
    alone(async {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = target.local_addr().expect("bound");
        let server = End::server("127.0.0.1:0", address, &[]).await;
        let client = End::client(server.address, &["--session-connections", "1"]).await;
        let (mut near, mut far) = connect(&client, &target).await;
        for _ in 0..5 {
            drop(connect(&client, &target).await);
        }
        let sent = async {
            send(&mut near, 1, 1 << 20).await?;
            near.shutdown().await
        };
        within(async { tokio::try_join!(sent, receive(&mut far, 1, 1 << 20)) })
            .await
            .expect("all of it");
    });
}
