//! `smux-blocking`.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener},
};

use anyhow::Result;
use smux_blocking::{Session, Stream};

use super::smux_tokio::config;
use crate::{
    mux::{self, Mux, Options},
    runtime::Threads,
};

/// Version 1 or 2 of the protocol.
pub(crate) struct SmuxBlocking<const VERSION: u8>(Session);

impl<const VERSION: u8> Mux for SmuxBlocking<VERSION> {
    type Runtime = Threads;
    type Stream = BlockingStream;

    async fn client(_: &Threads, address: SocketAddr, options: Options) -> Result<Self> {
        Ok(Self(Session::connect(address, config(VERSION, options)?)?))
    }

    async fn server(_: &Threads, listener: TcpListener, options: Options) -> Result<Self> {
        let (tcp, _) = listener.accept()?;
        tcp.set_nodelay(true)?;
        Ok(Self(Session::server(tcp, config(VERSION, options)?)?))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(BlockingStream(self.0.open()?))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        Ok(BlockingStream(self.0.accept()?))
    }
}

pub(crate) struct BlockingStream(Stream);

impl mux::Stream for BlockingStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        Ok(self.0.read(buf)?)
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        Ok(self.0.write_all(data)?)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(self.0.shutdown(Shutdown::Write)?)
    }
}
