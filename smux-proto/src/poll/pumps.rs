//! The three pumps that move a session: input, output and deadlines.
//!
//! A [`Driver`](super::Driver) runs them in one task. Threads can run one each, with a waker that
//! unparks the thread: then a thread that is blocked in its transport does not see the end of the
//! session. The thread that runs the [`TimerPump`] shuts the transport down when that pump is done.

use std::sync::Arc;

use super::{
    engine::Engine, read_pump::ReadPump, session_handle::SessionHandle, timer_pump::TimerPump,
    transport::Clock, write_pump::WritePump,
};
use crate::{BufferSource, Config, Side};

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
    ///
    /// Where `std` has no randomness, as on `wasm32-unknown-unknown`, take
    /// [`with_seed`](Self::with_seed).
    pub fn new(side: Side, config: Config, clock: Clock) -> (SessionHandle, Self) {
        Self::of(Engine::new(side, config, clock))
    }

    /// As [`new`](Self::new), with a seed as of [`Engine::with_seed`].
    pub fn with_seed(side: Side, config: Config, seed: u64, clock: Clock) -> (SessionHandle, Self) {
        Self::of(Engine::with_seed(side, config, seed, clock))
    }

    /// As [`new`](Self::new), for a session that takes its buffers from `source`:
    /// [`ProcessBuffers`](crate::ProcessBuffers) if there is a thread for each session or stream.
    pub fn with_buffers(
        side: Side,
        config: Config,
        clock: Clock,
        source: Arc<dyn BufferSource>,
    ) -> (SessionHandle, Self) {
        Self::of(Engine::with_buffers(side, config, clock, source))
    }

    fn of((session, engine): (SessionHandle, Engine)) -> (SessionHandle, Self) {
        let pumps = Self {
            read: ReadPump::new(engine.input),
            write: WritePump::new(engine.output),
            timer: engine.timer,
        };
        (session, pumps)
    }

    /// A task that polls all three begins with this call: one look at the clock serves all.
    pub(super) fn begin(&mut self) {
        let Self { read, write, timer } = self;
        let (input, output) = (&mut read.input.pump, &mut write.output.pump);
        let now = Some(input.shared.now());
        input.time = now;
        output.time = now;
        timer.pump.time = now;
    }
}

/// They lie in the task of the session's driver.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Pumps>() <= 464);
