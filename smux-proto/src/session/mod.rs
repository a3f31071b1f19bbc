//! The session: the public type.

mod closing;
mod glitches;
mod input;
mod keep_alive;
mod output;
mod phase;
mod stalls;
mod turns;

#[cfg(feature = "poll")]
use alloc::vec::Vec;
use alloc::{boxed::Box, sync::Arc};
use core::{task::Poll, time::Duration};

#[cfg(feature = "poll")]
use crate::buffer::Buffer;
use crate::{
    buffer::BufferSource,
    config::Config,
    error::{CloseReason, OpenError},
    stats::{SessionStats, StreamStats},
    streams::{Event, StreamMut, Streams, table::Key},
    trace::StallWatch,
    wire::{Decoder, Side, StreamId, Version},
};

use glitches::Glitches;
use keep_alive::Liveness;
use phase::Phase;

/// Many streams over one connection, as plain data: no I/O, no clock, no lock.
///
/// Methods come in four kinds:
///
/// * `handle_*`: tell the session what happened. [`handle_input`](Self::handle_input),
///   [`handle_eof`](Self::handle_eof), [`handle_transport_error`](Self::handle_transport_error),
///   [`handle_write_error`](Self::handle_write_error),
///   [`handle_timeout`](Self::handle_timeout), [`handle_flush_begin`](Self::handle_flush_begin).
/// * commands: what the application wants. [`open`](Self::open), [`accept`](Self::accept),
///   [`stream`](Self::stream), [`drain`](Self::drain), [`close`](Self::close) and others.
/// * `poll_*`: ask the session what to do. [`poll_transmit`](Self::poll_transmit),
///   [`poll_timeout`](Self::poll_timeout), [`poll_event`](Self::poll_event).
/// * getters.
///
/// Any order of calls is safe; a late call only delays. Time is a [`Duration`] since an epoch of
/// the caller's choice; if it goes back, it counts as standing still.
#[derive(Debug)]
pub struct Session {
    streams: Streams,
    decoder: Decoder,
    /// The stream that takes the payload of the frame that is arriving.
    receiver: Option<Key>,
    accepting: bool,
    phase: Phase,
    liveness: Liveness,
    glitches: Glitches,
    watch: StallWatch,
    /// Streams refused since the transport last took output: the peer cannot have read of more.
    unheard_refusals: usize,
    seed: u64,
    /// Its address tells this session from others, wherever that is moved. Made with the first
    /// batch.
    marker: Option<Box<u8>>,
    /// The id that the next stream gets; `None` once all are used.
    next_id: Option<u32>,
    now: Duration,
    /// Nothing has left for a keep-alive interval, so the batch need not keep its memory.
    output_idle: bool,
}

impl Session {
    /// The connecting side's session, whose streams are 3, 5, 7 …
    ///
    /// `seed` seeds the hash of stream ids, which the peer chooses: pass a random number.
    pub fn client(config: Config, seed: u64, now: Duration) -> Self {
        let version = Some(config.version());
        Self::new(config, Side::Client, version, seed, now)
    }

    /// The accepting side's session, whose streams are 2, 4, 6 …
    ///
    /// `seed` seeds the hash of stream ids, which the peer chooses: pass a random number.
    pub fn server(config: Config, seed: u64, now: Duration) -> Self {
        let version = (!config.detects_version()).then_some(config.version());
        Self::new(config, Side::Server, version, seed, now)
    }

    fn new(config: Config, side: Side, version: Option<Version>, seed: u64, now: Duration) -> Self {
        let liveness = Liveness::new(config.keep_alive(), now);
        let glitches = Glitches::new(config.max_glitches(), now);
        let mut streams = Streams::new(config, side, version, seed);
        streams.advance_time(now);
        streams.trace.began(now);
        Self {
            decoder: Decoder::new(version),
            receiver: None,
            accepting: true,
            phase: Phase::Open,
            liveness,
            glitches,
            watch: StallWatch::new(now),
            unheard_refusals: 0,
            seed,
            marker: None,
            // The reference steps its counter before use: ids 1 and 0 never name a stream.
            next_id: Some(match side {
                Side::Client => 3,
                Side::Server => 2,
            }),
            now,
            output_idle: false,
            streams,
        }
    }

