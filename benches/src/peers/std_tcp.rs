//! No multiplexer and no runtime: a connection, and a thread, for every stream.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
};

use anyhow::{Result, bail};

use crate::{
    mux::{Mux, Options, Stream},
    runtime::Threads,
};

pub(crate) enum StdTcp {
    Client(SocketAddr),
    Server(TcpListener),
}

impl Mux for StdTcp {
    type Runtime = Threads;
    type Stream = StdIo;

    async fn client(_: &Threads, address: SocketAddr, _: Options) -> Result<Self> {
        Ok(Self::Client(address))
    }

    async fn server(_: &Threads, listener: TcpListener, _: Options) -> Result<Self> {
        Ok(Self::Server(listener))
    }

    async fn open(&self) -> Result<StdIo> {
        let Self::Client(address) = self else {
            bail!("only clients open")
        };
        StdIo::new(TcpStream::connect(address)?)
    }

    async fn accept(&self) -> Result<StdIo> {
        let Self::Server(listener) = self else {
            bail!("only servers accept")
        };
        StdIo::new(listener.accept()?.0)
    }
}

pub(crate) struct StdIo(TcpStream);

impl StdIo {
    fn new(tcp: TcpStream) -> Result<Self> {
        tcp.set_nodelay(true)?;
        Ok(Self(tcp))
    }
}

impl Stream for StdIo {
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
