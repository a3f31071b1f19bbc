//! Certificates and what is made of them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::cli::{ClientArgs, ServerArgs};

/// The name in a client's generated certificate. Servers know clients by their certificates alone.
const CLIENT: &str = "tunnel-client";
const UNFIT: &str = "the private key does not fit the certificate";

/// Trusts what `--tls-ca` holds, and shows the client's own certificate if there is one.
pub(crate) fn connector(args: &ClientArgs) -> Result<(TlsConnector, ServerName<'static>)> {
    let roots = roots(args.tls_ca.as_deref().context("--tls-ca is missing")?)?;
    let name = args
        .tls_name
        .as_deref()
        .unwrap_or_else(|| host(&args.server));
    let name = ServerName::try_from(name.to_owned())
        .with_context(|| format!("{name:?} is no name of a server: set --tls-name"))?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            let own = identity(cert, key, args.tls_generate, &[CLIENT.to_owned()])?;
            let config = config.with_client_auth_cert(own.0, own.1);
            config.context(UNFIT)?
        }
        _ => config.with_no_client_auth(),
    };
    Ok((Arc::new(config).into(), name))
}

pub(crate) fn acceptor(args: &ServerArgs) -> Result<TlsAcceptor> {
    let cert = args.tls_cert.as_deref().context("--tls-cert is missing")?;
    let key = args.tls_key.as_deref().context("--tls-key is missing")?;
    let own = identity(cert, key, args.tls_generate, &args.tls_name)?;
    let config = ServerConfig::builder();
    let config = match &args.tls_client_ca {
        Some(clients) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots(clients)?)).build();
            config.with_client_cert_verifier(verifier.context("--tls-client-ca")?)
        }
        None => config.with_no_client_auth(),
    };
    let config = config.with_single_cert(own.0, own.1).context(UNFIT)?;
    Ok(Arc::new(config).into())
}

/// An end's own certificates and their private key.
fn identity(
    cert: &Path,
    key: &Path,
    generates: bool,
    names: &[String],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    if generates && !(cert.exists() && key.exists()) {
        generate(names, cert, key)?;
        tracing::info!(certificate = %cert.display(), "generated a certificate");
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the private key {}", key.display()))?;
    Ok((certificates(cert)?, private))
}

/// Trusts what a file holds and nothing else.
fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.with_context(|| format!("{} holds no usable certificate", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let certificates =
        read().with_context(|| format!("cannot read certificates from {}", path.display()))?;
    ensure!(
        !certificates.is_empty(),
        "{} holds no certificate in PEM",
        path.display()
    );
    Ok(certificates)
}

fn generate(names: &[String], cert: &Path, key: &Path) -> Result<()> {
    let CertifiedKey {
        cert: made,
        signing_key,
    } = generate_simple_self_signed(names).context("cannot make a certificate")?;
    let written = write(cert, &made.pem(), 0o644)
        .and_then(|()| write(key, &signing_key.serialize_pem(), 0o600));
    written.context("cannot write the certificate and its key")
}

/// Writes a new file. An existing one is kept: a key or certificate may be in use without its
/// counterpart.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let file = options.open(path);
    let mut file = file.with_context(|| format!("cannot create {}", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
