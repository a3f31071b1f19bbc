//! A `futures-io` transport, a clock and a timer for the driver.

use std::{
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

/// Moves a session's bytes until the session has ended; then drops the transport and resolves with the reason.
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
        vectored: true,
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
    /// False once a write has ended with its first slice. `futures-io` cannot say whether a writer takes more than
    /// one, and those that do not would otherwise get each header and each payload in a write of its own.
    vectored: bool,
    epoch: Instant,
    timer: Timer,
    /// When the timer fires, if it is set.
    timer_at: Option<Duration>,
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
            self.vectored &= count != first.len();
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
        self.vectored
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
