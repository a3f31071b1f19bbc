//! Small writes that need not lock the session.
//!
//! Tasks that write many small messages to streams of one session would take its lock for each, and
//! on several threads wait for each other most of the time. So a stream that has written a few
//! since its last turn is lent [room](ROOM) in its send queue: its outbox. Further writes go there,
//! under a lock that only its writer and the pump for output take. The pump takes all outboxes in
//! before it asks for a batch. Calls that depend on what was written take in that of their stream.
//!
//! Nothing waits in an outbox that would not leave otherwise. It is opened while its stream has
//! data, so the pump for output has been woken or will run anyway. A writer that has to wait takes
//! all outboxes in if most of the send queue is lent to them.
//!
//! With 100 streams on a runtime of two threads that made messages of 64 bytes 2.4 times as fast. A
//! stream that writes once in a while has no outbox.
//!
//! The session's lock is taken before an outbox's, or not at all.

use std::{
    io::IoSlice,
    mem::take,
    sync::{Arc, PoisonError},
};

use super::sync::{Mutex, MutexGuard};
use crate::{Buffer, Session, streams::ROOM, streams::table::Key};

/// Larger writes are worth the lock. Chosen, not tuned: eight of them fill an outbox.
const SMALL: usize = ROOM / 8;

/// A stream gets an outbox once so many writes of a size are queued. Chosen, not tuned: fewer would
/// not make up for what lending costs.
const MANY: usize = 4;

/// Room of one stream's send queue, while it is lent.
pub(super) struct Outbox {
    key: Key,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The room that is lent, with what was written there.
    open: Option<Buffer>,
    /// Whether the outbox is in the session's list, perhaps closed. It changes only under the
    /// session's lock.
    is_listed: bool,
    /// The next of the list.
    next: Option<Arc<Outbox>>,
}

impl Outbox {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            inner: Mutex::default(),
        }
    }

    /// Writes all of `data`, if the outbox is open and has room for it.
    #[inline]
    pub(super) fn write(&self, data: &[u8]) -> bool {
        if data.len() > SMALL {
            return false;
        }
        self.write_pieces(data.len(), [data].into_iter())
    }

    /// As [`write`](Self::write), for the slices one after the other. Returns how much they are.
    pub(super) fn write_slices(&self, slices: &[IoSlice<'_>]) -> Option<usize> {
        let pieces = || slices.iter().map(|slice| &**slice);
        let length = pieces().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
        (length <= SMALL && self.write_pieces(length, pieces())).then_some(length)
    }

    #[inline]
    fn write_pieces<'a>(&self, length: usize, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        match &mut self.lock().open {
            Some(open) if open.len() + length <= ROOM => {
                pieces.for_each(|piece| open.append(piece));
                true
            }
            _ => false,
        }
    }

    /// Closes it, and gives the session what was written.
    pub(super) fn take_in(&self, session: &mut Session) {
        let open = self.lock().open.take();
        if let Some(written) = open {
            session.take_back(self.key, written);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a stream with so many bytes queued, of which the last write was `written`, is worth an
/// outbox.
pub(super) fn is_worth_it(queued: usize, written: usize) -> bool {
    (1..=SMALL).contains(&written) && queued >= MANY * written
}

/// The outboxes of a session that may be open.
#[derive(Default)]
pub(super) struct Outboxes {
    first: Option<Arc<Outbox>>,
}

impl Outboxes {
    /// Opens an outbox that is closed, if the session lends it room.
    pub(super) fn open(&mut self, outbox: &Arc<Outbox>, session: &mut Session) {
        let Some(room) = session.lend_room(outbox.key) else {
            return;
        };
        let mut inner = outbox.lock();
        inner.open = Some(room);
        if !inner.is_listed {
            inner.is_listed = true;
            inner.next = self.first.replace(Arc::clone(outbox));
        }
    }

    /// Closes all of them, and gives the session what was written.
    #[inline]
    pub(super) fn take_in(&mut self, session: &mut Session) {
        while let Some(outbox) = self.pop() {
            outbox.take_in(session);
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Arc<Outbox>> {
        let outbox = self.first.take()?;
        let mut inner = outbox.lock();
        inner.is_listed = false;
        self.first = take(&mut inner.next);
        drop(inner);
        Some(outbox)
    }
}

/// One after the other: a chain that drops itself needs a stack as deep as it is long.
impl Drop for Outboxes {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
