//! What an implementation shows of itself to the scenarios: blocking calls on sessions and streams.
//!
//! # How to run the suite on a new adapter
//!
//! 1. In the adapter's `tests/conformance.rs` write a type for streams that is `Read + Write` and
//!    implements [`HostStream`], a type for sessions that implements [`HostSession`], and a type that
//!    implements [`Adapter`]. Each method is one call; an asynchronous adapter wraps it in its
//!    runtime's `block_on`. The drivers must run on threads of their own, since scenarios block.
//! 2. Keep the adapter's errors as they are: turn typed ones into [`io::Error`] with `into()`. Scenarios look
//!    for the typed error inside.
//! 3. Expand the suite, once per runtime or setting:
//!
//! ```ignore
//! smux_conformance::suite!(over_tcp, MyAdapter::new());           // every scenario, in both versions
//! smux_conformance::memory_suites!(in_memory, MyAdapter::new());  // over connections that behave badly
//! smux_conformance::go_suite!(go, MyAdapter::new(), Newest);      // live Go peers
//! ```
//!
//! The adapter must not answer on its own: a read that would have to wait waits, dropping a stream closes it,
//! dropping the last session handle refuses what the peer opens.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use smux_proto::{CloseReason, Config, SessionStats, Side, StreamId};

use super::{
    carrier::{Carrier, tcp_pair},
    memory::{Behaviour, Memory},
};

/// An adapter under test. All of it runs on threads of its own; see the [module](self) for how to write one.
pub trait Adapter: Send + Sync + 'static {
    /// Its sessions.
    type Session: HostSession;

    /// Starts a session on this side of a connection.
    fn connect(&self, side: Side, config: Config, carrier: Carrier) -> Self::Session;

    /// A client and a server that are connected with each other: over TCP, unless this adapter is to be tested over
    /// a transport that only its runtime has.
    fn pair(&self, client: Config, server: Config) -> (Self::Session, Self::Session) {
        let (near, far) = Carrier::tcp_pair();
        (
            self.connect(Side::Client, client, near),
            self.connect(Side::Server, server, far),
        )
    }
}

/// A handle on a session. Dropping the last one is how an application that holds only streams looks.
pub trait HostSession: Clone + Send + Sync + 'static {
    /// Its streams.
    type Stream: HostStream;

    /// Opens a stream; waits while that is not possible yet.
    fn open(&self) -> io::Result<Self::Stream>;

    /// Waits for a stream of the peer.
    fn accept(&self) -> io::Result<Self::Stream>;

    /// Closes the session and waits until its transport is dropped.
    fn close(&self) -> CloseReason;

    /// Refuses new streams, waits for the open ones to end, then closes; after `limit` in any case.
    fn drain(&self, limit: Duration) -> CloseReason;

    /// Ends the session at once.
    fn abort(&self);

    /// Waits until the session has ended and its transport is dropped.
    fn closed(&self) -> CloseReason;

    /// Whether the session has ended or is closing.
    fn is_closed(&self) -> bool;

    /// Why it has ended, or is closing.
    fn close_reason(&self) -> Option<CloseReason>;

    /// Streams that exist.
    fn streams(&self) -> usize;

    /// What the session did so far.
    fn stats(&self) -> SessionStats;
}

/// A stream, closed when dropped. Calls wait as a blocking socket's do; `flush` waits until what was written has left.
pub trait HostStream: Read + Write + Send + Sized + 'static {
    /// The stream's number.
    fn id(&self) -> StreamId;

    /// Ends this side's data with FIN, and flushes. Reading goes on.
    fn finish(&mut self) -> io::Result<()>;

    /// Two halves for two threads. Dropping the writing half finishes, dropping the reading half discards what
    /// arrives; the stream is closed when both are dropped.
    fn split(self) -> (Box<dyn Read + Send>, Box<dyn Write + Send>);
}

/// Something that a scenario does beside other things.
pub type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

