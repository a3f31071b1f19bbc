//! Memory for payload: lent by a pool, queued in segments, collected into batches.

mod pool;
pub(crate) mod segments;
mod transmit;

pub use pool::BufferPool;
pub use transmit::Transmit;
