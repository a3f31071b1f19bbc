//! One session under test, and a peer whose every frame the test writes down.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use smux_proto::{
    CloseReason, Config, Event, ProtocolError, Session, StreamError, StreamId, Transmit, Version,
};

use crate::frame::{self, Frame};

/// The seed of the stream table's hash: fixed, so that a failure repeats.
const SEED: u64 = 0x5eed;

/// A session, a transport that is as fast as the test wants, and the clock.
///
/// ```
/// use smux_conformance::{frame::{fin, psh, syn}, harness::Harness};
/// use smux_proto::Config;
///
/// let mut harness = Harness::server(Config::default());
/// harness.peer_sends([syn(3), psh(3, "hello"), fin(3)]);
/// let id = harness.accept();
/// assert_eq!(harness.read(id), b"hello");
/// harness.expect_nothing();
/// harness.write(id, b"bye");
/// harness.expect([psh(3, "bye")]);
/// ```
#[derive(Debug)]
pub struct Harness {
    /// The session under test.
    pub session: Session,
    version: Version,
    now: Duration,
    batch: Transmit,
    /// How many bytes the transport still takes; `None`: any number.
    room: Option<usize>,
    /// What the session sent and no `expect` has seen yet.
    sent: Vec<u8>,
}

impl Harness {
    /// A client under test.
    pub fn client(config: Config) -> Self {
        let version = config.version();
        Self::new(Session::client(config, SEED, Duration::ZERO), version)
    }

    /// A server under test. If it detects the version, set the peer's with
    /// [`speaking`](Self::speaking).
    pub fn server(config: Config) -> Self {
        let version = config.version();
        Self::new(Session::server(config, SEED, Duration::ZERO), version)
    }

    fn new(session: Session, version: Version) -> Self {
        Self {
            session,
            version,
            now: Duration::ZERO,
            batch: Transmit::new(),
            room: None,
            sent: Vec::new(),
        }
    }

    /// Sets the version of the peer's frames, and of those expected.
    pub fn speaking(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The version of the peer's frames.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The virtual time since the session began.
    pub fn now(&self) -> Duration {
        self.now
    }

    // --- what the peer does

    /// The peer sends these frames.
    ///
    /// # Panics
    ///
    /// If the session does not take all of it, or returns a protocol error.
    pub fn peer_sends(&mut self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            let bytes = frame.encode(self.version);
            let taken = self.peer_sends_bytes(&bytes);
            assert_eq!(taken, Ok(bytes.len()), "the session took {frame:?}");
        }
    }

    /// The peer sends these bytes; the result is the session's.
    pub fn peer_sends_bytes(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        self.session.handle_input(self.now, bytes)
    }

    /// The peer sends this frame, which breaks the protocol.
    ///
    /// # Panics
    ///
    /// If the session returns no protocol error.
    pub fn peer_breaks(&mut self, frame: &Frame) -> ProtocolError {
        self.peer_sends_bytes(&frame.encode(self.version))
            .expect_err("the frame breaks the protocol")
    }

    /// The peer ends its direction of the transport.
    pub fn peer_ends(&mut self) {
        self.session.handle_eof(self.now);
    }

    // --- what the session must do

    /// The session sends exactly these frames next, and they are exactly these bytes.
    pub fn expect(&mut self, frames: impl IntoIterator<Item = Frame>) {
        self.pump();
        for expected in frames {
            let bytes = expected.encode(self.version);
            if !self.sent.starts_with(&bytes) {
                match frame::decode(&self.sent) {
                    Some((_, actual, _)) => {
                        assert_eq!(actual, expected, "the next frame (right: expected)")
                    }
                    None => panic!("expected {expected:?}, got {} bytes", self.sent.len()),
                }
            }
            assert!(
                self.sent.starts_with(&bytes),
                "version of {expected:?}: {:?}",
                self.sent.first()
            );
            self.sent.drain(..bytes.len());
        }
    }

    /// The session has nothing (more) to send.
    pub fn expect_nothing(&mut self) {
        assert_eq!(self.take_frames(), [], "nothing is to be sent (left: sent)");
    }

    /// The session sends exactly these frames and then nothing.
    pub fn expect_only(&mut self, frames: impl IntoIterator<Item = Frame>) {
        self.expect(frames);
        self.expect_nothing();
    }

