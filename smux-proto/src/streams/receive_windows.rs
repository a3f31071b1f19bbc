//! Receive windows of version 2, which together never exceed the receive budget.
//!
//! Every peer may send 262 144 bytes on a stream before it has our first update, so a new stream
//! counts with that much as long as the budget has room for it. Otherwise the stream gets an early
//! update with a smaller window. The window of a stream is the budget divided by the number of
//! streams (rounded up to a power of two), between the floor and `max_stream_buffer`; what it has unread beyond counts too. When streams
//! are added, older and larger windows are cut to the new size one after the other, about one for
//! each new stream, so that the work per stream is constant; but never below what is unread.
//!
//! While all peers keep to what they were told, the session therefore never stalls. Peers learn of
//! an early update only a round trip after their SYN, so the guarantee has a condition:
//! `fresh × 262 144 + sum of windows ≤ max_receive_buffer`, where `fresh` counts the streams whose
//! early update is still on its way.
//!
//! Unread data keeps what it fills until it is read, be it that the peer has finished the stream or that the stream has more than
//! its share. If that leaves less than the floor, a stream gets a window of 0, a new one or one that has read, and waits for its share.

use crate::{
    config::{Config, INITIAL_WINDOW},
    streams::scheduler::Scheduler,
    streams::stream::{Flag, Stream},
    streams::stream_queue::Ring,
    streams::table::{Key, Table},
};

/// Older windows looked at for a stream that wants more than is free, beyond what its floor takes.
const EFFORT: usize = 2;
/// Older windows looked at in any case: a peer must not make one frame cost more than this.
const MOST_LOOKS: usize = 256;

#[derive(Debug)]
pub(crate) struct Windows {
    budget: usize,
    largest: usize,
    floor: usize,
    granted: usize,
    /// Streams with a window, those granted longest ago first.
    holders: Ring,
    /// Streams that got no window for now.
    starved: Ring,
    /// The target with which a walk over all holders found nothing to cut.
    nothing_above: Option<usize>,
    count: usize,
}

