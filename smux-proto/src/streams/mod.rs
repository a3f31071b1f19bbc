//! The streams of a session: the table, and what its streams share.

mod data_lanes;
pub(crate) mod events;
pub(crate) mod receive_budget;
pub(crate) mod receive_windows;
pub(crate) mod recv;
mod round_trip;
pub(crate) mod scheduler;
pub(crate) mod send;
mod slow_readers;
pub(crate) mod stalls;
pub(crate) mod stream;
mod stream_mut;
mod stream_queue;
pub(crate) mod table;

pub use events::Event;
pub use stream_mut::StreamMut;

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use crate::{
    buffer::segments::{SEGMENT, Segments, segment_limit},
    config::{Config, INITIAL_WINDOW},
    error::CloseReason,
    stats::{SessionStats, StallCause, StreamStats},
    trace::Trace,
    wire::{Side, StreamId, Version, WindowUpdate},
};

use events::Events;
use receive_budget::Budget;
use receive_windows::Windows;
use scheduler::Scheduler;
use slow_readers::SlowReaders;
use stalls::Stalls;
use stream::{Flag, Stream};
use stream_queue::Ring;
use table::{Key, Table};

/// What a stream may queue that has had nothing to send for a whole round, whatever others have.
const NEWCOMER: usize = 4_096;

/// The least that streams share the session's send queue by: frames should not be smaller.
const LEAST_SHARE: usize = 1_024;

/// Overrunning streams among which the worst is looked for.
const MOST_LOOKS: usize = 256;

/// Every stream of a session, with the buffers, budgets and queues that they share.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) table: Table,
    pub(crate) config: Config,
    pub(crate) side: Side,
    /// `None` until an accepting side has detected it.
    pub(crate) version: Option<Version>,
    /// Why the session ended.
    pub(crate) reason: Option<CloseReason>,
    /// Nothing is received any more; then there is a reason.
    pub(crate) input_over: bool,
    pub(crate) segments: Segments,
    pub(crate) budget: Budget,
    windows: Windows,
    pub(crate) scheduler: Scheduler,
    pub(crate) events: Events,
    pub(crate) stats: SessionStats,
    stalls: Stalls,
    pub(crate) trace: Trace,
    /// Streams of the peer that wait to be accepted, in order.
    pub(crate) backlog: VecDeque<Key>,
    /// Version 1: streams that may be evicted.
    slow_readers: SlowReaders,
    /// Streams that went beyond their window.
    overrunners: Ring,
    /// Bytes in all send queues.
    pub(crate) queued: usize,
    /// Streams of the table, by who opened them.
    pub(crate) inbound: usize,
    outbound: usize,
    /// Opening was pending.
    open_waits: bool,
    /// The stream whose frame is arriving, and how much of the frame's payload has arrived.
    arriving: Option<(Key, u64)>,
}

impl Streams {
    pub(crate) fn new(config: Config, side: Side, version: Option<Version>, seed: u64) -> Self {
        Self {
            table: Table::new(seed),
            side,
            version,
            reason: None,
            input_over: false,
            segments: Segments::new(),
            budget: Budget::new(config.max_receive_buffer()),
            windows: Windows::new(&config),
            scheduler: Scheduler::default(),
            events: Events::default(),
            stats: SessionStats::default(),
            stalls: Stalls::default(),
            trace: Trace::new(side, version),
            backlog: VecDeque::new(),
            slow_readers: SlowReaders::new(config.slow_readers()),
            overrunners: Ring::default(),
            queued: 0,
            inbound: 0,
            outbound: 0,
            open_waits: false,
            arriving: None,
            config,
        }
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.backlog.shrink_to_fit();
        self.scheduler.trim();
        self.windows.trim();
        self.events.trim();
    }

    /// Adds a stream that the application opens, if the limits allow one more; its SYN is owed.
    pub(crate) fn open(&mut self, id: StreamId) -> Option<Key> {
        if !self.poll_openable(id) {
            return None;
        }
        let key = self.insert(id);
        let stream = &mut self.table[key];
        stream.set(Flag::Accepted);
        stream.set(Flag::OwesSyn);
        self.scheduler.owe_control(key, stream);
        self.stats.streams_opened += 1;
        self.trace.opened(id);
        Some(key)
    }

