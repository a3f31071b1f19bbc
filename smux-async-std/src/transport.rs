//! A `futures-io` transport for the driver, and how it is joined with a timer.

use std::{
    cmp::Ordering,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_io::{AsyncRead, AsyncWrite};
use smux_proto::{
    CloseReason, Config, Side,
    poll::{self, SessionHandle, Timer, Transport, TransportRead, TransportWrite},
};

pub(crate) fn start<T: AsyncRead + AsyncWrite, S: Timer + Unpin>(
    side: Side,
    io: T,
    config: Config,
    seed: u64,
    timer: S,
) -> (
    SessionHandle,
    impl Future<Output = CloseReason> + Unpin + use<T, S>,
) {
    let (clock, io) = (timer.clock(), Io::new(io, timer));
    poll::connect_with_seed(side, config, seed, clock, io)
}

/// A transport with a timer.
pub(crate) struct Io<T, S> {
    io: Pin<Box<T>>,
    vectored: Vectored,
    timer: S,
}

impl<T, S> Io<T, S> {
    pub(crate) fn new(io: T, timer: S) -> Self {
        Self {
            io: Box::pin(io),
            vectored: Vectored::Unknown { first_only: 0 },
            timer,
        }
    }
}

/// Whether a writer takes more than one slice. `futures-io` cannot say, and those that do not would
/// otherwise get each header and each payload in a write of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vectored {
    /// So many writes in a row have ended exactly with their first slice.
    Unknown {
        first_only: u8,
    },
    Yes,
    No,
}

impl Vectored {
    /// A partial write may end with the first slice by chance, but hardly so many in a row.
    const ENOUGH: u8 = 4;

    fn learn(&mut self, count: usize, first: usize) {
        if let Self::Unknown { first_only } = *self {
            *self = match count.cmp(&first) {
                Ordering::Greater => Self::Yes,
                Ordering::Equal if first_only + 1 == Self::ENOUGH => Self::No,
                Ordering::Equal => Self::Unknown {
                    first_only: first_only + 1,
                },
                Ordering::Less => *self,
            };
        }
    }
}

impl<T: AsyncRead, S> TransportRead for Io<T, S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_read(cx, buf)
    }
}

impl<T: AsyncWrite, S> TransportWrite for Io<T, S> {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.io.as_mut().poll_write_vectored(cx, bufs))?;
        if let [first, _, ..] = bufs {
            self.vectored.learn(count, first.len());
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_close(cx)
    }

    fn is_vectored(&self) -> bool {
        !matches!(self.vectored, Vectored::No)
    }
}

impl<T: AsyncRead + AsyncWrite, S: Timer> Transport for Io<T, S> {
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        self.timer.poll_sleep(cx, until)
    }
}
