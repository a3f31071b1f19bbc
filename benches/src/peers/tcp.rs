//! No multiplexer: a TCP connection for every stream.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use tokio::net::{self, TcpStream};

use crate::{
    mux::{Mux, Options, TokioIo},
    runtime::Tokio,
};

pub(crate) enum TokioTcp {
    Client(SocketAddr),
    Server(net::TcpListener),
}

impl Mux for TokioTcp {
    type Runtime = Tokio;
    type Stream = TokioIo<TcpStream>;

    async fn client(_: &Tokio, address: SocketAddr, _: Options) -> Result<Self> {
        Ok(Self::Client(address))
    }

    async fn server(_: &Tokio, listener: TcpListener, _: Options) -> Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Server(net::TcpListener::from_std(listener)?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        let Self::Client(address) = self else {
            unreachable!("only clients open")
        };
        Ok(TokioIo(connect(*address).await?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        let Self::Server(listener) = self else {
            unreachable!("only servers accept")
        };
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        Ok(TokioIo(tcp))
    }
}

/// The one connection of a multiplexer's client.
pub(crate) async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// The one connection of a multiplexer's server.
pub(crate) async fn accept(listener: TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let (tcp, _) = net::TcpListener::from_std(listener)?.accept().await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
