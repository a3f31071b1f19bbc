//! The layer that every runtime adapter shares: one lock, the wakers, the driver and the drop
//! rules.
//!
//! It needs `std` for a mutex and `std::io::Error`, and no runtime: an adapter brings its
//! transport, its clock and its timer, wraps the handles in its runtime's traits, and decides
//! nothing about the protocol.
//!
//! ```text
//!   SessionHandle  StreamHandle  StreamHandle        any task or thread, any number
//!         │              │             │
//!         └──────────────┼─────────────┘
//!                        ▼
//!          Mutex<Session + wakers>                   lock, act, drain events, unlock, wake
//!                        ▲
//!         ┌──────────────┼─────────────┐
//!     ReadPump      WritePump      TimerPump         one task (Driver) or a thread each
//!         │              │             │
//!   TransportRead  TransportWrite    a sleep         what an adapter implements
//! ```
//!
//! The lower halves of the pumps are an [`Engine`], for transports with completion I/O: its caller
//! owns the buffers, and tells what was read and written.
//!
//! # Contract
//!
//! * **No I/O under the lock.** A pump takes a batch under the lock and writes it without; it reads
//!   into its own buffer without the lock and hands over the bytes under it.
//! * **No code of others under the lock**: it may come back here. Without it, wakers are cloned,
//!   woken and dropped, and the owners of [`Bytes`](bytes::Bytes) dropped. So are buffers filled,
//!   values formatted, the clock read, and the transport's errors formatted and dropped. With
//!   feature `tracing`, events are collected under the lock, and the subscriber sees them without.
//! * **Reading never waits for writing**, nor the other way round. Reading stops while the
//!   session's receive buffer is full, writing while there is nothing to write.
//! * **A wake-up is never lost.** Whether to wait is decided, and the waker stored, under one lock.
//!   The tasks that wait to open or accept have their turn one after the other; a waiter that is
//!   cancelled passes its turn on.
//! * **A pump is woken once** until it runs again, and only for a reason: output where there was
//!   none, room to read where there was none, an earlier deadline, the end.
//! * **Many small writes** of a stream lock the session once for some dozens of them. The rest goes
//!   to the stream's outbox, in room that the session has lent. Calls that depend on what was
//!   written take it in first.
//! * **Wakers of streams**: one for reading, one for writing and one for the peer's stop. Of
//!   several tasks that wait for the same on the same stream only the last one that polled is
//!   woken.
//! * **In steady state nothing is allocated.**
//!
//! # Who keeps what alive
//!
//! Dropping a handle never blocks, spawns or panics, and needs no runtime. When the last
//! [`SessionHandle`] is gone, streams that the peer opens are refused; when the last stream is gone
//! too, the session closes. When the session ends, its driver drops the transport and resolves.
//! When a driver is dropped before, the session is aborted. What has arrived stays readable either
//! way, for as long as its stream's handle lives.

mod addresses;
mod budget_queue;
mod budget_share;
mod copy;
mod dispatch;
mod driver;
mod engine;
mod flush_queue;
mod input;
#[cfg(test)]
mod interleavings;
mod outbox;
mod output;
mod pacing;
mod pump;
mod pumps;
mod read_pump;
mod session_handle;
mod shared;
mod shared_budget;
mod split;
mod stash;
mod state;
mod stream_handle;
mod sync;
mod timer_pump;
mod transport;
mod wait_queue;
mod wakers;
mod write_pump;

pub use addresses::Addresses;
pub use driver::{Driver, connect, connect_with_seed};
pub use engine::Engine;
pub use input::Input;
pub use output::{Output, Step};
pub use pacing::sleep_together;
pub use pumps::Pumps;
pub use read_pump::ReadPump;
pub use session_handle::{Incoming, SessionHandle, WeakSessionHandle};
pub use shared::SessionId;
pub use shared_budget::SharedBudget;
pub use split::{ReadHandle, ReuniteError, WriteHandle};
pub use stash::{has_pump_memory, release_pump_memory};
pub use stream_handle::StreamHandle;
pub use timer_pump::TimerPump;
pub use transport::{Clock, Timer, Transport, TransportRead, TransportWrite};
pub use write_pump::WritePump;

/// Handles move between threads and are shared by them, whatever the transport.
const _: () = {
    const fn check<T: Send + Sync + Unpin>() {}
    check::<SessionHandle>();
    check::<WeakSessionHandle>();
    check::<StreamHandle>();
    check::<ReadHandle>();
    check::<WriteHandle>();
    check::<Incoming>();
    check::<Pumps>();
    check::<Engine>();
    check::<Clock>();
    check::<SharedBudget>();
};
