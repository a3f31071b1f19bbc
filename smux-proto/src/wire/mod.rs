//! Frames as they stand on the wire.

mod decoder;
mod error;
mod frame;
mod names;
mod other_protocol;

pub(crate) use decoder::{Decoder, Item, WholeFrame};
pub use error::ProtocolError;
pub use frame::{Header, WindowUpdate};
pub use names::{Command, FrameClass, Side, StreamId, Version};
pub use other_protocol::OtherProtocol;
