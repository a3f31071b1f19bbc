//! `async_smux`.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use async_smux::{MuxAcceptor, MuxBuilder, MuxConnector, MuxStream};
use tokio::{net::TcpStream, sync::Mutex};

use super::tcp;
use crate::{
    mux::{Mux, Options, TokioIo},
    runtime::Tokio,
};

pub(crate) struct AsyncSmux {
    connector: MuxConnector<TcpStream>,
    acceptor: Mutex<MuxAcceptor<TcpStream>>,
}

impl Mux for AsyncSmux {
    type Runtime = Tokio;
    type Stream = TokioIo<MuxStream<TcpStream>>;

    async fn client(_: &Tokio, address: SocketAddr, _: Options) -> Result<Self> {
        let mut builder = MuxBuilder::client();
        let tcp = tcp::connect(address).await?;
        let (connector, acceptor, worker) = builder.with_connection(tcp).build();
        tokio::spawn(worker);
        Ok(Self {
            connector,
            acceptor: acceptor.into(),
        })
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        let mut builder = MuxBuilder::server();
        let tcp = tcp::accept(listener).await?;
        let (connector, acceptor, worker) = builder.with_connection(tcp).build();
        tokio::spawn(worker);
        Ok(Self {
            connector,
            acceptor: acceptor.into(),
        })
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.connector.connect()?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(TokioIo(
            self.acceptor
                .lock()
                .await
                .accept()
                .await
                .context("closed")?,
        ))
    }
}
