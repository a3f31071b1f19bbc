//! TLS between two ends of a test: writes need a flush, and the end is a message of its own.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, ServerName},
};

const NAME: &str = "localhost";

/// A client's configuration, the name that it asks for, and a server's configuration. The server
/// has a new certificate for that name, which the client trusts.
pub fn configs() -> (Arc<ClientConfig>, ServerName<'static>, Arc<ServerConfig>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
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
    let name = ServerName::try_from(NAME).expect("a name");
    (Arc::new(client), name, Arc::new(server))
}
