//! The poll layer with blocking calls, in virtual time. A task that is not woken is not polled.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    task::{Context, Poll},
    time::Duration,
};

use smux_conformance::{
    host,
    suite::{host::Host, memory::Memory, time::Time, virtual_time::VirtualTime},
};
use smux_proto::{
    Config, Side, StreamError,
    poll::{
        Clock, ReadHandle, SessionHandle, StreamHandle, Transport, TransportRead, TransportWrite,
        WriteHandle, connect,
    },
};

#[derive(Default)]
pub(crate) struct PollHost(VirtualTime);

impl Host for PollHost {
    type Session = Hosted<SessionHandle>;

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
        Hosted(session, self.0.clone())
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
    sessions: SessionHandle,
    streams: StreamHandle,
    readers: Handle,
    writers: Handle,
    wait: VirtualTime::block_on,
    with: VirtualTime,
    finish: |stream| poll_fn(|cx| stream.poll_shutdown(cx)),
    split: |stream| stream.into_split(),
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
