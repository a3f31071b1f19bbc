//! Counters of a session and its streams.

use core::{fmt, ops::AddAssign, time::Duration};

use crate::{priority::Priority, wire::Command};

/// A session's counters. Byte and frame counts are since its start.
///
/// A stall time is the time in which at least one stream, or the session, waited for that cause.
/// It is measured up to the last call that was given the time, and to the session's end at most.
/// While a stall goes on, [advance the time](crate::Session::advance_time) first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Frames that arrived, by command.
    pub frames_received: FrameCounts,
    /// Frames handed out for writing, by command.
    pub frames_sent: FrameCounts,
    /// Bytes consumed from the transport, headers included.
    pub bytes_received: u64,
    /// Bytes handed out for writing, headers included.
    pub bytes_emitted: u64,
    /// Bytes of stream data that arrived, discarded ones included.
    pub payload_received: u64,
    /// Bytes of stream data that arrived and are not read: of closed, refused and unknown
    /// streams, and of those on which reading was stopped.
    pub payload_discarded: u64,
    /// Bytes of stream data handed out for writing.
    pub payload_sent: u64,
    /// Bytes received and not yet read: the part of `max_receive_buffer` in use.
    pub receive_buffered: usize,
    /// Bytes written and not yet handed out.
    pub send_queued: usize,
    /// Version 2: bytes that streams hold within their windows or may still receive. At most
    /// `max_receive_buffer`.
    pub windows_granted: usize,
    /// Version 2: bytes that streams hold beyond their windows. Their peers sent them before they
    /// learned of a smaller window, or against the rules. The session stalls only if this exceeds
    /// `max_receive_buffer − windows_granted`.
    pub windows_exceeded: usize,
    /// Version 2: the round trip as the receiver sees it: the shortest time from a window update to
    /// data for which the peer had waited. `None` until a peer has waited for an update.
    pub round_trip: Option<Duration>,
    /// Version 2: streams whose peers may send nothing because unread data fills the receive
    /// buffer.
    pub starved_streams: usize,
    /// Times that a stream was left without a window for that reason.
    pub starvations: u64,
    /// How long at least one stream was without a window for that reason.
    pub starvation_time: Duration,
    /// Times that reading from the transport paused because the receive buffer was full.
    pub receive_stalls: u64,
    /// How long reading paused in all. A read that makes room is not given the time, so a pause
    /// counts up to the next call that is, and no longer, even if the peer then sends nothing.
    pub receive_stall_time: Duration,
    /// Times that a write waited for the peer's window.
    pub window_stalls: u64,
    /// How long writes waited for the peer's window. A write is not given the time, so its wait
    /// counts from the next call that is. It lasts until the write can go on, even if no task waits
    /// for it any more. The same holds for the two below.
    pub window_stall_time: Duration,
    /// Times that a write waited for room in its stream's send queue.
    pub stream_queue_stalls: u64,
    /// How long writes waited for room in their streams' send queues.
    pub stream_queue_stall_time: Duration,
    /// Times that a write waited for room in the session's send queue.
    pub session_queue_stalls: u64,
    /// How long writes waited for room in the session's send queue.
    pub session_queue_stall_time: Duration,
    /// How long the transport had bytes to write: from each batch handed out until the session saw
    /// it written. Adapters on a runtime do not count batches that the transport takes at once. If
    /// it is close to the session's age, the transport is the bottleneck.
    pub transport_time: Duration,
    /// Frames by which a peer went beyond a stream's window.
    pub window_overruns: u64,
    /// Streams that were evicted because they held too much of a full receive buffer.
    pub streams_evicted: u64,
    /// Streams opened here.
    pub streams_opened: u64,
    /// Streams accepted here.
    pub streams_accepted: u64,
    /// Streams of the peer refused because of a limit, or since accepting has stopped.
    pub streams_refused: u64,
    /// Frames that had no effect, by kind.
    pub ignored: IgnoredFrames,
    /// The count that `max_glitches` limits: useless frames, less useful ones, decaying with time.
    /// It is brought up to date by each useless frame.
    pub glitches: u32,
}

