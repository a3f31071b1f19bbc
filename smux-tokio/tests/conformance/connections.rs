//! Transports that only tokio has.

use std::net::Ipv4Addr;

use smux_conformance::suite::{connection::tcp_pair, tls};
use smux_tokio::{Config, Session, Side};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::host::{Hosted, Tokio};

type Pair = (Hosted<Session>, Hosted<Session>);

/// TLS over TCP.
pub(crate) fn tls(tokio: &Tokio, client: Config, server: Config) -> Pair {
    let (client_tls, name, server_tls) = tls::configs();
    let connector = TlsConnector::from(client_tls);
    let acceptor = TlsAcceptor::from(server_tls);
    let (near, far) = tcp_pair();
    let (near, far) = tokio.handle.block_on(async {
        let [near, far] = [near, far].map(|tcp| {
            tcp.set_nonblocking(true).expect("a socket");
            TcpStream::from_std(tcp).expect("a socket")
        });
        tokio::join!(connector.connect(name, near), acceptor.accept(far))
    });
    (
        tokio.start(Side::Client, client, near.expect("a handshake")),
        tokio.start(Side::Server, server, far.expect("a handshake")),
    )
}

/// KCP over UDP, which does not signal its end to the peer.
pub(crate) fn kcp(tokio: &Tokio, client: Config, server: Config) -> Pair {
    let kcp = KcpConfig {
        nodelay: KcpNoDelayConfig::fastest(),
        stream: true,
        flush_write: true,
        flush_acks_input: true,
        ..KcpConfig::default()
    };
    let (near, far) = tokio.handle.block_on(async {
        let listener = KcpListener::bind(kcp, (Ipv4Addr::LOCALHOST, 0)).await;
        let mut listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut near = KcpStream::connect(&kcp, address).await.expect("a socket");
        // A listener learns of a connection from its first data: the session's keep-alive.
        near.write_all(&[client.version() as u8, 3, 0, 0, 0, 0, 0, 0])
            .await
            .expect("sent");
        let (far, _) = listener.accept().await.expect("the data has arrived");
        // The sockets of accepted connections are the listener's.
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        (near, far)
    });
    (
        tokio.start(Side::Client, client, near),
        tokio.start(Side::Server, server, far),
    )
}