    /// Takes buffers from `source` from now on, and returns spent ones to it. Any number of
    /// sessions can share one.
    pub fn set_buffer_source(&mut self, source: Arc<dyn BufferSource>) {
        self.streams.segments.set_source(source);
    }

    /// Changes the receive limits at run time, for embedders whose sessions share memory: what the
    /// streams may hold unread together, and what their windows may add up to (version 2). Both are
    /// in bytes, from 1 to the configured
    /// [`max_receive_buffer`](crate::ConfigBuilder::max_receive_buffer), which they are until then;
    /// other values count as the nearest of these.
    ///
    /// Nothing is lost by lower limits. What is held already stays; no further frame begins until
    /// less than `held` is, so that a frame more is held at most. Windows beyond `windows` are not
    /// renewed, and unused ones are cut. How many streams there may be does not change.
    ///
    /// After raising them see [`wants_input`](Self::wants_input) and
    /// [`wants_transmit`](Self::wants_transmit).
    ///
    /// ```
    /// use std::time::Duration;
    /// use smux_proto::{Config, Session};
    ///
    /// let mut session = Session::server(Config::v2(), 0, Duration::ZERO);
    /// session.set_receive_limits(64 << 10, 1 << 20);
    /// assert!(session.wants_input());
    /// assert_eq!(session.unread(), 0);
    /// ```
    pub fn set_receive_limits(&mut self, held: usize, windows: usize) {
        self.streams.set_receive_limits(held, windows);
        if !self.wants_input() {
            self.liveness.pause();
            if !self.streams.has_receive_budget() {
                self.streams.input_waits();
            }
        }
    }

    /// Bytes that have arrived and are not read yet, those of evicted streams included.
    pub fn unread(&self) -> usize {
        self.streams.unread()
    }

    /// Streams that have no window for want of budget.
    #[cfg(feature = "poll")]
    pub(crate) fn starved_streams(&self) -> usize {
        self.streams.starved_streams()
    }

    /// Opens a stream. Its SYN leaves with the next batch, together with what is written meanwhile;
    /// the stream is usable at once, since no answer is awaited.
    ///
    /// Pending while this side has `max_outbound_streams` (in version 2 also while the session has
    /// `max_receive_buffer / window_floor`) or while the version is not detected yet, until
    /// [`Event::Openable`].
    ///
    /// # Errors
    ///
    /// [`OpenError::Closed`], [`OpenError::Draining`], [`OpenError::IdsExhausted`]. No id is used
    /// up then.
    pub fn open(&mut self) -> Poll<Result<StreamId, OpenError>> {
        self.open_at().map_ok(|(id, _)| id)
    }

    /// As [`open`](Self::open), with the stream's place.
    #[inline(always)]
    pub(crate) fn open_at(&mut self) -> Poll<Result<(StreamId, Key), OpenError>> {
        if let Some(reason) = &self.streams.reason {
            return Poll::Ready(Err(OpenError::Closed(reason.clone())));
        }
        if matches!(self.phase, Phase::Draining(_)) {
            return Poll::Ready(Err(OpenError::Draining));
        }
        // Ids of our parity are ours alone (the peer's are ignored), so this one is free.
        let Some(id) = self.next_id else {
            return Poll::Ready(Err(OpenError::IdsExhausted));
        };
        let next = id.checked_add(2);
        let id = StreamId::new(id);
        let Some(key) = self.streams.open(id) else {
            return Poll::Pending;
        };
        self.next_id = next;
        Poll::Ready(Ok((id, key)))
    }

    /// Whether opening would not be pending. If it would, [`Event::Openable`] follows.
    #[cfg(feature = "poll")]
    pub(crate) fn poll_openable(&mut self) -> bool {
        self.is_closed()
            || matches!(self.phase, Phase::Draining(_))
            || self
                .next_id
                .is_none_or(|id| self.streams.poll_openable(StreamId::new(id)))
    }

    /// Whether accepting would not be pending.
    #[cfg(feature = "poll")]
    pub(crate) fn is_acceptable(&self) -> bool {
        !self.streams.backlog.is_empty() || self.is_input_over()
    }

