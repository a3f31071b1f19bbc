//! A secret that both ends know. The client shows over TLS that it does.
//!
//! The proof is an HMAC of keying material that only the two ends of this one TLS connection have.
//! So it is of no use in another connection, and the secret itself is never sent.
//! Without TLS a proof would be worth little: an attacker on the way could take the connection over
//! once it is given.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use ring::hmac::{self, Key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ConnectionCommon;
use tokio_rustls::{client, server};

/// What a client with a token sends first. No frame begins so.
const MAGIC: [u8; 8] = *b"stoken1\n";
/// The least bytes of a token: what is shorter can be guessed.
const LEAST: usize = 16;
const MATERIAL: usize = 32;
const LABEL: &[u8] = b"EXPORTER-smux-tunnel-token";

#[derive(Clone)]
pub(crate) struct Token(Arc<Key>);

impl Token {
    /// Reads a token from a file. White space at its end does not count.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let read = std::fs::read(path);
        let text = read.with_context(|| format!("cannot read the token {}", path.display()))?;
        let token = text.trim_ascii_end();
        ensure!(
            token.len() >= LEAST,
            "the token in {} has fewer than {LEAST} bytes",
            path.display()
        );
        Ok(Self(Arc::new(Key::new(hmac::HMAC_SHA256, token))))
    }

    /// Shows to the server that this end knows the token.
    pub(crate) async fn show(&self, tls: &mut client::TlsStream<TcpStream>) -> Result<()> {
        let proof = hmac::sign(&self.0, &material(tls.get_ref().1)?);
        tls.write_all(&[&MAGIC, proof.as_ref()].concat()).await?;
        Ok(tls.flush().await?)
    }

    /// Checks that the client knows the token.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) async fn demand(&self, tls: &mut server::TlsStream<TcpStream>) -> Result<()> {
        let mut magic = [0; MAGIC.len()];
        tls.read_exact(&mut magic).await?;
        ensure!(magic == MAGIC, "no token (--token-file)");
        let mut proof = [0; MATERIAL];
        tls.read_exact(&mut proof).await?;
        // In constant time.
        if hmac::verify(&self.0, &material(tls.get_ref().1)?, &proof).is_err() {
            bail!("wrong token (--token-file)");
        }
        Ok(())
    }
}

fn material<Side>(tls: &ConnectionCommon<Side>) -> Result<[u8; MATERIAL]> {
    Ok(tls.export_keying_material([0; MATERIAL], LABEL, None)?)
}
