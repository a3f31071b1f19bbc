//! Streams: their life, their flow control, and which of them sends next.

mod flow;
mod life;
mod scheduling;