    /// Whether nothing is received any more.
    #[cfg(feature = "poll")]
    pub(crate) fn is_input_over(&self) -> bool {
        self.streams.input_over
    }

    /// Accepts the peer's stream that has waited longest, with the data that has arrived on it.
    ///
    /// Pending until [`Event::Acceptable`].
    ///
    /// # Errors
    ///
    /// The reason why the session ended, once nothing more arrives and all waiting streams are
    /// taken.
    pub fn accept(&mut self) -> Poll<Result<StreamId, CloseReason>> {
        self.accept_at().map_ok(|(id, _)| id)
    }

    /// As [`accept`](Self::accept), with the stream's place.
    #[inline(always)]
    pub(crate) fn accept_at(&mut self) -> Poll<Result<(StreamId, Key), CloseReason>> {
        match (self.streams.accept(), self.streams.end_of_input()) {
            (Some(accepted), _) => Poll::Ready(Ok(accepted)),
            (None, Some(reason)) => Poll::Ready(Err(reason.clone())),
            (None, None) => Poll::Pending,
        }
    }

    /// The stream with this id; `None` if it was never opened or accepted here, or was closed.
    pub fn stream(&mut self, id: StreamId) -> Option<StreamMut<'_>> {
        let (key, stream) = self.streams.table.find_stream(id)?;
        stream
            .is_held()
            .then(|| StreamMut::new(key, &mut self.streams))
    }

    /// As [`stream`](Self::stream), without a search.
    #[cfg(feature = "poll")]
    pub(crate) fn stream_at(&mut self, key: Key) -> Option<StreamMut<'_>> {
        self.streams
            .has_handle(key)
            .then(|| StreamMut::new(key, &mut self.streams))
    }

    /// Lends room of a stream's send queue, of which there is none unless there is much.
    #[cfg(feature = "poll")]
    pub(crate) fn lend_room(&mut self, key: Key) -> Option<Buffer> {
        self.streams.lend_room(key)
    }

    /// Takes lent room back, with what was written there.
    #[cfg(feature = "poll")]
    pub(crate) fn take_back(&mut self, key: Key, buffer: Buffer) {
        let sends = matches!(
            self.phase,
            Phase::Open | Phase::Draining(_) | Phase::Closing(_)
        );
        self.streams.take_back(key, buffer, sends);
    }

    /// Whether writers may wait for room that is lent and not used.
    #[cfg(feature = "poll")]
    pub(crate) const fn is_mostly_lent(&self) -> bool {
        self.streams.is_mostly_lent()
    }

    /// Raises events for writers that waited for room that has been taken back.
    #[cfg(feature = "poll")]
    pub(crate) fn notify_blocked(&mut self) {
        self.streams.notify_blocked();
    }

    /// Stops accepting: refuses new streams and closes the backlog.
    pub fn stop_accepting(&mut self) {
        self.accepting = false;
        self.streams.refuse_backlog();
    }

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.streams.poll_event(|(event, _)| event)
    }

    /// As [`poll_event`](Self::poll_event), with the place of the event's stream.
    #[cfg(feature = "poll")]
    #[inline]
    pub(crate) fn poll_event_at(&mut self) -> Option<(Event, Option<Key>)> {
        self.streams.poll_event(|event| event)
    }

    /// Whether [`poll_event`](Self::poll_event) may have something to tell.
    pub fn has_events(&self) -> bool {
        self.streams.events.may_be_any()
    }

    /// What the session tells `tracing`.
    #[cfg(feature = "poll")]
    pub(crate) const fn trace(&mut self) -> &mut crate::trace::Trace {
        &mut self.streams.trace
    }

    /// From now on keeps bytes of the user that it discards, for
    /// [`released`](Self::released).
    #[cfg(feature = "poll")]
    pub(crate) fn keep_released(&mut self) {
        self.streams.segments.keep_released();
    }

    /// Bytes of the user that were discarded, to be taken and dropped.
    #[cfg(feature = "poll")]
    pub(crate) const fn released(&mut self) -> &mut Vec<bytes::Bytes> {
        self.streams.segments.released()
    }

    /// Whether to read from the transport. `false` while the receive budget is used up: then leave
    /// the bytes where they are until streams have been read. Also `false` while
    /// `max_owed_refusals` wait for the next [`poll_transmit`](Self::poll_transmit).
    #[inline]
    pub fn wants_input(&self) -> bool {
        // The usual case first.
        (self.streams.has_receive_budget() && !self.refusals_wait())
            || self.streams.input_over
            || !self.decoder.is_between_frames()
    }

    /// Whether as many refusals are owed as may be, and the peer can have read none of them, since
    /// none has been handed out for writing.
    #[inline]
    fn refusals_wait(&self) -> bool {
        let owed = self.streams.scheduler.owed_refusals();
        owed > 0 && owed >= self.streams.config.max_owed_refusals() && !self.liveness.is_writing()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something to do: frames to hand out, or
    /// to be told that the batch it filled last has been written.
    pub fn wants_transmit(&self) -> bool {
        match self.phase {
            Phase::Shut(_) | Phase::Receiving(_) | Phase::Terminated => false,
            Phase::Closing(_) => true,
            Phase::Draining(_) if self.stream_count() == 0 => true,
            Phase::Open | Phase::Draining(_) => {
                self.streams.version.is_some()
                    && (self.liveness.nop_due()
                        || self.liveness.is_writing()
                        || self.streams.scheduler.has_frames())
            }
        }
    }

    /// Advances the session's time, for [`stats`](Self::stats), without handling deadlines. Every
    /// other call that takes `now` advances it too.
    pub fn advance_time(&mut self, now: Duration) {
        self.advance(now);
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.streams.side
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.streams.config
    }

    /// The protocol version; `None` as long as it is not detected.
    pub fn version(&self) -> Option<Version> {
        self.streams.version
    }

    /// Streams that exist: open, half-closed, waiting to be accepted, or closed here with frames
    /// still to send.
    ///
    /// A stream that both ends have finished and that is read to its end does not count, even if
    /// it is not closed here.
    pub fn stream_count(&self) -> usize {
        self.streams.count()
    }

    /// Iterates over the streams that the application has, with their counters, in no particular
    /// order.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, StreamStats)> {
        self.streams.held()
    }

    /// Bytes handed out for writing since the start, headers included.
    pub fn bytes_emitted(&self) -> u64 {
        self.streams.stats.bytes_emitted
    }

    /// The session's counters.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            glitches: self.glitches.counted(),
            ..self.streams.stats()
        }
    }

    /// Takes note of the time, which never goes back.
    #[inline]
    pub(crate) fn advance(&mut self, now: Duration) -> Duration {
        // Several calls tell the same time.
        if now != self.now || self.streams.awaits_time() {
            self.pass_time(now);
        }
        self.now
    }

    // Out of line, so that the comparison before it is inlined.
    #[inline(never)]
    fn pass_time(&mut self, now: Duration) {
        let now = self.now.max(now);
        let time = now - self.now;
        if self.streams.reason.is_none() {
            self.streams.on_time_passed(time);
            if self.liveness.is_writing() {
                self.streams.stats.transport_time += time;
            }
        }
        self.streams.advance_time(now);
        self.now = now;
    }
}

/// Of which a server has one for each of its users. What there is to tell takes more.
#[cfg(all(target_pointer_width = "64", not(feature = "tracing")))]
const _: () = assert!(size_of::<Session>() <= 1_824);

/// Using up the ids through the public interface would take 2^31 streams.
#[cfg(test)]
mod tests {
    use super::*;

    fn last_ids(mut session: Session, last: u32) {
        session.next_id = Some(last - 2);
        for id in [last - 2, last] {
            assert_eq!(session.open(), Poll::Ready(Ok(StreamId::new(id))));
        }
        for _ in 0..2 {
            assert_eq!(session.open(), Poll::Ready(Err(OpenError::IdsExhausted)));
        }
        let mut stream = session.stream(StreamId::new(last)).expect("just opened");
        assert_eq!(stream.write(b"goes on"), Poll::Ready(Ok(7)));
    }

    #[test]
    fn all_ids_are_used_once() {
        let (config, now) = (Config::default(), Duration::ZERO);
        last_ids(Session::client(config.clone(), 0, now), 0xffff_ffff);
        last_ids(Session::server(config, 0, now), 0xffff_fffe);
    }
}
