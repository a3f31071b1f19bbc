//! The context of a scenario, and steps that many scenarios share.

use std::{
    any::Any,
    error::Error as _,
    io::{self, ErrorKind, Read, Write},
    panic,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use smux_proto::{CloseReason, Config, ConfigBuilder, OpenError, Side, StreamError, Version};

use super::{
    host::{Host, HostSession, HostStream},
    memory::Behaviour,
    peer::Peer,
    time::{Task, Wire},
};
use crate::pattern::Pattern;

/// A scenario that takes longer counts as hanging.
const LIMIT: Duration = Duration::from_secs(60);

/// How large full-size transfers are compared with those of an ordinary run: see [`Case::scaled`].
pub const FULL_SIZE: &str = "SMUX_CONFORMANCE_FULL";

/// One run of a scenario: on a host, in a version, with the roles one way round.
#[derive(Debug)]
pub struct Case<H> {
    /// What it runs on.
    pub host: H,
    /// The version that both ends speak.
    pub version: Version,
    /// The side of the session that scenarios call "ours".
    pub side: Side,
}

/// Runs a scenario twice, the second time with roles swapped, each time on a new host.
///
/// # Panics
///
/// If the scenario does, or if it takes longer than a minute (an hour at full size).
pub fn run<H: Host>(host: fn() -> H, version: Version, scenario: fn(&Case<H>)) {
    for side in [Side::Client, Side::Server] {
        let (ended, end) = mpsc::channel::<Result<(), Box<dyn Any + Send>>>();
        thread::spawn(move || {
            let result = panic::catch_unwind(|| {
                scenario(&Case {
                    host: host(),
                    version,
                    side,
                });
            });
            // The receiver is gone if it took too long.
            let _ = ended.send(result);
        });
        let limit = scaled_limit(LIMIT);
        match end.recv_timeout(limit) {
            Ok(Ok(())) => {}
            Ok(Err(payload)) => {
                eprintln!("failed with ours as the {side:?}");
                panic::resume_unwind(payload);
            }
            Err(RecvTimeoutError::Timeout) => panic!("hangs with ours as the {side:?}"),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the result is always sent"),
        }
    }
}

/// Whether the environment asks for transfers of full size.
pub fn full_size() -> bool {
    std::env::var_os(FULL_SIZE).is_some_and(|value| value == "1")
}

/// What `limit` is for the work of an ordinary run, for that of this run.
pub(crate) fn scaled_limit(limit: Duration) -> Duration {
    if full_size() { 60 * limit } else { limit }
}

/// The other side.
pub fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

impl<H: Host> Case<H> {
    /// `small` in an ordinary run, `full` if the environment variable [`FULL_SIZE`] is 1.
    pub fn scaled<T>(&self, small: T, full: T) -> T {
        if full_size() { full } else { small }
    }

    /// The preset of the version, without keep-alive: no timer may end a wait that should not.
    pub fn config(&self) -> ConfigBuilder {
        let preset = match self.version {
            Version::V1 => Config::default(),
            Version::V2 => Config::v2(),
        };
        preset.to_builder().keep_alive_disabled()
    }

    /// How many bytes to move: as [`scaled`](Self::scaled), and less on a slow host.
    pub fn bytes(&self, small: u64, full: u64) -> u64 {
        self.scaled(small, full) / self.host.slowness()
    }

    /// [`config`](Self::config) as it is.
    pub fn plain(&self) -> Config {
        built(self.config())
    }

    /// Ours and theirs, with [`plain`](Self::plain) configurations.
    pub fn pair(&self) -> (H::Session, H::Session) {
        self.pair_with(self.plain(), self.plain())
    }

    /// Ours and theirs.
    pub fn pair_with(&self, ours: Config, theirs: Config) -> (H::Session, H::Session) {
        match self.side {
            Side::Client => self.host.pair(ours, theirs),
            Side::Server => swap(self.host.pair(theirs, ours)),
        }
    }

    /// Ours and theirs, over a connection with these behaviours; first that of what ours writes.
    pub fn pair_over(
        &self,
        ours: Config,
        theirs: Config,
        there: Behaviour,
        back: Behaviour,
    ) -> (H::Session, H::Session) {
        match self.side {
            Side::Client => self.host.pair_in_memory(ours, theirs, [there, back]),
            Side::Server => swap(self.host.pair_in_memory(theirs, ours, [back, there])),
        }
    }

    /// Ours, against a peer that speaks frames.
    pub fn peer(&self, config: Config) -> (H::Session, Peer) {
        let (session, wire) = self.host.wire(self.side, config);
        (session, self.scripted(wire))
    }

    /// The same over a connection that holds a kilobyte in either direction.
    pub fn narrow_peer(&self, config: Config) -> (H::Session, Peer) {
        let (session, wire) = self
            .host
            .wire_in_memory(self.side, config, Behaviour::NARROW);
        (session, self.scripted(wire))
    }

    fn scripted(&self, wire: Box<dyn Wire>) -> Peer {
        Peer::new(wire, self.version, self.side == Side::Server)
    }

    /// The id of the `n`th stream that ours opens, from 0.
    pub fn our_id(&self, n: u32) -> u32 {
        first_id(self.side) + 2 * n
    }

    /// The id of the `n`th stream that theirs opens, from 0.
    pub fn their_id(&self, n: u32) -> u32 {
        first_id(other(self.side)) + 2 * n
    }

    /// A stream that ours opens, and the same as theirs accepts it.
    pub fn stream<S: HostSession>(&self, ours: &S, theirs: &S) -> (S::Stream, S::Stream) {
        let opened = ours.open().expect("a stream");
        let accepted = theirs.accept().expect("the same stream");
        assert_eq!(opened.id(), accepted.id());
        (opened, accepted)
    }

    /// Both at the same time.
    pub fn both(&self, one: impl FnOnce() + Send, two: impl FnOnce() + Send) {
        self.all([Box::new(one) as Task<'_>, Box::new(two)]);
    }

    /// All at the same time.
    pub fn all<'a>(&self, tasks: impl IntoIterator<Item = Task<'a>>) {
        self.host.time().join(tasks.into_iter().collect());
    }

    /// Lets time pass in which nothing else is to happen.
    pub fn elapse(&self, time: Duration) {
        self.host.time().elapse(time);
    }

    /// Waits for a condition that no call waits for.
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        self.host.time().until(what, &mut condition);
    }

    /// Proves that a session still works: a round trip on a new stream, opened by `from`.
    pub fn round_trip<S: HostSession>(&self, from: &S, to: &S) {
        let (mut there, mut back) = self.stream(from, to);
        there.write_all(b"ping").expect("the session works");
        assert_eq!(read_exactly(&mut back, 4), b"ping");
        back.write_all(b"pong").expect("the session works");
        assert_eq!(read_exactly(&mut there, 4), b"pong");
    }
}

fn first_id(side: Side) -> u32 {
    match side {
        Side::Client => 3,
        Side::Server => 2,
    }
}

fn swap<T>((one, two): (T, T)) -> (T, T) {
    (two, one)
}

/// The configuration, which scenarios set within its rules.
pub fn built(builder: ConfigBuilder) -> Config {
    builder.build().expect("a valid configuration")
}

/// Writes the first `length` bytes of a pattern, in pieces of `piece`.
pub fn write_pattern(to: &mut (impl Write + ?Sized), seed: u32, length: u64, piece: usize) {
    let pattern = Pattern { seed };
    let mut written = 0;
    let mut buffer = vec![0; piece];
    while written < length {
        let left = usize::try_from(length - written).unwrap_or(usize::MAX);
        let part = &mut buffer[..piece.min(left)];
        pattern.fill(written, part);
        to.write_all(part)
            .unwrap_or_else(|error| panic!("writing byte {written} of {length}: {error}"));
        written += part.len() as u64;
    }
}

/// Reads the bytes of a pattern from `from` to `to`, which must arrive, with a buffer of `piece`.
pub fn read_pattern(
    stream: &mut (impl Read + ?Sized),
    seed: u32,
    from: u64,
    to: u64,
    piece: usize,
) {
    let mut buffer = vec![0; piece];
    let mut read = from;
    while read < to {
        let left = usize::try_from(to - read).unwrap_or(usize::MAX);
        let room = piece.min(left);
        let count = stream
            .read(&mut buffer[..room])
            .unwrap_or_else(|error| panic!("reading byte {read} of {to}: {error}"));
        assert!(count > 0, "the stream ends at byte {read} of {to}");
        let checked = Pattern { seed }.check(read, &buffer[..count]);
        checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
        read += count as u64;
    }
}

/// Reads the bytes of a pattern, then the end of the stream.
pub fn read_pattern_to_end(
    stream: &mut (impl Read + ?Sized),
    seed: u32,
    length: u64,
    piece: usize,
) {
    read_pattern(stream, seed, 0, length, piece);
    expect_eof(stream);
}

/// Reads exactly `count` bytes, which must arrive.
pub fn read_exactly(stream: &mut (impl Read + ?Sized), count: usize) -> Vec<u8> {
    let mut buffer = vec![0; count];
    stream.read_exact(&mut buffer).expect("more data");
    buffer
}

/// Reads to the end of the stream.
pub fn read_all(stream: &mut (impl Read + ?Sized)) -> Vec<u8> {
    let mut all = Vec::new();
    stream
        .read_to_end(&mut all)
        .expect("data and the end of the stream");
    all
}

/// The stream is at its end, and stays there.
pub fn expect_eof(stream: &mut (impl Read + ?Sized)) {
    for _ in 0..2 {
        assert_eq!(stream.read(&mut [0; 16]).expect("the end of the stream"), 0);
    }
}

/// Sends back all data to the end of the stream, and then finishes too.
pub fn echo(mut stream: impl HostStream) {
    let mut buffer = vec![0; 65_536];
    loop {
        match stream
            .read(&mut buffer)
            .expect("the opener ends the stream")
        {
            0 => break,
            count => stream
                .write_all(&buffer[..count])
                .expect("the opener reads"),
        }
    }
    stream.finish().expect("the session is open");
}

/// The error of a call that must fail.
pub fn failure<T>(result: io::Result<T>) -> io::Error {
    match result {
        Ok(_) => panic!("the call succeeds"),
        Err(error) => error,
    }
}

/// The typed error of a call on a stream that must fail.
pub fn stream_error<T>(result: io::Result<T>) -> StreamError {
    let error = failure(result);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let typed: Option<&StreamError> = inner;
    typed
        .cloned()
        .unwrap_or_else(|| panic!("no typed error in {error:?}"))
}

/// Why the session ended, according to a call that must fail for this reason.
pub fn reason<T>(result: io::Result<T>) -> CloseReason {
    let error = failure(result);
    let inner = error
        .get_ref()
        .unwrap_or_else(|| panic!("no typed error in {error:?}"));
    if let Some(StreamError::Closed(reason)) = inner.downcast_ref() {
        assert_leads_to(&error, reason);
        return reason.clone();
    }
    if let Some(OpenError::Closed(reason)) = inner.downcast_ref() {
        assert_leads_to(&error, reason);
        return reason.clone();
    }
    let reason: Option<&CloseReason> = inner.downcast_ref();
    reason
        .cloned()
        .unwrap_or_else(|| panic!("no close reason in {error:?}"))
}

/// The error's causes begin with the reason. If that was a transport error, they end with it and
/// the number that the operating system gave it.
fn assert_leads_to(error: &io::Error, reason: &CloseReason) {
    let cause = error.source().expect("a cause");
    assert_eq!(cause.downcast_ref(), Some(reason));
    if let CloseReason::Transport(failure) = reason {
        let cause = cause.source().expect("a cause");
        assert_eq!(cause.downcast_ref(), Some(failure));
        let own = cause.source().and_then(|own| own.downcast_ref());
        let own: &io::Error = own.unwrap_or_else(|| panic!("{cause:?} has lost its I/O error"));
        assert_eq!(own.kind(), error.kind());
        if let ErrorKind::BrokenPipe | ErrorKind::ConnectionReset = own.kind() {
            assert!(own.raw_os_error().is_some(), "{own:?}");
        }
    }
}
