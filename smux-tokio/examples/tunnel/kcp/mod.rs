//! KCP as kcptun speaks it: in stream mode, with its parameters.
//!
//! The protocol is that of the crate `kcp`. Sockets, timers and what strangers may send are here.
//!
//! | file | job |
//! |---|---|
//! | `datagram.rs` | the frame of a datagram, and telling what is no KCP |
//! | `endpoint.rs` | a UDP socket and the conversations on it |
//! | `conversation.rs` | one conversation and its timer |
//! | `sender.rs` | its datagrams on their way out |
//! | `stream.rs` | a conversation as a stream of bytes |

mod conversation;
mod datagram;
mod endpoint;
mod sender;
mod stream;

pub(crate) use endpoint::{Listener, connect};
pub(crate) use stream::Stream;
