//! The lock of this layer. Built for its own unit tests, it is one whose interleavings a test
//! decides: see `interleavings`. Everything else, the tests in `tests/` among it, has the lock of
//! `std`.

#[cfg(test)]
pub(super) use self::counted::{count_lock, locks_taken};
#[cfg(test)]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
pub(super) use std::sync::{Mutex, MutexGuard};

/// How often sessions of this thread were locked.
#[cfg(test)]
mod counted {
    use std::{cell::Cell, thread_local};

    thread_local! {
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::poll) fn count_lock() {
        TAKEN.set(TAKEN.get() + 1);
    }

    pub(in crate::poll) fn locks_taken() -> usize {
        TAKEN.get()
    }
}
