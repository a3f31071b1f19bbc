//! The poll layer with blocking calls, in virtual time. A task that is not woken is not polled.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    ops::Deref,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use smux_conformance::{
    host,
    suite::{host::Host, memory::Memory, time::Time, virtual_time::VirtualTime},
};
use smux_proto::{
    CloseReason, Config, OpenError, Side, StreamError,
    poll::{
        Clock, ReadHandle, SessionHandle, StreamHandle, Transport, TransportRead, TransportWrite,
        WriteHandle, connect,
    },
};

#[derive(Default)]
pub(crate) struct PollHost(VirtualTime);

impl Host for PollHost {
    type Session = Hosted<Sessions>;

    fn time(&self) -> &dyn Time {
        &self.0
    }

    fn connect_in_memory(&self, side: Side, config: Config, end: Memory) -> Self::Session {
        let time = self.0.clone();
        let clock = Clock::new(move || time.now());
        let transport = Joined(end, self.0.clone());
        let (session, driver) = connect(side, config, clock, transport);
        self.0.spawn(async {
            driver.await;
        });
        Hosted(Sessions(session), self.0.clone())
    }
}

/// A transport with a timer.
struct Joined(Memory, VirtualTime);

impl TransportRead for Joined {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
}

impl TransportWrite for Joined {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.0
            .poll_write(cx, first.expect("there is a byte to write"))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_close(cx)
    }
}

impl Transport for Joined {
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        self.1.poll_sleep(cx, until)
    }
}

host! {
    sessions: Sessions,
    streams: Lending<StreamHandle>,
    readers: Handle,
    lenders: Lend,
    writers: Handle,
    wait: VirtualTime::block_on,
    with: VirtualTime,
    finish: |stream| poll_fn(|cx| stream.poll_shutdown(cx)),
    split: |stream| {
        let (read, write) = stream.handle.into_split();
        (Lending::new(read), write)
    },
}

/// A session whose streams lend what they have received, as those of adapters do.
#[derive(Clone)]
pub(crate) struct Sessions(pub(crate) SessionHandle);

impl Sessions {
    async fn open(&self) -> Result<Lending<StreamHandle>, OpenError> {
        self.0.open().await.map(Lending::new)
    }

    async fn accept(&self) -> Result<Lending<StreamHandle>, CloseReason> {
        self.0.accept().await.map(Lending::new)
    }
}

impl Deref for Sessions {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.0
    }
}

pub(crate) struct Lending<T> {
    handle: T,
    lent: Bytes,
}

impl<T> Lending<T> {
    fn new(handle: T) -> Self {
        let lent = Bytes::new();
        Self { handle, lent }
    }
}

impl<T> Deref for Lending<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.handle
    }
}

trait Lend {
    async fn fill_buf(&mut self) -> Result<&[u8], StreamError>;
    fn consume(&mut self, count: usize);
}

impl<T: Handle> Lend for Lending<T> {
    async fn fill_buf(&mut self) -> Result<&[u8], StreamError> {
        let stream = self.handle.stream();
        self.lent = poll_fn(|cx| stream.poll_peek_bytes(cx)).await?;
        Ok(&self.lent)
    }

    fn consume(&mut self, count: usize) {
        self.lent = Bytes::new();
        self.handle.stream().consume(count);
    }
}

impl<T: Handle> Handle for Lending<T> {
    fn stream(&self) -> &StreamHandle {
        self.handle.stream()
    }
}

/// A stream or one of its halves.
trait Handle: Send + 'static {
    fn stream(&self) -> &StreamHandle;

    async fn read(&self, buf: &mut [u8]) -> Result<usize, StreamError> {
        poll_fn(|cx| self.stream().poll_read(cx, buf)).await
    }

    async fn write(&self, data: &[u8]) -> Result<usize, StreamError> {
        poll_fn(|cx| self.stream().poll_write(cx, data)).await
    }

    async fn flush(&self) -> Result<(), StreamError> {
        poll_fn(|cx| self.stream().poll_flush(cx)).await
    }
}

impl Handle for StreamHandle {
    fn stream(&self) -> &StreamHandle {
        self
    }
}

impl Handle for ReadHandle {
    fn stream(&self) -> &StreamHandle {
        self.stream()
    }
}

impl Handle for WriteHandle {
    fn stream(&self) -> &StreamHandle {
        self.stream()
    }
}
