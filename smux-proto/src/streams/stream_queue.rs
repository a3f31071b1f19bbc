//! A queue of streams in which each stands at most once.

use alloc::collections::VecDeque;

use crate::streams::table::Key;

/// Entries that may be stale before a removal makes it worth sweeping the queue.
const SWEEP: usize = 32;

/// First-in first-out queue of stream keys.
///
/// That a stream stands in it at most once is a flag of the stream, which the caller keeps.
/// The entry of a stream that ends while it is queued becomes stale. [`Ring::forget`] counts
/// stale entries and removes them once they are the majority. So the queue is never longer than
/// twice its live entries plus a constant, at constant amortised cost.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    keys: VecDeque<Key>,
    stale: usize,
}

impl Ring {
    #[inline]
    pub(crate) fn push(&mut self, key: Key) {
        self.keys.push_back(key);
    }

    pub(crate) fn push_front(&mut self, key: Key) {
        self.keys.push_front(key);
    }

    /// The next key; it is stale if its stream has gone or no longer has the flag.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Key> {
        let key = self.keys.pop_front();
        if self.keys.is_empty() {
            self.stale = 0;
        }
        key
    }

    /// Takes a live entry out, in time that grows with the queue.
    pub(crate) fn remove(&mut self, key: Key) {
        self.keys.retain(|&other| other != key);
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Notes that one entry became stale; `is_live` tells which entries are not.
    pub(crate) fn forget(&mut self, is_live: impl Fn(Key) -> bool) {
        self.stale += 1;
        if self.stale > SWEEP + self.keys.len() / 2 {
            self.keys.retain(|&key| is_live(key));
            self.stale = 0;
        }
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.keys.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        self.keys = VecDeque::new();
        self.stale = 0;
    }
}
