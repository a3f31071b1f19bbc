//! The places for parts of queues, used again and again.

use alloc::vec::Vec;

use super::{
    queue::{ENTRY, INLINE, NIL, Queue},
    segment::{Content, Inline},
};

/// A part of a queue, and which one follows.
pub(super) struct Node {
    pub(super) content: Content,
    /// In a place that is free: the next such place.
    pub(super) next: u32,
    /// What it adds to its queue's cost.
    pub(super) cost: u32,
}

impl Node {
    pub(super) fn replace(&mut self, queue: &mut Queue, content: Content) -> Content {
        queue.cost -= self.cost;
        self.cost = content.cost();
        queue.cost += self.cost;
        core::mem::replace(&mut self.content, content)
    }
}

/// What the entries of the arena are counted for.
const _: () = assert!(size_of::<Node>() * 5 / 4 <= ENTRY);

/// Parts of queues in places that stay where they are.
///
/// A place that is free keeps its bytes, so that a small message is written where it will lie: it
/// is neither built elsewhere and moved in, nor moved out before it is dropped.
pub(super) struct Arena {
    nodes: Vec<Node>,
    /// The first place that is free.
    free: u32,
    used: usize,
}

impl Arena {
    pub(super) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: NIL,
            used: 0,
        }
    }

    pub(super) fn with_capacity(nodes: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(nodes),
            ..Self::new()
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.used
    }

    pub(super) const fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    /// The part in this place, which is in use or [`NIL`].
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Node> {
        self.nodes.get_mut(index as usize)
    }

    /// Takes a place for a copy of at most [`INLINE`] bytes.
    #[inline(always)]
    pub(super) fn insert_copy(&mut self, data: &[u8]) -> u32 {
        debug_assert!(data.len() <= INLINE);
        match self.take_small() {
            Some((index, Content::Inline(inline))) => {
                inline.refill(data);
                index
            }
            Some((index, content)) => {
                content.become_inline(data);
                index
            }
            None => self.insert(Content::inline(data)),
        }
    }

    /// As [`insert_copy`](Self::insert_copy), of the first `count` bytes of a block. All are
    /// copied: that is eight moves, and no call.
    #[inline(always)]
    pub(super) fn insert_block(&mut self, block: &[u8; INLINE], count: usize) -> u32 {
        match self.take_small() {
            Some((index, Content::Inline(inline))) => {
                inline.refill_block(block, count);
                index
            }
            Some((index, content)) => {
                content.become_inline(&block[..count]);
                index
            }
            None => self.insert(Content::inline(&block[..count])),
        }
    }

    /// Takes a place for bytes of its own, if one is free, with what was there before.
    #[inline(always)]
    fn take_small(&mut self) -> Option<(u32, &mut Content)> {
        let index = self.free;
        let node = self.nodes.get_mut(index as usize)?;
        self.free = node.next;
        self.used += 1;
        (node.next, node.cost) = (NIL, Inline::COST);
        Some((index, &mut node.content))
    }

    #[inline(never)]
    pub(super) fn insert(&mut self, content: Content) -> u32 {
        let index = self.take();
        if let Some(node) = self.get_mut(index) {
            (node.next, node.cost) = (NIL, content.cost());
            node.content = content;
        }
        index
    }

    /// Frees a place that is in use and holds bytes of its own.
    #[inline]
    pub(super) fn remove_copy(&mut self, index: u32) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.next = self.free;
            self.free = index;
            self.used -= 1;
        }
    }

    /// Frees a place that is in use, if it holds bytes of its own of which none has been taken.
    /// They stay there until the place is taken again.
    #[inline]
    pub(super) fn remove_whole(&mut self, index: u32) -> Option<&[u8; INLINE]> {
        let node = self.nodes.get_mut(index as usize)?;
        let Content::Inline(inline) = &node.content else {
            return None;
        };
        let bytes = inline.whole()?;
        node.next = self.free;
        self.free = index;
        self.used -= 1;
        Some(bytes)
    }

    /// Frees a place that is in use.
    pub(super) fn remove(&mut self, index: u32) -> Option<Content> {
        self.remove_copy(index);
        let node = self.nodes.get_mut(index as usize)?;
        let free = Content::Inline(Inline::new());
        Some(core::mem::replace(&mut node.content, free))
    }

    /// Takes a place, in which there may be anything.
    #[inline]
    fn take(&mut self) -> u32 {
        self.used += 1;
        let index = self.free;
        match self.nodes.get(index as usize) {
            Some(node) => {
                self.free = node.next;
                index
            }
            None => self.grow(),
        }
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        // Doubling would leave up to half of the arena unused. Most sessions have one stream.
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact((self.nodes.len() / 8).max(2));
        }
        self.nodes.push(Node {
            content: Content::Inline(Inline::new()),
            next: NIL,
            cost: 0,
        });
        // 2^32 parts do not fit in the limits that callers keep.
        u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
    }
}
