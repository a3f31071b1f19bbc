//! Writing to a session's transport: by the session's writer, or by a thread that has little to
//! send.
//!
//! The writer sleeps while there is nothing to send. To wake it for a small message takes longer
//! than to write the message. So the thread that has queued one writes it, unless another writes
//! already. Such a write must not block, which would break promises of [`Stream`](crate::Stream):
//! what a socket does not take at once is left to the writer.
//!
//! A round trip takes four wake-ups instead of six, and half of the futex calls: 0.73 and 0.78 of
//! the time, as the medians of 9 and 11 interleaved runs on loopback. A hundred at once gain
//! nothing: then the writer [writes](Crowd) for all.

use std::{
    io::{self, IoSlice, Write},
    net::Shutdown,
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    task::{Context, Poll},
    time::Duration,
};

use smux_proto::poll::{TransportWrite, WritePump, release_pump_memory};

use crate::{
    crowd::Crowd,
    transport::{LimitFn, ShutdownFn},
    wait::{Waiter, ignore_poison},
    watch::Watch,
};

/// A thread writes itself only if it has queued no more than this. More data is copied by one
/// thread while another writes. Chosen, not tuned.
pub(crate) const SMALL: usize = 4 << 10;

/// How long such a write may block: as little as sockets can be told. They round it up to their
/// clock's tick.
const BRIEF: Duration = Duration::from_micros(1);

/// A thread keeps the memory of the batches it wrote, unless they were larger. Chosen, not tuned.
const KEPT: usize = 16 << 10;

/// The output of one session.
pub(crate) struct Output<W> {
    watch: Arc<Watch>,
    crowd: Arc<Crowd>,
    /// Until nothing is left to write.
    writing: Mutex<Option<Writing<W>>>,
}

/// Dropped in this order: the session counts as ended once the last pump is dropped, and by then
/// nothing must be left of the transport.
struct Writing<W> {
    transport: BlockingWriter<W>,
    pump: WritePump,
}

/// An [`Output`] whose transport can be kept from blocking.
pub(crate) trait DirectOutput: Send + Sync {
    /// Where the session's writer waits.
    fn writer(&self) -> &Waiter;

    /// Whether many threads are about to send.
    fn has_crowd(&self) -> bool;

    /// Writes what is queued, or has the writer do it.
    fn write_now(&self);
}

/// Runs `act`, which queues at most `len` bytes, and sees to it that they leave.
pub(crate) fn send<R>(output: Option<&dyn DirectOutput>, len: usize, act: impl FnOnce() -> R) -> R {
    let Some(output) = output.filter(|output| len <= SMALL && !output.has_crowd()) else {
        return act();
    };
    let (result, is_called) = output.writer().hold_back(act);
    if is_called {
        output.write_now();
    }
    result
}

impl<W: Write> Output<W> {
    pub(crate) fn new(
        watch: &Arc<Watch>,
        crowd: &Arc<Crowd>,
        transport: BlockingWriter<W>,
        pump: WritePump,
    ) -> Self {
        Self {
            watch: Arc::clone(watch),
            crowd: Arc::clone(crowd),
            writing: Mutex::new(Some(Writing { transport, pump })),
        }
    }

    /// Writes what is queued, on the writer's thread. Ready once nothing is left to write, ever.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Twice: those that run meanwhile wake others.
        self.crowd.make_way(2);
        let mut writing = self.lock();
        if let Some(Writing { transport, pump }) = &mut *writing
            && pump.poll(cx, transport).is_pending()
        {
            return Poll::Pending;
        }
        let ended = writing.take();
        drop(writing);
        // A writer may flush what it holds when it is dropped.
        self.watch.away(|| drop(ended));
        Poll::Ready(())
    }

    /// What foreign code leaves behind when it panics is as good as any other state.
    fn lock(&self) -> MutexGuard<'_, Option<Writing<W>>> {
        ignore_poison(self.writing.lock())
    }
}

