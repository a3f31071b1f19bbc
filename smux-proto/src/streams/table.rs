//! The streams of a session, by id.

use core::{
    hash::BuildHasher,
    ops::{Index, IndexMut},
};

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use crate::{buffer::segments::Queue, streams::stream::Stream, wire::StreamId};

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
    /// Its place among the streams of its session, which no other stream has at the same time; free
    /// places are taken first.
    pub(crate) const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Streams in slots, found by id in constant time.
///
/// The peer chooses the ids, so the hash is seeded: without the seed no peer can pick ids that
/// collide.
#[derive(Debug)]
pub(crate) struct Table {
    streams: slab::Slab<Stream>,
    slots: HashTable<u32>,
    hash: FixedState,
    /// Streams ever added, modulo 2^32: no key lives that long.
    serial: u32,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            streams: slab::Slab::new(),
            slots: HashTable::new(),
            hash: FixedState::with_seed(seed),
            serial: 0,
        }
    }

    /// Places for streams, in use or not.
    pub(crate) fn capacity(&self) -> usize {
        self.streams.capacity()
    }

    #[inline]
    pub(crate) fn find(&self, id: StreamId) -> Option<Key> {
        let slot = *self.slots.find(self.hash.hash_one(id), |&slot| {
            self.streams
                .get(slot as usize)
                .is_some_and(|stream| stream.id == id)
        })?;
        let serial = self.streams.get(slot as usize)?.serial;
        Some(Key { slot, serial })
    }

    /// Adds a stream whose id is not in the table.
    #[inline]
    pub(crate) fn insert(&mut self, mut stream: Stream) -> Key {
        self.serial = self.serial.wrapping_add(1);
        stream.serial = self.serial;
        let (id, serial) = (stream.id, stream.serial);
        // Doubling would leave up to half of the table unused.
        if self.streams.len() == self.streams.capacity() {
            self.streams.reserve_exact((self.streams.len() / 8).max(4));
        }
        // The stream limits keep the table far below 2^32 entries.
        let slot = u32::try_from(self.streams.insert(stream)).unwrap_or(u32::MAX);
        let (streams, hash) = (&self.streams, &self.hash);
        self.slots.insert_unique(hash.hash_one(id), slot, |&slot| {
            streams
                .get(slot as usize)
                .map_or(0, |stream| hash.hash_one(stream.id))
        });
        Key { slot, serial }
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
        let stream = self.streams.get_mut(slot)?;
        let key = Key {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            serial: stream.serial,
        };
        Some((key, stream))
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<Stream> {
        let id = self.get(key)?.id;
        let entry = self
            .slots
            .find_entry(self.hash.hash_one(id), |&slot| slot == key.slot);
        if let Ok(entry) = entry {
            entry.remove();
        }
        let stream = self.streams.try_remove(key.slot as usize);
        if self.streams.is_empty() && self.streams.capacity() > KEEP {
            self.streams = slab::Slab::new();
            self.slots = HashTable::new();
        }
        stream
    }

    /// Both queues of every stream.
    pub(crate) fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        let streams = self.streams.iter_mut();
        streams.flat_map(|(_, stream)| [&mut stream.recv.queue, &mut stream.send.queue])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().map(|(_, stream)| stream)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.streams.iter().map(|(slot, stream)| Key {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
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
            assert!(table.remove(key).is_some());
        }
        assert_eq!(table.serial, 2, "past the end");
    }
}