/// What scenarios run on. Every [`Adapter`] is one; others bring their own idea of waiting, as the bare core does,
/// which runs in virtual time.
pub trait Host: Send + Sync + 'static {
    /// Its sessions.
    type Session: HostSession;

    /// A client and a server that are connected with each other.
    fn pair(&self, client: Config, server: Config) -> (Self::Session, Self::Session);

    /// The same over a connection in memory; first the behaviour of what the client writes.
    fn pair_over(
        &self,
        client: Config,
        server: Config,
        there: Behaviour,
        back: Behaviour,
    ) -> (Self::Session, Self::Session);

    /// A session, and the other end of its connection.
    fn wire(&self, side: Side, config: Config) -> (Self::Session, Box<dyn Wire>);

    /// The same over a connection in memory.
    fn wire_over(
        &self,
        side: Side,
        config: Config,
        behaviour: Behaviour,
    ) -> (Self::Session, Box<dyn Wire>);

    /// By how much less data is to be moved, since the connection is slow.
    fn slowness(&self) -> u64 {
        1
    }

    /// Runs all tasks at the same time, and waits for them.
    fn join(&self, tasks: Vec<Task<'_>>);

    /// Lets time pass in which nothing else is to happen.
    fn elapse(&self, time: Duration);

    /// Waits for a condition that no call waits for.
    ///
    /// # Panics
    ///
    /// If that takes too long.
    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool);
}

/// The bare end of a connection. Dropping it closes the connection.
pub trait Wire: Read + Write + Send {
    /// Ends the writing direction.
    fn finish(&mut self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// How long a scripted peer waits for a byte, and how long a scenario waits for a condition.
const PATIENCE: Duration = Duration::from_secs(10);

impl<A: Adapter> Host for A {
    type Session = A::Session;

    fn pair(&self, client: Config, server: Config) -> (A::Session, A::Session) {
        Adapter::pair(self, client, server)
    }

    fn pair_over(
        &self,
        client: Config,
        server: Config,
        there: Behaviour,
        back: Behaviour,
    ) -> (A::Session, A::Session) {
        let (near, far) = Carrier::memory_pair(there, back);
        (
            self.connect(Side::Client, client, near),
            self.connect(Side::Server, server, far),
        )
    }

    fn wire(&self, side: Side, config: Config) -> (A::Session, Box<dyn Wire>) {
        let (near, far) = tcp_pair();
        far.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let session = self.connect(side, config, Carrier::Tcp(near));
        (session, Box::new(far))
    }

    fn wire_over(
        &self,
        side: Side,
        config: Config,
        behaviour: Behaviour,
    ) -> (A::Session, Box<dyn Wire>) {
        let (near, far) = Memory::pair(behaviour, behaviour);
        let session = self.connect(side, config, Carrier::Memory(near));
        (session, Box::new(far))
    }

    fn join(&self, tasks: Vec<Task<'_>>) {
        thread::scope(|scope| {
            for task in tasks {
                scope.spawn(task);
            }
        });
    }

    fn elapse(&self, time: Duration) {
        pause(time);
    }

    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(
                Instant::now() < end,
                "waited {PATIENCE:?} in vain until {what}"
            );
            pause(Duration::from_millis(1));
        }
    }
}

/// An adapter whose pairs are joined by a Unix socket.
#[cfg(unix)]
#[derive(Debug)]
pub struct OverUnix<A>(pub A);

#[cfg(unix)]
impl<A: Adapter> Adapter for OverUnix<A> {
    type Session = A::Session;

    fn connect(&self, side: Side, config: Config, carrier: Carrier) -> A::Session {
        self.0.connect(side, config, carrier)
    }

    fn pair(&self, client: Config, server: Config) -> (A::Session, A::Session) {
        let (near, far) = Carrier::unix_pair();
        (
            self.connect(Side::Client, client, near),
            self.connect(Side::Server, server, far),
        )
    }
}

/// A host whose pairs are joined by a connection that behaves like this, in both directions.
#[derive(Debug)]
pub struct Over<H>(pub H, pub Behaviour);

impl<H: Host> Host for Over<H> {
    type Session = H::Session;

    fn pair(&self, client: Config, server: Config) -> (H::Session, H::Session) {
        self.0.pair_over(client, server, self.1, self.1)
    }

    fn pair_over(
        &self,
        client: Config,
        server: Config,
        there: Behaviour,
        back: Behaviour,
    ) -> (H::Session, H::Session) {
        self.0.pair_over(client, server, there, back)
    }

    fn wire(&self, side: Side, config: Config) -> (H::Session, Box<dyn Wire>) {
        self.0.wire_over(side, config, self.1)
    }

    fn wire_over(
        &self,
        side: Side,
        config: Config,
        behaviour: Behaviour,
    ) -> (H::Session, Box<dyn Wire>) {
        self.0.wire_over(side, config, behaviour)
    }

    fn slowness(&self) -> u64 {
        if self.1.max_piece < 1000 { 20 } else { 4 }
    }

    fn join(&self, tasks: Vec<Task<'_>>) {
        self.0.join(tasks);
    }

    fn elapse(&self, time: Duration) {
        self.0.elapse(time);
    }

    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool) {
        self.0.until(what, condition);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "that time passes is the event, and counters have no other"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}