impl<W: Write + Send> DirectOutput for Output<W> {
    fn writer(&self) -> &Waiter {
        &self.watch.writer
    }

    fn has_crowd(&self) -> bool {
        self.crowd.is_there()
    }

    fn write_now(&self) {
        let writer = self.writer();
        let mut writing = match self.writing.try_lock() {
            Ok(writing) => writing,
            Err(TryLockError::Poisoned(poison)) => poison.into_inner(),
            // The thread that has it may be about to leave.
            Err(TryLockError::WouldBlock) => return writer.wake(),
        };
        let Some(Writing { transport, pump }) = &mut *writing else {
            return;
        };
        transport.brief = Some(0);
        let poll = pump.poll(&mut Context::from_waker(writer.waker()), transport);
        let written = transport.brief.take();
        drop(writing);
        if poll.is_ready() {
            writer.wake();
        }
        if written.is_none_or(|written| written > KEPT) {
            release_pump_memory();
        }
    }
}

/// The writer's part in an output: nothing is written any more once this is dropped.
pub(crate) struct Writer<W: Write>(pub(crate) Arc<Output<W>>);

impl<W: Write> Drop for Writer<W> {
    fn drop(&mut self) {
        let ended = self.0.lock().take();
        drop(ended);
    }
}

/// A blocking transport as its pump sees it.
pub(crate) struct BlockingWriter<W> {
    /// Until its end: for some writers, such as pipes, dropping is the only way to tell the peer.
    writer: Option<W>,
    shutdown: ShutdownFn,
    vectored: bool,
    watch: Arc<Watch>,
    limit: Option<LimitFn<W>>,
    /// The time of writes is limited now.
    is_limited: bool,
    /// While a thread writes that must not block: how much it has written.
    brief: Option<usize>,
}

impl<W: Write> BlockingWriter<W> {
    pub(crate) fn new(
        writer: W,
        shutdown: ShutdownFn,
        vectored: bool,
        limit: Option<LimitFn<W>>,
        watch: &Arc<Watch>,
    ) -> Self {
        Self {
            writer: Some(writer),
            shutdown,
            vectored,
            watch: Arc::clone(watch),
            limit,
            is_limited: false,
            brief: None,
        }
    }

    fn with<R>(&mut self, mut act: impl FnMut(&mut W) -> io::Result<R>) -> io::Result<R> {
        let Some(writer) = &mut self.writer else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut act = || uninterrupted(|| act(writer));
        match self.brief {
            Some(_) => act(),
            None => self.watch.away(act),
        }
    }

    fn set_limit(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if let (Some(set), Some(writer)) = (self.limit, &self.writer)
            && self.is_limited != limit.is_some()
        {
            set(writer, limit)?;
            self.is_limited = limit.is_some();
        }
        Ok(())
    }

    /// Leaves the next step to the writer.
    fn leave<R>(cx: &mut Context<'_>) -> Poll<R> {
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<W: Write> TransportWrite for BlockingWriter<W> {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.brief.is_some() {
            self.set_limit(Some(BRIEF))?;
        }
        loop {
            let result = self.with(|writer| writer.write_vectored(bufs));
            match (&result, &mut self.brief) {
                (Err(error), brief)
                    if self.is_limited && error.kind() == io::ErrorKind::WouldBlock =>
                {
                    if brief.is_some() {
                        return Self::leave(cx);
                    }
                    self.set_limit(None)?;
                    continue;
                }
                (Ok(count), Some(written)) => *written += count,
                _ => {}
            }
            return Poll::Ready(result);
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.with(W::flush))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.brief.is_some() {
            return Self::leave(cx);
        }
        Poll::Ready(self.watch.away(|| {
            let shut = (self.shutdown)(Shutdown::Write);
            self.writer = None;
            shut
        }))
    }

    fn is_vectored(&self) -> bool {
        self.vectored
    }
}

/// Calls again after a signal.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