/// Adds the counters of another session, and what it holds. The round trip becomes the shorter one.
impl AddAssign<&Self> for SessionStats {
    fn add_assign(&mut self, other: &Self) {
        // Named one by one, so that none is forgotten.
        let Self {
            frames_received,
            frames_sent,
            bytes_received,
            bytes_emitted,
            payload_received,
            payload_discarded,
            payload_sent,
            receive_buffered,
            send_queued,
            windows_granted,
            windows_exceeded,
            round_trip,
            starved_streams,
            starvations,
            starvation_time,
            receive_stalls,
            receive_stall_time,
            window_stalls,
            window_stall_time,
            stream_queue_stalls,
            stream_queue_stall_time,
            session_queue_stalls,
            session_queue_stall_time,
            transport_time,
            window_overruns,
            streams_evicted,
            streams_opened,
            streams_accepted,
            streams_refused,
            ignored,
            glitches,
        } = other;
        self.frames_received += frames_received;
        self.frames_sent += frames_sent;
        self.bytes_received += bytes_received;
        self.bytes_emitted += bytes_emitted;
        self.payload_received += payload_received;
        self.payload_discarded += payload_discarded;
        self.payload_sent += payload_sent;
        self.receive_buffered += receive_buffered;
        self.send_queued += send_queued;
        self.windows_granted += windows_granted;
        self.windows_exceeded += windows_exceeded;
        self.round_trip = self.round_trip.into_iter().chain(*round_trip).min();
        self.starved_streams += starved_streams;
        self.starvations += starvations;
        self.starvation_time = self.starvation_time.saturating_add(*starvation_time);
        self.receive_stalls += receive_stalls;
        self.receive_stall_time = self.receive_stall_time.saturating_add(*receive_stall_time);
        self.window_stalls += window_stalls;
        self.window_stall_time = self.window_stall_time.saturating_add(*window_stall_time);
        self.stream_queue_stalls += stream_queue_stalls;
        self.stream_queue_stall_time =
            (self.stream_queue_stall_time).saturating_add(*stream_queue_stall_time);
        self.session_queue_stalls += session_queue_stalls;
        self.session_queue_stall_time =
            (self.session_queue_stall_time).saturating_add(*session_queue_stall_time);
        self.transport_time = self.transport_time.saturating_add(*transport_time);
        self.window_overruns += window_overruns;
        self.streams_evicted += streams_evicted;
        self.streams_opened += streams_opened;
        self.streams_accepted += streams_accepted;
        self.streams_refused += streams_refused;
        self.ignored += ignored;
        self.glitches = self.glitches.saturating_add(*glitches);
    }
}

/// Frames by command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // the commands are documented at `Command`
pub struct FrameCounts {
    pub syn: u64,
    pub fin: u64,
    pub psh: u64,
    pub nop: u64,
    pub upd: u64,
}

impl AddAssign<&Self> for FrameCounts {
    fn add_assign(&mut self, other: &Self) {
        let Self {
            syn,
            fin,
            psh,
            nop,
            upd,
        } = other;
        self.syn += syn;
        self.fin += fin;
        self.psh += psh;
        self.nop += nop;
        self.upd += upd;
    }
}

impl FrameCounts {
    #[inline]
    pub(crate) fn count(&mut self, command: Command) {
        let counter = match command {
            Command::Syn => &mut self.syn,
            Command::Fin => &mut self.fin,
            Command::Psh => &mut self.psh,
            Command::Nop => &mut self.nop,
            Command::Upd => &mut self.upd,
        };
        *counter += 1;
    }
}

/// Frames that had no effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredFrames {
    /// SYN for a stream that is open.
    pub duplicate_syn: u64,
    /// SYN with an id that only this side may use.
    pub own_parity_syn: u64,
    /// PSH without data.
    pub empty_psh: u64,
    /// PSH, FIN or UPD for a stream that is not (or no longer) known, or closed here. Usual after a
    /// local close.
    pub unknown_stream: u64,
    /// PSH for a stream on which reading was stopped here.
    pub reading_stopped: u64,
    /// PSH behind the stream's FIN.
    pub after_fin: u64,
    /// A third FIN of a stream, or more.
    pub repeated_fin: u64,
    /// UPD that acknowledges less than an earlier one.
    pub stale_upd: u64,
}

