//! A tokio transport for the driver, and how it is joined with a timer.

use std::{
    fmt,
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use smux_proto::{
    CloseReason, Config, Side,
    poll::{self, SessionHandle, Timer, Transport, TransportRead, TransportWrite},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task,
};

use crate::{timer::TokioTimer, wakeup::DriverWakeup};

/// Moves a session's bytes until the session has ended; then drops the transport and resolves with
/// the reason.
///
/// Poll it on a tokio runtime with its timer enabled. Dropping it before it resolves aborts the
/// session.
#[must_use = "a session does nothing unless its driver is polled: spawn it"]
pub struct Driver<T> {
    driver: poll::Driver<Io<T, TokioTimer>>,
    wakeup: DriverWakeup,
}

pub(crate) fn start<T: AsyncRead + AsyncWrite>(
    side: Side,
    io: T,
    config: Config,
) -> (SessionHandle, Driver<T>) {
    let timer = TokioTimer::new();
    let (clock, io) = (timer.clock(), Io::new(io, timer));
    let (handle, driver) = poll::connect(side, config, clock, io);
    let driver = Driver {
        driver,
        wakeup: DriverWakeup::default(),
    };
    (handle, driver)
}

pub(crate) fn start_with_timer<T: AsyncRead + AsyncWrite, S: Timer + Unpin>(
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

impl<T: AsyncRead + AsyncWrite> Future for Driver<T> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Self { driver, wakeup } = &mut *self;
        Pin::new(driver).poll(&mut Context::from_waker(wakeup.for_task(cx.waker())))
    }
}

impl<T> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.driver.fmt(f)
    }
}

struct Io<T, S> {
    io: Pin<Box<T>>,
    timer: S,
}

impl<T, S> Io<T, S> {
    fn new(io: T, timer: S) -> Self {
        Self {
            io: Box::pin(io),
            timer,
        }
    }
}

impl<T: AsyncRead, S> TransportRead for Io<T, S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(self.io.as_mut().poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn yield_now(&mut self, cx: &mut Context<'_>) {
        yield_now(cx);
    }
}

impl<T: AsyncWrite, S> TransportWrite for Io<T, S> {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One slice is cheaper to write without a vector.
        match bufs {
            [buf] => self.io.as_mut().poll_write(cx, buf),
            _ => self.io.as_mut().poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }

    fn is_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn yield_now(&mut self, cx: &mut Context<'_>) {
        yield_now(cx);
    }
}

/// Wakes the task as the runtime wakes those that have used up their budget: it holds them back
/// until its thread has nothing else to run, or has run many others. A driver that was woken at
/// once would run many times before they do. The task of a stream of small writes uses up its
/// budget again and again, so it would get a small part of what a stream of large writes gets. Like
/// them, the driver stays with its thread then.
fn yield_now(cx: &mut Context<'_>) {
    // Pending: that is what wakes the task.
    let _ = pin!(task::yield_now()).poll(cx);
}

impl<T: AsyncRead + AsyncWrite, S: Timer> Transport for Io<T, S> {
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        self.timer.poll_sleep(cx, until)
    }
}

/// Its task holds it, beside some hundred bytes of the runtime's; the transport has a box.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Driver<()>>() <= 592);
