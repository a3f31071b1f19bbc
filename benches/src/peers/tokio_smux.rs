//! `tokio_smux`, which carries messages of up to 65 535 bytes.

use std::{
    fmt::Display,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Result, anyhow};
use tokio::sync::Mutex;
use tokio_smux::{Session, SmuxConfig, Stream};

use super::tcp;
use crate::{
    mux::{self, Mux, Options},
    runtime::Tokio,
    work::KIB,
};

const MESSAGE: usize = 32 * KIB;

pub(crate) struct TokioSmux(Mutex<Session>);

impl Mux for TokioSmux {
    type Runtime = Tokio;
    type Stream = TokioSmuxStream;

    async fn client(_: &Tokio, address: SocketAddr, _: Options) -> Result<Self> {
        let tcp = tcp::connect(address).await?;
        Ok(Self(
            Session::client(tcp, SmuxConfig::default())
                .map_err(error)?
                .into(),
        ))
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        let tcp = tcp::accept(listener).await?;
        Ok(Self(
            Session::server(tcp, SmuxConfig::default())
                .map_err(error)?
                .into(),
        ))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(TokioSmuxStream::new(
            self.0.lock().await.open_stream().await.map_err(error)?,
        ))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(TokioSmuxStream::new(
            self.0.lock().await.accept_stream().await.map_err(error)?,
        ))
    }
}

pub(crate) struct TokioSmuxStream {
    /// Until it is finished: dropping is the only way to end one.
    stream: Option<Stream>,
    message: Vec<u8>,
    read: usize,
}

impl TokioSmuxStream {
    fn new(stream: Stream) -> Self {
        Self {
            stream: Some(stream),
            message: Vec::new(),
            read: 0,
        }
    }
}

impl mux::Stream for TokioSmuxStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        while self.read == self.message.len() {
            let Some(stream) = &mut self.stream else {
                return Ok(0);
            };
            match stream.recv_message().await.map_err(error)? {
                Some(message) => (self.message, self.read) = (message, 0),
                None => return Ok(0),
            }
        }
        let left = &self.message[self.read..];
        let n = left.len().min(buf.len());
        buf[..n].copy_from_slice(&left[..n]);
        self.read += n;
        Ok(n)
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        for piece in data.chunks(MESSAGE) {
            let stream = self.stream.as_mut().ok_or_else(|| anyhow!("finished"))?;
            stream.send_message(piece.to_vec()).await.map_err(error)?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        self.stream = None;
        Ok(())
    }
}

/// The crate's own error is not `Sync`.
fn error(error: impl Display) -> anyhow::Error {
    anyhow!("{error}")
}
