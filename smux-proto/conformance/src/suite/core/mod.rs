//! The bare core as a host: a session with no more than an event loop needs.

mod end;
mod handle;
mod sockets;
mod virtual_host;

pub use self::{
    end::{End, Wait},
    handle::{CoreSession, CoreStream},
    sockets::CoreOverTcp,
    virtual_host::{CoreHost, VirtualEnd},
};

/// The seed of the stream tables' hash: fixed, so that a failure repeats.
const SEED: u64 = 0x5eed;
