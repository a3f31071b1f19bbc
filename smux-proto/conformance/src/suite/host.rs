//! The interface between an implementation and the scenarios: blocking calls on sessions and
//! streams.
//!
//! # How to run the suite on a new adapter
//!
//! 1. In the adapter's `tests/conformance.rs` implement [`Adapter`]: one function that makes a
//!    session of one end of a connection. The drivers must run on threads of their own, since
//!    scenarios block.
//! 2. Its sessions are [`HostSession`]s and its streams [`HostStream`]s. Where the methods have the
//!    names that all adapters of this workspace use, [`host!`](crate::host!) implements both.
//!    Tell it how to wait for a call, how to finish a stream and how to split one. Otherwise
//!    implement both by hand; each method is one call.
//! 3. Keep the adapter's errors as they are: turn typed ones into [`io::Error`] with `into()`.
//!    Scenarios look for the typed error inside.
//! 4. Expand the suite, once per runtime or setting:
//!
//! ```text
//! // Every scenario, in both versions.
//! smux_conformance::suite!(over_tcp, MyAdapter::new());
//! // Over connections that behave badly.
//! smux_conformance::memory_suites!(in_memory, MyAdapter::new());
//! // Live Go peers.
//! smux_conformance::go_suite!(go, MyAdapter::new(), Newest);
//! ```
//!
//! The adapter adds no behaviour: a read without data waits, dropping a stream closes it, and
//! dropping the last session handle refuses streams that the peer opens.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use smux_proto::{CloseReason, Config, Priority, SessionStats, Side, StreamId, StreamStats};

use super::{
    connection::{Connection, tcp_pair},
    memory::{Behaviour, Memory},
    time::{PATIENCE, RealTime, Time, Wire},
};

/// An adapter under test. All of it runs on threads of its own; see the [module](self) for how to
/// write one.
pub trait Adapter: Send + Sync + 'static {
    /// Its sessions.
    type Session: HostSession;

    /// Starts a session on this side of a connection.
    fn connect(&self, side: Side, config: Config, connection: Connection) -> Self::Session;

    /// A client and a server that are connected with each other: over TCP, unless this adapter is
    /// to be tested over a transport that only its runtime has.
    fn pair(&self, client: Config, server: Config) -> (Self::Session, Self::Session) {
        self.pair_over(client, server, Connection::tcp_pair())
    }

    /// The same over this connection, of which the client has the first end.
    fn pair_over(
        &self,
        client: Config,
        server: Config,
        (near, far): (Connection, Connection),
    ) -> (Self::Session, Self::Session) {
        (
            self.connect(Side::Client, client, near),
            self.connect(Side::Server, server, far),
        )
    }
}

/// A handle on a session. An application that keeps only streams drops the last one.
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
    fn stream_count(&self) -> usize;

    /// The streams that the application holds, in any order.
    fn streams(&self) -> Vec<(StreamId, StreamStats)>;

    /// The session's counters.
    fn stats(&self) -> SessionStats;
}

/// A stream, closed when dropped. Calls wait as a blocking socket's do; `flush` waits until what
/// was written has left. What `fill_buf` lends counts as read once it is consumed.
pub trait HostStream: BufRead + Write + Send + Sized + 'static {
    /// The stream's number.
    fn id(&self) -> StreamId;

    /// Sets how its data ranks among that of others.
    fn set_priority(&self, priority: Priority);

    /// Ends this side's data with FIN, and flushes. Reading goes on.
    fn finish(&mut self) -> io::Result<()>;

    /// Two halves for two threads. Dropping the writing half finishes, dropping the reading half
    /// discards what arrives; the stream is closed when both are dropped.
    fn into_halves(self) -> (Box<dyn BufRead + Send>, Box<dyn Write + Send>);
}