    /// Whether the limits allow one more stream of ours; if not, an event follows when they do.
    pub(crate) fn poll_openable(&mut self, id: StreamId) -> bool {
        let openable = self.version.is_some()
            && self.outbound < self.config.max_outbound_streams()
            && self.has_window_room(id);
        self.open_waits |= !openable;
        openable
    }

    /// Adds a stream that the peer opens, to wait in the backlog.
    pub(crate) fn open_inbound(&mut self, id: StreamId) {
        let key = self.insert(id);
        self.backlog.push_back(key);
        self.events.acceptable();
    }

    /// Takes the stream that has waited longest in the backlog.
    pub(crate) fn accept(&mut self) -> Option<(StreamId, Key)> {
        let key = self.backlog.pop_front()?;
        let stream = &mut self.table[key];
        stream.set(Flag::Accepted);
        self.stats.streams_accepted += 1;
        self.trace.accepted(stream.id);
        Some((stream.id, key))
    }

    /// Closes every stream of the backlog.
    pub(crate) fn refuse_backlog(&mut self) {
        while let Some(key) = self.backlog.pop_front() {
            self.stats.streams_refused += 1;
            let id = self.table[key].id;
            self.trace.refused(id, "accepting has stopped");
            self.close(key);
        }
    }

    /// Whether the application has this stream: it was opened or accepted, and not closed.
    pub(crate) fn has_handle(&self, key: Key) -> bool {
        self.table.get(key).is_some_and(Stream::is_held)
    }

    /// Notes the version that the first frame has decided.
    pub(crate) fn detected(&mut self, version: Version) {
        self.version = Some(version);
        self.trace.version(version);
        self.notify_opener();
    }

    /// Adds a stream to the table, with its window.
    fn insert(&mut self, id: StreamId) -> Key {
        let window = self.config.initial_send_window().min(INITIAL_WINDOW);
        let key = self.table.insert(Stream::new(id, window));
        if self.side.owns(id) {
            self.outbound += 1;
        } else {
            self.inbound += 1;
        }
        if self.is_v2() {
            self.windows.join(key, &mut self.table, &mut self.scheduler);
        }
        key
    }

    /// Whether the receive budget lets another frame begin.
    pub(crate) fn has_receive_budget(&self) -> bool {
        self.budget.is_open(self.is_v2())
    }

    /// Whether the smallest windows leave room for another stream of this id's side.
    pub(crate) fn has_window_room(&self, id: StreamId) -> bool {
        !self.is_v2() || self.windows.has_room(id)
    }

    /// Ends a stream for the application, also one that was never accepted.
    pub(crate) fn close(&mut self, key: Key) {
        self.release_window(key);
        self.discard_received(key);
        self.end_write_stall(key);
        let stream = &mut self.table[key];
        stream.set(Flag::Closed);
        if self.reason.is_none() {
            stream.set(Flag::Finished);
        }
        self.scheduler.owe_data(key, stream);
        self.remove_if_done(key);
    }

    /// The streams that count against the limits.
    pub(crate) const fn count(&self) -> usize {
        self.inbound + self.outbound
    }

    fn uncount(&mut self, id: StreamId) {
        if self.side.owns(id) {
            self.outbound -= 1;
        } else {
            self.inbound -= 1;
        }
        self.notify_opener();
    }

    /// A stream that is spent holds nothing of its session, so it takes no other's place.
    fn uncount_if_spent(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if stream.is_spent(self.config.half_close()) && !stream.has(Flag::Spent) {
            stream.set(Flag::Spent);
            let id = stream.id;
            self.uncount(id);
        }
    }

    /// Stops counting a stream that is spent; forgets one for which nothing remains to be done.
    pub(crate) fn remove_if_done(&mut self, key: Key) {
        self.uncount_if_spent(key);
        if !self.table[key].is_done(self.config.half_close()) {
            return;
        }
        let Some(stream) = self.table.remove(key) else {
            return;
        };
        if !stream.has(Flag::Spent) {
            self.uncount(stream.id);
        }
        self.trace.gone(stream.id);
        self.scheduler.forget(key, &stream, &self.table);
        if stream.has(Flag::InEvents) {
            self.events.forget(&self.table);
        }
        if stream.has(Flag::Overran) {
            let table = &self.table;
            self.overrunners.forget(|key| table.get(key).is_some());
        }
    }