impl AddAssign<&Self> for IgnoredFrames {
    fn add_assign(&mut self, other: &Self) {
        let Self {
            duplicate_syn,
            own_parity_syn,
            empty_psh,
            unknown_stream,
            reading_stopped,
            after_fin,
            repeated_fin,
            stale_upd,
        } = other;
        self.duplicate_syn += duplicate_syn;
        self.own_parity_syn += own_parity_syn;
        self.empty_psh += empty_psh;
        self.unknown_stream += unknown_stream;
        self.reading_stopped += reading_stopped;
        self.after_fin += after_fin;
        self.repeated_fin += repeated_fin;
        self.stale_upd += stale_upd;
    }
}

/// A stream's counters, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Which ends have finished their data.
    pub state: StreamState,
    /// How its data ranks among that of others.
    pub priority: Priority,
    /// Bytes that arrived.
    pub bytes_received: u64,
    /// Bytes that the application has read.
    pub bytes_read: u64,
    /// Bytes that the application has written.
    pub bytes_written: u64,
    /// Bytes handed out for writing to the transport.
    pub bytes_sent: u64,
    /// Bytes that arrived and are not read.
    pub unread: usize,
    /// Bytes that are written and not handed out.
    pub unsent: usize,
    /// Version 2: the window last granted to the peer, in bytes; 0 in version 1.
    pub receive_window: usize,
    /// Version 2: what keeps that window from being larger.
    pub window_limit: WindowLimit,
    /// Version 2: bytes that may be written before the peer's next update; 0 in version 1.
    pub send_window: usize,
    /// What a write waits for: the limit that it met, until it can go on.
    pub write_stall: Option<StallCause>,
    /// How long that write has waited, up to the last call that was given the time; zero if none
    /// waits. A write is not given the time: if several begin to wait before the next call that
    /// is, those but the last count from the call before.
    pub write_stall_time: Duration,
}

/// Which ends of a stream have finished their data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamState {
    /// Neither end.
    #[default]
    Open,
    /// This end: it only reads.
    Finished,
    /// The peer: this end only writes. Data that came before may be unread.
    PeerFinished,
    /// Both ends, or the stream was evicted. Data that came before may be unread.
    Ended,
}

/// A name for logs and metrics: `open`, `finished`, `peer_finished`, `ended`.
impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Finished => "finished",
            Self::PeerFinished => "peer_finished",
            Self::Ended => "ended",
        })
    }
}

/// What keeps a receive window from being larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowLimit {
    /// Nothing asks for more: less than half of it is read in a round trip, or the version has no
    /// windows.
    #[default]
    Demand,
    /// `max_stream_buffer`.
    StreamBuffer,
    /// `max_receive_buffer`, of which other streams have parts.
    ReceiveBuffer,
    /// Unread data fills `max_receive_buffer`: the window is 0 until some is read.
    Starved,
}

/// A name for logs and metrics: `demand`, `stream_buffer`, `receive_buffer`, `starved`.
impl fmt::Display for WindowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Demand => "demand",
            Self::StreamBuffer => "stream_buffer",
            Self::ReceiveBuffer => "receive_buffer",
            Self::Starved => "starved",
        })
    }
}

/// What a write waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StallCause {
    /// Version 2: the peer's window is used up.
    PeerWindow,
    /// The stream has `max_stream_send_queue` bytes to send.
    StreamQueue,
    /// All streams together have `max_session_send_queue` bytes to send, or this one has its share.
    SessionQueue,
}

/// A name for logs and metrics: `peer_window`, `stream_queue`, `session_queue`.
impl fmt::Display for StallCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerWindow => "peer_window",
            Self::StreamQueue => "stream_queue",
            Self::SessionQueue => "session_queue",
        })
    }
}
