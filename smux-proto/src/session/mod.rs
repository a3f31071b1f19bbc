//! The session: every part put together.

pub(crate) mod closing;
pub(crate) mod input;
pub(crate) mod keep_alive;
mod output;

use alloc::{collections::VecDeque, vec::Vec};
use core::{task::Poll, time::Duration};

use crate::{
    buffer::segments::Segments,
    config::Config,
    error::{CloseReason, OpenError},
    session::closing::Phase,
    session::input::Decoder,
    session::keep_alive::Liveness,
    stats::SessionStats,
    streams::Common,
    streams::events::{Event, Events},
    streams::receive_budget::Budget,
    streams::receive_windows::Windows,
    streams::scheduler::Scheduler,
    streams::stalls::Stalls,
    streams::stream::Flag,
    streams::stream_mut::{self, StreamMut},
    streams::table::{Key, Table},
    trace::Trace,
    wire::{Side, StreamId, Version},
};

/// Many streams over one connection, as plain data: no I/O, no clock, no lock.
///
/// Methods come in four kinds:
///
/// * `handle_*`: the world tells the session what happened. [`handle_input`](Self::handle_input),
///   [`handle_eof`](Self::handle_eof), [`handle_transport_error`](Self::handle_transport_error),
///   [`handle_write_error`](Self::handle_write_error),
///   [`handle_timeout`](Self::handle_timeout), [`handle_flush_begin`](Self::handle_flush_begin).
/// * commands: what the application wants. [`open`](Self::open), [`accept`](Self::accept),
///   [`stream`](Self::stream), [`drain`](Self::drain), [`close`](Self::close) and others.
/// * `poll_*`: the session tells the world what to do. [`poll_transmit`](Self::poll_transmit),
///   [`poll_timeout`](Self::poll_timeout), [`poll_event`](Self::poll_event).
/// * getters.
///
/// Any order of calls is safe; polling late only delays. Time is a [`Duration`] since a moment of
/// the caller's choice; if it ever goes back, no time has passed.
#[derive(Debug)]
pub struct Session {
    pub(crate) table: Table,
    pub(crate) common: Common,
    pub(crate) decoder: Decoder,
    /// Streams of the peer that nobody has accepted yet.
    pub(crate) backlog: VecDeque<Key>,
    pub(crate) accepting: bool,
    pub(crate) phase: Phase,
    pub(crate) glitches: u32,
    /// Streams that went beyond their window.
    pub(crate) overrunners: Vec<Key>,
    /// The id that the next stream gets; `None` once all are used.
    next_id: Option<u32>,
    now: Duration,
    /// Nothing has left for a keep-alive interval, so the batch need not keep its memory.
    pub(crate) output_idle: bool,
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
        Self {
            table: Table::new(seed),
            decoder: Decoder::new(),
            backlog: VecDeque::new(),
            accepting: true,
            phase: Phase::Open,
            glitches: 0,
            overrunners: Vec::new(),
            // The reference steps its counter before use: ids 1 and 0 never name a stream.
            next_id: Some(match side {
                Side::Client => 3,
                Side::Server => 2,
            }),
            now,
            output_idle: false,
            common: Common {
                side,
                version,
                reason: None,
                input_over: false,
                segments: Segments::new(),
                budget: Budget::new(config.max_receive_buffer()),
                windows: Windows::new(&config),
                scheduler: Scheduler::default(),
                events: Events::default(),
                liveness: Liveness::new(config.keep_alive(), now),
                stats: SessionStats::default(),
                stalls: Stalls::default(),
                trace: Trace::new(side, version),
                queued: 0,
                inbound: 0,
                outbound: 0,
                open_waits: false,
                arriving: None,
                config,
            },
        }
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
    /// [`OpenError::Closed`], [`OpenError::Draining`], [`OpenError::IdsExhausted`]. No id is used up then.
    pub fn open(&mut self) -> Poll<Result<StreamId, OpenError>> {
        self.open_at().map_ok(|(id, _)| id)
    }

