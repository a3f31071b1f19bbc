//! The loop: sockets that become ready, deadlines, and fairness between connections.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use slab::Slab;
use smux_proto::{CloseReason, Side};

use crate::{
    client::Client,
    connection::{Application, Connection},
    deadlines::Deadlines,
    echo::Echo,
};

/// Connections have the tokens from 0 on.
const LISTENER: Token = Token(usize::MAX);
/// Bytes per read: as large as fits in the processor's nearer cache. All connections share one
/// buffer.
const BUFFER: usize = 64 * 1024;

pub(crate) struct EventLoop {
    poll: Poll,
    listener: Option<TcpListener>,
    connections: Slab<Connection>,
    /// Connections that have something to do, each once.
    ready: VecDeque<usize>,
    deadlines: Deadlines,
    buffer: Vec<u8>,
    epoch: Instant,
    totals: Totals,
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Totals {
    /// Connections that came.
    pub(crate) accepted: usize,
    /// Streams whose data came back as it was sent.
    pub(crate) verified: usize,
    open: usize,
    /// Why sessions ended that should not have ended so.
    reasons: Vec<CloseReason>,
}

impl Totals {
    /// Whether no connection is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.open == 0
    }
}

impl EventLoop {
    pub(crate) fn new() -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the core has no clock, its caller has"
        )]
        let epoch = Instant::now();
        Ok(Self {
            poll: Poll::new()?,
            listener: None,
            connections: Slab::new(),
            ready: VecDeque::new(),
            deadlines: Deadlines::default(),
            buffer: vec![0; BUFFER],
            epoch,
            totals: Totals::default(),
        })
    }

    /// Sessions know time as what has passed since a moment of our choice.
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(crate) fn connections(&self) -> usize {
        self.totals.open
    }

    /// Serves those who connect. Returns the address.
    pub(crate) fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let mut listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        self.poll
            .registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        self.listener = Some(listener);
        Ok(address)
    }

    pub(crate) fn connect(&mut self, server: SocketAddr, data: &Rc<[u8]>) -> io::Result<()> {
        let socket = TcpStream::connect(server)?;
        self.add(Side::Client, socket, Box::new(Client::new(data)))?;
        // Sockets that wait to be accepted are limited: the server gets a turn.
        self.turn(Some(Duration::ZERO))
    }

    pub(crate) fn close_clients(&mut self) {
        let now = self.now();
        for key in 0..self.connections.capacity() {
            if let Some(connection) = self.connections.get_mut(key)
                && connection.session.side() == Side::Client
            {
                connection.session.close(now);
                self.make_ready(key);
            }
        }
    }

    /// Whether all sessions ended in order, and this many streams were verified.
    pub(crate) fn check(&self, verified: usize) -> io::Result<()> {
        let Totals { reasons, .. } = &self.totals;
        if self.totals.verified == verified && reasons.is_empty() {
            return Ok(());
        }
        let got = self.totals.verified;
        Err(io::Error::other(format!(
            "{got} of {verified} streams verified; sessions ended badly: {reasons:?}"
        )))
    }

    pub(crate) fn run_until(&mut self, is_done: impl Fn(&Totals) -> bool) -> io::Result<()> {
        while !is_done(&self.totals) && self.totals.reasons.is_empty() {
            self.turn(None)?;
        }
        Ok(())
    }

    pub(crate) fn run_until_time(&mut self, until: Duration) -> io::Result<()> {
        while self.now() < until {
            self.turn(Some(until.saturating_sub(self.now())))?;
        }
        Ok(())
    }

    /// Waits for a socket, a deadline, or as long as told at most, and does what there is to do.
    fn turn(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        let wait = match (self.time_to_wait(), at_most) {
            (Some(wait), Some(at_most)) => Some(wait.min(at_most)),
            (wait, at_most) => wait.or(at_most),
        };
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
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
        self.drive_ready()
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
            self.totals.verified += connection.round(now, &mut self.buffer);
            if connection.session.is_terminated() {
                self.remove(key)?;
                continue;
            }
            let deadline = connection.session.poll_timeout();
            self.deadlines.set(key, deadline, &mut connection.timer);
            if connection.has_more_to_do() {
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

    fn time_to_wait(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        Some(self.deadlines.next()?.saturating_sub(self.now()))
    }

    fn handle_timeouts(&mut self) {
        let now = self.now();
        while let Some((at, key)) = self.deadlines.pop(now) {
            let Some(connection) = self.connections.get_mut(key) else {
                continue;
            };
            if connection.timer != Some(at) {
                continue; // an earlier deadline came, or the key is another connection's by now
            }
            connection.timer = None;
            match connection.session.poll_timeout() {
                Some(deadline) if deadline > now => {
                    self.deadlines
                        .set(key, Some(deadline), &mut connection.timer);
                }
                _ => {
                    connection.session.handle_timeout(now);
                    self.make_ready(key);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok((socket, _)) => {
                    self.totals.accepted += 1;
                    self.add(Side::Server, socket, Box::new(Echo::default()))?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Of this one connection, which the client gave up.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
        self.totals.open += 1;
        self.make_ready(key);
        Ok(())
    }

    fn remove(&mut self, key: usize) -> io::Result<()> {
        let mut connection = self.connections.remove(key);
        self.totals.open -= 1;
        self.poll.registry().deregister(&mut connection.socket)?;
        match (connection.session.side(), connection.session.close_reason()) {
            (Side::Client, Some(CloseReason::Local)) => {}
            (Side::Server, Some(CloseReason::PeerClosed)) => {}
            (_, reason) => self.totals.reasons.extend(reason.cloned()),
        }
        Ok(())
    }
}
