//! The lock of this layer. Built for its own unit tests, it is one whose interleavings a test
//! decides: see `interleavings`. Everything else, the tests in `tests/` among it, has the lock of
//! `std`.

#[cfg(test)]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
pub(super) use std::sync::{Mutex, MutexGuard};
