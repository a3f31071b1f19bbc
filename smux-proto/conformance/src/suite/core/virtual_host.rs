//! Two sessions, joined in memory, in virtual time.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Buf;
use smux_proto::{Config, Side, Transmit};

use super::{
    end::{End, Wait},
    handle::CoreSession,
};
use crate::suite::{
    host::Host,
    memory::Memory,
    time::Time,
    virtual_time::{Part, VirtualTime},
};

/// Makes sessions that run in virtual time.
#[derive(Debug, Default)]
pub struct CoreHost {
    time: VirtualTime,
}

impl CoreHost {
    /// On the thread that runs the scenario.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Host for CoreHost {
    type Session = CoreSession<VirtualEnd>;

    fn time(&self) -> &dyn Time {
        &self.time
    }

    fn connect_in_memory(&self, side: Side, config: Config, transport: Memory) -> Self::Session {
        let end = Arc::new(Mutex::new(End::new(side, config, self.time.now())));
        self.time.add(Arc::new(Mutex::new(Connection {
            end: Arc::clone(&end),
            transport: Some(transport),
            batch: Transmit::new(),
            unread: Vec::new(),
            saw_end: false,
            shut: false,
        })));
        let time = self.time.clone();
        CoreSession::new(&Arc::new(VirtualEnd { end, time }))
    }
}

/// An end whose callers wait in virtual time.
pub struct VirtualEnd {
    end: Arc<Mutex<End>>,
    time: VirtualTime,
}

impl fmt::Debug for VirtualEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualEnd").finish_non_exhaustive()
    }
}

impl Wait for VirtualEnd {
    fn act<R>(&self, act: impl FnOnce(&mut End) -> R) -> R {
        let now = self.time.now();
        let mut end = lock(&self.end);
        end.now = now;
        act(&mut end)
    }

    fn block<R>(&self, mut attempt: impl FnMut(&mut End) -> Poll<R>) -> R {
        self.time.block(|| self.act(&mut attempt))
    }
}

/// Moves the bytes of one end.
struct Connection {
    end: Arc<Mutex<End>>,
    /// `None` once the session has let go of it.
    transport: Option<Memory>,
    batch: Transmit,
    /// Read from the transport and not taken by the session.
    unread: Vec<u8>,
    saw_end: bool,
    shut: bool,
}

impl Part for Connection {
    fn step(&mut self, now: Duration) -> bool {
        let end = Arc::clone(&self.end);
        let mut end = lock(&end);
        end.now = now;
        let Some(transport) = self.transport.take() else {
            return false;
        };
        let mut moved = end.fire();
        if !end.session.is_terminated() && !end.write_failed {
            match self.transmit(&mut end, &transport) {
                Ok(done) => moved |= done,
                Err(error) => end.fail_write(error),
            }
        }
        if !end.session.is_terminated() {
            match self.receive(&mut end, &transport) {
                Ok(done) => moved |= done,
                Err(error) => end.session.handle_transport_error(error.into()),
            }
        }
        end.is_over = end.session.is_terminated();
        if !end.is_over {
            self.transport = Some(transport);
        }
        moved | end.is_over
    }

    fn next_timer(&self) -> Option<Duration> {
        lock(&self.end).session.poll_timeout()
    }

    fn is_over(&self) -> bool {
        self.transport.is_none()
    }
}

impl Connection {
    /// Writes what there is to write, flushes, ends the writing direction. True: something was
    /// done.
    fn transmit(&mut self, end: &mut End, transport: &Memory) -> io::Result<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut moved = false;
        while end.session.poll_transmit(end.now, &mut self.batch) {
            match transport.poll_write(&mut cx, self.batch.chunk()) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.batch.advance(count?),
                Poll::Pending => return Ok(moved),
            }
            moved = true;
        }
        let emitted = end.session.stats().bytes_emitted;
        if end.flushed < emitted {
            let Poll::Ready(flushed) = transport.poll_flush(&mut cx) else {
                return Ok(moved);
            };
            flushed?;
            end.flushed = emitted;
            moved = true;
        }
        if end.session.wants_shutdown() && !self.shut {
            let Poll::Ready(closed) = transport.poll_close(&mut cx) else {
                return Ok(moved);
            };
            closed?;
            self.shut = true;
            moved = true;
        }
        Ok(moved)
    }

    /// Reads once and hands over what the session takes. True: something was done.
    fn receive(&mut self, end: &mut End, transport: &Memory) -> io::Result<bool> {
        if !end.session.wants_input() || self.saw_end {
            return Ok(false);
        }
        if self.unread.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            let mut buffer = vec![0; 65_536];
            let Poll::Ready(count) = transport.poll_read(&mut cx, &mut buffer) else {
                return Ok(false);
            };
            buffer.truncate(count?);
            self.unread = buffer;
            if self.unread.is_empty() {
                end.session.handle_eof(end.now);
                self.saw_end = true;
                return Ok(true);
            }
        }
        let taken = end.session.handle_input(end.now, &self.unread);
        // After an error the rest is of no interest, and the session has its close reason.
        let taken = taken.unwrap_or(self.unread.len());
        self.unread.drain(..taken);
        Ok(taken > 0)
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
