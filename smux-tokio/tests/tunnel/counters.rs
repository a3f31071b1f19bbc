//! What `--metrics` serves.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::transports::end_in_turn;

async fn get(address: SocketAddr, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: tunnel\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.expect("connected");
    let mut answer = String::new();
    let read = within(tcp.read_to_string(&mut answer)).await;
    read.expect("an answer");
    answer
}

/// The sum of the samples whose lines begin so.
fn value(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_serve_what_they_have_carried() {
    let metrics = ["--metrics", "127.0.0.1:0"];
    let tunnel = Tunnel::start(&metrics, &metrics).await;
    let (mut near, mut far) = within(tunnel.connect()).await;
    end_in_turn(&mut near, &mut far, 1).await;
    let addresses = [&tunnel.client, &tunnel.server].map(|end| end.metrics.expect("asked for"));
    let received = r#"smux_payload_bytes_total{direction="received"}"#;
    let sent = r#"smux_payload_bytes_total{direction="sent"}"#;
    for address in addresses {
        let page = get(address, "/metrics").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(
            page.contains("content-type: text/plain; version=0.0.4"),
            "{page}"
        );
        for direction in [received, sent] {
            assert_eq!(value(&page, direction), f64::from(1 << 20), "{page}");
        }
        assert_eq!(value(&page, "smux_sessions "), 1.0, "{page}");
        assert!(
            value(&page, "smux_session_bytes_total{") > f64::from(2 << 20),
            "{page}"
        );
        let missing = get(address, "/").await;
        assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    }
    // The sums stay when the session is gone.
    tunnel.client.request_shutdown();
    tunnel.client.ended().await;
    tunnel.server.logs("session ended").await;
    let page = get(addresses[1], "/metrics").await;
    assert_eq!(value(&page, received), f64::from(1 << 20), "{page}");
    assert_eq!(value(&page, "smux_session_"), 0.0, "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let why = End::refused_client(&["--metrics", &address]).await;
    assert!(why.contains("cannot serve metrics"), "{why}");
}
