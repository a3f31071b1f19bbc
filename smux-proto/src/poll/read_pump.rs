//! Input: from the transport to the session.

use std::{
    fmt, io,
    ops::Range,
    task::{Context, Poll, ready},
    vec,
    vec::Vec,
};

use super::{
    pumps::{BUFFER, Pump, ROUNDS, miscounted},
    transport::TransportRead,
    wakers::replace,
};

/// Moves input from the transport to the session.
pub struct ReadPump {
    pump: Pump,
    buffer: Vec<u8>,
    /// What was read and the session has not taken.
    unread: Range<usize>,
    /// The session wanted no more input when last asked.
    stalled: bool,
}

impl ReadPump {
    pub(super) fn new(pump: Pump) -> Self {
        Self {
            pump,
            buffer: vec![0; BUFFER],
            unread: 0..0,
            stalled: false,
        }
    }

    /// Reads until the input ends or the session does. Pending while the transport has nothing or the session has no
    /// room; now and then it is pending and wakes itself, to let others run.
    pub fn poll(&mut self, cx: &mut Context<'_>, transport: &mut impl TransportRead) -> Poll<()> {
        for _ in 0..ROUNDS {
            if self.pump.done {
                return Poll::Ready(());
            }
            if self.stalled || !self.unread.is_empty() {
                ready!(self.deliver(cx));
                continue;
            }
            let read = ready!(transport.poll_read(cx, &mut self.buffer));
            self.received(read);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn received(&mut self, read: io::Result<usize>) {
        let shared = &self.pump.shared;
        match read {
            Ok(0) => {
                let now = shared.now();
                shared.with(|state| state.session.handle_eof(now));
            }
            Ok(count) if count <= self.buffer.len() => {
                self.unread = 0..count;
                return;
            }
            Ok(_) => self.pump.fail(miscounted()),
            Err(error) => self.pump.fail(error),
        }
        self.pump.done = true;
    }

    /// Gives the session what it has room for. Pending until it wants more.
    fn deliver(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.pump.shared;
        let now = shared.now();
        let unread = &self.buffer[self.unread.clone()];
        let mut consumed = 0;
        let mut done = false;
        let wanted = shared.poll(
            cx,
            |state| {
                if !unread.is_empty() {
                    // An error is the session's close reason, and all that follows is discarded.
                    consumed = state
                        .session
                        .handle_input(now, unread)
                        .unwrap_or(unread.len());
                }
                done = state.session.is_terminated();
                if done || state.session.wants_input() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            },
            |state, waker| replace(&mut state.pumps.read, waker),
        );
        self.unread.start += consumed;
        self.pump.done = done;
        self.stalled = wanted.is_pending();
        wanted
    }
}

impl fmt::Debug for ReadPump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPump").finish_non_exhaustive()
    }
}
