//! A WebSocket of axum as a stream of bytes.

use std::{future::ready, io};

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// Carries bytes in binary messages, whose bounds mean nothing.
pub(crate) fn bytes_of(socket: WebSocket) -> impl AsyncRead + AsyncWrite + Send {
    let (sink, messages) = socket.split();
    let data = messages.filter_map(|message| {
        ready(match message {
            Ok(Message::Binary(data)) => Some(Ok(data)),
            // Pings are answered by themselves, and the last message is followed by the end.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => None,
            Ok(Message::Text(_)) => Some(Err(io::ErrorKind::InvalidData.into())),
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    let sink = sink
        .with(|data: Bytes| ready(Ok::<_, axum::Error>(Message::Binary(data))))
        .sink_map_err(io::Error::other);
    let writer = SinkWriter::new(CopyToBytes::new(sink));
    join(StreamReader::new(data), writer)
}
