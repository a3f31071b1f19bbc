//! A link with a rate and a round trip, in virtual time, for large transfers.
//!
//! Unlike a [`Pair`](crate::pair::Pair) it neither cuts nor fails: it carries whole batches, and
//! goes from event to event.

mod go_like;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    task::Poll,
    time::Duration,
};

use bytes::Buf;
use smux_proto::{Config, Event, Session, StreamId, Transmit};

pub use go_like::GoLike;

/// Bytes that wait to leave, as in a socket's send buffer.
const UNSENT: usize = 64 << 10;
/// The largest read of an application.
const READ: usize = 64 << 10;
/// Time between two reads of an application that reads so many bytes a second.
const SLOW_READS: Duration = Duration::from_millis(5);

/// One end of the link.
pub trait End {
    /// Lets the application act at this time.
    fn act(&mut self, now: Duration);

    /// Appends some bytes to send to `out`, if there are any.
    fn output(&mut self, now: Duration, out: &mut Vec<u8>);

    /// Takes bytes that have arrived; returns how many.
    fn input(&mut self, now: Duration, data: &[u8]) -> usize;

    /// When the application acts even if nothing arrives.
    fn next_act(&self, now: Duration) -> Option<Duration>;
}

/// One direction.
#[derive(Debug)]
struct Line {
    /// Bytes a second.
    rate: f64,
    delay: Duration,
    busy_until: Duration,
    /// By the time of their arrival.
    pieces: VecDeque<(Duration, Vec<u8>)>,
}

impl Line {
    /// When more can be written.
    fn free_at(&self) -> Duration {
        let unsent = Duration::from_secs_f64(UNSENT as f64 / self.rate);
        self.busy_until.saturating_sub(unsent)
    }

    fn write(&mut self, now: Duration, data: Vec<u8>) {
        let time = Duration::from_secs_f64(data.len() as f64 / self.rate);
        self.busy_until = self.busy_until.max(now) + time;
        self.pieces.push_back((self.busy_until + self.delay, data));
    }
}

/// Two ends and the link between them.
#[derive(Debug)]
pub struct LongLink<A, B> {
    /// The end that sends most of the data, if either does.
    pub sender: A,
    /// The other end.
    pub receiver: B,
    there: Line,
    back: Line,
    now: Duration,
}

impl<A: End, B: End> LongLink<A, B> {
    /// Both directions carry `rate` bytes a second.
    pub fn new(sender: A, receiver: B, rate: f64, round_trip: Duration) -> Self {
        let line = || Line {
            rate,
            delay: round_trip / 2,
            busy_until: Duration::ZERO,
            pieces: VecDeque::new(),
        };
        Self {
            sender,
            receiver,
            there: line(),
            back: line(),
            now: Duration::ZERO,
        }
    }

    /// The virtual time since the link began.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets so much time pass.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        self.run(end, |_| false);
        self.now = end;
    }

    /// Goes on until `done`, and returns the time then.
    ///
    /// # Panics
    ///
    /// If it takes more than `limit`, or nothing can happen any more.
    pub fn run_until(&mut self, limit: Duration, done: impl FnMut(&mut Self) -> bool) -> Duration {
        let end = self.now + limit;
        assert!(self.run(end, done), "not done after {:?}", self.now);
        self.now
    }

    fn run(&mut self, end: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            while self.step() {}
            if done(self) {
                return true;
            }
            match self.next_event().filter(|next| *next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => return false,
            }
        }
    }

    fn step(&mut self) -> bool {
        let now = self.now;
        self.sender.act(now);
        self.receiver.act(now);
        write(&mut self.sender, &mut self.there, now)
            | write(&mut self.receiver, &mut self.back, now)
            | deliver(&mut self.there, &mut self.receiver, now)
            | deliver(&mut self.back, &mut self.sender, now)
    }

    fn next_event(&self) -> Option<Duration> {
        let lines = [&self.there, &self.back];
        let arrivals = lines.map(|line| line.pieces.front().map(|(arrival, _)| *arrival));
        let free = lines.map(|line| Some(line.free_at()));
        let acts = [
            self.sender.next_act(self.now),
            self.receiver.next_act(self.now),
        ];
        let times = arrivals.into_iter().chain(free).chain(acts).flatten();
        times.filter(|time| *time > self.now).min()
    }
}

fn write(end: &mut impl End, line: &mut Line, now: Duration) -> bool {
    let mut data = Vec::new();
    if line.free_at() <= now {
        end.output(now, &mut data);
    }
    let moved = !data.is_empty();
    if moved {
        line.write(now, data);
    }
    moved
}

fn deliver(line: &mut Line, end: &mut impl End, now: Duration) -> bool {
    let Some((arrival, data)) = line.pieces.front_mut() else {
        return false;
    };
    if *arrival > now {
        return false;
    }
    let taken = end.input(now, data);
    if taken == data.len() {
        line.pieces.pop_front();
    } else {
        data.drain(..taken);
    }
    taken > 0
}

