//! `tokio-yamux`.

use std::{
    future::poll_fn,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    task::Poll,
};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::{Mutex, mpsc},
};
use tokio_yamux::{Config, Control, Session, StreamHandle};

use super::tcp;
use crate::{
    mux::{FinishOnClose, Mux, Options, Stream},
    runtime::Tokio,
};

pub(crate) struct TokioYamux {
    control: Control,
    accepted: Mutex<mpsc::UnboundedReceiver<StreamHandle>>,
}

/// The defaults, with room for the workload's streams.
fn config(options: Options) -> Config {
    let config = Config::default();
    Config {
        accept_backlog: config.accept_backlog.max(options.streams),
        max_stream_count: config.max_stream_count.max(options.streams),
        ..config
    }
}

fn start(mut session: Session<TcpStream>) -> TokioYamux {
    let control = session.control();
    let (accept, accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(stream)) = session.next().await {
            accept.send(stream)?;
        }
        anyhow::Ok(())
    });
    TokioYamux {
        control,
        accepted: accepted.into(),
    }
}

impl Mux for TokioYamux {
    type Runtime = Tokio;
    type Stream = FinishOnClose<YamuxStream>;

    async fn client(_: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        Ok(start(Session::new_client(
            tcp::connect(address).await?,
            config(options),
        )))
    }

    async fn server(_: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        Ok(start(Session::new_server(
            tcp::accept(listener).await?,
            config(options),
        )))
    }

    async fn open(&self) -> Result<Self::Stream> {
        Ok(FinishOnClose::new(YamuxStream(
            self.control.clone().open_stream().await?,
        )))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        let stream = self.accepted.lock().await.recv().await;
        Ok(FinishOnClose::new(YamuxStream(stream.context("closed")?)))
    }
}

pub(crate) struct YamuxStream(StreamHandle);

impl Stream for YamuxStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        Ok(self.0.read(buf).await?)
    }

    /// Only who reads, or looks for something to read, is told of window updates.
    async fn write_all(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let written = poll_fn(|cx| {
                if let Poll::Ready(written) = Pin::new(&mut self.0).poll_write(cx, data) {
                    return Poll::Ready(written);
                }
                let _ = Pin::new(&mut self.0).poll_peek(cx, &mut ReadBuf::new(&mut [0]));
                // That may have brought an update.
                Pin::new(&mut self.0).poll_write(cx, data)
            });
            let written = written.await?;
            ensure!(written > 0, "nothing was written");
            data = &data[written..];
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(self.0.shutdown().await?)
    }
}
