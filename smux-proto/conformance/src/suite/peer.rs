//! A scripted peer over any connection: it sends the frames that the scenario names.

use std::{
    collections::HashMap,
    fmt,
    io::{self, Read, Write},
};

use smux_proto::Version;

use super::{
    case::expect_eof,
    host::{HostSession, HostStream},
    time::Wire,
};
use crate::frame::{self, Frame, Kind, fin, psh, syn};

/// What [`Peer::expect_nothing`] has the session say.
const MARK: &[u8] = b"mark";

/// The scripted end of a connection.
///
/// The session decides when to send window updates and keep-alives, so [`expect`](Self::expect)
/// skips them: they are recorded for [`window`](Self::window) and [`nops`](Self::nops).
pub struct Peer {
    wire: Box<dyn Wire>,
    version: Version,
    /// Received and not decoded.
    received: Vec<u8>,
    /// By stream, the CONSUMED and WINDOW last announced.
    windows: HashMap<u32, (u32, u32)>,
    nops: usize,
    /// The id of the next stream that the peer opens by itself: high, so that scenarios can pick
    /// low ones.
    next_id: u32,
}

impl Peer {
    /// `is_client`: whether its own streams have odd ids.
    pub fn new(wire: Box<dyn Wire>, version: Version, is_client: bool) -> Self {
        Self {
            wire,
            version,
            received: Vec::new(),
            windows: HashMap::new(),
            nops: 0,
            next_id: 1_000_000 + u32::from(is_client),
        }
    }

    /// Changes the version of later frames.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// An id that is the peer's own and was not used yet.
    pub fn fresh_id(&mut self) -> u32 {
        self.next_id += 2;
        self.next_id
    }

    /// Sends these frames in one piece.
    ///
    /// # Panics
    ///
    /// If the connection has ended.
    pub fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let frames = frames.into_iter();
        let bytes: Vec<u8> = frames
            .flat_map(|frame| frame.encode(self.version))
            .collect();
        self.send_bytes(&bytes).expect("the connection is open");
    }

    /// Sends these bytes.
    ///
    /// # Errors
    ///
    /// If the session has dropped the connection.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)
    }

    /// The next frame, window updates and keep-alives left out; `None` at the end of the
    /// connection.
    pub fn receive(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next_of_any_kind()?;
            match frame.kind {
                Kind::Upd => {
                    let update = frame.window_update().expect("an update has 8 bytes");
                    self.windows.insert(frame.id, update);
                }
                Kind::Nop => self.nops += 1,
                _ => return Some(frame),
            }
        }
    }

    fn next_of_any_kind(&mut self) -> Option<Frame> {
        loop {
            if let Some((version, frame, rest)) = frame::decode(&self.received) {
                assert_eq!(version, self.version as u8, "the version of {frame:?}");
                let rest = rest.len();
                self.received.drain(..self.received.len() - rest);
                return Some(frame);
            }
            let mut buffer = vec![0; 65_536];
            match self.wire.read(&mut buffer) {
                Ok(0) => {
                    let left = self.received.len();
                    assert_eq!(left, 0, "the connection ended inside a frame");
                    return None;
                }
                Ok(count) => self.received.extend(&buffer[..count]),
                // A socket that is closed with unread input is reset.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no frame from the session: {error}"),
            }
        }
    }

    /// The session sends exactly these frames next.
    pub fn expect(&mut self, frames: impl IntoIterator<Item = Frame>) {
        for expected in frames {
            let actual = self.receive();
            assert_eq!(actual, Some(expected), "the next frame (right: expected)");
        }
    }

    /// The session sends exactly these bytes next on one stream, in frames of any size.
    pub fn expect_data(&mut self, id: u32, data: &[u8]) {
        let mut come = Vec::new();
        while come.len() < data.len() {
            let frame = self.receive().expect("the connection is open");
            assert_eq!(
                (frame.kind, frame.id),
                (Kind::Psh, id),
                "{} bytes came, then {frame:?}",
                come.len()
            );
            come.extend(frame.payload);
        }
        assert!(come == data, "the bytes are those that were written");
    }

    /// The session has taken all input and sent no unexpected frame.
    ///
    /// To prove it, the peer opens a stream and the session answers on it: any unexpected frame
    /// would precede the answer.
    pub fn expect_nothing(&mut self, session: &impl HostSession) {
        let id = self.fresh_id();
        self.send([syn(id)]);
        let mut stream = session.accept().expect("a stream to accept");
        assert_eq!(stream.id().get(), id, "no other stream waits");
        stream.write_all(MARK).expect("the session is open");
        self.expect([psh(id, MARK)]);
        self.send([fin(id)]);
        expect_eof(&mut stream);
        drop(stream);
        self.expect([fin(id)]);
    }

    /// The session ends the connection without sending anything more.
    pub fn expect_end(&mut self) {
        assert_eq!(
            self.receive(),
            None,
            "nothing but the end of the connection"
        );
    }

    /// Reads and forgets until the session ends the connection.
    pub fn discard_to_end(&mut self) {
        while self.receive().is_some() {}
    }

    /// The CONSUMED and WINDOW that the session has announced last for a stream, in what was
    /// received so far.
    pub fn window(&self, id: u32) -> Option<(u32, u32)> {
        self.windows.get(&id).copied()
    }

    /// Waits for an announcement for a stream that acknowledges at least so many bytes.
    pub fn await_window(&mut self, id: u32, consumed: u32) -> (u32, u32) {
        loop {
            if let Some(update) = self.window(id).filter(|update| update.0 >= consumed) {
                return update;
            }
            let frame = self.next_of_any_kind().expect("the connection is open");
            let update = frame.window_update();
            let update = update.unwrap_or_else(|| panic!("{frame:?} instead of a window update"));
            self.windows.insert(frame.id, update);
        }
    }

    /// Waits for a keep-alive.
    pub fn await_nop(&mut self) {
        let frame = self.next_of_any_kind().expect("the connection is open");
        assert_eq!(frame, frame::nop());
        self.nops += 1;
    }

    /// Keep-alives that were received so far.
    pub fn nops(&self) -> usize {
        self.nops
    }

    /// Ends the writing direction.
    pub fn finish(&mut self) {
        self.wire.finish().expect("the connection is open");
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}
