//! A session, and the state that an event loop keeps for it.

use std::{io, task::Poll, time::Duration};

use smux_proto::{CloseReason, Config, Session, Side, StreamError};

use super::SEED;

/// One end of a connection, without the connection.
#[derive(Debug)]
pub struct End {
    pub(super) session: Session,
    /// The time of the last call.
    pub(super) now: Duration,
    /// How much of the session's output is flushed.
    pub(super) flushed: u64,
    /// Writing has failed: nothing is flushed any more.
    pub(super) write_failed: bool,
    /// The session has dropped its transport, and that is closed.
    pub(super) is_over: bool,
    pub(super) sessions: usize,
    pub(super) streams: usize,
}

/// How calls on an [`End`] are made and waited for.
pub trait Wait: Send + Sync + 'static {
    /// Makes a call.
    fn act<R>(&self, act: impl FnOnce(&mut End) -> R) -> R;

    /// Tries until the attempt is ready.
    fn block<R>(&self, attempt: impl FnMut(&mut End) -> Poll<R>) -> R;
}

impl End {
    pub(super) fn new(side: Side, config: Config, now: Duration) -> Self {
        Self {
            session: match side {
                Side::Client => Session::client(config, SEED, now),
                Side::Server => Session::server(config, !SEED, now),
            },
            now,
            flushed: 0,
            write_failed: false,
            is_over: false,
            sessions: 0,
            streams: 0,
        }
    }

    /// Fires the timer if it is due. True: it was.
    pub(super) fn fire(&mut self) -> bool {
        let due = self
            .session
            .poll_timeout()
            .is_some_and(|due| due <= self.now);
        if due {
            self.session.handle_timeout(self.now);
        }
        due
    }

    /// Writing to the transport has failed.
    pub(super) fn fail_write(&mut self, error: io::Error) {
        self.write_failed = true;
        self.session.handle_write_error(self.now, error.into());
    }

    /// Applies a rule that the core does not have: the session closes with its last handle.
    pub(super) fn close_if_unused(&mut self) {
        if self.sessions == 0 {
            self.session.stop_accepting();
            if self.streams == 0 {
                self.session.close(self.now);
            }
        }
    }

    /// Ready with the reason when the session has ended and its transport is closed.
    pub(super) fn poll_over(&self) -> Poll<CloseReason> {
        match self.session.close_reason() {
            Some(reason) if self.is_over => Poll::Ready(reason.clone()),
            _ => Poll::Pending,
        }
    }

    /// Ready when so much of the output is flushed.
    pub(super) fn poll_flushed(&self, mark: u64) -> Poll<Result<(), StreamError>> {
        if self.flushed >= mark {
            return Poll::Ready(Ok(()));
        }
        match self.session.close_reason() {
            Some(reason) if self.is_over || self.write_failed => {
                Poll::Ready(Err(StreamError::Closed(reason.clone())))
            }
            _ => Poll::Pending,
        }
    }
}
