//! A WebSocket as a stream of bytes: the file to copy.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream as _;
use futures_sink::Sink as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

/// Bytes of a message, at most: what is in between may have limits of its own.
const MESSAGE: usize = 32 * 1024;

/// Carries bytes in binary messages, whose bounds mean nothing. The other end's pings are answered;
/// the keep-alive of the session is what keeps an idle connection open in between.
pub(crate) struct Messages<T> {
    socket: WebSocketStream<T>,
    /// What is left of the last message.
    unread: Bytes,
}

impl<T> Messages<T> {
    pub(crate) fn new(socket: WebSocketStream<T>) -> Self {
        Self {
            socket,
            unread: Bytes::new(),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Messages<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(pin!(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(message))) => self.unread = message,
                // Pings are answered below, and their answers are no data.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(Message::Text(_))) => {
                    let error = "a text message on a binary connection";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                Some(Err(Error::ConnectionClosed)) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            }
        }
        let part = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..part]);
        self.unread.advance(part);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Messages<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = pin!(&mut self.socket);
        ready!(socket.as_mut().poll_ready(cx)).map_err(into_io)?;
        let part = &data[..data.len().min(MESSAGE)];
        let message = Message::Binary(Bytes::copy_from_slice(part));
        socket.start_send(message).map_err(into_io)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.socket).poll_flush(cx).map_err(into_io)
    }

    /// Sends a close, which the other end answers.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.socket).poll_close(cx).map_err(into_io)
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
