//! No multiplexer: a TCP connection for every stream.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{self, TcpStream},
    time,
};

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

/// The keep-alives of sessions, and nothing else of them: beside each stream a connection on which
/// both ends send as many bytes, as often.
pub(crate) struct TcpNops(TokioTcp);

impl Mux for TcpNops {
    type Runtime = Tokio;
    type Stream = TokioIo<TcpStream>;

    async fn client(runtime: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        Ok(Self(TokioTcp::client(runtime, address, options).await?))
    }

    async fn server(runtime: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        Ok(Self(TokioTcp::server(runtime, listener, options).await?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        let stream = self.0.open().await?;
        tokio::spawn(keep_alive(self.0.open().await?.0));
        Ok(stream)
    }

    async fn accept(&self) -> Result<Self::Stream> {
        let stream = self.0.accept().await?;
        tokio::spawn(keep_alive(self.0.accept().await?.0));
        Ok(stream)
    }
}

/// A session's default interval, and the bytes of a NOP.
async fn keep_alive(tcp: TcpStream) -> Result<()> {
    let (mut read, mut write) = tcp.into_split();
    let mut times = time::interval(Duration::from_secs(10));
    // More than is sent at a time: a read that fills it would be followed by another.
    let mut buf = [0; 64];
    loop {
        tokio::select! {
            _ = times.tick() => write.write_all(&[0; 8]).await?,
            read = read.read(&mut buf) => ensure!(read? > 0, "the other end is gone"),
        }
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