    /// Drops everything that was to be sent, and tells the writers.
    pub(crate) fn end_output(&mut self) {
        self.scheduler.clear();
        let keys: Vec<Key> = self.table.keys().collect();
        for key in keys {
            self.cut_off(key);
            // A flush may have begun after the session's end was told.
            self.notify_writer(key);
            self.remove_if_done(key);
        }
    }

    /// The next event, and where its stream stands if it is one of a stream.
    pub(crate) fn poll_event(&mut self) -> Option<(Event, Option<Key>)> {
        self.events.poll(&mut self.table)
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.version == Some(Version::V2)
    }

    /// Why nothing is received any more.
    pub(crate) fn end_of_input(&self) -> Option<&CloseReason> {
        self.reason.as_ref().filter(|_| self.input_over)
    }

    /// The largest segment of send queues.
    pub(crate) fn send_segment(&self) -> usize {
        segment_limit(self.config.max_frame_size())
    }

    /// Gives up memory for segments that are gone, in proportion to those that are left and the
    /// places for streams.
    pub(crate) fn compact_segments(&mut self) {
        if self.segments.is_sparse(self.table.capacity()) {
            self.segments.compact(self.table.queues());
        }
    }

    /// How much of the arriving frame, if it is this stream's, cannot be acknowledged yet.
    pub(crate) fn partial(&self, key: Key) -> u64 {
        match self.arriving {
            Some((arriving, bytes)) if arriving == key => bytes,
            _ => 0,
        }
    }

    /// Begins a frame of data for a stream.
    pub(crate) const fn begin_data(&mut self, key: Key) {
        self.arriving = Some((key, 0));
    }

    /// Queues payload for its stream as it arrives; drops it if the stream takes none.
    pub(crate) fn receive(&mut self, to: Option<Key>, data: &[u8], now: Duration) {
        if let Some((_, arrived)) = &mut self.arriving {
            *arrived += data.len() as u64;
        }
        let taker = to.and_then(|key| Some((key, self.table.get_mut(key)?)));
        let Some((key, stream)) = taker.filter(|(_, stream)| stream.takes_data()) else {
            self.stats.payload_discarded += data.len() as u64;
            return;
        };
        let was_empty = stream.recv.queue.is_empty();
        self.segments.push(&mut stream.recv.queue, data, SEGMENT);
        self.budget.charge(data.len());
        self.windows.on_arrival(data.len(), stream);
        if self.version == Some(Version::V1) {
            self.slow_readers.on_received(key, stream, now);
        }
        if was_empty | stream.clear(Flag::ReadWaits) {
            self.events.raise(key, stream, Flag::EventReadable);
        }
    }

    /// Completes a frame of data: what was read of it meanwhile can be acknowledged now.
    pub(crate) fn end_of_data(&mut self, key: Key) {
        self.arriving = None;
        if !self.is_v2() || self.table.get(key).is_none() {
            return;
        }
        self.update_window(key);
        let stream = &mut self.table[key];
        if stream.takes_data() && stream.recv.overrun() > 0 {
            self.stats.window_overruns += 1;
            if !stream.has(Flag::Overran) {
                stream.set(Flag::Overran);
                self.overrunners.push(key);
            }
        }
        if !self.budget.is_open(true) {
            self.evict_worst();
        }
    }

    /// Takes no more input, in the middle of a frame or not.
    pub(crate) const fn end_input(&mut self) {
        self.input_over = true;
        self.arriving = None;
    }

    /// With the budget empty, ends the stream that holds most beyond its window, if there is one.
    fn evict_worst(&mut self) {
        let mut worst = None;
        // Streams that hold nothing beyond their windows leave the queue, once for each entry.
        let mut looks = MOST_LOOKS.min(self.overrunners.len());
        while looks > 0
            && let Some(key) = self.overrunners.pop()
        {
            let Some(stream) = self.table.get_mut(key) else {
                continue;
            };
            let excess = (stream.recv.overrun() as usize).min(stream.recv.queue.len());
            if excess == 0 || stream.has(Flag::Evicted) {
                stream.clear(Flag::Overran);
                continue;
            }
            looks -= 1;
            self.overrunners.push(key);
            worst = worst.max(Some((excess, key)));
        }
        let Some((_, key)) = worst else {
            return;
        };
        self.stats.streams_evicted += 1;
        self.release_window(key);
        self.trace.evicted(self.table[key].id);
        self.discard_received(key);
        self.end_evicted(key);
    }

