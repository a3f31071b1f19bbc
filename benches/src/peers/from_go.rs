//! The reference at the end that answers, in a process of its own, and `smux-tokio` at the other.

use std::{
    future::pending,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Result, bail};

use super::smux_tokio::SmuxTokio;
use crate::{
    go,
    mux::{Mux, Options},
    runtime::Tokio,
};

pub(super) enum FromGo {
    Client(SmuxTokio<2>),
    Server,
}

impl Mux for FromGo {
    type Runtime = Tokio;
    type Stream = <SmuxTokio<2> as Mux>::Stream;

    async fn client(runtime: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        let ours = SmuxTokio::client(runtime, address, options).await?;
        Ok(Self::Client(ours))
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        go::serve("go-smux-v2", listener)?;
        Ok(Self::Server)
    }

    async fn open(&self) -> Result<Self::Stream> {
        match self {
            Self::Client(ours) => ours.open().await,
            Self::Server => bail!("only clients open"),
        }
    }

    /// The other process accepts.
    async fn accept(&self) -> Result<Self::Stream> {
        pending().await
    }
}
