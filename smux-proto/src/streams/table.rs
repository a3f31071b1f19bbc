//! The streams of a session, by id.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use crate::{
    buffer::segments::Queue,
    streams::{
        chains::{Chains, NONE},
        stream::Stream,
    },
    wire::StreamId,
};

/// Slots kept when the table empties, so that a session whose streams come and go in crowds does
/// not allocate for each crowd.
const KEEP: usize = 12;

/// Where a stream stands. Ids are used again and slots are too, so the serial number tells whether
/// the place still belongs to the same stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    slot: u32,
    serial: u32,
}

impl Key {
    /// The key of no stream.
    pub(super) const NONE: Self = Self {
        slot: NONE,
        serial: 0,
    };

    /// Its place among the streams of its session, which no other stream has at the same time; free
    /// places are taken first.
    pub(crate) const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Streams in slots, found by id in constant time.
///
/// The peer chooses the ids, so the hash is seeded: without the seed no peer can pick ids that
/// collide. Streams whose hashes end alike are linked to a chain, of one stream on average: a
/// search compares ids where it lands, and has no other table to look at.
#[derive(Debug)]
pub(crate) struct Table {
    /// In use or not: a slot that is free keeps its last stream, with another serial number.
    streams: Vec<Stream>,
    /// The first free slot; the next one is linked to it as if to a chain.
    free: u32,
    used: usize,
    /// At least one chain a stream.
    slots: Chains,
    /// Streams ever added, modulo 2^32: no key lives that long.
    serial: u32,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            streams: Vec::new(),
            free: NONE,
            used: 0,
            slots: Chains::new(seed),
            serial: 0,
        }
    }

    /// Places for streams, in use or not.
    pub(crate) fn capacity(&self) -> usize {
        self.streams.capacity()
    }

    #[inline]
    pub(crate) fn find(&self, id: StreamId) -> Option<Key> {
        self.find_stream(id).map(|(key, _)| key)
    }

    /// As [`find`](Self::find), with the stream.
    #[inline]
    pub(crate) fn find_stream(&self, id: StreamId) -> Option<(Key, &Stream)> {
        let mut slot = self.slots.head(id);
        loop {
            let stream = self.streams.get(slot as usize)?;
            if stream.id == id {
                let serial = stream.serial;
                return Some((Key { slot, serial }, stream));
            }
            slot = stream.chained;
        }
    }

    /// As [`find_stream`](Self::find_stream), for a change.
    #[inline]
    pub(crate) fn find_stream_mut(&mut self, id: StreamId) -> Option<(Key, &mut Stream)> {
        let key = self.find(id)?;
        let stream = self.streams.get_mut(key.slot as usize)?;
        Some((key, stream))
    }

    /// Adds a stream whose id is not in the table.
    // Inlined, a stream is made in its place.
    #[inline(always)]
    pub(crate) fn insert(&mut self, mut stream: Stream) -> Key {
        self.serial = self.serial.wrapping_add(1);
        stream.serial = self.serial;
        if self.used == self.slots.len() {
            self.add_chains();
        }
        self.used += 1;
        let key = Key {
            slot: match self.free {
                NONE => self.end(),
                free => free,
            },
            serial: self.serial,
        };
        if let Some(head) = self.slots.head_mut(stream.id) {
            stream.chained = core::mem::replace(head, key.slot);
        }
        match self.streams.get_mut(key.slot as usize) {
            Some(place) => {
                self.free = place.chained;
                *place = stream;
            }
            None => self.streams.push(stream),
        }
        key
    }

    /// The slot that the next stream adds, for which it makes room.
    #[cold]
    fn end(&mut self) -> u32 {
        // Doubling would leave up to half of the table unused. Most sessions have one stream.
        if self.streams.len() == self.streams.capacity() {
            self.streams.reserve_exact((self.streams.len() / 8).max(2));
        }
        // The stream limits keep the table far below 2^32 entries.
        u32::try_from(self.streams.len()).unwrap_or(NONE)
    }

    /// Doubles the number of chains.
    #[cold]
    fn add_chains(&mut self) {
        self.slots.reset((2 * self.slots.len()).max(4));
        for (slot, stream) in (0..).zip(&mut self.streams) {
            if !stream.is_vacant()
                && let Some(head) = self.slots.head_mut(stream.id)
            {
                stream.chained = core::mem::replace(head, slot);
            }
        }
    }

    /// Takes a stream out of its chain.
    #[inline]
    fn unchain(&mut self, slot: u32, id: StreamId, next: u32) {
        let Some(head) = self.slots.head_mut(id) else {
            return;
        };
        if *head == slot {
            *head = next;
            return;
        }
        let mut before = *head;
        while let Some(stream) = self.streams.get_mut(before as usize) {
            if stream.chained == slot {
                stream.chained = next;
                return;
            }
            before = stream.chained;
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&Stream> {
        self.streams
            .get(key.slot as usize)
            .filter(|stream| stream.serial == key.serial)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Stream> {
        self.streams
            .get_mut(key.slot as usize)
            .filter(|stream| stream.serial == key.serial)
    }

    /// Returns the number of slots, taken or not.
    pub(crate) fn slots(&self) -> usize {
        self.streams.capacity()
    }

    /// Returns the stream in this slot.
    pub(crate) fn at_slot(&mut self, slot: usize) -> Option<(Key, &mut Stream)> {
        let stream = self.streams.get_mut(slot).filter(|s| !s.is_vacant())?;
        let key = Key {
            slot: u32::try_from(slot).unwrap_or(NONE),
            serial: stream.serial,
        };
        Some((key, stream))
    }

    /// Takes a stream out, which [`removed`](Self::removed) still shows then. Returns whether it
    /// was there.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> bool {
        let Some(stream) = self.get(key) else {
            return false;
        };
        self.unchain(key.slot, stream.id, stream.chained);
        let free = core::mem::replace(&mut self.free, key.slot);
        self.used -= 1;
        let stream = &mut self[key];
        stream.vacate();
        stream.chained = free;
        // So far from those to come that no key finds it.
        stream.serial ^= 1 << 31;
        true
    }

    /// What a stream was that has just been removed: it is not moved, nor copied.
    pub(crate) fn removed(&self, key: Key) -> &Stream {
        &self[key]
    }

    /// Gives memory up if there is no stream left.
    #[inline]
    pub(crate) fn trim(&mut self) {
        if self.used == 0 && self.streams.capacity() > KEEP {
            self.streams = Vec::new();
            self.free = NONE;
            self.slots.reset(0);
        }
    }

    /// Both queues of every stream.
    pub(crate) fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        let streams = self.streams.iter_mut().filter(|s| !s.is_vacant());
        streams.flat_map(|stream| [&mut stream.recv.queue, &mut stream.send.queue])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|s| !s.is_vacant())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let slots = (0..).zip(&self.streams);
        let used = slots.filter(|(_, stream)| !stream.is_vacant());
        used.map(|(slot, stream)| Key {
            slot,
            serial: stream.serial,
        })
    }
}

/// For keys that were found under the same borrow, whose streams are therefore there.
impl Index<Key> for Table {
    type Output = Stream;

    #[inline]
    fn index(&self, key: Key) -> &Stream {
        &self.streams[key.slot as usize]
    }
}

impl IndexMut<Key> for Table {
    #[inline]
    fn index_mut(&mut self, key: Key) -> &mut Stream {
        &mut self.streams[key.slot as usize]
    }
}

/// Using up the serial numbers through the public interface would take 2^32 streams.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_finds_the_next_stream_of_its_slot() {
        let mut table = Table::new(0);
        table.serial = u32::MAX - 2;
        let mut before = None;
        for id in (3..13).step_by(2).map(StreamId::new) {
            let key = table.insert(Stream::new(id, 0));
            assert_eq!(table.find(id), Some(key));
            if let Some(before) = before.replace(key) {
                assert_eq!(key.slot, before.slot);
                assert!(table.get(before).is_none(), "{before:?} after {key:?}");
            }
            assert!(table.remove(key));
        }
        assert_eq!(table.serial, 2, "past the end");
    }
}
