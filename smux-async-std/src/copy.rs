//! Copying what a stream's peer sends to a writer.

use std::{future::poll_fn, io, pin::Pin, task::Context};

use futures_io::AsyncWrite;
use smux_proto::poll::StreamHandle;

/// Writes all that the peer sends to `writer`, then flushes it. Returns the number of bytes copied.
pub(crate) async fn copy_to<W>(stream: &StreamHandle, writer: &mut W) -> io::Result<u64>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    let write = |cx: &mut Context<'_>, data: &[u8]| Pin::new(&mut *writer).poll_write(cx, data);
    let copied = stream.copy_to(write).await?;
    poll_fn(|cx| Pin::new(&mut *writer).poll_flush(cx)).await?;
    Ok(copied)
}
