//! `yamux` of libp2p.

use std::{
    future::poll_fn,
    net::{SocketAddr, TcpListener},
    task::{Context, Poll},
};

use anyhow::{Context as _, Result};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc, oneshot},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use yamux::{Config, Connection, ConnectionError, Mode, Stream};

use super::tcp;
use crate::{
    mux::{FinishOnClose, FuturesIo, Mux, Options},
    runtime::Tokio,
};

pub(crate) struct Yamux {
    open: mpsc::UnboundedSender<oneshot::Sender<Stream>>,
    accepted: Mutex<mpsc::UnboundedReceiver<Stream>>,
}

/// Polls the connection, which belongs to this task alone: who wants a stream asks here for it.
struct Driver {
    connection: Connection<Compat<TcpStream>>,
    requests: mpsc::UnboundedReceiver<oneshot::Sender<Stream>>,
    request: Option<oneshot::Sender<Stream>>,
    accept: mpsc::UnboundedSender<Stream>,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        loop {
            if self.request.is_none()
                && let Poll::Ready(request) = self.requests.poll_recv(cx)
            {
                self.request = request;
            }
            if self.request.is_some()
                && let Poll::Ready(stream) = self.connection.poll_new_outbound(cx)?
            {
                // The caller may have given up.
                let _ = self.request.take().map(|request| request.send(stream));
                continue;
            }
            match self.connection.poll_next_inbound(cx)? {
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                // Likewise.
                Poll::Ready(Some(stream)) => drop(self.accept.send(stream)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn start(tcp: TcpStream, mode: Mode, options: Options) -> Yamux {
    let mut config = Config::default();
    if options.streams > 512 {
        config
            .set_max_connection_receive_window(None)
            .set_max_num_streams(options.streams);
    }
    let (open, requests) = mpsc::unbounded_channel();
    let (accept, accepted) = mpsc::unbounded_channel();
    let connection = Connection::new(tcp.compat(), config, mode);
    let mut driver = Driver {
        connection,
        requests,
        request: None,
        accept,
    };
    tokio::spawn(async move { poll_fn(|cx| driver.poll(cx)).await });
    Yamux {
        open,
        accepted: accepted.into(),
    }
}

impl Mux for Yamux {
    type Runtime = Tokio;
    type Stream = FinishOnClose<FuturesIo<Stream>>;

    async fn client(_: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        Ok(start(tcp::connect(address).await?, Mode::Client, options))
    }

    async fn server(_: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        Ok(start(tcp::accept(listener).await?, Mode::Server, options))
    }

    async fn open(&self) -> Result<Self::Stream> {
        let (request, stream) = oneshot::channel();
        self.open.send(request)?;
        Ok(FinishOnClose::new(FuturesIo(stream.await?)))
    }

    async fn accept(&self) -> Result<Self::Stream> {
        let stream = self.accepted.lock().await.recv().await.context("closed")?;
        Ok(FinishOnClose::new(FuturesIo(stream)))
    }
}