    /// The peer finished a stream: it sends no more data on it.
    pub(crate) fn on_peer_finished(&mut self, key: Key) {
        self.end_window(key);
        let stream = &mut self.table[key];
        stream.set(Flag::PeerFinished);
        self.trace.finished(stream.id);
        self.events.raise(key, stream, Flag::EventFinished);
        // Without half-close our own FIN may have waited for this.
        self.scheduler.owe_data(key, stream);
    }

    /// The peer reads a stream no more: what is queued is of no use.
    pub(crate) fn on_peer_stopped(&mut self, key: Key) {
        let stream = &mut self.table[key];
        stream.set(Flag::Stopped);
        self.trace.stopped(stream.id);
        self.discard_queued(key);
        self.notify_writer(key);
        self.events
            .raise(key, &mut self.table[key], Flag::EventStopped);
    }

    /// Drops what a stream has received and returns its tokens.
    fn discard_received(&mut self, key: Key) {
        let queue = &mut self.table[key].recv.queue;
        if queue.is_empty() {
            return;
        }
        let bytes = self.segments.clear(queue);
        self.refund(key, bytes);
        self.slow_readers.forget(key, &mut self.table[key]);
        self.stats.payload_discarded += bytes as u64;
        self.compact_segments();
    }

    /// Drops what a stream has to send.
    fn discard_queued(&mut self, key: Key) {
        let stream = &mut self.table[key];
        let bytes = self.segments.clear(&mut stream.send.queue);
        if bytes == 0 {
            return;
        }
        self.queued -= bytes;
        stream.send.dropped += bytes as u64;
        stream.set(Flag::CutOff);
        self.compact_segments();
    }

    /// Sends nothing more of a stream.
    fn cut_off(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if !stream.is_sent(self.config.half_close()) {
            stream.set(Flag::CutOff);
        }
        for flag in [Flag::Finished, Flag::OwesSyn, Flag::OwesUpd] {
            stream.clear(flag);
        }
        self.discard_queued(key);
    }

    pub(crate) const fn notify_opener(&mut self) {
        if core::mem::replace(&mut self.open_waits, false) {
            self.events.openable();
        }
    }

    /// Bytes that may be written to a stream now.
    fn room(&self, stream: &Stream) -> usize {
        let own = stream.send.queue.len();
        let share = self.send_share().saturating_sub(own);
        let shared = self.shared_send_queue().saturating_sub(self.queued);
        // A small write need not wait for bulk data.
        let newcomer = match stream.has(Flag::InRound) {
            true => 0,
            false => {
                let all = self.config.max_session_send_queue();
                let least = NEWCOMER.min(self.config.max_stream_send_queue());
                least
                    .saturating_sub(own)
                    .min(all.saturating_sub(self.queued))
            }
        };
        let peer = match self.is_v2() {
            true => stream.send.credit(),
            false => usize::MAX,
        };
        share.min(shared).max(newcomer).min(peer)
    }

    /// What streams that send all the time may have of the session's send queue together. The rest
    /// is for newcomers.
    const fn shared_send_queue(&self) -> usize {
        let limit = self.config.max_session_send_queue();
        limit - limit / 4
    }

    /// What each of them may have.
    fn send_share(&self) -> usize {
        let share = self.shared_send_queue() / self.scheduler.senders().max(1);
        share
            .max(LEAST_SHARE)
            .min(self.config.max_stream_send_queue())
    }

    /// Notes why a write has to wait.
    fn write_waits(&mut self, key: Key) {
        let (is_v2, shared) = (self.is_v2(), self.shared_send_queue());
        let stream = &mut self.table[key];
        if self.queued >= shared {
            self.scheduler.block(key, stream);
        }
        if stream.write_stall.is_some() {
            return;
        }
        let cause = if is_v2 && stream.send.credit() == 0 {
            StallCause::PeerWindow
        } else if stream.send.queue.len() >= self.config.max_stream_send_queue() {
            StallCause::StreamQueue
        } else {
            StallCause::SessionQueue
        };
        stream.write_stall = Some(cause);
        self.stalls.begin(cause, &mut self.stats);
        self.trace.write_waits(stream.id, cause);
    }

    /// Ends the wait of a stream's writer. Returns whether there was one.
    fn end_write_stall(&mut self, key: Key) -> bool {
        let cause = self.table[key].write_stall.take();
        if let Some(cause) = cause {
            self.stalls.end(cause, &mut self.stats);
        }
        cause.is_some()
    }

