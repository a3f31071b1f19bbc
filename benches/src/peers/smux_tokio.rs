//! `smux-tokio`.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use smux_tokio::{Config, Session, Stream};

use super::tcp;
use crate::{
    mux::{Mux, Options, TokioIo},
    runtime::Tokio,
};

/// Version 1 or 2 of the protocol; and `max_receive_buffer`, if it is not 0.
pub(crate) struct SmuxTokio<const VERSION: u8, const BUFFER: usize = 0>(Session);

/// [`Config::default`] or [`Config::v2`] untouched, unless the workload has more streams than they
/// allow, or is about the receive buffer.
pub(crate) fn config(version: u8, options: Options) -> Result<Config> {
    let config = if version == 1 {
        Config::default()
    } else {
        Config::v2()
    };
    let streams = options.streams;
    let enough = streams
        <= config
            .max_inbound_streams()
            .min(config.max_outbound_streams());
    if enough && options.receive_buffer.is_none() {
        return Ok(config);
    }
    let mut builder = config.to_builder();
    if !enough {
        builder = builder
            .max_inbound_streams(streams)
            .max_outbound_streams(streams);
    }
    if let Some(bytes) = options.receive_buffer {
        builder = builder.max_receive_buffer(bytes);
    }
    Ok(builder.build()?)
}

impl<const VERSION: u8, const BUFFER: usize> SmuxTokio<VERSION, BUFFER> {
    fn config(mut options: Options) -> Result<Config> {
        if BUFFER > 0 {
            options.receive_buffer = Some(BUFFER);
        }
        config(VERSION, options)
    }
}

impl<const VERSION: u8, const BUFFER: usize> Mux for SmuxTokio<VERSION, BUFFER> {
    type Runtime = Tokio;
    type Stream = TokioIo<Stream>;

    async fn client(_: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        let tcp = tcp::connect(address).await?;
        Ok(Self(Session::client_tcp(tcp, Self::config(options)?)?))
    }

    async fn server(_: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        let tcp = tcp::accept(listener).await?;
        Ok(Self(Session::server_tcp(tcp, Self::config(options)?)?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.0.open().await?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(TokioIo(self.0.accept().await?))
    }
}
