//! A conversation as a stream of bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conversation::{Conversation, End, State};
use super::endpoint::Entry;

/// Segments that KCP is given at once; it takes fewer than 128.
const SEGMENTS: usize = 64;

/// A KCP connection that does not forget at its end what the peer has not acknowledged.
///
/// KCP has no end of its own: the peer notices the lack of keep-alives.
pub(crate) struct Stream {
    conversation: Arc<Conversation>,
    receive_window: u16,
    /// It is known by its endpoint for as long as this.
    _entry: Entry,
}

impl Stream {
    pub(super) fn new(conversation: Arc<Conversation>, receive_window: u16, entry: Entry) -> Self {
        Self {
            conversation,
            receive_window,
            _entry: entry,
        }
    }

    /// Waits until the peer has acknowledged all that was written: then it lives, and its address
    /// is not forged.
    pub(crate) async fn acknowledged(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_acknowledged(cx)).await
    }

    /// Lets the peer send as much at once as was asked for: before, it is a stranger.
    pub(crate) fn trust(&self) {
        let mut state = self.conversation.lock();
        let send_window = state.kcp.snd_wnd();
        state.kcp.set_wndsize(send_window, self.receive_window);
    }

    fn poll_acknowledged(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.conversation.lock();
        if let Some(end) = state.end {
            return Poll::Ready(Err(end.into()));
        }
        if state.kcp.wait_snd() == 0 {
            return Poll::Ready(Ok(()));
        }
        state.closer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.conversation.end(End::Closed);
    }
}

impl From<End> for io::Error {
    fn from(end: End) -> Self {
        match end {
            End::Closed => io::ErrorKind::BrokenPipe.into(),
            End::Failed(kind) => kind.into(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.conversation.lock();
        let before = buf.filled().len();
        state.read(buf)?;
        if buf.filled().len() > before {
            // The peer may have to be told that there is room again.
            self.conversation.touch(&mut state);
            return Poll::Ready(Ok(()));
        }
        match state.end {
            // The peer cannot say that it has closed too, so there is nothing to wait for.
            Some(End::Closed) => Poll::Ready(Ok(())),
            Some(failed) => Poll::Ready(Err(failed.into())),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl State {
    /// Moves what has arrived into `buf`.
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        while buf.remaining() > 0 {
            if self.read < self.left.len() {
                let left = &self.left[self.read..];
                let part = left.len().min(buf.remaining());
                buf.put_slice(&left[..part]);
                self.read += part;
                continue;
            }
            let Ok(size) = self.kcp.peeksize() else {
                return Ok(());
            };
            if size <= buf.remaining() {
                let received = self.kcp.recv(buf.initialize_unfilled())?;
                buf.advance(received);
            } else {
                self.left.resize(size, 0);
                self.kcp.recv(&mut self.left)?;
                self.read = 0;
            }
        }
        Ok(())
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.conversation.lock();
        if let Some(end) = state.end {
            return Poll::Ready(Err(end.into()));
        }
        if !state.has_room() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = SEGMENTS * state.kcp.mss();
        let written = state.kcp.send(&data[..data.len().min(most)])?;
        if !state.has_room() {
            state.kcp.flush()?;
        }
        self.conversation.touch(&mut state);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.conversation.lock();
        state.kcp.flush()?;
        self.conversation.touch(&mut state);
        Poll::Ready(Ok(()))
    }

    /// Ready when the peer has acknowledged everything: what is dropped is not sent again.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(End::Closed) = self.conversation.lock().end {
            return Poll::Ready(Ok(()));
        }
        self.conversation.lock().kcp.flush()?;
        ready!(self.poll_acknowledged(cx))?;
        self.conversation.end(End::Closed);
        Poll::Ready(Ok(()))
    }
}
