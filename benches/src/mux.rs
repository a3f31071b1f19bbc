//! What a multiplexer must offer to take part.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Result, ensure};

use crate::runtime::Runtime;

/// What a workload asks of a peer beyond its usual settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Streams open at a time: limits below it are raised.
    pub(crate) streams: usize,
    /// Received and unread bytes that a session, or a socket, may hold.
    pub(crate) receive_buffer: Option<usize>,
}

/// One end of a session, or what stands in for it.
pub(crate) trait Mux: Send + Sync + Sized + 'static {
    type Runtime: Runtime;
    type Stream: Stream;

    /// The connecting end. Runs on `runtime`.
    fn client(
        runtime: &Self::Runtime,
        address: SocketAddr,
        options: Options,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// The accepting end. Runs on `runtime`.
    fn server(
        runtime: &Self::Runtime,
        listener: TcpListener,
        options: Options,
    ) -> impl Future<Output = Result<Self>> + Send;

    fn open(&self) -> impl Future<Output = Result<Self::Stream>> + Send;

    fn accept(&self) -> impl Future<Output = Result<Self::Stream>> + Send;
}

/// A stream in both directions. Dropping it closes it, unless `close` says otherwise.
pub(crate) trait Stream: Send + 'static {
    /// 0 is the end.
    fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = Result<usize>> + Send;

    fn write_all(&mut self, data: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Ends our direction, behind what was written.
    fn finish(&mut self) -> impl Future<Output = Result<()>> + Send;

    fn close(self) -> impl Future<Output = Result<()>> + Send
    where
        Self: Sized,
    {
        drop(self);
        async { Ok(()) }
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> impl Future<Output = Result<()>> + Send {
        async move {
            let mut filled = 0;
            while filled < buf.len() {
                let n = self.read(&mut buf[filled..]).await?;
                ensure!(
                    n > 0,
                    "a stream ended after {filled} of {} bytes",
                    buf.len()
                );
                filled += n;
            }
            Ok(())
        }
    }
}

/// A [`Stream`] of whatever reads and writes with tokio's traits.
pub(crate) struct TokioIo<T>(pub(crate) T);

impl<T> Stream for TokioIo<T>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        Ok(tokio::io::AsyncReadExt::read(&mut self.0, buf).await?)
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        Ok(tokio::io::AsyncWriteExt::write_all(&mut self.0, data).await?)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(tokio::io::AsyncWriteExt::shutdown(&mut self.0).await?)
    }
}

/// For peers that abort a stream that is dropped before it has finished: closing finishes it.
pub(crate) struct FinishOnClose<S> {
    stream: S,
    finished: bool,
}

impl<S> FinishOnClose<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            finished: false,
        }
    }
}

impl<S: Stream> Stream for FinishOnClose<S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.stream.read(buf).await
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        self.stream.write_all(data).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.finished = true;
        self.stream.finish().await
    }

    async fn close(mut self) -> Result<()> {
        if !self.finished {
            self.finish().await?;
        }
        Ok(())
    }
}

/// A [`Stream`] of whatever reads and writes with the traits of `futures-io`.
pub(crate) struct FuturesIo<T>(pub(crate) T);

impl<T> Stream for FuturesIo<T>
where
    T: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
{
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        Ok(futures::AsyncReadExt::read(&mut self.0, buf).await?)
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        Ok(futures::AsyncWriteExt::write_all(&mut self.0, data).await?)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(futures::AsyncWriteExt::close(&mut self.0).await?)
    }
}
