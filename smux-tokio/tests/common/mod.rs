//! Helpers that the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use smux_tokio::{Config, Session, Stream};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Fails instead of hanging. The limit is generous, since machines can be slow.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it hangs")
}

/// As [`within`], for tests in paused time, which jumps to the next timer: a day passes at once if
/// nothing else happens.
pub(crate) async fn within_a_day<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(24 * 3600), future)
        .await
        .expect("it hangs")
}

/// A client and a server over a pipe in memory.
pub(crate) fn pair(config: &Config) -> (Session, Session) {
    let (a, b) = tokio::io::duplex(64 * 1024);
    (
        Session::client(a, config.clone()),
        Session::server(b, config.clone()),
    )
}

/// A stream from `client` to `server`, both its ends.
pub(crate) async fn stream(client: &Session, server: &Session) -> (Stream, Stream) {
    let ours = client.open().await.expect("open");
    let theirs = server.accept().await.expect("accept");
    (ours, theirs)
}

/// A pipe end that counts, and can be told to misbehave.
#[derive(Clone, Default)]
pub(crate) struct Probe {
    pub(crate) written: Arc<AtomicUsize>,
    /// What was written when it was last flushed.
    pub(crate) flushed: Arc<AtomicUsize>,
    pub(crate) dropped: Arc<AtomicBool>,
    /// Falsifies the count that a write reports.
    pub(crate) lie: Option<fn(usize) -> usize>,
}

impl Probe {
    pub(crate) fn around(&self, io: DuplexStream) -> Probed {
        Probed {
            io,
            probe: self.clone(),
        }
    }
}

pub(crate) struct Probed {
    io: DuplexStream,
    probe: Probe,
}

impl AsyncRead for Probed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Probed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        if let Some(lie) = self.probe.lie {
            return Poll::Ready(Ok(lie(offered)));
        }
        let count = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        self.probe.written.fetch_add(count, SeqCst);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.probe.written.load(SeqCst);
        self.probe.flushed.store(written, SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.probe.dropped.store(true, SeqCst);
    }
}
