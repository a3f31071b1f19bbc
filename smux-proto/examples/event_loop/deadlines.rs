//! The sessions' deadlines: a heap, in which an idle session has one entry.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// Entries that a deadline has overtaken stay in the heap until they are due, and are skipped then.
/// So a session whose deadline moves away, which it does with every frame, costs nothing here.
#[derive(Default)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<(Duration, usize)>>);

impl Deadlines {
    /// Notes a deadline, unless there is an entry that is due no later. `entry` is the connection's
    /// earliest entry, and is kept up to date.
    pub(crate) fn set(&mut self, key: usize, at: Option<Duration>, entry: &mut Option<Duration>) {
        let Some(at) = at else { return };
        if entry.is_none_or(|entry| at < entry) {
            self.0.push(Reverse((at, key)));
            *entry = Some(at);
        }
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes an entry that is due. Its connection may have another deadline by now, or be gone.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<(Duration, usize)> {
        let due = self.next().is_some_and(|at| at <= now);
        let Reverse(entry) = due.then(|| self.0.pop()).flatten()?;
        Some(entry)
    }
}
