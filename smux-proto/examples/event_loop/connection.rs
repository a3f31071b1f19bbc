//! A session and its non-blocking socket.

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::Shutdown,
    time::Duration,
};

use bytes::Buf;
use mio::{event::Event, net::TcpStream};
use smux_proto::{Config, Session, Side, ThreadBuffers, Transmit};

/// Slices per write.
const SLICES: usize = 64;

/// What uses a session's streams.
pub(crate) trait Application {
    /// Does what can be done now. Called whenever the session may have
    /// [events](Session::poll_event).
    /// Returns the number of streams whose data was checked by it.
    fn run(&mut self, session: &mut Session) -> usize;
}

pub(crate) struct Connection {
    pub(crate) session: Session,
    pub(crate) socket: TcpStream,
    pub(crate) application: Box<dyn Application>,
    /// It waits for a [`round`](Self::round) already.
    pub(crate) is_ready: bool,
    /// Its earliest entry among the loop's deadlines.
    pub(crate) timer: Option<Duration>,
    /// The loop tells once when a socket becomes ready: it stays so until it would block.
    readable: bool,
    writable: bool,
    /// Read from the socket while the session had no room for it.
    unread: Vec<u8>,
    /// Of the session's output, what the socket has not taken yet.
    batch: Transmit,
    is_shut: bool,
}

impl Connection {
    pub(crate) fn new(
        side: Side,
        socket: TcpStream,
        application: Box<dyn Application>,
        now: Duration,
    ) -> io::Result<Self> {
        // Or small messages wait for each other.
        socket.set_nodelay(true)?;
        // The peer chooses the ids of its streams, and must not be able to choose some that collide
        // in our table.
        let seed = RandomState::new().hash_one(side);
        let mut session = match side {
            Side::Client => Session::client(Config::v2(), seed, now),
            Side::Server => Session::server(Config::v2(), seed, now),
        };
        session.set_buffer_source(ThreadBuffers::shared());
        Ok(Self {
            session,
            socket,
            application,
            is_ready: false,
            timer: None,
            readable: false,
            writable: false,
            unread: Vec::new(),
            batch: Transmit::new(),
            is_shut: false,
        })
    }

    pub(crate) fn socket_event(&mut self, event: &Event) {
        // What is wrong with a socket, reading or writing it will tell.
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// One read, one write, and what the application does about it. Then look whether the session
    /// [is terminated](Session::is_terminated), and else whether there is
    /// [more to do](Self::has_more_to_do). Returns the number of streams that were checked.
    pub(crate) fn round(&mut self, now: Duration, buffer: &mut [u8]) -> usize {
        if let Err(error) = self.receive(now, buffer) {
            self.session.handle_transport_error(error.into());
        }
        if let Err(error) = self.transmit(now) {
            // There may still be something to read.
            self.session.handle_write_error(now, error.into());
        }
        self.application.run(&mut self.session)
    }

    /// Whether a round would do something although the socket has nothing new to tell.
    pub(crate) fn has_more_to_do(&self) -> bool {
        let input = self.readable || !self.unread.is_empty();
        let output = self.batch.has_remaining()
            || self.session.wants_transmit()
            || (self.session.wants_shutdown() && !self.is_shut);
        (input && self.session.wants_input()) || (output && self.writable)
    }

    /// Reads once. While the session wants no input, nothing is read: the socket's buffers fill up,
    /// and the peer waits.
    fn receive(&mut self, now: Duration, buffer: &mut [u8]) -> io::Result<()> {
        if !self.session.wants_input() {
            return Ok(());
        }
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            self.deliver(now, &unread);
            return Ok(());
        }
        if !self.readable {
            return Ok(());
        }
        match self.socket.read(buffer) {
            Ok(0) => {
                // From now on the socket would say so again and again.
                self.readable = false;
                self.session.handle_eof(now);
            }
            Ok(count) => self.deliver(now, &buffer[..count]),
            Err(error) if must_wait(&error) => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The session may take a part only: the rest is kept until it has room.
    fn deliver(&mut self, now: Duration, data: &[u8]) {
        // After an error of the peer the session has ended, with that as its reason.
        let taken = self.session.handle_input(now, data).unwrap_or(data.len());
        self.unread.extend_from_slice(&data[taken..]);
    }

    /// Writes once. What the socket does not take stays in the batch.
    fn transmit(&mut self, now: Duration) -> io::Result<()> {
        // Also while the batch is not empty: so the session sees whether the socket takes
        // something.
        if !self.session.poll_transmit(now, &mut self.batch) {
            return self.shut();
        }
        if !self.writable {
            return Ok(());
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.batch.chunks_vectored(&mut slices);
        match self.socket.write_vectored(&slices[..count]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => self.batch.advance(count),
            Err(error) if must_wait(&error) => self.writable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A closing session has sent everything, so the peer must see the end. The socket is dropped
    /// only after the peer's own end: closed with unread input, it could lose our last data.
    fn shut(&mut self) -> io::Result<()> {
        if self.session.wants_shutdown() && !self.is_shut {
            self.is_shut = true;
            self.socket.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}

/// Until the socket becomes ready, or is connected at all.
fn must_wait(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}
