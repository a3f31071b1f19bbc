//! Frames as they stand on the wire.

mod decoder;
mod error;
mod frame;
mod names;

pub(crate) use decoder::{Decoder, Item};
pub use error::ProtocolError;
pub use frame::{Header, WindowUpdate};
pub use names::{Command, FrameClass, Side, StreamId, Version};
