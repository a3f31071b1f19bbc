//! Frames as they stand on the wire.

mod error;
mod frame;

pub use error::ProtocolError;
pub use frame::{Command, FrameClass, Header, Side, StreamId, Version, WindowUpdate};
