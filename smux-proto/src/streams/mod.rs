//! The streams of a session: the table, and what its streams share.
//!
//! A stream comes in by [`opening`]. What the application writes waits in the [`send_queue`] until
//! the [`scheduler`] gives it a turn. What arrives goes through [`receiving`] to its reader, and
//! [`window_updates`] tell the peer how much more may follow. If too much is unread, [`eviction`]
//! ends streams. All others go by [`ending`].
//!
//! What holds between two calls:
//!
//! * Each entry of the table belongs to a stream for which something remains to be done.
//! * `queued` is the sum of all send queues, and of the room that is lent to writers. The budget
//!   and what evicted streams hold make up that of all receive queues.
//! * A stream stands at most once in each queue of streams, and has a flag that says so.

mod chains;
mod data_lanes;
mod ending;
pub(crate) mod events;
mod eviction;
#[cfg(feature = "poll")]
mod lent_room;
mod obstacles;
mod opening;
pub(crate) mod receive_budget;
pub(crate) mod receive_windows;
mod receiving;
pub(crate) mod recv;
mod round_trip;
pub(crate) mod scheduler;
pub(crate) mod send;
mod send_queue;
mod slow_readers;
pub(crate) mod stalls;
pub(crate) mod stream;
mod stream_mut;
mod stream_queue;
pub(crate) mod table;
mod window_updates;

pub use events::Event;
#[cfg(feature = "poll")]
pub(crate) use lent_room::ROOM;
pub use stream_mut::StreamMut;

use core::time::Duration;

use crate::{
    buffer::segments::{Segments, segment_limit},
    config::Config,
    error::CloseReason,
    stats::{SessionStats, StreamStats},
    trace::Trace,
    wire::{Side, StreamId, Version},
};

use events::Events;
use receive_budget::Budget;
use receive_windows::Windows;
use scheduler::Scheduler;
use slow_readers::SlowReaders;
use stalls::Stalls;
use stream::Stream;
use stream_queue::Ring;
use table::{Key, Table};

/// The least share of streams that differ in priority: frames should not be smaller.
const LEAST_SHARE: usize = 1_024;

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
    pub(crate) backlog: Ring,
    /// Version 1: streams that may be evicted.
    slow_readers: SlowReaders,
    /// Streams that went beyond their window.
    overrunners: Ring,
    /// The least share of the session's send queue.
    least_share: usize,
    /// The size of the last batch, if turns were a frame and streams did not differ in priority;
    /// or 0.
    usual_batch: usize,
    /// The largest segment of send queues.
    send_segment: usize,
    /// Bytes in all send queues, and room lent.
    pub(crate) queued: usize,
    /// Streams that are lent room.
    #[cfg(feature = "poll")]
    lent: u32,
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
            backlog: Ring::default(),
            slow_readers: SlowReaders::new(config.slow_readers()),
            overrunners: Ring::default(),
            least_share: LEAST_SHARE,
            usual_batch: 0,
            send_segment: segment_limit(config.max_frame_size()),
            queued: 0,
            #[cfg(feature = "poll")]
            lent: 0,
            inbound: 0,
            outbound: 0,
            open_waits: false,
            arriving: None,
            config,
        }
    }

    /// Gives unused memory back to the allocator.
    pub(crate) fn trim(&mut self) {
        self.backlog.trim();
        self.scheduler.trim();
        self.windows.trim();
        self.events.trim();
    }

    /// Whether the application has this stream: it was opened or accepted, and not closed.
    #[cfg(feature = "poll")]
    pub(crate) fn has_handle(&self, key: Key) -> bool {
        self.table.get(key).is_some_and(Stream::is_held)
    }

    /// Notes the version that the first frame has decided.
    pub(crate) fn detected(&mut self, version: Version) {
        self.version = Some(version);
        self.trace.version(version);
        self.notify_opener();
    }

    /// Returns what `show` makes of the next event, and of where its stream stands if it is one of
    /// a stream.
    #[inline]
    pub(crate) fn poll_event<T>(&mut self, show: impl Fn((Event, Option<Key>)) -> T) -> Option<T> {
        self.events.poll(&mut self.table, show)
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.version == Some(Version::V2)
    }

    /// Why nothing is received any more.
    pub(crate) fn end_of_input(&self) -> Option<&CloseReason> {
        self.reason.as_ref().filter(|_| self.input_over)
    }

    /// Gives up memory for segments that are gone, in proportion to those that are left and the
    /// places for streams.
    pub(crate) fn compact_segments(&mut self) {
        if self.segments.is_sparse(self.table.capacity()) {
            self.segments.compact(self.table.queues());
        }
    }

    /// Whether something has to be told a time, even if none has passed.
    #[inline]
    pub(crate) const fn awaits_time(&self) -> bool {
        self.budget.is_stalled() || !self.stalls.is_empty()
    }

    /// Whether no stream has anything to send, and none waits for room or budget.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.scheduler.is_idle() && !self.windows.wants_relief()
    }

    /// Notes the time.
    pub(crate) fn advance_time(&mut self, now: Duration) {
        self.windows.advance_time(now);
        self.time_newest_stall();
        self.budget.resume(self.is_v2());
    }

    /// Counts passed time for what waits.
    pub(crate) fn on_time_passed(&mut self, time: Duration) {
        self.stalls.on_time_passed(time, &mut self.stats);
        if self.budget.is_stalled() {
            self.stats.receive_stall_time += time;
        }
        if self.windows.starved_streams() > 0 {
            self.stats.starvation_time += time;
        }
    }

    /// Returns what a stream did so far and what it holds.
    fn stream_stats(&self, stream: &Stream) -> StreamStats {
        StreamStats {
            window_limit: self.windows.limit_of(stream),
            write_stall_time: self.write_stall_time(stream),
            ..stream.stats(self.is_v2())
        }
    }

    /// Iterates over the streams that the application has, in no particular order.
    pub(crate) fn held(&self) -> impl Iterator<Item = (StreamId, StreamStats)> {
        let held = self.table.iter().filter(|stream| stream.is_held());
        held.map(|stream| (stream.id, self.stream_stats(stream)))
    }

    /// Returns the number of streams that have no window for want of budget.
    #[cfg(feature = "poll")]
    pub(crate) const fn starved_streams(&self) -> usize {
        self.windows.starved_streams()
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
const _: () = assert!(size_of::<Stream>() <= 144);