    /// Everything that was sent and not expected yet.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.pump();
        std::mem::take(&mut self.sent)
    }

    /// Everything that was sent and not expected yet, as frames.
    pub fn take_frames(&mut self) -> Vec<Frame> {
        let bytes = self.take_bytes();
        let version = bytes.first().copied().unwrap_or(self.version as u8);
        assert_eq!(version, self.version as u8, "the version of what was sent");
        frame::decode_all(&bytes)
    }

    /// The transport takes everything, unchecked.
    pub fn discard_output(&mut self) {
        while self.session.poll_transmit(self.now, &mut self.batch) {
            self.batch.advance(self.batch.remaining());
        }
    }

    /// All events that are waiting.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    // --- time and transport

    /// The transport takes this many bytes more and then none, until told otherwise. `None`: it
    /// takes all.
    pub fn set_transport_room(&mut self, room: impl Into<Option<usize>>) {
        self.room = room.into();
    }

    /// Lets time pass, with each timer of the session at its moment and all output taken at once.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        self.pump();
        let mut fired = 0;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.pump();
            fired += 1;
            assert!(
                fired < 10_000,
                "timers stay due: next at {due:?}, now {:?}",
                self.now
            );
        }
        self.now = end;
        self.pump();
    }

    /// Lets time pass unseen, as in a suspend: no timer fires.
    pub fn skip(&mut self, time: Duration) {
        self.now += time;
    }

    /// The transport takes what it has room for.
    pub fn pump(&mut self) {
        while self.session.poll_transmit(self.now, &mut self.batch) {
            let chunk = self.batch.chunk();
            let taken = chunk.len().min(self.room.unwrap_or(usize::MAX));
            self.sent.extend(&chunk[..taken]);
            self.batch.advance(taken);
            match &mut self.room {
                Some(0) => break,
                Some(room) => *room -= taken,
                None => {}
            }
        }
    }

    // --- what the application does

    /// Opens a stream. Its SYN is still to be expected.
    pub fn open(&mut self) -> StreamId {
        match self.session.open() {
            Poll::Ready(Ok(id)) => id,
            other => panic!("open: {other:?}"),
        }
    }

    /// Accepts a stream that must be there.
    pub fn accept(&mut self) -> StreamId {
        match self.session.accept() {
            Poll::Ready(Ok(id)) => id,
            other => panic!("accept: {other:?}"),
        }
    }

    /// Writes all of `data`, which must fit.
    pub fn write(&mut self, id: StreamId, data: &[u8]) {
        assert_eq!(
            self.try_write(id, data),
            Poll::Ready(Ok(data.len())),
            "write of {} bytes",
            data.len()
        );
    }

    /// One write.
    pub fn try_write(&mut self, id: StreamId, data: &[u8]) -> Poll<Result<usize, StreamError>> {
        self.session
            .stream(id)
            .expect("the stream exists")
            .write(data)
    }

    /// Reads until nothing is buffered. End of stream and errors look like "nothing": see
    /// [`try_read`](Self::try_read).
    pub fn read(&mut self, id: StreamId) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 65_536];
        while let Poll::Ready(Ok(n @ 1..)) = self.try_read(id, &mut buffer) {
            all.extend(&buffer[..n]);
        }
        all
    }

    /// Reads exactly `count` bytes, which must be there.
    pub fn read_exact(&mut self, id: StreamId, count: usize) -> Vec<u8> {
        let mut buffer = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.try_read(id, &mut buffer[filled..]) {
                Poll::Ready(Ok(n @ 1..)) => filled += n,
                other => panic!("read {filled} of {count} bytes, then {other:?}"),
            }
        }
        buffer
    }

    /// One read.
    pub fn try_read(
        &mut self,
        id: StreamId,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.session
            .stream(id)
            .expect("the stream exists")
            .read(buffer)
    }

    /// How the stream reads when nothing is buffered: `Ready(Ok(0))` at its end, `Pending`, or an
    /// error.
    ///
    /// # Panics
    ///
    /// If there is data.
    pub fn read_end(&mut self, id: StreamId) -> Poll<Result<usize, StreamError>> {
        let end = self.try_read(id, &mut [0; 16]);
        assert!(!matches!(end, Poll::Ready(Ok(1..))), "there is unread data");
        end
    }

    /// FIN behind everything written.
    pub fn finish(&mut self, id: StreamId) {
        self.session.stream(id).expect("the stream exists").finish();
    }

    /// Reads no more.
    pub fn stop_reading(&mut self, id: StreamId) {
        let stream = self.session.stream(id);
        stream.expect("the stream exists").stop_reading();
    }

    /// Ends both directions of the stream.
    pub fn close(&mut self, id: StreamId) {
        self.session.stream(id).expect("the stream exists").close();
    }

    /// Closes the session.
    pub fn close_session(&mut self) {
        self.session.close(self.now);
    }

    /// Why the session ended.
    pub fn reason(&self) -> CloseReason {
        self.session
            .close_reason()
            .cloned()
            .expect("the session has ended")
    }
}
