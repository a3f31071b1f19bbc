//! Unused buffers of all sessions together: those that a thread has at hand, behind them those of
//! the process, and behind these [regions](super::regions) and the allocator.

use alloc::sync::Arc;
use std::{
    cell::RefCell,
    sync::{LazyLock, Mutex},
    thread_local,
};

use super::{Buffer, BufferPool, BufferSource, regions::Piece};

/// Unused bytes of a thread: a large batch, which is taken and given back at a time.
const THREAD: usize = 256 << 10;
/// Unused bytes of the process, besides those of its threads.
const PROCESS: usize = 1 << 20;

thread_local! {
    static LOCAL: RefCell<BufferPool> = const { RefCell::new(BufferPool::new(THREAD)) };
}

/// A thread may take all the buffers that another one gives back. They meet here, at half a pool at
/// a time.
static SPILLED: Mutex<BufferPool> = Mutex::new(BufferPool::new(PROCESS));

static SHARED: LazyLock<Arc<dyn BufferSource>> = LazyLock::new(|| Arc::new(ThreadBuffers(())));

/// Buffers that all sessions of a thread share: at most 256 KiB unused in each thread, and 3 MiB in
/// the process.
///
/// The process's small ones are behind a lock that is tried and never waited for; the allocator is
/// behind both. Buffers of 32 and 64 KiB are pieces of regions, which have a short lock. 1 MiB of
/// each size stays. More of them come from further regions, each of which is freed as a whole once
/// its pieces are back: so the memory of a rush does not stay behind in the allocator. `Bytes` that
/// an application has read and keeps hold their whole region; its other pieces are used again.
///
/// With the GNU C library on 64 bits such a region takes 33 MB of address space, of which the
/// system provides what is used; elsewhere 1 MiB.
///
/// ```
/// use core::time::Duration;
///
/// use smux_proto::{Config, Session, ThreadBuffers};
///
/// let mut session = Session::client(Config::default(), 1, Duration::ZERO);
/// session.set_buffer_source(ThreadBuffers::shared());
/// ```
#[derive(Debug)]
pub struct ThreadBuffers(());

impl ThreadBuffers {
    /// The source for any session of any thread.
    pub fn shared() -> Arc<dyn BufferSource> {
        Arc::clone(&SHARED)
    }
}

impl BufferSource for ThreadBuffers {
    fn get(&self, size: usize) -> Buffer {
        // A thread that ends has lost its pool.
        let reused = LOCAL.try_with(|local| local.borrow_mut().reuse(size));
        match reused {
            Ok(Some(buffer)) => buffer,
            _ => refill(size),
        }
    }

    fn put(&self, buffer: Buffer) {
        let _ = LOCAL.try_with(|local| {
            let local = &mut *local.borrow_mut();
            if let Err(buffer) = local.keep(buffer) {
                spill(local, buffer);
            }
        });
    }
}

/// Buffers that all sessions of the process share: at most 3 MiB unused, the same as behind
/// [`ThreadBuffers`], and none in any thread.
///
/// For programs with a thread for each session or stream, where buffers that wait for their thread
/// would be most of an idle session. The lock is tried and never waited for; regions and the
/// allocator are behind it.
#[derive(Debug)]
pub struct ProcessBuffers(());

impl ProcessBuffers {
    /// The source for any session of any thread.
    pub fn shared() -> Arc<dyn BufferSource> {
        static SHARED: LazyLock<Arc<dyn BufferSource>> =
            LazyLock::new(|| Arc::new(ProcessBuffers(())));
        Arc::clone(&SHARED)
    }
}

impl BufferSource for ProcessBuffers {
    fn get(&self, size: usize) -> Buffer {
        let reused = SPILLED.try_lock().ok();
        let reused = reused.and_then(|mut spilled| spilled.reuse(size));
        reused.unwrap_or_else(|| new(size))
    }

    fn put(&self, buffer: Buffer) {
        // What it has no room for is freed without the lock.
        let _full = match SPILLED.try_lock() {
            Ok(mut spilled) => spilled.keep(buffer),
            Err(_) => Err(buffer),
        };
    }
}

#[cold]
fn refill(size: usize) -> Buffer {
    let reused = LOCAL.try_with(|local| {
        let mut spilled = SPILLED.try_lock().ok()?;
        let buffer = spilled.reuse(size)?;
        // As many of the same size as were spilled at a time, at most.
        let more = (THREAD / 4 / buffer.capacity()).max(1);
        let mut local = local.borrow_mut();
        for buffer in (1..more).map_while(|_| spilled.reuse(size)) {
            drop(local.keep(buffer));
        }
        Some(buffer)
    });
    reused.ok().flatten().unwrap_or_else(|| new(size))
}

fn new(size: usize) -> Buffer {
    let piece = Piece::new(size.next_power_of_two());
    piece.map_or_else(|| Buffer::vector(size), Buffer::piece)
}

#[cold]
fn spill(local: &mut BufferPool, buffer: Buffer) {
    if !buffer.is_poolable() {
        return;
    }
    if let Ok(mut spilled) = SPILLED.try_lock() {
        local.spill(&mut spilled, THREAD / 2);
    }
    drop(local.keep(buffer));
}
