//! Two ends that speak TLS with each other.

use std::sync::Arc;

use futures_rustls::{
    TlsAcceptor, TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{PrivateKeyDer, ServerName},
    },
    server,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use smol::{
    block_on,
    future::try_zip,
    io::{AsyncRead, AsyncWrite},
};

/// The ends of a connection, after the handshake.
pub(crate) fn handshake<T>(near: T, far: T) -> (client::TlsStream<T>, server::TlsStream<T>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (connector, acceptor) = tls();
    let name = ServerName::try_from("localhost").expect("a name");
    let both = try_zip(connector.connect(name, near), acceptor.accept(far));
    block_on(both).expect("a handshake")
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
