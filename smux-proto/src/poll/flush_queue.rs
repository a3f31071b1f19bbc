//! Streams that wait until the transport has sent on what it took of them.

use std::{collections::VecDeque, mem};

use crate::streams::table::Key;

/// Streams whose bytes have all been taken for the transport and that wait until it is flushed that
/// far.
///
/// A mark is a count of bytes since the session began. Each stream is in here once per mark it
/// waits for, the lowest mark first.
#[derive(Default)]
pub(super) struct FlushQueue {
    waiting: VecDeque<(u64, Key)>,
    written: u64,
    flushed: u64,
    ended: bool,
}

impl FlushQueue {
    /// How far the transport is known to be flushed.
    pub(super) fn flushed(&self) -> u64 {
        self.flushed
    }

    /// How much the transport is known to have taken.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// How much the transport has taken.
    pub(super) fn set_written(&mut self, mark: u64) {
        self.written = mark;
    }

    pub(super) fn is_all_flushed(&self) -> bool {
        self.flushed >= self.written
    }

    pub(super) fn set_flushed(&mut self, mark: u64) {
        self.flushed = self.flushed.max(mark);
    }

    /// Nothing is flushed any more: every stream waits no longer.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn wait(&mut self, mark: u64, key: Key) {
        if let Err(place) = self.waiting.binary_search(&(mark, key)) {
            self.waiting.insert(place, (mark, key));
        }
    }

    /// Whether a flush now would let a stream go on.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting
            .front()
            .is_some_and(|&(mark, _)| self.flushed < mark && mark <= self.written)
    }

    /// Whether a stream waits no longer.
    pub(super) fn is_due(&self) -> bool {
        self.waiting
            .front()
            .is_some_and(|&(mark, _)| self.ended || mark <= self.flushed)
    }

    /// The next stream that waits no longer. It may have gone: then another may be woken that has
    /// its place, and looks again.
    pub(super) fn pop(&mut self) -> Option<Key> {
        if !self.is_due() {
            return None;
        }
        let (_, key) = self.waiting.pop_front()?;
        if self.waiting.is_empty() && self.ended {
            // Nothing more will be in here.
            drop(mem::take(&mut self.waiting));
        }
        Some(key)
    }
}
