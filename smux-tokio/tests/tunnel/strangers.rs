//! The log lines about connections that are not clients, and about those beyond the limits.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::closing::{assert_turned_away, nowhere};
use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::transports::end_in_turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_byte_that_is_not_smux_ends_the_connection_and_is_logged() {
    for (bytes, what) in [
        (b"GET / HTTP/1.1".as_slice(), "HTTP"),
        (b"SSH-2.0-x", "SSH"),
        (&[0x16, 3, 1], "TLS"),
        (&[0xff, 6, 0, 0], "--nocomp"),
        (b"x", "other settings"),
    ] {
        let server = End::server("127.0.0.1:0", nowhere().await, &[]).await;
        let mut tcp = TcpStream::connect(server.address)
            .await
            .expect("it listens");
        // The first byte decides.
        tcp.write_all(&bytes[..1]).await.expect("connected");
        let mut rest = Vec::new();
        let _ = within(tcp.read_to_end(&mut rest)).await;
        let line = server.logs("no session").await;
        assert!(line.contains(what), "{line}");
        assert_eq!(server.statistics.totals().sessions, 0);
    }
}

/// They may hold users' data, as datagrams of kcptun's error correction do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_datagrams_are_logged_once_and_without_their_content() {
    const SECRET: &str = "a user's password";
    let options = ["--transport", "kcp", "--log", "trace"];
    let server = End::server("127.0.0.1:0", nowhere().await, &options).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut error_correction = vec![0, 0, 0, 0, 0xf1, 0];
    error_correction.extend(SECRET.repeat(3).bytes());
    let short = SECRET.as_bytes();
    let mut broken = vec![1, 0, 0, 0, 81, 0, 0, 1];
    broken.extend([0; 12]);
    broken.extend([255, 0, 0, 0]);
    broken.extend(SECRET.bytes());
    for _ in 0..100 {
        for datagram in [&error_correction, short, &broken] {
            socket
                .send_to(datagram, server.address)
                .await
                .expect("loopback");
        }
    }
    let line = server.logs("a datagram was dropped").await;
    assert!(line.contains("error correction"), "{line}");
    assert_eq!(server.logged("a datagram was dropped").len(), 1);
    for form in [SECRET, "password", "[97, 32, 117", "61 20 75"] {
        assert!(server.logged(form).is_empty(), "{:?}", server.logged(form));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_refused_connections_and_sessions_are_logged_once() {
    let limits = ["--max-connections", "1", "--max-sessions", "1"];
    let tunnel = Tunnel::start(&[], &limits).await;
    let (mut near, mut far) = tunnel.connect().await;
    for _ in 0..10 {
        assert_turned_away(&tunnel.client).await;
    }
    let _second = End::client(tunnel.server.address, &["--max-backoff", "0.2"]).await;
    let line = tunnel.server.logs("connections refused").await;
    assert!(line.contains("limit=1"), "{line}");
    tunnel.server.logs("too many sessions").await;
    assert_eq!(tunnel.server.logged("connections refused").len(), 1);
    assert_eq!(tunnel.server.logged("too many sessions").len(), 1);
    end_in_turn(&mut near, &mut far, 0).await;
}
