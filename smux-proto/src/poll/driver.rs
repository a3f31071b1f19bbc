//! One future that moves a session over a transport.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{
    pumps::Pumps,
    session_handle::SessionHandle,
    transport::{Clock, Transport},
};
use crate::{CloseReason, Config, Side};

/// Starts a session over `transport`: a handle for the application, and the driver that moves it.
pub fn connect<T: Transport>(
    side: Side,
    config: Config,
    clock: Clock,
    transport: T,
) -> (SessionHandle, Driver<T>) {
    let (handle, pumps) = Pumps::new(side, config, clock);
    (handle, Driver::new(pumps, transport))
}

/// As [`connect`], with a seed as of [`Pumps::with_seed`].
pub fn connect_with_seed<T: Transport>(
    side: Side,
    config: Config,
    seed: u64,
    clock: Clock,
    transport: T,
) -> (SessionHandle, Driver<T>) {
    let (handle, pumps) = Pumps::with_seed(side, config, seed, clock);
    (handle, Driver::new(pumps, transport))
}

/// Moves a session's bytes and keeps its deadlines until it has ended; then drops the transport and
/// resolves.
///
/// Dropping it before then aborts the session: waiting calls return [`CloseReason::Aborted`].
#[must_use = "a session does nothing unless its driver is polled: spawn it"]
pub struct Driver<T> {
    running: Option<Running<T>>,
    reason: CloseReason,
}

/// The order matters: the transport is dropped first, and only then do the pumps report the end.
struct Running<T> {
    transport: T,
    pumps: Pumps,
}

impl<T> Driver<T> {
    fn new(pumps: Pumps, transport: T) -> Self {
        Self {
            running: Some(Running { transport, pumps }),
            reason: CloseReason::Aborted,
        }
    }
}

impl<T: Transport + Unpin> Future for Driver<T> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        if let Some(running) = &mut this.running {
            this.reason = ready!(running.poll(cx));
            this.running = None;
        }
        Poll::Ready(this.reason.clone())
    }
}

impl<T: Transport> Running<T> {
    /// Input comes first, so that what it causes to be sent leaves in the same round.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Self { transport, pumps } = self;
        pumps.begin();
        // Neither end of these two is the end of the session, which the third tells.
        let _ = pumps.read.poll(cx, transport);
        let _ = pumps.write.poll(cx, transport);
        pumps
            .timer
            .poll(cx, |cx, until| transport.poll_sleep(cx, until))
    }
}

impl<T> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
