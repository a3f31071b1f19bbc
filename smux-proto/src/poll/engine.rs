//! A session below its pumps, for transports that work on buffers of their own.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::{
    input::Input, output::Output, pump::Pump, session_handle::SessionHandle, shared::Shared,
    timer_pump::TimerPump, transport::Clock,
};
use crate::{BufferSource, Config, Session, Side, ThreadBuffers};

/// What moves a session whose transport takes buffers and gives them back, as with completion I/O.
///
/// The pumps lend a transport their buffers for the time of a call, and offer the same bytes again
/// if it is pending. An operation on `io_uring` or with overlapped I/O needs them until it
/// completes. Here the caller owns them:
///
/// * one task reads: [`Input`];
/// * one task writes, flushes and ends the writing side: [`Output`];
/// * one keeps the deadlines and learns of the end: [`TimerPump`], which needs only a sleep.
///
/// Once the timer is done, drop the two tasks with the operations that are in flight, then the
/// transport, then these three parts: the session counts as ended with the last of them. Each that
/// is dropped before aborts the session.
///
/// ```
/// use std::{task::{Context, Poll, Waker}, time::Duration};
///
/// use bytes::Buf;
/// use smux_proto::{Config, Side, Transmit, poll::{Clock, Engine, Step}};
///
/// let clock = Clock::new(|| Duration::ZERO);
/// let (client, mut near) = Engine::new(Side::Client, Config::v2(), clock.clone());
/// let (mut server, mut far) = Engine::new(Side::Server, Config::v2(), clock);
/// let cx = &mut Context::from_waker(Waker::noop());
///
/// let stream = client.try_open()?.expect("there is room for a stream");
/// assert_eq!(stream.poll_write(cx, b"hello"), Poll::Ready(Ok(5)));
///
/// // An operation would own the batch while it writes …
/// let mut batch = Transmit::new();
/// assert_eq!(near.output.poll_next(cx, &mut batch), Poll::Ready(Step::Write));
/// let on_the_wire = batch.chunk().to_vec();
/// batch.advance(on_the_wire.len());
///
/// // … and another one a buffer while it reads.
/// let mut read = on_the_wire.as_slice();
/// assert_eq!(far.input.poll_deliver(cx, &mut read), Poll::Ready(true));
///
/// let Poll::Ready(Ok(accepted)) = server.poll_accept(cx) else { panic!("a stream has come") };
/// let mut text = [0; 8];
/// assert_eq!(accepted.poll_read(cx, &mut text), Poll::Ready(Ok(5)));
/// assert_eq!(text[..5], *b"hello");
/// # Ok::<(), smux_proto::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    /// Takes what was read.
    pub input: Input,
    /// Tells what to write.
    pub output: Output,
    /// Keeps the deadlines and tells the end.
    pub timer: TimerPump,
}

impl Engine {
    /// A new session: a handle for the application, and what moves it.
    ///
    /// Where `std` has no randomness, as on `wasm32-unknown-unknown`, take
    /// [`with_seed`](Self::with_seed).
    pub fn new(side: Side, config: Config, clock: Clock) -> (SessionHandle, Self) {
        Self::with_seed(side, config, random_seed(side), clock)
    }

    /// As [`new`](Self::new), with the seed that [`Session`] takes: a random number that the peer
    /// must not know.
    pub fn with_seed(side: Side, config: Config, seed: u64, clock: Clock) -> (SessionHandle, Self) {
        Self::of(side, config, seed, clock, ThreadBuffers::shared())
    }

    /// As [`new`](Self::new), for a session that takes its buffers from `source`.
    pub fn with_buffers(
        side: Side,
        config: Config,
        clock: Clock,
        source: Arc<dyn BufferSource>,
    ) -> (SessionHandle, Self) {
        Self::of(side, config, random_seed(side), clock, source)
    }

    fn of(
        side: Side,
        config: Config,
        seed: u64,
        clock: Clock,
        source: Arc<dyn BufferSource>,
    ) -> (SessionHandle, Self) {
        let mut session = match side {
            Side::Client => Session::client(config, seed, clock.now()),
            Side::Server => Session::server(config, seed, clock.now()),
        };
        session.set_buffer_source(source);
        let shared = Arc::new(Shared::new(session, clock));
        let engine = Self {
            input: Input::new(Pump::new(&shared)),
            output: Output::new(Pump::new(&shared)),
            timer: TimerPump::new(Pump::new(&shared)),
        };
        (SessionHandle::first(shared), engine)
    }
}

/// The peer chooses stream ids: the seed of their hash is random, so that it cannot choose ids that
/// collide.
fn random_seed(side: Side) -> u64 {
    RandomState::new().hash_one(side)
}
