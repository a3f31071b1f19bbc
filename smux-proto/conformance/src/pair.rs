//! Two sessions and the connection between them, in virtual time.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use fastrand::Rng;
use smux_proto::{Config, Event, Session, Side, StreamId, Transmit, TransportError};

use crate::pipe::{Death, Link, Pipe};

/// Steps after which [`Pair::drive`] gives up: the sessions never come to rest.
const MAX_STEPS: usize = 2_000_000;

/// One session with its side of the transport.
#[derive(Debug)]
pub struct End {
    /// The session. Calls that change it are seen by the next [`Pair::step`].
    pub session: Session,
    /// Every event since the last time they were taken.
    pub events: Vec<Event>,
    batch: Transmit,
    saw_end: bool,
    dropped: bool,
}

impl End {
    fn new(session: Session) -> Self {
        Self {
            session,
            events: Vec::new(),
            batch: Transmit::new(),
            saw_end: false,
            dropped: false,
        }
    }

    /// Whether the session has let go of its transport.
    pub fn dropped_transport(&self) -> bool {
        self.dropped
    }

    /// Whether something written has not left for the pipe yet.
    fn has_output(&self) -> bool {
        self.session.wants_transmit() || self.batch.has_remaining()
    }

    /// Opens a stream, which must be possible.
    pub fn open(&mut self) -> StreamId {
        match self.session.open() {
            Poll::Ready(Ok(id)) => id,
            other => panic!("open: {other:?}"),
        }
    }

    /// One write; 0 if it is pending.
    pub fn write(&mut self, id: StreamId, data: &[u8]) -> usize {
        match self
            .session
            .stream(id)
            .expect("the stream exists")
            .write(data)
        {
            Poll::Ready(result) => result.expect("the stream can be written"),
            Poll::Pending => 0,
        }
    }

    /// Reads what is there, up to `max` bytes; `None` at the end of the stream.
    pub fn read(&mut self, id: StreamId, max: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; max];
        let mut stream = self.session.stream(id).expect("the stream exists");
        match stream.read(&mut buffer) {
            Poll::Ready(Ok(0)) => None,
            Poll::Ready(Ok(count)) => Some(buffer[..count].to_vec()),
            Poll::Pending => Some(Vec::new()),
            Poll::Ready(Err(error)) => panic!("read: {error}"),
        }
    }

    /// Changes the batch size now and then, as a session's driver may.
    pub(crate) fn change_batch_size(&mut self, rng: &mut Rng) {
        if rng.u8(..16) == 0 {
            let sizes = [0, 1, 100, 5_000, 61_440, 245_760];
            self.batch.set_batch_size(sizes[rng.usize(..sizes.len())]);
        }
    }

    pub(crate) fn transmit(&mut self, now: Duration, pipe: &mut Pipe, rng: &mut Rng) -> bool {
        let mut moved = false;
        if self.session.poll_transmit(now, &mut self.batch) {
            match pipe.write(now, self.batch.chunk(), rng) {
                Ok(count) => {
                    self.batch.advance(count);
                    moved = count > 0;
                }
                Err(error) => self.session.handle_write_error(now, error),
            }
        }
        if self.session.wants_shutdown() && pipe.end.is_none() {
            pipe.end = Some(Death::Eof);
            moved = true;
        }
        moved
    }

    pub(crate) fn receive(&mut self, now: Duration, pipe: &mut Pipe, rng: &mut Rng) -> bool {
        if self.saw_end || !self.session.wants_input() {
            return false;
        }
        let data = pipe.peek(now, rng);
        if !data.is_empty() {
            let offered = data.len();
            // A protocol error is the session's close reason from here on: tests ask for that.
            let taken = self.session.handle_input(now, data).unwrap_or(offered);
            assert!(
                taken == offered || !self.session.wants_input(),
                "input left although it is wanted"
            );
            pipe.consume(taken);
            return taken > 0;
        }
        if pipe.held > 0 {
            return false;
        }
        match pipe.end {
            None => return false,
            Some(Death::Eof) => self.session.handle_eof(now),
            Some(Death::Reset) => self
                .session
                .handle_transport_error(TransportError::new("connection reset")),
        }
        self.saw_end = true;
        true
    }

    pub(crate) fn fire(&mut self, now: Duration) -> bool {
        let due = self.session.poll_timeout().is_some_and(|due| due <= now);
        if due {
            self.session.handle_timeout(now);
        }
        due
    }

    pub(crate) fn next_wake(&self, incoming: &Pipe) -> Option<Duration> {
        let arrival = incoming
            .next_arrival()
            .filter(|_| !self.saw_end && self.session.wants_input());
        arrival.into_iter().chain(self.session.poll_timeout()).min()
    }

    fn settle(&mut self, outgoing: &mut Pipe, incoming: &mut Pipe) -> bool {
        self.events
            .extend(std::iter::from_fn(|| self.session.poll_event()));
        self.let_go(outgoing, incoming)
    }

    /// Lets go of the transport as soon as the session allows it.
    pub(crate) fn let_go(&mut self, outgoing: &mut Pipe, incoming: &mut Pipe) -> bool {
        let drops = !self.dropped && self.session.is_terminated();
        if drops {
            self.dropped = true;
            outgoing.end.get_or_insert(Death::Eof);
            incoming.reader_gone = true;
        }
        drops
    }
}

