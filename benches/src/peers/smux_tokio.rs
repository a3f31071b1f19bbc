//! `smux-tokio`.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use smux_tokio::{Config, Session, Stream};

use super::tcp;
use crate::{
    mux::{Mux, Options, TokioIo},
    runtime::Tokio,
};

/// Version 1 or 2 of the protocol.
pub(crate) struct SmuxTokio<const VERSION: u8>(Session);

/// [`Config::default`] or [`Config::v2`], with room for the workload's streams.
pub(crate) fn config(version: u8, options: Options) -> Result<Config> {
    let config = if version == 1 {
        Config::default()
    } else {
        Config::v2()
    };
    let streams = options.streams.max(config.max_inbound_streams());
    let mut builder = config
        .to_builder()
        .max_inbound_streams(streams)
        .max_outbound_streams(streams);
    if let Some(bytes) = options.receive_buffer {
        builder = builder.max_receive_buffer(bytes).max_stream_buffer(bytes);
    }
    Ok(builder.build()?)
}

impl<const VERSION: u8> Mux for SmuxTokio<VERSION> {
    type Runtime = Tokio;
    type Stream = TokioIo<Stream>;

    async fn client(_: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        let tcp = tcp::connect(address).await?;
        Ok(Self(Session::client_tcp(tcp, config(VERSION, options)?)?))
    }

    async fn server(_: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        let tcp = tcp::accept(listener).await?;
        Ok(Self(Session::server_tcp(tcp, config(VERSION, options)?)?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.0.open().await?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.0.accept().await?))
    }
}