    /// Notes that input has to wait.
    pub(crate) fn input_waits(&mut self) {
        if self.budget.stall(&mut self.stats) {
            self.trace.input_waits(self.budget.used());
        }
    }

    /// Notes the time.
    pub(crate) fn advance_time(&mut self, now: Duration) {
        self.windows.advance_time(now);
        self.budget.resume(self.is_v2());
    }

    /// Counts passed time for what waits.
    pub(crate) fn on_time_passed(&mut self, time: Duration) {
        // No time concerns only those whose wait has just begun.
        if time.is_zero() && self.stalls.is_empty() {
            return;
        }
        self.stalls.on_time_passed(time, &mut self.stats);
        if self.budget.is_stalled() {
            self.stats.receive_stall_time += time;
        }
        if self.windows.starved_streams() > 0 {
            self.stats.starvation_time += time;
        }
    }

    /// Raises an event for a writer that can go on. Every other way to room comes here again: the
    /// peer's update, the stream's next turn, or room in the session's queue.
    pub(crate) fn notify_writer_with_room(&mut self, key: Key) {
        let is_v2 = self.is_v2();
        let stream = &self.table[key];
        // Woken for less, it would be woken for every frame.
        if stream.write_stall.is_none()
            || self.room(stream) < stream.send.queue.len()
            || (is_v2 && stream.send.credit() == 0)
        {
            return;
        }
        // The longest waiter for the session's queue goes first: a stream that has just made room
        // by its turn would take it again and again.
        if self.queued >= self.shared_send_queue() || self.scheduler.has_blocked() {
            self.scheduler.block(key, &mut self.table[key]);
        } else {
            self.notify_writer(key);
        }
    }

    /// Raises an event for a waiter for all of a stream to leave, if it has.
    pub(crate) fn notify_if_sent(&mut self, key: Key) {
        let stream = &self.table[key];
        if stream.has(Flag::SentWaits) && stream.is_sent(self.config.half_close()) {
            self.notify_writer(key);
        }
    }

    /// Raises an event for a waiter for room, or for all of a stream to leave.
    pub(crate) fn notify_writer(&mut self, key: Key) {
        let write = self.end_write_stall(key);
        let stream = &mut self.table[key];
        let sent = stream.clear(Flag::SentWaits);
        if write || sent {
            self.events.raise(key, stream, Flag::EventWritable);
        }
    }

    /// Raises events for writers that wait for room in the session's queue, as many as it may
    /// serve.
    pub(crate) fn notify_blocked(&mut self) {
        let mut room = self.shared_send_queue().saturating_sub(self.queued);
        while room > 0
            && let Some(key) = self.scheduler.next_blocked(&mut self.table)
        {
            self.notify_writer(key);
            if self.queued > 0 {
                room = room.saturating_sub(self.send_share());
            }
        }
    }

    /// Notes that a read took bytes, and tells the peer in time.
    fn on_read(&mut self, key: Key, bytes: usize) {
        self.refund(key, bytes);
        self.windows.on_read(bytes, &mut self.table[key]);
        self.compact_segments();
        self.update_window(key);
        self.uncount_if_spent(key);
    }

    /// Gives back what bytes that are read or dropped took.
    fn refund(&mut self, key: Key, bytes: usize) {
        if self.table[key].has(Flag::Unbudgeted) {
            self.slow_readers.release(bytes);
        } else {
            self.budget.refund(bytes);
        }
    }

    /// When the next slow reader is to be evicted, if nothing happens before.
    pub(crate) fn next_eviction(&self) -> Option<Duration> {
        let waits = !self.input_over && !self.has_receive_budget();
        let (_, at) = self.slow_readers.next().filter(|_| waits)?;
        Some(at)
    }

    /// With the budget empty, ends slow readers until it is not. Returns whether it is not.
    pub(crate) fn evict_slow_readers(&mut self, now: Duration) -> bool {
        while self.next_eviction().is_some_and(|at| at <= now)
            && let Some((key, _)) = self.slow_readers.next()
        {
            self.evict_slow_reader(key);
        }
        self.has_receive_budget()
    }

