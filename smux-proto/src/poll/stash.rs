//! Memory that a pump needs only while it runs: each thread has some, for all pumps that it polls.
//! A thread that waits for long leaves it to others.

use std::{
    cell::RefCell,
    mem,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread_local, vec,
    vec::Vec,
};

use arrayvec::ArrayVec;

use super::pacing::BUFFER;
use crate::buffer::BatchMemory;

/// Bytes that are looked at behind what a read has reported. Chosen, not tuned.
const BEHIND: usize = 64;

/// Pumps that run within each other: a session may be the transport of another.
const DEPTH: usize = 3;

struct Stash {
    reads: ArrayVec<ReadBuffer, DEPTH>,
    batches: ArrayVec<BatchMemory, DEPTH>,
    gathered: ArrayVec<Vec<u8>, DEPTH>,
}

thread_local! {
    static STASH: RefCell<Stash> = const {
        RefCell::new(Stash {
            reads: ArrayVec::new_const(),
            batches: ArrayVec::new_const(),
            gathered: ArrayVec::new_const(),
        })
    };
}

/// Read buffers that threads have left: at most 1 MiB. The lock is tried, and never waited for.
static LEFT: Mutex<ArrayVec<ReadBuffer, 16>> = Mutex::new(ArrayVec::new_const());

/// `None` in a thread that ends, which has lost its stash.
fn with<R>(act: impl FnOnce(&mut Stash) -> R) -> Option<R> {
    STASH.try_with(|stash| act(&mut stash.borrow_mut())).ok()
}

/// The name of a buffer's reader. Names are never reused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reader(u64);

impl Reader {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a transport reads into.
///
/// A transport may report more than it read: then the reader gets what it has read before, or
/// zeros, and never what another reader has.
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    /// How far it was ever used since it was all zeros.
    used: usize,
    /// The reader that used it last.
    reader: Reader,
}

impl ReadBuffer {
    /// One of `size` bytes. If that is [`BUFFER`], the thread's if it has one, or one that another
    /// thread has left.
    pub(super) fn take(reader: Reader, size: usize) -> Self {
        let reused = match size {
            BUFFER => with(|stash| stash.reads.pop())
                .flatten()
                .or_else(|| LEFT.try_lock().ok()?.pop()),
            _ => None,
        };
        let Some(mut buffer) = reused else {
            return Self {
                bytes: vec![0; size],
                used: 0,
                reader,
            };
        };
        if buffer.reader != reader {
            buffer.wipe();
            buffer.reader = reader;
        }
        buffer
    }

    /// Makes it all zeros, as far as it was used.
    ///
    /// A transport may also write more than it reports, which shows in what follows. To wipe all
    /// each time would cost more than small reads do.
    fn wipe(&mut self) {
        let used = mem::take(&mut self.used);
        // One comparison: a loop over the bytes took longer than all else that a small read does.
        let behind = &self.bytes[used..self.bytes.len().min(used + BEHIND)];
        let is_told = *behind == [0; BEHIND][..behind.len()];
        let used = if is_told { used } else { BUFFER };
        self.bytes[..used].fill(0);
    }

    /// Leaves it to the next reader of the thread, unless it is only a rest.
    pub(super) fn put(self) {
        if self.is_whole() {
            with(|stash| drop(stash.reads.try_push(self)));
        }
    }

    /// A copy of a part.
    pub(super) fn split_off(&self, part: Range<usize>) -> Self {
        Self {
            bytes: self.bytes[part].to_vec(),
            ..*self
        }
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is one of the stash, not a rest or a small one.
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.len() == BUFFER
    }

    /// Room for a read. What it reads is to be [noted](Self::note).
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Notes that a read has used so many bytes.
    pub(super) fn note(&mut self, count: usize) {
        self.used = self.used.max(count);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Leaves the thread's read buffers to other threads.
pub(super) fn leave_reads() {
    let reads = with(|stash| mem::take(&mut stash.reads));
    if let Ok(mut left) = LEFT.try_lock() {
        for buffer in reads.into_iter().flatten() {
            drop(left.try_push(buffer));
        }
    }
}

/// Whether the calling thread keeps memory for the pumps that it polls.
pub fn has_pump_memory() -> bool {
    let is_empty = |stash: &mut Stash| {
        stash.reads.is_empty() && stash.batches.is_empty() && stash.gathered.is_empty()
    };
    with(|stash| !is_empty(stash)).unwrap_or(false)
}

/// Gives up the memory that the calling thread keeps for the pumps that it polls: for a thread that
/// is about to wait for long. What it needs then, it takes again.
///
/// A thread keeps up to three read buffers of 64 KiB and the memory of up to three batches. With
/// many sessions a thread they are few. With a thread for each session they are most of what an
/// idle session costs.
pub fn release_pump_memory() {
    leave_reads();
    with(|stash| {
        stash.batches.clear();
        stash.gathered.clear();
    });
}

pub(super) fn take_batch() -> Option<BatchMemory> {
    with(|stash| stash.batches.pop()).flatten()
}

pub(super) fn put_batch(memory: BatchMemory) {
    with(|stash| drop(stash.batches.try_push(memory)));
}

/// An empty buffer for what a transport takes in one slice.
pub(super) fn take_gathered() -> Vec<u8> {
    with(|stash| stash.gathered.pop())
        .flatten()
        .unwrap_or_default()
}

pub(super) fn put_gathered(mut buffer: Vec<u8>) {
    buffer.clear();
    with(|stash| drop(stash.gathered.try_push(buffer)));
}
