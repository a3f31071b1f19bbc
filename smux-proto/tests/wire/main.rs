//! The wire: frames byte by byte, malformed input, and the version that the first frame decides.

mod detect;
mod frames;
mod input_vectors;
mod strangers;
