//! A `futures-io` transport, a clock and a timer for the driver.

use std::{
    cmp::Ordering,
    fmt,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_io::Timer;
use futures_io::{AsyncRead, AsyncWrite};
use smux_proto::{
    CloseReason, Config, Side,
    poll::{self, Clock, SessionHandle, Transport, TransportRead, TransportWrite},
};

/// Moves a session's bytes until the session has ended; then drops the transport and resolves with
/// the reason.
///
/// Poll it on any executor. Dropping it before it resolves aborts the session.
#[must_use = "a session does nothing unless its driver is polled: spawn it"]
pub struct Driver<T>(poll::Driver<Io<T>>);

pub(crate) fn start<T: AsyncRead + AsyncWrite>(
    side: Side,
    io: T,
    config: Config,
) -> (SessionHandle, Driver<T>) {
    let epoch = Instant::now();
    let io = Io {
        io: Box::pin(io),
        vectored: Vectored::Unknown { first_only: 0 },
        epoch,
        timer: Timer::never(),
        timer_at: None,
    };
    let clock = Clock::new(move || epoch.elapsed());
    let (handle, driver) = poll::connect(side, config, clock, io);
    (handle, Driver(driver))
}

impl<T: AsyncRead + AsyncWrite> Future for Driver<T> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct Io<T> {
    io: Pin<Box<T>>,
    vectored: Vectored,
    epoch: Instant,
    timer: Timer,
    /// When the timer fires, if it is set.
    timer_at: Option<Duration>,
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

impl<T: AsyncRead> TransportRead for Io<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_read(cx, buf)
    }
}

impl<T: AsyncWrite> TransportWrite for Io<T> {
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

impl<T: AsyncRead + AsyncWrite> Transport for Io<T> {
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        let Some(deadline) = self.epoch.checked_add(until) else {
            return Poll::Pending;
        };
        if self.timer_at != Some(until) {
            self.timer.set_at(deadline);
            self.timer_at = Some(until);
        }
        ready!(Pin::new(&mut self.timer).poll(cx));
        // A timer that has fired does not fire again for the same time.
        self.timer_at = None;
        Poll::Ready(())
    }
}

/// Its task holds it, beside some hundred bytes of the executor's; the transport has a box.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Driver<async_io::Async<std::net::TcpStream>>>() <= 576);