/// A client and a server.
///
/// Only [`step`](Self::step) and the methods that call it make anything happen.
///
/// ```
/// use smux_conformance::pair::Pair;
/// use smux_proto::Config;
///
/// let mut pair = Pair::new(Config::default(), 1);
/// let id = pair.client.open();
/// pair.client.write(id, b"hello");
/// pair.drive();
/// assert_eq!(pair.accept(smux_proto::Side::Server), Some(id));
/// assert_eq!(pair.server.read(id, 16), Some(b"hello".to_vec()));
/// ```
#[derive(Debug)]
pub struct Pair {
    /// The client.
    pub client: End,
    /// The server.
    pub server: End,
    pub(crate) upstream: Pipe,
    pub(crate) downstream: Pipe,
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
}

impl Pair {
    /// Both ends configured alike, on a fast connection.
    pub fn new(config: Config, seed: u64) -> Self {
        Self::with(
            config.clone(),
            config,
            Link::default(),
            Link::default(),
            seed,
        )
    }

    /// Client and server on a connection with these two directions, first the client's.
    /// The seed decides all cuts.
    pub fn with(
        client: Config,
        server: Config,
        upstream: Link,
        downstream: Link,
        seed: u64,
    ) -> Self {
        let now = Duration::ZERO;
        Self {
            client: End::new(Session::client(client, seed, now)),
            server: End::new(Session::server(server, !seed, now)),
            upstream: Pipe::new(upstream),
            downstream: Pipe::new(downstream),
            now,
            rng: Rng::with_seed(seed),
        }
    }

    /// The virtual time since both sessions began.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The end on this side.
    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// A stream to accept on this side, if there is one.
    pub fn accept(&mut self, side: Side) -> Option<StreamId> {
        match self.end(side).session.accept() {
            Poll::Ready(Ok(id)) => Some(id),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    /// Closes the session on this side.
    pub fn close(&mut self, side: Side) {
        let now = self.now;
        self.end(side).session.close(now);
    }

    /// Each end writes once, reads once and fires what is due, at the present time. False: nothing
    /// happened.
    pub fn step(&mut self) -> bool {
        let (now, rng) = (self.now, &mut self.rng);
        let (up, down) = (&mut self.upstream, &mut self.downstream);
        let client = Self::step_end(&mut self.client, up, down, now, rng);
        client | Self::step_end(&mut self.server, down, up, now, rng)
    }

    fn step_end(
        end: &mut End,
        outgoing: &mut Pipe,
        incoming: &mut Pipe,
        now: Duration,
        rng: &mut Rng,
    ) -> bool {
        if end.dropped {
            return false;
        }
        let fired = end.fire(now);
        let sent = end.transmit(now, outgoing, rng);
        let received = end.receive(now, incoming, rng);
        let dropped = end.settle(outgoing, incoming);
        fired | sent | received | dropped
    }

    /// Steps until nothing moves any more and nothing is on its way. Time passes only as far as
    /// that takes.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn drive(&mut self) {
        self.run(|pair| pair.in_flight().then(|| pair.next_wake())?);
    }

    /// Lets `time` pass, with everything that happens in it.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        self.run(|pair| pair.next_wake().filter(|wake| *wake <= end));
        self.now = end;
    }

    /// Steps; when nothing moves, goes on at the time that `next` names, or ends.
    fn run(&mut self, next: impl Fn(&Self) -> Option<Duration>) {
        for _ in 0..MAX_STEPS {
            if self.step() {
                continue;
            }
            match next(self) {
                Some(wake) => self.now = self.now.max(wake),
                None => return,
            }
        }
        panic!("after {MAX_STEPS} steps the sessions are still busy: {self:#?}");
    }

    /// Whether time alone makes bytes arrive at a session that takes them.
    fn in_flight(&self) -> bool {
        let wanted =
            |end: &End, pipe: &Pipe| !end.saw_end && end.session.wants_input() && pipe.held > 0;
        wanted(&self.server, &self.upstream) || wanted(&self.client, &self.downstream)
    }

    fn next_wake(&self) -> Option<Duration> {
        let client = (!self.client.dropped)
            .then(|| self.client.next_wake(&self.downstream))
            .flatten();
        let server = (!self.server.dropped)
            .then(|| self.server.next_wake(&self.upstream))
            .flatten();
        client.into_iter().chain(server).min()
    }

    /// Whether both directions are empty and neither session has anything to send.
    pub fn is_quiet(&self) -> bool {
        let pipes = self.upstream.held + self.downstream.held;
        pipes == 0 && !self.client.has_output() && !self.server.has_output()
    }
}
