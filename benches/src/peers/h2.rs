//! `h2`: a request is a stream; its body is one direction, the body of the response the other.

use std::{
    future::poll_fn,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
    server,
};
use http::{Request, Response};
use tokio::sync::{Mutex, mpsc};

use super::tcp;
use crate::{
    mux::{Mux, Options, Stream},
    runtime::Tokio,
};

/// The window of a stream, and as many of it as the window of the connection is.
pub(super) const WINDOW: u32 = 1 << 20;
const STREAMS_IN_CONNECTION: u32 = 16;
/// Enough for 1 Gbit/s and 100 ms.
pub(super) const LARGE_WINDOW: u32 = 16 << 20;
const FRAME: u32 = 64 << 10;
/// Bytes that unread small frames may cost; with the default, small messages end the connection.
const SMALL_FRAMES: usize = 1 << 30;
/// Accepted streams that wait to be taken; beyond, the connection waits.
const BACKLOG: usize = 1024;

/// With a window of so many bytes for each stream.
pub(crate) enum H2<const STREAM_WINDOW: u32 = WINDOW> {
    Client(SendRequest<Bytes>),
    Server(Mutex<mpsc::Receiver<H2Stream>>),
}

impl<const STREAM_WINDOW: u32> Mux for H2<STREAM_WINDOW> {
    type Runtime = Tokio;
    type Stream = H2Stream;

    async fn client(_: &Tokio, address: SocketAddr, options: Options) -> Result<Self> {
        let (requests, connection) = client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAMS_IN_CONNECTION * STREAM_WINDOW)
            .max_frame_size(FRAME)
            .initial_max_send_streams(options.streams)
            .handshake(tcp::connect(address).await?)
            .await?;
        tokio::spawn(connection);
        Ok(Self::Client(requests))
    }

    async fn server(_: &Tokio, listener: TcpListener, options: Options) -> Result<Self> {
        let mut connection = server::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAMS_IN_CONNECTION * STREAM_WINDOW)
            .max_frame_size(FRAME)
            .data_frame_budget(SMALL_FRAMES)
            .max_concurrent_streams(u32::try_from(options.streams.max(BACKLOG))?)
            .handshake(tcp::accept(listener).await?)
            .await?;
        let (accepted, streams) = mpsc::channel(BACKLOG);
        tokio::spawn(async move {
            while let Some(request) = connection.accept().await {
                let (request, mut respond) = request?;
                let send = respond.send_response(Response::new(()), false)?;
                let receive = Receive::Body(request.into_body());
                accepted.send(H2Stream::new(send, receive)).await?;
            }
            anyhow::Ok(())
        });
        Ok(Self::Server(streams.into()))
    }

    async fn open(&self) -> Result<H2Stream> {
        let Self::Client(requests) = self else {
            bail!("only clients open")
        };
        let mut requests = requests.clone().ready().await?;
        let request = Request::post("http://localhost/").body(())?;
        let (response, send) = requests.send_request(request, false)?;
        Ok(H2Stream::new(send, Receive::Response(response)))
    }

    async fn accept(&self) -> Result<H2Stream> {
        let Self::Server(streams) = self else {
            bail!("only servers accept")
        };
        streams.lock().await.recv().await.context("closed")
    }
}

pub(crate) struct H2Stream {
    send: SendStream<Bytes>,
    receive: Receive,
    /// Received, not yet read.
    left: Bytes,
    finished: bool,
}

enum Receive {
    Response(ResponseFuture),
    Body(RecvStream),
}

impl H2Stream {
    fn new(send: SendStream<Bytes>, receive: Receive) -> Self {
        Self {
            send,
            receive,
            left: Bytes::new(),
            finished: false,
        }
    }

    /// The next piece, whose window is given back at once.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        if let Receive::Response(response) = &mut self.receive {
            self.receive = Receive::Body(response.await?.into_body());
        }
        let Receive::Body(body) = &mut self.receive else {
            unreachable!("set above")
        };
        let Some(piece) = body.data().await.transpose()? else {
            return Ok(None);
        };
        body.flow_control().release_capacity(piece.len())?;
        Ok(Some(piece))
    }
}

impl Stream for H2Stream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        while self.left.is_empty() {
            match self.piece().await? {
                Some(piece) => self.left = piece,
                None => return Ok(0),
            }
        }
        let n = buf.len().min(self.left.len());
        buf[..n].copy_from_slice(&self.left.split_to(n));
        Ok(n)
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        let mut data = Bytes::copy_from_slice(data);
        while !data.is_empty() {
            self.send.reserve_capacity(data.len());
            let granted = poll_fn(|cx| self.send.poll_capacity(cx)).await;
            let n = granted.context("the stream is closed")??.min(data.len());
            ensure!(n > 0, "capacity of 0 was granted");
            self.send.send_data(data.split_to(n), false)?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        self.finished = true;
        Ok(self.send.send_data(Bytes::new(), true)?)
    }

    async fn close(mut self) -> Result<()> {
        if !self.finished {
            self.finish().await?;
        }
        // A client that drops an unanswered request cancels it, and a server counts that as abuse.
        tokio::spawn(async move { while let Ok(Some(_)) = self.piece().await {} });
        Ok(())
    }
}
