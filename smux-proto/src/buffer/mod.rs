//! Memory for payload: lent by a source, queued in segments, collected into batches.

pub(crate) mod copying;
mod lent;
mod pool;
#[cfg(feature = "std")]
mod regions;
pub(crate) mod segments;
mod source;
#[cfg(feature = "std")]
mod thread_buffers;
mod transmit;

pub use lent::Buffer;
pub use pool::BufferPool;
pub use source::BufferSource;
#[cfg(feature = "std")]
pub use thread_buffers::{ProcessBuffers, ThreadBuffers};
#[cfg(feature = "poll")]
pub(crate) use transmit::BatchMemory;
pub(crate) use transmit::Owner;
pub use transmit::Transmit;
