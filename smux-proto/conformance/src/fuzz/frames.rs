//! A peer that sends well-formed frames with any values, against any calls of the application.

use std::{task::Poll, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Buf;
use smux_proto::{
    CloseReason, Config, ProtocolError, Session, StreamId, Transmit, TransportError, Version,
};

use super::output::Output;
use crate::frame::{Frame, Kind, counting, fin, nop, psh, syn, upd};

/// Largest payload of a frame, by which the receive budget may be exceeded.
const MAX_FRAME: usize = 65_535;

/// Input of [`frames`].
#[derive(Debug, Arbitrary)]
struct Run {
    client: bool,
    version_2: bool,
    half_close: bool,
    budget: u16,
    queue: u16,
    frame: u16,
    inbound: u8,
    backlog: u8,
    steps: Vec<Step>,
}

/// An id: mostly one of a few, so that frames meet.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Id {
    Few(u8),
    Any(u32),
}

impl Id {
    fn number(self) -> u32 {
        match self {
            Self::Few(few) => u32::from(few % 10),
            Self::Any(any) => any,
        }
    }
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Step {
    Syn(Id),
    Fin(Id),
    Psh(Id, u16),
    Nop,
    Upd(Id, u32, u32),
    /// A window update with values that make sense.
    GoodUpd(Id, u16),
    Open,
    Accept,
    Read(Id, u16),
    ReadBytes(Id, u16),
    Write(Id, u16),
    Finish(Id),
    StopReading(Id),
    Close(Id),
    /// The transport takes this many bytes.
    Transmit(u16),
    Wait(u16),
    Event,
    StopAccepting,
    /// A flush of the transport begins, or ends.
    Flush(bool),
    /// Writing to the transport fails.
    WriteError,
}

struct Peer {
    version: Version,
    session: Session,
    now: Duration,
    batch: Transmit,
    output: Output,
    held: Vec<StreamId>,
}

/// Any sequence of valid frames and calls.
pub fn frames(data: &[u8]) {
    let Ok(run) = Unstructured::new(data).arbitrary::<Run>() else {
        return;
    };
    let mut peer = Peer::new(&run);
    for step in run.steps {
        peer.perform(step);
        peer.check();
    }
    peer.finish();
}

impl Peer {
    fn new(run: &Run) -> Self {
        let version = if run.version_2 {
            Version::V2
        } else {
            Version::V1
        };
        let (budget, queue) = (usize::from(run.budget) + 1, usize::from(run.queue) + 1);
        let config = Config::builder()
            .version(version)
            .half_close(run.half_close)
            .max_receive_buffer(budget)
            .max_stream_buffer(budget)
            .max_stream_send_queue(queue)
            .max_session_send_queue(queue)
            .max_frame_size(usize::from(run.frame).max(1))
            .max_inbound_streams(run.inbound.into())
            .max_outbound_streams(50)
            .accept_backlog(usize::from(run.backlog).max(1))
            .max_glitches(200)
            .max_owed_refusals(20)
            .build()
            .expect("valid");
        let now = Duration::ZERO;
        let session = match run.client {
            true => Session::client(config, 1, now),
            false => Session::server(config, 1, now),
        };
        Self {
            output: Output::new(version, session.side(), session.config().clone()),
            session,
            version,
            now,
            batch: Transmit::new(),
            held: Vec::new(),
        }
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Syn(id) => self.send(&syn(id.number())),
            Step::Fin(id) => self.send(&fin(id.number())),
            Step::Psh(id, length) => self.send(&psh(id.number(), counting(length.into()))),
            Step::Nop => self.send(&nop()),
            Step::Upd(id, consumed, window) => self.update(id.number(), consumed, window),
            Step::GoodUpd(id, window) => {
                let sent = self.output.came(id.number());
                self.update(
                    id.number(),
                    u32::try_from(sent).unwrap_or(u32::MAX),
                    window.into(),
                );
            }
            Step::Open => {
                if let Poll::Ready(Ok(id)) = self.session.open() {
                    self.output.opens(id);
                    self.held.push(id);
                }
            }
            Step::Accept => drop(self.accept()),
            Step::Read(id, length) => self.read(id, length),
            Step::ReadBytes(id, length) => {
                if let Some(mut stream) = self.session.stream(StreamId::new(id.number())) {
                    let unread = stream.unread();
                    if let Poll::Ready(Ok(bytes)) = stream.read_bytes(length.into()) {
                        assert_eq!(stream.unread(), unread - bytes.len());
                    }
                }
            }
            Step::Write(id, length) => self.write(id, length),
            Step::Finish(id) => {
                if let Some(mut stream) = self.session.stream(StreamId::new(id.number())) {
                    stream.finish();
                }
            }
            Step::StopReading(id) => {
                if let Some(mut stream) = self.session.stream(StreamId::new(id.number())) {
                    stream.stop_reading();
                    assert_eq!(stream.unread(), 0);
                }
            }
            Step::Close(id) => self.close(StreamId::new(id.number())),
            Step::Transmit(room) => self.transmit(room.into()),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis.into());
                if self
                    .session
                    .poll_timeout()
                    .is_some_and(|due| due <= self.now)
                {
                    self.session.handle_timeout(self.now);
                }
            }
            Step::Event => drop(self.session.poll_event()),
            Step::StopAccepting => self.session.stop_accepting(),
            Step::Flush(true) => self.session.handle_flush_begin(self.now),
            Step::Flush(false) => self.session.handle_flush_end(self.now),
            Step::WriteError => {
                let error = TransportError::new("broken pipe");
                self.session.handle_write_error(self.now, error);
            }
        }
    }

    /// The peer sends a frame, unless the session wants no input.
    fn send(&mut self, frame: &Frame) {
        if !self.session.wants_input() {
            return;
        }
        let bytes = frame.encode(self.version);
        match self.session.handle_input(self.now, &bytes) {
            Ok(taken) => assert_eq!(taken, bytes.len(), "a frame that began is taken as a whole"),
            Err(error) => {
                let v1_update = self.version == Version::V1 && frame.kind == Kind::Upd;
                let limits = [
                    ProtocolError::TooManyGlitches,
                    ProtocolError::TooManyRefusals,
                ];
                let fair =
                    limits.contains(&error) || v1_update && error == ProtocolError::UpdateInV1;
                assert!(fair, "{frame:?}: {error}");
            }
        }
        if frame.kind == Kind::Psh {
            self.output.peer_sends(frame.id, frame.payload.len());
        }
    }

    fn update(&mut self, id: u32, consumed: u32, window: u32) {
        self.output.peer_allows(id, consumed, window);
        self.send(&upd(id, consumed, window));
    }

    fn accept(&mut self) -> bool {
        match self.session.accept() {
            Poll::Ready(Ok(id)) => {
                self.held.push(id);
                true
            }
            _ => false,
        }
    }

    fn read(&mut self, id: Id, length: u16) {
        let Some(mut stream) = self.session.stream(StreamId::new(id.number())) else {
            return;
        };
        let (unread, before) = (stream.unread(), stream.stats());
        let mut buffer = vec![0; length.into()];
        if let Poll::Ready(Ok(count)) = stream.read(&mut buffer) {
            assert_eq!(
                count,
                unread.min(length.into()),
                "a read takes all that fits"
            );
            assert_eq!(stream.stats().bytes_read, before.bytes_read + count as u64);
        } else {
            assert_eq!(unread, 0, "data comes before errors");
        }
    }

    fn write(&mut self, id: Id, length: u16) {
        let Some(mut stream) = self.session.stream(StreamId::new(id.number())) else {
            return;
        };
        let before = stream.stats();
        if let Poll::Ready(Ok(count)) = stream.write(&vec![7; length.into()]) {
            let after = stream.stats();
            assert_eq!(after.bytes_written, before.bytes_written + count as u64);
            assert!(self.version == Version::V1 || count <= before.send_window);
        }
    }

    fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.session.stream(id) {
            stream.close();
        }
        self.held.retain(|&held| held != id);
    }

    fn transmit(&mut self, room: usize) {
        if self.session.poll_transmit(self.now, &mut self.batch) {
            let chunk = self.batch.chunk();
            let count = chunk.len().min(room);
            self.output.look(&chunk[..count]);
            self.batch.advance(count);
        }
    }

    fn check(&mut self) {
        let unread = |id: &StreamId| self.session.stream(*id).map(|stream| stream.unread());
        let unread: usize = self.held.iter().filter_map(unread).sum();
        let (stats, config) = (self.session.stats(), self.session.config());
        assert!(stats.receive_buffered >= unread, "{stats:?}");
        assert!(
            stats.receive_buffered <= config.max_receive_buffer() + MAX_FRAME,
            "{stats:?}"
        );
        assert!(
            stats.windows_granted <= config.max_receive_buffer(),
            "{stats:?}"
        );
        assert!(
            stats.send_queued <= config.max_session_send_queue(),
            "{stats:?}"
        );
        assert!(
            self.session.stream_count()
                <= config.max_inbound_streams() + config.max_outbound_streams()
        );
        let fair = |reason: &CloseReason| {
            matches!(
                reason,
                CloseReason::Protocol(_)
                    | CloseReason::Transport(_)
                    | CloseReason::KeepAliveTimeout
                    | CloseReason::WriteTimeout
            )
        };
        assert!(
            self.session.close_reason().is_none_or(fair),
            "{:?}",
            self.session.close_reason()
        );
    }

    /// Everything is read, closed and sent: nothing is left.
    fn finish(mut self) {
        while self.accept() {}
        for id in std::mem::take(&mut self.held) {
            self.close(id);
        }
        assert_eq!(self.session.stats().receive_buffered, 0);
        for _ in 0..10_000 {
            self.transmit(usize::MAX);
            if !self.session.wants_transmit() && !self.batch.has_remaining() {
                let stats = self.session.stats();
                let left = [
                    self.session.stream_count(),
                    stats.windows_granted,
                    stats.send_queued,
                ];
                assert_eq!(left, [0; 3], "streams, windows, queued");
                return;
            }
        }
        panic!("the session has always more to send");
    }
}
