//! `muxado`.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, anyhow};
use muxado::{Accept, MuxadoAccept, MuxadoOpen, OpenClose, Session, SessionBuilder, Stream};
use tokio::{net::TcpStream, sync::Mutex};

use super::tcp;
use crate::{
    mux::{FinishOnClose, Mux, Options, TokioIo},
    runtime::Tokio,
};

pub(crate) struct Muxado {
    open: MuxadoOpen,
    accept: Mutex<MuxadoAccept>,
}

/// The defaults, with room for the workload's streams.
fn builder(tcp: TcpStream, options: Options) -> SessionBuilder<TcpStream> {
    SessionBuilder::new(tcp)
        .stream_limit(options.streams.max(512))
        .accept_queue_size(options.streams.max(64))
}

fn start(builder: SessionBuilder<TcpStream>) -> Muxado {
    let (open, accept) = builder.start().split();
    Muxado {
        open,
        accept: accept.into(),
    }
}

impl Mux for Muxado {
    type Runtime = Tokio;
    type Stream = FinishOnClose<TokioIo<Stream>>;

    async fn client(_: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        Ok(start(
            builder(tcp::connect(address).await?, options).client(),
        ))
    }

    async fn server(_: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        Ok(start(
            builder(tcp::accept(listener).await?, options).server(),
        ))
    }

    async fn open(&self) -> Result<Self::Stream> {
        let stream = self.open.clone().open().await;
        Ok(FinishOnClose::new(TokioIo(
            stream.map_err(|error| anyhow!("{error}"))?,
        )))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        let stream = self.accept.lock().await.accept().await;
        Ok(FinishOnClose::new(TokioIo(stream.context("closed")?)))
    }
}
