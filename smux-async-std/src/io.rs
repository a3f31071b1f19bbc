//! Reading and writing as `futures-io` has it, once for streams and their halves.

use std::{
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{
    split::{OwnedReadHalf, OwnedWriteHalf},
    stream::Stream,
};

macro_rules! impl_async_read {
    ($($reader:ty),*) => {$(
        impl AsyncRead for $reader {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let read = self.reader().poll_read(cx, buf);
                read.map_err(io::Error::from)
            }

            fn poll_read_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let read = self.reader().poll_read_vectored(cx, bufs);
                read.map_err(io::Error::from)
            }
        }
    )*};
}

macro_rules! impl_async_write {
    ($($writer:ty),*) => {$(
        /// A write returns once its bytes are queued; a flush once all that is queued is written
        /// and the transport flushed; a close ends our data, then flushes: reading goes on.
        impl AsyncWrite for $writer {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let written = self.handle().poll_write(cx, data);
                written.map_err(io::Error::from)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let written = self.handle().poll_write_vectored(cx, data);
                written.map_err(io::Error::from)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.handle().poll_flush(cx).map_err(io::Error::from)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.handle().poll_shutdown(cx).map_err(io::Error::from)
            }
        }
    )*};
}

impl_async_read!(Stream, OwnedReadHalf);
impl_async_write!(Stream, OwnedWriteHalf);
