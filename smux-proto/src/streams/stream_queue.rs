//! A queue of streams in which each stands at most once.

use alloc::{boxed::Box, vec::Vec};
use core::mem;

use crate::streams::table::Key;

/// Entries that may be stale before a removal makes it worth sweeping the queue.
const SWEEP: u32 = 32;
/// Places in the first queue that is not empty.
const FEWEST: usize = 4;

/// First-in first-out queue of stream keys.
///
/// That a stream stands in it at most once is a flag of the stream, which the caller keeps.
/// The entry of a stream that ends while it is queued becomes stale. [`Ring::forget`] counts
/// stale entries and removes them once they are the majority. So the queue is never longer than
/// twice its live entries plus a constant, at constant amortised cost.
///
/// A place is found by a mask, and [`push`](Self::push) is inlined: it takes half of the 24
/// instructions of a call to `VecDeque`.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// A power of two of them, or none.
    places: Box<[Key]>,
    /// Keys ever taken out, modulo 2^32: the place of the first one.
    head: u32,
    len: u32,
    stale: u32,
}

impl Ring {
    #[inline(always)]
    pub(crate) fn push(&mut self, key: Key) {
        if self.len() == self.places.len() {
            self.resize((2 * self.len()).max(FEWEST));
        }
        self.put(self.head.wrapping_add(self.len), key);
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, key: Key) {
        if self.len() == self.places.len() {
            self.resize((2 * self.len()).max(FEWEST));
        }
        self.head = self.head.wrapping_sub(1);
        self.put(self.head, key);
        self.len += 1;
    }

    /// The next key; it is stale if its stream has gone or no longer has the flag.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Key> {
        if self.len == 0 {
            return None;
        }
        let key = *self.places.get(self.place(self.head))?;
        self.head = self.head.wrapping_add(1);
        self.len -= 1;
        if self.len == 0 {
            self.stale = 0;
        }
        Some(key)
    }

    /// The next keys, in order: all of them, or those that lie side by side.
    #[inline]
    pub(crate) fn front(&self) -> &[Key] {
        let start = self.place(self.head);
        let end = (start + self.len()).min(self.places.len());
        self.places.get(start..end).unwrap_or_default()
    }

    /// Takes that many keys out, at most all.
    #[inline]
    pub(crate) fn drop_front(&mut self, count: u32) {
        let count = count.min(self.len);
        self.head = self.head.wrapping_add(count);
        self.len -= count;
        if self.len == 0 {
            self.stale = 0;
        }
    }

    /// Whether the streams of all entries stand in it.
    #[inline]
    pub(crate) const fn is_clean(&self) -> bool {
        self.stale == 0
    }

    /// Takes keys out as long as they are to go; one that is not is still the next.
    #[inline]
    pub(crate) fn pop_while(&mut self, mut goes: impl FnMut(Key) -> bool) {
        let mut gone = 0;
        while gone < self.len
            && let Some(&key) = self.places.get(self.place(self.head.wrapping_add(gone)))
            && goes(key)
        {
            gone += 1;
        }
        self.head = self.head.wrapping_add(gone);
        self.len -= gone;
        if self.len == 0 {
            self.stale = 0;
        }
    }

    /// Takes a live entry out, in time that grows with the queue.
    pub(crate) fn remove(&mut self, key: Key) {
        self.retain(|other| other != key);
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Notes that one entry became stale; `is_live` tells which entries are not.
    #[inline]
    pub(crate) fn forget(&mut self, is_live: impl Fn(Key) -> bool) {
        self.stale += 1;
        if self.stale > SWEEP + self.len / 2 {
            self.retain(is_live);
            self.stale = 0;
        }
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        let places = match self.len() {
            0 => 0,
            len => len.next_power_of_two(),
        };
        if places < self.places.len() {
            self.resize(places);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    fn place(&self, position: u32) -> usize {
        position as usize & self.places.len().wrapping_sub(1)
    }

    #[inline]
    fn put(&mut self, position: u32, key: Key) {
        let place = self.place(position);
        if let Some(free) = self.places.get_mut(place) {
            *free = key;
        }
    }

    /// Keeps those that are wanted, in their order.
    fn retain(&mut self, is_wanted: impl Fn(Key) -> bool) {
        for _ in 0..self.len {
            if let Some(key) = self.pop().filter(|&key| is_wanted(key)) {
                self.push(key);
            }
        }
    }

    /// Moves the keys, for which there is room, to so many places.
    #[cold]
    fn resize(&mut self, places: usize) {
        let mut old = mem::take(self);
        self.stale = old.stale;
        let mut keys = Vec::with_capacity(places);
        while let Some(key) = old.pop() {
            keys.push(key);
            self.len += 1;
        }
        keys.resize(places, Key::NONE);
        self.places = keys.into_boxed_slice();
    }
}
