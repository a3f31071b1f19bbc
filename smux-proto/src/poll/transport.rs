//! What an adapter brings: the two sides of a transport, a timer and a clock.

use std::{
    fmt,
    io::{self, IoSlice},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The reading side of a transport.
pub trait TransportRead {
    /// Reads at least one byte into `buf`, which is never empty, and returns how many. `Ok(0)` is
    /// the end of the input: nothing is read after it, nor after an error.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// The most that the next read needs room for, in bytes. A transport whose reads block their
    /// thread asks for little while it expects little: the thread keeps the buffer while it waits.
    fn wanted_room(&self) -> usize {
        usize::MAX
    }

    /// Whether the pump keeps its buffer while it waits for more input. That suits a transport
    /// that several threads poll in turn: each would leave a buffer behind.
    fn keeps_buffer(&self) -> bool {
        false
    }

    /// Wakes the task of `cx`, now or soon: the pump has done its share and returns, to be polled
    /// again once other tasks had their turn. A runtime that runs tasks in the order in which they
    /// were woken needs no more than the default, which wakes at once.
    fn yield_now(&mut self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// The writing side of a transport.
pub trait TransportWrite {
    /// Writes from `bufs`, in order, at least one byte, and returns how many. There is always a
    /// byte to write; `Ok(0)` counts as the error [`io::ErrorKind::WriteZero`]. After an error of
    /// this trait the session writes nothing more and ends once it has
    /// [received](crate::Session::handle_write_error) what the peer had sent.
    fn poll_write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>])
    -> Poll<io::Result<usize>>;

    /// Sends on what the transport still holds of earlier writes. Called whenever nothing is left
    /// to write, and between writes if a stream waits for its flush. Nothing is written while it is
    /// pending, so it should not wait for the peer; for keep-alive it counts as a write without
    /// progress.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the writing side, so that the peer reads the end of its input. Reading goes on.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether `poll_write` gains from more than one slice. If not, small pieces are gathered in
    /// one buffer first.
    fn is_vectored(&self) -> bool {
        true
    }

    /// As [`TransportRead::yield_now`].
    fn yield_now(&mut self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// A transport with a timer: all that a [`Driver`](crate::poll::Driver) asks of its runtime.
pub trait Transport: TransportRead + TransportWrite {
    /// Is ready once the session's [`Clock`] has reached `until`; a little early or late does no
    /// harm. There is one timer: a call with another `until` replaces the last one. Sleeps of many
    /// sessions cost less if they [end together](super::sleep_together).
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()>;
}

/// A clock and a timer, which an application brings where those of its adapter's runtime do not
/// work, such as in a browser.
pub trait Timer {
    /// The session's clock. It is asked for once, before the session begins.
    fn clock(&self) -> Clock;

    /// As [`Transport::poll_sleep`].
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()>;
}

/// A monotonic clock for a session. Its creator picks the epoch.
///
/// It must not go back, and must not run on in jumps: a peer's silence is measured with it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// A clock that asks `now`. It is asked often, so it should be cheap, and also outside of any
    /// runtime, when a handle is dropped there.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time since the clock's epoch.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").finish_non_exhaustive()
    }
}
