//! Transports that only tokio has.

use std::{net::Ipv4Addr, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use smux_conformance::suite::{carrier::Carrier, host::Adapter};
use smux_tokio::{Config, Side};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

use crate::host::{Tokio, TokioSession};

/// TLS over TCP: what is written must be flushed, and its end is a message of its own.
pub(crate) struct OverTls(pub(crate) Tokio);

impl Adapter for OverTls {
    type Session = TokioSession;

    fn connect(&self, side: Side, config: Config, carrier: Carrier) -> TokioSession {
        self.0.connect(side, config, carrier)
    }

    fn pair(&self, client: Config, server: Config) -> (TokioSession, TokioSession) {
        let (near, far) = smux_conformance::suite::carrier::tcp_pair();
        let (connector, acceptor) = tls();
        let name = ServerName::try_from("localhost").expect("a name");
        let (near, far) = self.0.handle.block_on(async {
            let [near, far] = [near, far].map(|tcp| {
                tcp.set_nonblocking(true).expect("a socket");
                TcpStream::from_std(tcp).expect("a socket")
            });
            tokio::join!(connector.connect(name, near), acceptor.accept(far))
        });
        (
            self.0
                .start(Side::Client, client, near.expect("a handshake")),
            self.0
                .start(Side::Server, server, far.expect("a handshake")),
        )
    }
}

fn tls() -> (TlsConnector, TlsAcceptor) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("the key fits the certificate");
    (Arc::new(client).into(), Arc::new(server).into())
}

/// KCP over UDP. It does not tell the peer that it ends.
pub(crate) struct OverKcp(pub(crate) Tokio);

impl Adapter for OverKcp {
    type Session = TokioSession;

    fn connect(&self, side: Side, config: Config, carrier: Carrier) -> TokioSession {
        self.0.connect(side, config, carrier)
    }

    fn pair(&self, client: Config, server: Config) -> (TokioSession, TokioSession) {
        let kcp = KcpConfig {
            nodelay: KcpNoDelayConfig::fastest(),
            stream: true,
            flush_write: true,
            flush_acks_input: true,
            ..KcpConfig::default()
        };
        let (near, far) = self.0.handle.block_on(async {
            let listener = KcpListener::bind(kcp, (Ipv4Addr::LOCALHOST, 0)).await;
            let mut listener = listener.expect("a free port");
            let address = listener.local_addr().expect("it is bound");
            let mut near = KcpStream::connect(&kcp, address).await.expect("a socket");
            // A listener hears of a connection with its first data: a keep-alive of the session.
            near.write_all(&[client.version() as u8, 3, 0, 0, 0, 0, 0, 0])
                .await
                .expect("sent");
            let (far, _) = listener.accept().await.expect("the data has arrived");
            // The sockets of accepted connections are the listener's.
            tokio::spawn(async move { while listener.accept().await.is_ok() {} });
            (near, far)
        });
        (
            self.0.start(Side::Client, client, near),
            self.0.start(Side::Server, server, far),
        )
    }
}
