//! Which wakers wait for what. Only data: nothing here wakes or drops a waker unless documented.

use std::{
    mem,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    task::{Poll, Waker},
    time::Duration,
    vec::Vec,
};

use arrayvec::ArrayVec;
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::transport::Clock;
use crate::{Session, streams::table::Key, trace::Untold};

/// What is left to do once the lock is released: whatever runs code of others.
#[derive(Default)]
pub(super) struct Aftermath {
    inline: ArrayVec<Waker, { Self::INLINE }>,
    /// Only for the rare events that wake all waiters of a kind.
    more: Vec<Waker>,
    /// Payload of the user that was discarded.
    released: Vec<Bytes>,
    /// For the subscriber of `tracing`.
    untold: Untold,
}

impl Aftermath {
    const INLINE: usize = 64;
    /// Kept free for what each round wakes besides the one task of a stream: the pumps, and the
    /// second task if the peer has stopped the stream.
    const RESERVED: usize = 5;

    /// Whether there is room for one more stream without allocating.
    pub(super) fn has_room(&self) -> bool {
        self.inline.remaining_capacity() > Self::RESERVED
    }

    pub(super) fn push(&mut self, waker: Waker) {
        if let Err(full) = self.inline.try_push(waker) {
            self.more.push(full.element());
        }
    }

    pub(super) fn release(&mut self, payload: &mut Vec<Bytes>) {
        self.released.append(payload);
    }

    /// Call it once before each [`run`](Self::run).
    pub(super) fn tell(&mut self, untold: Untold) {
        self.untold = untold;
    }

    /// Wakes, drops and tells all, and is empty then. Call it without the lock.
    pub(super) fn run(&mut self) {
        self.inline.drain(..).for_each(Waker::wake);
        self.more.drain(..).for_each(Waker::wake);
        self.released.clear();
        mem::take(&mut self.untold).tell();
    }
}

impl Extend<Waker> for Aftermath {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        for waker in wakers {
            self.push(waker);
        }
    }
}

/// A task's waker on its way into the state.
///
/// It is cloned without the lock, and only when a slot asks for it. The waker that it replaces
/// is in here until this is dropped, without the lock as well.
pub(super) struct Spare<'a> {
    waker: &'a Waker,
    /// For calls that also tell the time when they wait.
    clock: Option<&'a Clock>,
    time: Option<Duration>,
    /// A clone to place, or what a clone has replaced.
    clone: Option<Waker>,
    placed: bool,
    missed: bool,
}

impl<'a> Spare<'a> {
    pub(super) fn of(waker: &'a Waker) -> Self {
        Self {
            waker,
            clock: None,
            time: None,
            clone: None,
            placed: false,
            missed: false,
        }
    }

    /// With the time for a call that waits.
    pub(super) fn timed(waker: &'a Waker, clock: &'a Clock) -> Self {
        Self {
            clock: Some(clock),
            ..Self::of(waker)
        }
    }

    /// Makes ready for a call that will probably wait, which then needs the lock only once. Call it
    /// without the lock.
    pub(super) fn make_ready(&mut self) {
        self.missed = true;
        self.refill();
    }

    /// Tells the session when the wait began that it is to measure.
    pub(super) fn tell_time(&mut self, session: &mut Session) {
        match self.time {
            Some(now) => session.advance_time(now),
            None => self.missed = true,
        }
    }

    /// Puts the waker into `slot`, unless the one in there wakes the same task. Without a clone it
    /// notes that one is missing, and places nothing.
    pub(super) fn place(&mut self, slot: &mut Option<Waker>) {
        if slot.as_ref().is_some_and(|old| old.will_wake(self.waker)) {
            return;
        }
        if self.clone.is_some() && !self.placed {
            mem::swap(slot, &mut self.clone);
            self.placed = true;
        } else {
            self.missed = true;
        }
    }

    /// Makes what was missing. True: try again to place it. Call it without the lock.
    pub(super) fn refill(&mut self) -> bool {
        let missed = mem::take(&mut self.missed);
        if missed {
            self.clone = Some(self.waker.clone());
            self.placed = false;
            self.time = self.clock.map(Clock::now);
        }
        missed
    }
}

/// Whether calls tend to wait, learnt from what they did.
///
/// After one that had to wait, the next does not. What comes after that one is what came last time:
/// a task that answers each message waits every other time, one that finds much to read does not.
#[derive(Default)]
pub(super) struct Habit(AtomicU8);

impl Habit {
    /// The last call had to wait.
    const WAITED: u8 = 1;
    /// The last call after one that did not wait had to.
    const WAITS: u8 = 2;

    /// Whether the next call will probably have to wait.
    pub(super) fn expects_wait(&self) -> bool {
        self.0.load(Relaxed) == Self::WAITS
    }

    /// Two threads may lose what one of them saw, which only costs time.
    pub(super) fn learn<R>(&self, poll: &Poll<R>) {
        let before = self.0.load(Relaxed);
        let now = match (poll.is_pending(), before & Self::WAITED != 0) {
            (true, false) => Self::WAITED | Self::WAITS,
            (true, true) => before,
            (false, true) => before & Self::WAITS,
            (false, false) => 0,
        };
        if now != before {
            self.0.store(now, Relaxed);
        }
    }
}

/// What to wait for on a stream; each may be a task of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Read,
    /// Room to write, or a flush.
    Write,
    /// That the peer reads no more.
    Stop,
}

/// The wakers of one stream's reader and writer.
#[derive(Default)]
pub(super) struct StreamWakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

/// Streams on which a task waits.
#[derive(Default)]
pub(super) struct BlockedStreams {
    /// By slot, which only one of the streams that have a handle has.
    io: Vec<StreamWakers>,
    /// For the peer's stop, which few wait for, and once: no other stream pays for it.
    stop: HashMap<Key, Option<Waker>, RandomState>,
}

impl BlockedStreams {
    /// Slots kept, so that streams that come and go in small crowds allocate nothing.
    const KEEP: usize = 256;

    // Inlined, and `take` too: half of them is to find out for what the task waits.
    #[inline]
    pub(super) fn register(&mut self, key: Key, interest: Interest, waker: &mut Spare<'_>) {
        let slot = match interest {
            Interest::Read => &mut self.io(key).read,
            Interest::Write => &mut self.io(key).write,
            Interest::Stop => self.stop.entry(key).or_default(),
        };
        waker.place(slot);
    }

    fn io(&mut self, key: Key) -> &mut StreamWakers {
        let slot = key.slot();
        if slot >= self.io.len() {
            self.io.resize_with(slot + 1, StreamWakers::default);
        }
        &mut self.io[slot]
    }

    #[inline]
    pub(super) fn take(&mut self, key: Key, interest: Interest) -> Option<Waker> {
        match interest {
            Interest::Read => self.io.get_mut(key.slot())?.read.take(),
            Interest::Write => self.io.get_mut(key.slot())?.write.take(),
            Interest::Stop => self.stop.remove(&key)?,
        }
    }

    /// The stream is gone: its reader and writer too. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn forget(&mut self, key: Key) -> impl Sized + use<> {
        self.io.get_mut(key.slot()).map(mem::take)
    }

    /// No stream has a handle any more: gives back the slots of a crowd.
    pub(super) fn trim(&mut self) {
        if self.io.len() > Self::KEEP {
            self.io = Vec::new();
        }
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let io = mem::take(&mut self.io).into_iter();
        let stop = mem::take(&mut self.stop).into_values();
        io.flat_map(|wakers| [wakers.read, wakers.write])
            .chain(stop)
            .flatten()
    }
}
