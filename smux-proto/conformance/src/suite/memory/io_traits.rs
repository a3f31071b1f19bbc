//! The I/O traits of futures and of the standard library. The latter block.

use std::{
    future::poll_fn,
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use futures_executor::block_on;

use super::Memory;
use crate::suite::time::Wire;

impl futures_io::AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_read(&self, cx, buf)
    }
}

impl futures_io::AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_close(&self, cx)
    }
}

impl Read for Memory {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Memory {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Wire for Memory {
    fn finish(&mut self) -> io::Result<()> {
        block_on(poll_fn(|cx| self.poll_close(cx)))
    }
}

impl Read for &Memory {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        block_on(poll_fn(|cx| self.poll_read(cx, buf)))
    }
}

impl Write for &Memory {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        block_on(poll_fn(|cx| self.poll_write(cx, data)))
    }

    fn flush(&mut self) -> io::Result<()> {
        block_on(poll_fn(|cx| self.poll_flush(cx)))
    }
}