    /// As [`open`](Self::open), with the stream's place.
    pub(crate) fn open_at(&mut self) -> Poll<Result<(StreamId, Key), OpenError>> {
        if let Some(reason) = &self.common.reason {
            return Poll::Ready(Err(OpenError::Closed(reason.clone())));
        }
        if matches!(self.phase, Phase::Draining(_)) {
            return Poll::Ready(Err(OpenError::Draining));
        }
        // Ids of our parity are ours alone (the peer's are ignored), so this one is free.
        let Some(id) = self.next_id else {
            return Poll::Ready(Err(OpenError::IdsExhausted));
        };
        if self.opening_waits() {
            self.common.open_waits = true;
            return Poll::Pending;
        }
        self.next_id = id.checked_add(2);
        let id = StreamId::new(id);
        let key = self.insert(id);
        let stream = &mut self.table[key];
        stream.set(Flag::Accepted);
        stream.set(Flag::OwesSyn);
        self.common.scheduler.owe_control(key, stream);
        self.common.stats.streams_opened += 1;
        self.common.trace.opened(id);
        Poll::Ready(Ok((id, key)))
    }

    fn opening_waits(&self) -> bool {
        self.common.version.is_none()
            || self.common.outbound >= self.common.config.max_outbound_streams()
            || !self.has_window_room()
    }

    /// Whether opening would not be pending. If it would, [`Event::Openable`] follows.
    #[cfg(feature = "poll")]
    pub(crate) fn poll_openable(&mut self) -> bool {
        let ready = self.is_closed()
            || matches!(self.phase, Phase::Draining(_))
            || self.next_id.is_none()
            || !self.opening_waits();
        self.common.open_waits |= !ready;
        ready
    }

    /// Whether accepting would not be pending.
    #[cfg(feature = "poll")]
    pub(crate) fn is_acceptable(&self) -> bool {
        !self.backlog.is_empty() || self.is_input_over()
    }

    /// Whether nothing is received any more.
    #[cfg(feature = "poll")]
    pub(crate) fn is_input_over(&self) -> bool {
        self.common.end_of_input().is_some()
    }

    /// Takes the stream of the peer that has waited longest, with whatever has arrived on it.
    ///
    /// Pending until [`Event::Acceptable`].
    ///
    /// # Errors
    ///
    /// The reason why the session ended, once nothing more arrives and all waiting streams are taken.
    pub fn accept(&mut self) -> Poll<Result<StreamId, CloseReason>> {
        self.accept_at().map_ok(|(id, _)| id)
    }

    /// As [`accept`](Self::accept), with the stream's place.
    pub(crate) fn accept_at(&mut self) -> Poll<Result<(StreamId, Key), CloseReason>> {
        let Some(key) = self.backlog.pop_front() else {
            return match self.common.end_of_input() {
                Some(reason) => Poll::Ready(Err(reason.clone())),
                None => Poll::Pending,
            };
        };
        let stream = &mut self.table[key];
        stream.set(Flag::Accepted);
        self.common.stats.streams_accepted += 1;
        self.common.trace.accepted(stream.id);
        Poll::Ready(Ok((stream.id, key)))
    }

