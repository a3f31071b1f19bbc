//! Who waits for what. Only data: nothing here wakes or drops a waker unless it says so.

use std::{collections::VecDeque, mem, task::Waker, vec::Vec};

use arrayvec::ArrayVec;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use slab::Slab;

use crate::streams::table::Key;

/// Wakers to wake once the lock is released.
#[derive(Default)]
pub(super) struct WakeList {
    inline: ArrayVec<Waker, { Self::INLINE }>,
    /// Only for the rare events that wake all waiters of a kind.
    more: Vec<Waker>,
}

impl WakeList {
    const INLINE: usize = 64;
    /// Kept free for what each round wakes besides the one task of a stream: the three pumps, and the second
    /// task if the peer has stopped the stream.
    const RESERVED: usize = 4;

    /// Whether there is room for one more stream without allocating.
    pub(super) fn has_room(&self) -> bool {
        self.inline.remaining_capacity() > Self::RESERVED
    }

    pub(super) fn push(&mut self, waker: Waker) {
        if let Err(full) = self.inline.try_push(waker) {
            self.more.push(full.element());
        }
    }

    /// Wakes all and leaves the list empty. Call it without the lock.
    pub(super) fn wake_all(&mut self) {
        self.inline.drain(..).for_each(Waker::wake);
        self.more.drain(..).for_each(Waker::wake);
    }
}

impl Extend<Waker> for WakeList {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        for waker in wakers {
            self.push(waker);
        }
    }
}

/// Puts `waker` into `slot`, unless the one in there wakes the same task. The one that it replaces is returned: drop
/// it without the lock.
#[must_use]
pub(super) fn replace(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match slot {
        Some(old) if old.will_wake(waker) => None,
        _ => slot.replace(waker.clone()),
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

/// Streams on which somebody waits.
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

    #[must_use]
    pub(super) fn register(
        &mut self,
        key: Key,
        interest: Interest,
        waker: &Waker,
    ) -> Option<Waker> {
        let slot = match interest {
            Interest::Read => &mut self.io(key).read,
            Interest::Write => &mut self.io(key).write,
            Interest::Stop => self.stop.entry(key).or_default(),
        };
        replace(slot, waker)
    }

    fn io(&mut self, key: Key) -> &mut StreamWakers {
        let slot = key.slot();
        if slot >= self.io.len() {
            self.io.resize_with(slot + 1, StreamWakers::default);
        }
        &mut self.io[slot]
    }

    pub(super) fn take(&mut self, key: Key, interest: Interest) -> Option<Waker> {
        match interest {
            Interest::Read => self.io.get_mut(key.slot())?.read.take(),
            Interest::Write => self.io.get_mut(key.slot())?.write.take(),
            Interest::Stop => self.stop.remove(&key)?,
        }
    }

    /// The stream is gone. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn forget(&mut self, key: Key) -> impl Sized + use<> {
        (
            self.io.get_mut(key.slot()).map(mem::take),
            self.stop.remove(&key),
        )
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

/// Tasks that wait for the same thing, each in a place of its own until it leaves.
#[derive(Default)]
pub(super) struct WaitQueue(Slab<Option<Waker>>);

impl WaitQueue {
    /// Waits in `place`, which is taken at the first call.
    #[must_use]
    pub(super) fn register(&mut self, place: &mut Option<usize>, waker: &Waker) -> Option<Waker> {
        match place.and_then(|place| self.0.get_mut(place)) {
            Some(slot) => replace(slot, waker),
            None => {
                *place = Some(self.0.insert(Some(waker.clone())));
                None
            }
        }
    }

    /// Gives up a place. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn leave(&mut self, place: usize) -> Option<Waker> {
        self.0.try_remove(place).flatten()
    }

    /// The wakers of all; their places stay taken.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Waker> {
        self.0.iter_mut().filter_map(|(_, slot)| slot.take())
    }
}

/// Streams whose bytes have all been taken for the transport and that wait until it is flushed that far.
///
/// A mark is a count of bytes since the session began. Each stream is in here once per mark it waits for, the lowest mark first.
#[derive(Default)]
pub(super) struct FlushQueue {
    waiting: VecDeque<(u64, Key)>,
    flushed: u64,
    ended: bool,
}

impl FlushQueue {
    /// How far the transport is known to be flushed.
    pub(super) fn flushed(&self) -> u64 {
        self.flushed
    }

    pub(super) fn set_flushed(&mut self, mark: u64) {
        self.flushed = self.flushed.max(mark);
    }

    /// Nothing is flushed any more.
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

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether somebody waits no longer.
    pub(super) fn is_due(&self) -> bool {
        self.waiting
            .front()
            .is_some_and(|&(mark, _)| mark <= self.flushed)
    }

    /// The next stream that waits no longer. It may have gone: then another may be woken that has its place, and looks again.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let &(mark, key) = self.waiting.front()?;
        if mark > self.flushed {
            return None;
        }
        self.waiting.pop_front();
        Some(key)
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