impl Windows {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            budget: config.max_receive_buffer(),
            largest: config.max_stream_buffer(),
            floor: config.window_floor(),
            granted: 0,
            holders: Ring::default(),
            starved: Ring::default(),
            nothing_above: None,
            count: 0,
        }
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.holders.trim();
        self.starved.trim();
    }

    /// The sum of all windows, and of what is unread beyond them.
    pub(crate) const fn granted(&self) -> usize {
        self.granted
    }

    /// Whether one more stream can have a window, be it the smallest.
    pub(crate) const fn has_room(&self) -> bool {
        (self.count + 1).saturating_mul(self.floor) <= self.budget
    }

    /// Gives a new stream its window.
    pub(crate) fn join(&mut self, key: Key, table: &mut Table, scheduler: &mut Scheduler) {
        self.count += 1;
        let initial = INITIAL_WINDOW as usize;
        let early = self.free() < initial;
        let window = if early {
            self.obtain(0, table, scheduler)
        } else {
            initial
        };
        if let Some(stream) = table.get_mut(key) {
            stream.set(Flag::InWindows);
            if early {
                stream.set(Flag::OwesUpd);
                scheduler.owe_control(key, stream);
            }
            self.grant(window, key, stream);
        }
        self.holders.push(key);
        self.grant_waiting(table, scheduler);
    }

    /// Gives what came free to the streams that wait for it.
    pub(crate) fn grant_waiting(&mut self, table: &mut Table, scheduler: &mut Scheduler) {
        while self.free() >= self.floor
            && let Some(key) = self.starved.pop()
        {
            let target = self.target();
            if let Some(stream) = table.get_mut(key)
                && stream.clear(Flag::InStarved)
                && stream.has(Flag::InWindows)
                && !stream.has(Flag::PeerFinished)
            {
                let share = self.reclaim(stream);
                let window = self.free().min(target);
                stream.set(Flag::OwesUpd);
                scheduler.owe_control(key, stream);
                self.grant(window, key, stream);
                self.keep_unread(share, stream);
            }
        }
    }

    /// Gives a stream that has read the window it should have now; an update must follow.
    pub(crate) fn renew(&mut self, key: Key, table: &mut Table, scheduler: &mut Scheduler) {
        let Some(stream) = table.get_mut(key) else {
            return;
        };
        let old = stream.recv.window() as usize;
        let share = self.reclaim(stream);
        let window = if self.free() >= self.target() {
            self.target()
        } else {
            self.obtain(old, table, scheduler)
        };
        if let Some(stream) = table.get_mut(key) {
            self.grant(window, key, stream);
            self.keep_unread(share, stream);
        }
    }

    /// Takes back what a stream has above its window, as far as it is read. Tells whether that was anything.
    pub(crate) fn settle(&mut self, stream: &mut Stream) -> bool {
        let share = stream.recv.share();
        if share == stream.recv.window() {
            return false;
        }
        self.keep_unread(share, stream);
        stream.recv.share() < share
    }

    /// Takes a stream's window, and what it has unread beyond, and tells how much that was.
    const fn reclaim(&mut self, stream: &mut Stream) -> u32 {
        let share = stream.recv.share();
        self.granted -= share as usize;
        stream.recv.grant(0);
        share
    }

    /// What is unread of a share stays where it is, however small the window.
    fn keep_unread(&mut self, share: u32, stream: &mut Stream) {
        let unread = share.min(width(stream.recv.queue.len()));
        self.granted -= stream.recv.share() as usize;
        stream.recv.set_share(unread);
        self.granted += stream.recv.share() as usize;
    }

    /// Gives a stream that has no window one. If there is none to give, the stream waits for it.
    fn grant(&mut self, window: usize, key: Key, stream: &mut Stream) {
        self.granted += window;
        stream.recv.grant(width(window));
        if window == 0 {
            stream.set(Flag::InStarved);
            self.starved.push(key);
        }
        // A window above what the last fruitless walk looked for makes another worth while.
        if self.nothing_above.is_some_and(|target| window > target) {
            self.nothing_above = None;
        }
    }

    /// Gives those who wait what a stream has above its share, once that is read. Its peer is not told of every read.
    pub(crate) fn share(&mut self, key: Key, table: &mut Table, scheduler: &mut Scheduler) {
        let target = self.target();
        if !self.starved.is_empty()
            && let Some(stream) = table.get_mut(key)
            && stream.recv.queue.len() <= target
            && self.cut(stream, target)
        {
            scheduler.owe_control(key, stream);
            self.grant_waiting(table, scheduler);
        }
    }

    /// Cuts the window of a stream whose peer sends no more down to what is unread.
    pub(crate) fn end(&mut self, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            let old = stream.recv.share();
            let unread = old.min(width(stream.recv.queue.len()));
            self.granted -= (old - unread) as usize;
            stream.recv.grant(unread);
        }
    }

    /// Takes the window of a stream back on which nothing more is received or read.
    pub(crate) fn leave(&mut self, stream: &mut Stream) {
        if stream.has(Flag::InWindows) {
            stream.clear(Flag::InWindows);
            self.reclaim(stream);
            self.count -= 1;
        }
    }

    /// A stream that has left may still stand among the holders.
    pub(crate) fn forget(&mut self, starved: bool, table: &Table) {
        if starved {
            self.starved.forget(|key| {
                table
                    .get(key)
                    .is_some_and(|stream| stream.has(Flag::InStarved))
            });
        }
        self.holders.forget(|key| {
            table
                .get(key)
                .is_some_and(|stream| stream.has(Flag::InWindows))
        });
    }

    const fn free(&self) -> usize {
        self.budget.saturating_sub(self.granted)
    }

    /// The window that each stream should have.
    fn target(&self) -> usize {
        (self.budget / self.count.max(1).next_power_of_two()).clamp(self.floor, self.largest)
    }

    /// As much of the target as is free, or comes free by cutting older windows, but at least the
    /// floor and no less than `old` if the target is no less; or 0 if unread data leaves
    /// no room for that.
    fn obtain(&mut self, old: usize, table: &mut Table, scheduler: &mut Scheduler) -> usize {
        let target = self.target();
        let least = self.floor.max(old.min(target));
        // Where a walk found nothing to cut, another would find nothing either, unless the target is lower
        // or somebody has been granted more since.
        let pointless = self.nothing_above.is_some_and(|seen| target >= seen);
        let looks = if pointless { 0 } else { MOST_LOOKS };
        let mut looked = 0;
        for _ in 0..self.holders.len() {
            let enough = if looked < EFFORT { target } else { least };
            if self.free() >= enough || looked >= looks {
                break;
            }
            let Some(key) = self.holders.pop() else { break };
            let Some(stream) = table.get_mut(key) else {
                continue;
            };
            if !stream.has(Flag::InWindows) {
                continue;
            }
            looked += 1;
            self.holders.push(key);
            if self.cut(stream, target) {
                scheduler.owe_control(key, stream);
            }
        }
        if looked == self.holders.len() && self.free() < least {
            self.nothing_above = Some(target);
        }
        match self.free().min(target) {
            window if window < self.floor => 0,
            window => window,
        }
    }

    /// Cuts a window to the target. What is unread fills memory and is not free, whatever the peer is told.
    fn cut(&mut self, stream: &mut Stream, target: usize) -> bool {
        let keep = target.max(stream.recv.queue.len());
        if stream.recv.window() as usize <= keep || stream.has(Flag::PeerFinished) {
            return false;
        }
        self.granted -= stream.recv.share() as usize - keep;
        stream.recv.grant(width(keep));
        stream.set(Flag::OwesUpd);
        true
    }
}

/// A window as it stands on the wire: budgets are below 2^31.
fn width(window: usize) -> u32 {
    u32::try_from(window).unwrap_or(u32::MAX >> 1)
}
