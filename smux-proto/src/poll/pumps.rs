//! The three pumps that move a session: input, output and deadlines.
//!
//! A [`Driver`](super::Driver) runs them in one task. Threads can run one each, with a waker that
//! unparks the thread: then a thread that is blocked in its transport does not see the end of the
//! session. The thread that runs the [`TimerPump`] shuts the transport down when that pump is done.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::{
    pump::Pump, read_pump::ReadPump, session_handle::SessionHandle, shared::Shared,
    timer_pump::TimerPump, transport::Clock, write_pump::WritePump,
};
use crate::{Config, Session, Side, ThreadBuffers};

/// The three pumps of a session. The session is aborted if one is dropped before it is done.
#[derive(Debug)]
pub struct Pumps {
    /// Moves input.
    pub read: ReadPump,
    /// Moves output.
    pub write: WritePump,
    /// Keeps the deadlines and tells the end.
    pub timer: TimerPump,
}

impl Pumps {
    /// A new session: a handle for the application, and what moves it.
    pub fn new(side: Side, config: Config, clock: Clock) -> (SessionHandle, Self) {
        let mut session = new_session(side, config, &clock);
        session.set_buffer_source(ThreadBuffers::shared());
        let shared = Arc::new(Shared::new(session, clock));
        let pumps = Self {
            read: ReadPump::new(Pump::new(&shared)),
            write: WritePump::new(Pump::new(&shared)),
            timer: TimerPump::new(Pump::new(&shared)),
        };
        (SessionHandle::first(shared), pumps)
    }

    /// A task that polls all three begins with this call: one look at the clock serves all.
    pub(super) fn begin(&mut self) {
        let Self { read, write, timer } = self;
        let now = Some(read.pump.shared.now());
        read.pump.time = now;
        write.pump.time = now;
        timer.pump.time = now;
    }
}

/// The peer chooses stream ids: the seed of their hash is random, so that it cannot choose ids that
/// collide.
fn new_session(side: Side, config: Config, clock: &Clock) -> Session {
    let seed = RandomState::new().hash_one(side);
    match side {
        Side::Client => Session::client(config, seed, clock.now()),
        Side::Server => Session::server(config, seed, clock.now()),
    }
}
