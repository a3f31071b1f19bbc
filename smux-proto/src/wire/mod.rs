//! Frames as they stand on the wire.

mod decoder;
mod error;
mod frame;

pub(crate) use decoder::{Decoder, Item};
pub use error::ProtocolError;
pub use frame::{Command, FrameClass, Header, Side, StreamId, Version, WindowUpdate};