/// One of our sessions, with an application that follows its events.
pub struct Node {
    /// The session.
    pub session: Session,
    /// Streams that are written, with the bytes that are left.
    sources: BTreeMap<StreamId, u64>,
    /// Streams that are read.
    sinks: BTreeMap<StreamId, Sink>,
    writable: Vec<StreamId>,
    readable: Vec<StreamId>,
    batch: Transmit,
    buffer: Vec<u8>,
    total_read: u64,
}

#[derive(Debug)]
struct Sink {
    read: u64,
    /// Bytes a second that are read; `None`: whatever comes.
    rate: Option<u64>,
    since: Duration,
}

impl Node {
    /// The connecting side.
    pub fn client(config: Config) -> Self {
        Self::new(Session::client(config, 1, Duration::ZERO))
    }

    /// The accepting side.
    pub fn server(config: Config) -> Self {
        Self::new(Session::server(config, 2, Duration::ZERO))
    }

    fn new(session: Session) -> Self {
        Self {
            session,
            sources: BTreeMap::new(),
            sinks: BTreeMap::new(),
            writable: Vec::new(),
            readable: Vec::new(),
            batch: Transmit::new(),
            buffer: vec![7; 2 * READ],
            total_read: 0,
        }
    }

    /// Opens a stream and writes so many bytes to it.
    ///
    /// # Panics
    ///
    /// If no stream can be opened.
    pub fn send(&mut self, bytes: u64) -> StreamId {
        let Poll::Ready(Ok(id)) = self.session.open() else {
            panic!("a stream can be opened");
        };
        self.sources.insert(id, bytes);
        self.writable.push(id);
        id
    }

    /// Writes so many bytes more to a stream.
    pub fn more(&mut self, id: StreamId, bytes: u64) {
        let left = self.sources.entry(id).or_default();
        *left = left.saturating_add(bytes);
        self.writable.push(id);
    }

    /// Reads a stream, as fast as data arrives or at this many bytes a second. Streams that the
    /// peer opens are read as fast as data arrives, without this call.
    pub fn read(&mut self, id: StreamId, rate: Option<u64>, now: Duration) {
        let sink = Sink {
            read: 0,
            rate,
            since: now,
        };
        self.sinks.insert(id, sink);
        self.readable.push(id);
    }

    /// Stops reading this stream: what arrives stays where it is.
    pub fn pause(&mut self, id: StreamId) {
        self.sinks.remove(&id);
    }

    /// Bytes read from all streams.
    pub const fn total_read(&self) -> u64 {
        self.total_read
    }

    fn write_on(&mut self, id: StreamId) {
        let (Some(left), Some(mut stream)) = (self.sources.get_mut(&id), self.session.stream(id))
        else {
            return;
        };
        while *left > 0 {
            let size = usize::try_from(*left).map_or(READ, |left| left.min(2 * READ));
            match stream.write(&self.buffer[..size]) {
                Poll::Ready(Ok(count)) => *left -= count as u64,
                _ => return,
            }
        }
        self.sources.remove(&id);
    }

    fn read_from(&mut self, id: StreamId, now: Duration) {
        let (Some(sink), Some(mut stream)) = (self.sinks.get_mut(&id), self.session.stream(id))
        else {
            return;
        };
        loop {
            let size = READ.min(sink.allowance(now));
            match stream.read(&mut self.buffer[..size]) {
                Poll::Ready(Ok(count @ 1..)) => {
                    sink.read += count as u64;
                    self.total_read += count as u64;
                }
                _ => return,
            }
        }
    }
}

impl Sink {
    /// Bytes that may be read now.
    fn allowance(&self, now: Duration) -> usize {
        let Some(rate) = self.rate else {
            return usize::MAX;
        };
        let allowed = u128::from(rate) * (now - self.since).as_nanos() / 1_000_000_000;
        let left = allowed.saturating_sub(u128::from(self.read));
        usize::try_from(left).unwrap_or(usize::MAX)
    }
}

impl End for Node {
    fn act(&mut self, now: Duration) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Acceptable => {
                    while let Poll::Ready(Ok(id)) = self.session.accept() {
                        self.read(id, None, now);
                    }
                }
                Event::Readable(id) => self.readable.push(id),
                Event::Writable(id) => self.writable.push(id),
                _ => {}
            }
        }
        let slow = self.sinks.iter().filter(|(_, sink)| sink.rate.is_some());
        self.readable.extend(slow.map(|(id, _)| *id));
        for id in std::mem::take(&mut self.writable) {
            self.write_on(id);
        }
        for id in std::mem::take(&mut self.readable) {
            self.read_from(id, now);
        }
    }

    fn output(&mut self, now: Duration, out: &mut Vec<u8>) {
        if self.session.poll_transmit(now, &mut self.batch) {
            while self.batch.has_remaining() {
                out.extend_from_slice(self.batch.chunk());
                let count = self.batch.chunk().len();
                self.batch.advance(count);
            }
        }
    }

    fn input(&mut self, now: Duration, data: &[u8]) -> usize {
        let taken = self.session.handle_input(now, data);
        taken.expect("an honest peer")
    }

    fn next_act(&self, now: Duration) -> Option<Duration> {
        let slow = self.sinks.values().any(|sink| sink.rate.is_some());
        slow.then(|| now + SLOW_READS)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("sources", &self.sources)
            .field("sinks", &self.sinks)
            .finish_non_exhaustive()
    }
}
