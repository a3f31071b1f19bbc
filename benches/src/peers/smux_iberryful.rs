//! The crate `smux`.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use smux_iberryful::{Config, Session, Stream};

use super::tcp;
use crate::{
    mux::{FinishOnClose, Mux, Options, TokioIo},
    runtime::Tokio,
};

pub(crate) struct SmuxIberryful(Session);

impl Mux for SmuxIberryful {
    type Runtime = Tokio;
    type Stream = FinishOnClose<TokioIo<Stream>>;

    async fn client(_: &Tokio, address: SocketAddr, _: Options) -> Result<Self> {
        Ok(Self(
            Session::client(tcp::connect(address).await?, Config::default()).await?,
        ))
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        Ok(Self(
            Session::server(tcp::accept(listener).await?, Config::default()).await?,
        ))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(FinishOnClose::new(TokioIo(self.0.open_stream().await?)))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(FinishOnClose::new(TokioIo(self.0.accept_stream().await?)))
    }
}
