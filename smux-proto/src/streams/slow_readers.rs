//! Version 1: streams that hold much unread, for the policy that ends them when the budget is
//! empty.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::{
    config::SlowReaderPolicy,
    streams::{
        stream::{Flag, Stream},
        table::Key,
    },
};

/// The streams that hold more than their share of the receive budget, those that have done so
/// longest first. Each fills more than a share of the budget, so they are few.
#[derive(Debug)]
pub(super) struct SlowReaders {
    policy: SlowReaderPolicy,
    holders: VecDeque<(Key, Duration)>,
    /// What evicted streams hold until it is read. It is no part of the budget.
    unbudgeted: usize,
}

impl SlowReaders {
    pub(super) const fn new(policy: SlowReaderPolicy) -> Self {
        Self {
            policy,
            holders: VecDeque::new(),
            unbudgeted: 0,
        }
    }

    /// Notes that a stream holds more than before.
    #[inline]
    pub(super) fn on_received(&mut self, key: Key, stream: &mut Stream, now: Duration) {
        if let SlowReaderPolicy::Evict { share, .. } = self.policy
            && stream.recv.queue.len() > share
            && !stream.has(Flag::HoldsMuch)
        {
            stream.set(Flag::HoldsMuch);
            self.holders.push_back((key, now));
        }
    }

    /// Notes that a stream holds less than before.
    #[inline]
    pub(super) fn on_read(&mut self, key: Key, stream: &mut Stream) {
        if stream.has(Flag::HoldsMuch)
            && let SlowReaderPolicy::Evict { share, .. } = self.policy
            && stream.recv.queue.len() <= share
        {
            self.forget(key, stream);
        }
    }

    /// A stream is no longer one that may be evicted.
    pub(super) fn forget(&mut self, key: Key, stream: &mut Stream) {
        if stream.clear(Flag::HoldsMuch) {
            self.holders.retain(|&(holder, _)| holder != key);
        }
    }

    /// The stream that is evicted first if the budget is empty, and from when on.
    pub(super) fn next(&self) -> Option<(Key, Duration)> {
        let SlowReaderPolicy::Evict { grace, .. } = self.policy else {
            return None;
        };
        let &(key, since) = self.holders.front()?;
        Some((key, since.saturating_add(grace)))
    }

    pub(super) const fn unbudgeted(&self) -> usize {
        self.unbudgeted
    }

    pub(super) const fn keep(&mut self, bytes: usize) {
        self.unbudgeted += bytes;
    }

    pub(super) const fn release(&mut self, bytes: usize) {
        self.unbudgeted = self.unbudgeted.saturating_sub(bytes);
    }
}
