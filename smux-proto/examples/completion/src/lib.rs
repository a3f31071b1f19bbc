//! smux over [compio](https://docs.rs/compio), a runtime with completion I/O: an operation owns its
//! buffers until the kernel has completed it. It uses `io_uring` where the kernel has it, and
//! readiness elsewhere.
//!
//! An example of an adapter on the engine below the pumps, [`smux_proto::poll::Engine`].

mod driver;
mod session;
mod stream;

pub use driver::start;
pub use session::{Session, connect, over_tcp};
pub use smux_proto::{CloseReason, Config, Side};
pub use stream::{Half, ReadHalf, Stream, WriteHalf};
