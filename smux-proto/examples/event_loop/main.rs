//! Many sessions in one thread: servers and clients on one event loop, with non-blocking sockets
//! and nothing else.
//!
//! A hundred clients connect to the server of the same program, each sends ten streams of data and
//! checks what comes back. It ends by itself. What is to be taken from here for a loop of your own:
//!
//! * `connection.rs`: a session and its socket. All rules of driving a session are in there.
//! * this file: the loop, with sockets that become ready, and deadlines.
//! * `echo.rs`, `client.rs`: two applications, to show how streams are used without waiting.
//!
//! Run it with `cargo run --release -p smux-proto --features std --example event_loop`.

mod client;
mod connection;
mod echo;

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use slab::Slab;
use smux_proto::{CloseReason, Side};

use self::{
    client::Client,
    connection::{Application, Connection},
    echo::Echo,
};

const CONNECTIONS: usize = 100;
/// Connections have the tokens from 0 on.
const LISTENER: Token = Token(usize::MAX);
/// Bytes per read: as large as fits in the processor's nearer cache. All connections share one
/// buffer.
const BUFFER: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let mut event_loop = EventLoop::bind()?;
    let data = Client::data();
    for _ in 0..CONNECTIONS {
        event_loop.connect(Box::new(Client::new(&data)))?;
    }
    event_loop.run()?;
    let Totals {
        verified, reasons, ..
    } = &event_loop.totals;
    let bytes = verified * Client::BYTES_PER_STREAM;
    let seconds = event_loop.now().as_secs_f64();
    println!(
        "{CONNECTIONS} connections, {verified} streams, {bytes} bytes echoed in {seconds:.2} s"
    );
    if *verified == CONNECTIONS * Client::STREAMS && reasons.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "sessions ended badly: {reasons:?}"
    )))
}

struct EventLoop {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// Connections that have something to do, each once.
    ready: VecDeque<usize>,
    buffer: Vec<u8>,
    epoch: Instant,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    /// Streams whose data came back as it was sent.
    verified: usize,
    /// Why sessions ended that should not have ended so.
    reasons: Vec<CloseReason>,
}

impl EventLoop {
    fn bind() -> io::Result<Self> {
        let poll = Poll::new()?;
        let localhost = "127.0.0.1:0".parse().map_err(io::Error::other)?;
        let mut listener = TcpListener::bind(localhost)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the core has no clock, its caller has"
        )]
        let epoch = Instant::now();
        Ok(Self {
            poll,
            listener,
            connections: Slab::new(),
            ready: VecDeque::new(),
            buffer: vec![0; BUFFER],
            epoch,
            totals: Totals::default(),
        })
    }

    /// Sessions know time as what has passed since a moment of our choice.
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Until all connections have ended.
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.connections.is_empty() {
            match self.poll.poll(&mut events, self.time_to_wait()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else if let Some(connection) = self.connections.get_mut(event.token().0) {
                    connection.socket_event(event);
                    self.make_ready(event.token().0);
                }
            }
            self.handle_timeouts();
            self.drive_ready()?;
        }
        Ok(())
    }

    /// A round of each connection that is ready now. Those that have more to do come again behind
    /// all others, and behind a look at the sockets, so that no connection keeps the loop for
    /// itself.
    fn drive_ready(&mut self) -> io::Result<()> {
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else {
                break;
            };
            let now = self.now();
            let connection = &mut self.connections[key];
            connection.is_ready = false;
            connection.round(now, &mut self.buffer);
            if connection.session.is_terminated() {
                self.remove(key)?;
            } else if connection.has_more_to_do() {
                self.make_ready(key);
            }
        }
        Ok(())
    }

    fn make_ready(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        if !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_back(key);
        }
    }

    /// This looks at every connection; with many thousands, keep their deadlines in a heap or a
    /// timer wheel.
    fn time_to_wait(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadlines = self.connections.iter();
        let next = deadlines.filter_map(|(_, connection)| connection.session.poll_timeout());
        Some(next.min()?.saturating_sub(self.now()))
    }

    fn handle_timeouts(&mut self) {
        let now = self.now();
        let mut due = Vec::new();
        for (key, connection) in &mut self.connections {
            if connection
                .session
                .poll_timeout()
                .is_some_and(|at| at <= now)
            {
                connection.session.handle_timeout(now);
                due.push(key);
            }
        }
        for key in due {
            self.make_ready(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.add(Side::Server, socket, Box::new(Echo::default()))?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Of this one connection, which the client gave up.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn connect(&mut self, application: Box<dyn Application>) -> io::Result<()> {
        let socket = TcpStream::connect(self.listener.local_addr()?)?;
        self.add(Side::Client, socket, application)
    }

    fn add(
        &mut self,
        side: Side,
        mut socket: TcpStream,
        application: Box<dyn Application>,
    ) -> io::Result<()> {
        let now = self.now();
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket, Token(key), both)?;
        entry.insert(Connection::new(side, socket, application, now)?);
        self.make_ready(key);
        Ok(())
    }

    fn remove(&mut self, key: usize) -> io::Result<()> {
        let mut connection = self.connections.remove(key);
        self.poll.registry().deregister(&mut connection.socket)?;
        self.totals.verified += connection.application.verified();
        match (connection.session.side(), connection.session.close_reason()) {
            (Side::Client, Some(CloseReason::Local)) => {}
            (Side::Server, Some(CloseReason::PeerClosed)) => {}
            (_, reason) => self.totals.reasons.extend(reason.cloned()),
        }
        Ok(())
    }
}