/// What scenarios run on. Every [`Adapter`] is a host; the bare core is one with virtual time.
pub trait Host: Send + Sync + 'static {
    /// Its sessions.
    type Session: HostSession;

    /// How its scenarios wait.
    fn time(&self) -> &dyn Time;

    /// A session on this side of a connection in memory.
    fn connect_in_memory(&self, side: Side, config: Config, end: Memory) -> Self::Session;

    /// A client and a server that are connected with each other.
    fn pair(&self, client: Config, server: Config) -> (Self::Session, Self::Session) {
        self.pair_in_memory(client, server, [Behaviour::FAST; 2])
    }

    /// The same over a connection in memory; first the behaviour of what the client writes.
    fn pair_in_memory(
        &self,
        client: Config,
        server: Config,
        [there, back]: [Behaviour; 2],
    ) -> (Self::Session, Self::Session) {
        let (near, far) = Memory::pair(there, back);
        (
            self.connect_in_memory(Side::Client, client, near),
            self.connect_in_memory(Side::Server, server, far),
        )
    }

    /// A session, and the other end of its connection.
    fn wire(&self, side: Side, config: Config) -> (Self::Session, Box<dyn Wire>) {
        self.wire_in_memory(side, config, Behaviour::FAST)
    }

    /// The same over a connection in memory.
    fn wire_in_memory(
        &self,
        side: Side,
        config: Config,
        behaviour: Behaviour,
    ) -> (Self::Session, Box<dyn Wire>) {
        let (near, far) = Memory::pair(behaviour, behaviour);
        let session = self.connect_in_memory(side, config, near);
        (session, self.time().wire(far))
    }

    /// The factor by which a slow connection moves less data.
    fn slowness(&self) -> u64 {
        1
    }
}

impl<A: Adapter> Host for A {
    type Session = A::Session;

    fn time(&self) -> &dyn Time {
        &RealTime
    }

    fn connect_in_memory(&self, side: Side, config: Config, end: Memory) -> A::Session {
        self.connect(side, config, Connection::Memory(end))
    }

    fn pair(&self, client: Config, server: Config) -> (A::Session, A::Session) {
        Adapter::pair(self, client, server)
    }

    fn wire(&self, side: Side, config: Config) -> (A::Session, Box<dyn Wire>) {
        let (near, far) = tcp_pair();
        far.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let session = self.connect(side, config, Connection::Tcp(near));
        (session, Box::new(far))
    }
}

/// A client and a server that are connected with each other.
type Pair<A> = (<A as Adapter>::Session, <A as Adapter>::Session);

/// An adapter whose pairs are connected by a function.
#[derive(Debug)]
pub struct Joined<A: Adapter>(pub A, pub fn(&A, Config, Config) -> Pair<A>);

impl<A: Adapter> Joined<A> {
    /// By a Unix socket.
    #[cfg(unix)]
    pub fn over_unix(adapter: A) -> Self {
        Self(adapter, |adapter, client, server| {
            adapter.pair_over(client, server, Connection::unix_pair())
        })
    }
}

impl<A: Adapter> Adapter for Joined<A> {
    type Session = A::Session;

    fn connect(&self, side: Side, config: Config, connection: Connection) -> A::Session {
        self.0.connect(side, config, connection)
    }

    fn pair(&self, client: Config, server: Config) -> Pair<A> {
        (self.1)(&self.0, client, server)
    }
}

/// A host whose pairs are joined by a connection in memory that behaves like this, in both
/// directions.
#[derive(Debug)]
pub struct InMemory<H>(pub H, pub Behaviour);

impl<H: Host> Host for InMemory<H> {
    type Session = H::Session;

    fn time(&self) -> &dyn Time {
        self.0.time()
    }

    fn connect_in_memory(&self, side: Side, config: Config, end: Memory) -> H::Session {
        self.0.connect_in_memory(side, config, end)
    }

    fn pair(&self, client: Config, server: Config) -> (H::Session, H::Session) {
        self.pair_in_memory(client, server, [self.1; 2])
    }

    fn wire(&self, side: Side, config: Config) -> (H::Session, Box<dyn Wire>) {
        self.wire_in_memory(side, config, self.1)
    }

    fn slowness(&self) -> u64 {
        if self.1.max_piece < 1000 { 20 } else { 4 }
    }
}