    /// Takes what a stream has unread out of the budget, and ends the stream if more would follow.
    ///
    /// Its reader gets what has arrived, unless evicted streams hold as much as a budget already.
    fn evict_slow_reader(&mut self, key: Key) {
        self.stats.streams_evicted += 1;
        self.trace.evicted(self.table[key].id);
        self.slow_readers.forget(key, &mut self.table[key]);
        let held = self.table[key].recv.queue.len();
        // A frame may exceed the budget.
        let most = self.config.max_receive_buffer() + usize::from(u16::MAX);
        let fits = self.slow_readers.unbudgeted() + held <= most;
        if fits {
            self.budget.refund(held);
            self.slow_readers.keep(held);
            self.table[key].set(Flag::Unbudgeted);
        } else {
            self.discard_received(key);
        }
        if !fits || !self.table[key].has(Flag::PeerFinished) {
            self.end_evicted(key);
        }
    }

    /// Ends an evicted stream: FIN follows what was written.
    fn end_evicted(&mut self, key: Key) {
        let stream = &mut self.table[key];
        stream.set(Flag::Evicted);
        if self.reason.is_none() {
            stream.set(Flag::Finished);
        }
        stream.clear(Flag::ReadWaits);
        self.scheduler.owe_data(key, stream);
        self.events.raise(key, stream, Flag::EventReadable);
        self.notify_writer(key);
    }

    /// Owes an update if the peer should hear of what was read.
    fn update_window(&mut self, key: Key) {
        self.slow_readers.on_read(key, &mut self.table[key]);
        let partial = self.partial(key);
        let stream = &mut self.table[key];
        if stream.has(Flag::PeerFinished) {
            return self.end_window(key);
        }
        // An update to a starved stream would only repeat that there is no window.
        if stream.has(Flag::InWindows)
            && !stream.has(Flag::OwesUpd)
            && !stream.has(Flag::InStarved)
            && stream.recv.update_due(partial)
        {
            stream.set(Flag::OwesUpd);
            self.scheduler.owe_control(key, stream);
        }
        self.grant_waiting();
    }

    /// Returns the update that a stream owes.
    pub(crate) fn announce(&mut self, key: Key) -> WindowUpdate {
        let partial = self.partial(key);
        self.windows.announce(key, partial, &mut self.table[key])
    }

    /// Reclaims unused windows for streams that want more than there is.
    pub(crate) fn relieve_windows(&mut self) {
        self.windows.relieve(&mut self.table, &mut self.scheduler);
        self.grant_waiting();
    }

    /// Whether windows can be reclaimed for streams that starve.
    pub(crate) const fn can_reclaim(&self) -> bool {
        self.windows.can_reclaim()
    }

    /// Grants freed budget to starved streams.
    fn grant_waiting(&mut self) {
        self.windows
            .grant_waiting(&mut self.table, &mut self.scheduler);
    }

    /// Ends the window of a stream that the peer has finished. Unread data keeps its budget.
    fn end_window(&mut self, key: Key) {
        let stream = &mut self.table[key];
        stream.clear(Flag::OwesUpd);
        if stream.recv.queue.is_empty() {
            self.release_window(key);
        } else {
            self.windows.end(stream);
            self.grant_waiting();
        }
    }

    /// Frees the window of a stream on which nothing more will be received or read.
    fn release_window(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if !stream.has(Flag::InWindows) {
            return;
        }
        stream.clear(Flag::OwesUpd);
        self.windows.leave(key, &mut self.table);
        self.grant_waiting();
        self.notify_opener();
    }

    /// Returns what a stream did so far and what it holds.
    fn stream_stats(&self, stream: &Stream) -> StreamStats {
        StreamStats {
            window_limit: self.windows.limit_of(stream),
            ..stream.stats(self.is_v2())
        }
    }

    /// Iterates over the streams that the application has, in no particular order.
    pub(crate) fn held(&self) -> impl Iterator<Item = (StreamId, StreamStats)> {
        let held = self.table.iter().filter(|stream| stream.is_held());
        held.map(|stream| (stream.id, self.stream_stats(stream)))
    }

    /// Shows the counters, with what is derived from the state.
    pub(crate) fn stats(&self) -> SessionStats {
        SessionStats {
            receive_buffered: self.budget.used(),
            send_queued: self.queued,
            windows_granted: self.windows.granted(),
            windows_exceeded: self.windows.beyond(),
            round_trip: self.windows.round_trip(),
            starved_streams: self.windows.starved_streams(),
            starvations: self.windows.starvations(),
            ..self.stats.clone()
        }
    }
}

/// What an idle stream costs is promised in the crate's documentation.
const _: () = assert!(size_of::<Stream>() <= 136);
