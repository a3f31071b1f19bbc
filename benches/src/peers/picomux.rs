//! `picomux`.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use picomux::{PicoMux, Stream};
use tokio::net::TcpStream;

use super::tcp;
use crate::{
    mux::{Mux, Options, TokioIo},
    runtime::Tokio,
};

pub(crate) struct Picomux(PicoMux);

fn start(tcp: TcpStream) -> Picomux {
    let (read, write) = tcp.into_split();
    Picomux(PicoMux::new(read, write))
}

impl Mux for Picomux {
    type Runtime = Tokio;
    type Stream = TokioIo<Stream>;

    async fn client(_: &Tokio, address: SocketAddr, _: Options) -> Result<Self> {
        Ok(start(tcp::connect(address).await?))
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        Ok(start(tcp::accept(listener).await?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.0.open(b"").await?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.0.accept().await?))
    }
}
