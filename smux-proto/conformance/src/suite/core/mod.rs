//! The bare core as a host: what little stands around a session in an event loop, and nothing else.

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