    /// The stream with this id; `None` if it was never opened or accepted here, or was closed.
    pub fn stream(&mut self, id: StreamId) -> Option<StreamMut<'_>> {
        let key = self.table.find(id)?;
        self.stream_at(key)
    }

    /// As [`stream`](Self::stream), without a search.
    pub(crate) fn stream_at(&mut self, key: Key) -> Option<StreamMut<'_>> {
        let stream = self.table.get(key)?;
        (stream.has(Flag::Accepted) && !stream.has(Flag::Closed))
            .then(|| StreamMut::new(key, &mut self.table, &mut self.common))
    }

    /// From now on refuses what the peer opens, and closes what waits to be accepted: nobody will.
    pub fn stop_accepting(&mut self) {
        self.accepting = false;
        while let Some(key) = self.backlog.pop_front() {
            self.common.stats.streams_refused += 1;
            let id = self.table[key].id;
            self.common.trace.refused(id, "nobody accepts");
            stream_mut::close(key, &mut self.table, &mut self.common);
        }
    }

    /// The next thing that the application may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.poll_event_at().map(|(event, _)| event)
    }

    /// As [`poll_event`](Self::poll_event), with the place of the event's stream.
    pub(crate) fn poll_event_at(&mut self) -> Option<(Event, Option<Key>)> {
        self.common.events.poll(&mut self.table)
    }

    /// Whether [`poll_event`](Self::poll_event) may have something to tell.
    pub fn has_events(&self) -> bool {
        self.common.events.may_be_any()
    }

    /// The session's span.
    #[cfg(feature = "poll")]
    pub(crate) const fn trace(&self) -> &Trace {
        &self.common.trace
    }

    /// From now on keeps bytes of the user that it discards, for
    /// [`released`](Self::released).
    #[cfg(feature = "poll")]
    pub(crate) fn keep_released(&mut self) {
        self.common.segments.keep_released();
    }

    /// Bytes of the user that were discarded, to be taken and dropped.
    #[cfg(feature = "poll")]
    pub(crate) const fn released(&mut self) -> &mut Vec<bytes::Bytes> {
        self.common.segments.released()
    }

    /// Whether to read from the transport. `false` while the receive budget is used up: then leave
    /// the bytes where they are until streams have been read.
    pub fn wants_input(&self) -> bool {
        self.common.input_over
            || self.common.budget.is_open(self.common.is_v2())
            || !self.decoder.is_between_frames()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something to do: frames to hand out, or to be told
    /// that the batch it filled last has been written.
    pub fn wants_transmit(&self) -> bool {
        match self.phase {
            Phase::Shut(_) | Phase::Receiving(_) | Phase::Terminated => false,
            Phase::Closing(_) => true,
            Phase::Draining(_) if self.streams() == 0 => true,
            Phase::Open | Phase::Draining(_) => {
                self.common.version.is_some()
                    && (self.common.liveness.nop_due()
                        || self.common.liveness.is_writing()
                        || self.common.scheduler.has_frames())
            }
        }
    }

    /// Tells the session the time, for [`stats`](Self::stats), and does nothing that is due. Every other call that takes `now`
    /// tells it too.
    pub fn note_time(&mut self, now: Duration) {
        self.advance(now);
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.common.side
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.common.config
    }

    /// The protocol version; `None` as long as it is not detected.
    pub fn version(&self) -> Option<Version> {
        self.common.version
    }

    /// Streams that exist: open, half-closed, waiting to be accepted, or closed here with frames still to send.
    ///
    /// A stream that both ends have finished and that is read to its end does not count, even if it is not closed here.
    pub fn streams(&self) -> usize {
        self.common.inbound + self.common.outbound
    }

    /// Bytes handed out for writing since the start, headers included.
    pub fn bytes_emitted(&self) -> u64 {
        self.common.stats.bytes_emitted
    }

    /// What the session did so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            receive_buffered: self.common.budget.used(),
            send_queued: self.common.queued,
            windows_granted: self.common.windows.granted(),
            ..self.common.stats.clone()
        }
    }

    /// Takes note of the time, which never goes back.
    pub(crate) fn advance(&mut self, now: Duration) -> Duration {
        let now = self.now.max(now);
        let time = now - self.now;
        // No time concerns only those whose wait has just begun.
        if self.common.reason.is_none() && !(time.is_zero() && self.common.stalls.is_empty()) {
            self.common.pass(time);
        }
        self.common.budget.resume(self.common.is_v2());
        self.now = now;
        now
    }

    /// Adds a stream to the table, with its window.
    pub(crate) fn insert(&mut self, id: StreamId) -> Key {
        let key = self.table.insert(self.common.new_stream(id));
        self.common.count_stream(id);
        if self.common.is_v2() {
            let Common {
                windows, scheduler, ..
            } = &mut self.common;
            windows.join(key, &mut self.table, scheduler);
        }
        key
    }

    pub(crate) fn has_window_room(&self) -> bool {
        !self.common.is_v2() || self.common.windows.has_room()
    }
}

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
    fn ids_are_used_to_the_last_and_never_again() {
        let (config, now) = (Config::default(), Duration::ZERO);
        last_ids(Session::client(config.clone(), 0, now), 0xffff_ffff);
        last_ids(Session::server(config, 0, now), 0xffff_fffe);
    }
}
