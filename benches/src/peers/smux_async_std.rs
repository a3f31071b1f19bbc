//! `smux-async-std`, on smol and on async-std.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use smux_async_std::{Session, ShutdownOnClose, Stream, async_std};

use super::smux_tokio::config;
use crate::{
    mux::{FuturesIo, Mux, Options},
    runtime::{AsyncStd, Runtime, Smol},
};

/// Version 1 or 2 of the protocol. On executors of the bench's own: smol's global one has as many
/// threads as it likes.
pub(crate) struct SmuxSmol<const VERSION: u8>(Session);

type SmolTcp = ShutdownOnClose<smol::net::TcpStream>;

fn prepare(tcp: smol::net::TcpStream) -> Result<SmolTcp> {
    tcp.set_nodelay(true)?;
    Ok(ShutdownOnClose::new(tcp, smol::net::TcpStream::shutdown))
}

impl<const VERSION: u8> Mux for SmuxSmol<VERSION> {
    type Runtime = Smol;
    type Stream = FuturesIo<Stream>;

    async fn client(runtime: &Smol, address: SocketAddr, options: Options) -> Result<Self> {
        let tcp = prepare(smol::net::TcpStream::connect(address).await?)?;
        let (session, driver) = Session::client_with_driver(tcp, config(VERSION, options)?);
        runtime.spawn(async { drop(driver.await) });
        Ok(Self(session))
    }

    async fn server(runtime: &Smol, listener: TcpListener, options: Options) -> Result<Self> {
        let listener: smol::net::TcpListener = smol::Async::<TcpListener>::new(listener)?.into();
        let tcp = prepare(listener.accept().await?.0)?;
        let (session, driver) = Session::server_with_driver(tcp, config(VERSION, options)?);
        runtime.spawn(async { drop(driver.await) });
        Ok(Self(session))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(FuturesIo(self.0.open().await?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(FuturesIo(self.0.accept().await?))
    }
}

/// Version 1 or 2 of the protocol.
pub(crate) struct SmuxAsyncStd<const VERSION: u8>(Session);

impl<const VERSION: u8> Mux for SmuxAsyncStd<VERSION> {
    type Runtime = AsyncStd;
    type Stream = FuturesIo<Stream>;

    async fn client(_: &AsyncStd, address: SocketAddr, options: Options) -> Result<Self> {
        Ok(Self(
            async_std::connect(address, config(VERSION, options)?).await?,
        ))
    }

    async fn server(_: &AsyncStd, listener: TcpListener, options: Options) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = ::async_std::net::TcpListener::from(listener);
        let (tcp, _) = listener.accept().await?;
        Ok(Self(async_std::server_tcp(tcp, config(VERSION, options)?)?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(FuturesIo(self.0.open().await?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(FuturesIo(self.0.accept().await?))
    }
}
