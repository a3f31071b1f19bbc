//! `smux_rust`.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use anyhow::{Result, anyhow};
use smux_rust::{Config, Session, SmuxError, Stream};

use super::tcp;
use crate::{
    mux::{self, Mux, Options},
    runtime::Tokio,
};

/// Version 1 or 2 of the protocol.
pub(crate) struct SmuxRust<const VERSION: u8>(Arc<Session>);

impl<const VERSION: u8> SmuxRust<VERSION> {
    fn config() -> Option<Config> {
        let mut config = Config {
            version: VERSION,
            ..Config::default()
        };
        if VERSION == 2 {
            config.max_receive_buffer = 16 << 20;
            config.max_stream_buffer = 1 << 20;
        }
        Some(config)
    }
}

impl<const VERSION: u8> Mux for SmuxRust<VERSION> {
    type Runtime = Tokio;
    type Stream = SmuxRustStream;

    async fn client(_: &Tokio, address: SocketAddr, _: Options) -> Result<Self> {
        let tcp = Box::new(tcp::connect(address).await?);
        let session = smux_rust::client(tcp, Self::config()).await;
        Ok(Self(session.map_err(error)?))
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        let tcp = Box::new(tcp::accept(listener).await?);
        let session = smux_rust::server(tcp, Self::config()).await;
        Ok(Self(session.map_err(error)?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        let stream = self.0.open_stream().await.map_err(error)?;
        Ok(SmuxRustStream {
            stream,
            finished: false,
        })
    }

    async fn accept(&self) -> Result<Self::Stream> {
        let stream = self.0.accept_stream().await.map_err(error)?;
        Ok(SmuxRustStream {
            stream,
            finished: false,
        })
    }
}

/// Dropping a stream leaves it open, and closing it ends both directions.
pub(crate) struct SmuxRustStream {
    stream: Stream,
    finished: bool,
}

impl mux::Stream for SmuxRustStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        match self.stream.read(buf).await {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            result => Ok(result?),
        }
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(data).await?)
    }

    async fn finish(&mut self) -> Result<()> {
        self.finished = true;
        Ok(self.stream.close().await?)
    }

    async fn close(mut self) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        self.finish().await
    }
}

fn error(error: SmuxError) -> anyhow::Error {
    anyhow!("{error}")
}
