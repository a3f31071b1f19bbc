//! What all streams of a session share.

pub(crate) mod events;
pub(crate) mod receive_budget;
pub(crate) mod receive_windows;
pub(crate) mod recv;
pub(crate) mod scheduler;
pub(crate) mod send;
pub(crate) mod stalls;
pub(crate) mod stream;
pub(crate) mod stream_mut;
mod stream_queue;
pub(crate) mod table;

pub use events::Event;
pub use stream_mut::StreamMut;

use core::time::Duration;

use crate::{
    buffer::segments::{SEGMENT, Segments},
    config::{Config, INITIAL_WINDOW},
    error::CloseReason,
    session::keep_alive::Liveness,
    stats::SessionStats,
    stats::StallCause,
    streams::events::Events,
    streams::receive_budget::Budget,
    streams::receive_windows::Windows,
    streams::recv::Recv,
    streams::scheduler::Scheduler,
    streams::stalls::Stalls,
    streams::stream::{Flag, Stream},
    streams::table::{Key, Table},
    trace::Trace,
    wire::{Side, StreamId, Version},
};

#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) config: Config,
    pub(crate) side: Side,
    /// `None` until an accepting side has detected it.
    pub(crate) version: Option<Version>,
    pub(crate) reason: Option<CloseReason>,
    /// Nothing is received any more; then there is a reason.
    pub(crate) input_over: bool,
    pub(crate) segments: Segments,
    pub(crate) budget: Budget,
    pub(crate) windows: Windows,
    pub(crate) scheduler: Scheduler,
    pub(crate) events: Events,
    pub(crate) liveness: Liveness,
    pub(crate) stats: SessionStats,
    pub(crate) stalls: Stalls,
    pub(crate) trace: Trace,
    /// Bytes in all send queues.
    pub(crate) queued: usize,
    /// Streams of the table, by who opened them.
    pub(crate) inbound: usize,
    pub(crate) outbound: usize,
    /// Opening was pending.
    pub(crate) open_waits: bool,
    /// The stream whose frame is arriving, and how much of the frame's payload has arrived.
    pub(crate) arriving: Option<(StreamId, u64)>,
}

impl Common {
    pub(crate) fn is_v2(&self) -> bool {
        self.version == Some(Version::V2)
    }

    /// Why nothing is received any more.
    pub(crate) fn end_of_input(&self) -> Option<&CloseReason> {
        self.reason.as_ref().filter(|_| self.input_over)
    }

    pub(crate) fn new_stream(&self, id: StreamId) -> Stream {
        Stream::new(id, self.config.initial_send_window().min(INITIAL_WINDOW))
    }

    /// The largest segment of send queues: a frame's worth, so that frames are whole segments.
    pub(crate) fn send_segment(&self) -> usize {
        match self.config.max_frame_size() {
            small if small < SEGMENT / 8 => SEGMENT,
            size => size,
        }
    }

    /// How much of the arriving frame, if it is this stream's, cannot be acknowledged yet.
    pub(crate) fn partial(&self, id: StreamId) -> u64 {
        match self.arriving {
            Some((arriving, bytes)) if arriving == id => bytes,
            _ => 0,
        }
    }

    /// Drops what a stream has received and returns its tokens.
    pub(crate) fn discard_received(&mut self, stream: &mut Stream) {
        let bytes = self.segments.clear(&mut stream.recv.queue);
        self.budget.refund(bytes);
        self.stats.payload_discarded += bytes as u64;
    }

    /// Drops what a stream has to send.
    pub(crate) fn discard_queued(&mut self, stream: &mut Stream) {
        let bytes = self.segments.clear(&mut stream.send.queue);
        self.queued -= bytes;
        stream.send.dropped += bytes as u64;
        stream.send.cut_off |= bytes > 0;
    }

    /// Nothing of this stream will be sent any more.
    pub(crate) fn cut_off(&mut self, stream: &mut Stream) {
        stream.send.cut_off |= !stream.is_sent(self.config.half_close());
        self.discard_queued(stream);
        for flag in [Flag::Finished, Flag::OwesSyn, Flag::OwesUpd] {
            stream.clear(flag);
        }
    }

    pub(crate) fn count_stream(&mut self, id: StreamId) {
        if self.side.owns(id) {
            self.outbound += 1;
        } else {
            self.inbound += 1;
        }
    }

    pub(crate) fn uncount_stream(&mut self, id: StreamId) {
        if self.side.owns(id) {
            self.outbound -= 1;
        } else {
            self.inbound -= 1;
        }
        self.notify_opener();
    }

    pub(crate) const fn notify_opener(&mut self) {
        if core::mem::replace(&mut self.open_waits, false) {
            self.events.openable();
        }
    }

    /// Bytes that may be written to a stream now.
    pub(crate) fn room(&self, stream: &Stream) -> usize {
        let own = self
            .config
            .max_stream_send_queue()
            .saturating_sub(stream.send.queue.len());
        let all = self
            .config
            .max_session_send_queue()
            .saturating_sub(self.queued);
        let peer = if self.is_v2() {
            stream.send.credit()
        } else {
            usize::MAX
        };
        own.min(all).min(peer)
    }

    /// Notes why a write has to wait.
    pub(crate) fn write_waits(&mut self, key: Key, stream: &mut Stream) {
        if self.queued >= self.config.max_session_send_queue() {
            self.scheduler.block(key, stream);
        }
        if stream.write_stall.is_some() {
            return;
        }
        let cause = if self.is_v2() && stream.send.credit() == 0 {
            StallCause::PeerWindow
        } else if self.queued >= self.config.max_session_send_queue() {
            StallCause::SessionQueue
        } else {
            StallCause::StreamQueue
        };
        stream.write_stall = Some(cause);
        self.stalls.begin(cause, &mut self.stats);
        self.trace.write_waits(stream.id, cause);
    }

    /// Nobody waits to write to a stream any more. Tells whether somebody did.
    pub(crate) fn end_write_stall(&mut self, stream: &mut Stream) -> bool {
        let cause = stream.write_stall.take();
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

    /// What waits has waited so much longer.
    pub(crate) fn on_time_passed(&mut self, time: Duration) {
        self.stalls.on_time_passed(time, &mut self.stats);
        if self.budget.is_stalled() {
            self.stats.receive_stall_time += time;
        }
        if self.liveness.is_writing() {
            self.stats.transport_time += time;
        }
    }

    /// Wakes a writer that can go on. Otherwise what it waits for will come here again: the peer's update,
    /// the stream's next turn, or room in the session's queue.
    pub(crate) fn notify_writer_with_room(&mut self, key: Key, stream: &mut Stream) {
        let half = self.config.max_stream_send_queue() / 2;
        if stream.write_stall.is_none()
            || stream.send.queue.len() > half
            || (self.is_v2() && stream.send.credit() == 0)
        {
            return;
        }
        // Whoever has waited longer for the session's queue goes first: a stream that has just made room
        // by its turn would take it again and again.
        if self.queued >= self.config.max_session_send_queue() || self.scheduler.has_blocked() {
            self.scheduler.block(key, stream);
        } else {
            self.notify_writer(key, stream);
        }
    }

    /// Wakes whoever waits for all of a stream to leave, if it has.
    pub(crate) fn notify_if_sent(&mut self, key: Key, stream: &mut Stream) {
        if stream.has(Flag::SentWaits) && stream.is_sent(self.config.half_close()) {
            self.notify_writer(key, stream);
        }
    }

    /// Wakes whoever waits to write to a stream.
    pub(crate) fn notify_writer(&mut self, key: Key, stream: &mut Stream) {
        let write = self.end_write_stall(stream);
        let sent = stream.clear(Flag::SentWaits);
        if write || sent {
            self.events.raise(key, stream, Flag::EventWritable);
        }
    }

    /// Notes that a read took bytes, and tells the peer in time.
    pub(crate) fn consumed(&mut self, key: Key, bytes: usize, table: &mut Table) {
        self.on_read(&mut table[key].recv, bytes);
        self.update_window(key, table);
    }

    /// Accounts for bytes that a read took. [`update_window`](Self::update_window) is to follow.
    pub(crate) const fn on_read(&mut self, recv: &mut Recv, bytes: usize) {
        self.budget.refund(bytes);
        recv.read += bytes as u64;
    }

    /// Renews a stream's window if the peer should hear of what was read.
    pub(crate) fn update_window(&mut self, key: Key, table: &mut Table) {
        let stream = &mut table[key];
        let partial = self.partial(stream.id);
        let settled = self.windows.settle(stream);
        if stream.has(Flag::PeerFinished) {
            self.end_window(key, table);
        } else if stream.has(Flag::InHungry) {
            // An update would only repeat that there is no window.
            self.windows.feed(table, &mut self.scheduler);
        } else if stream.has(Flag::InWindows)
            && !stream.has(Flag::OwesUpd)
            && stream.recv.update_due(partial)
        {
            self.windows.renew(key, table, &mut self.scheduler);
            let stream = &mut table[key];
            stream.set(Flag::OwesUpd);
            self.scheduler.owe_control(key, stream);
            self.windows.feed(table, &mut self.scheduler);
        } else if stream.has(Flag::InWindows) {
            self.windows.share(key, table, &mut self.scheduler);
        }
        if settled {
            self.windows.feed(table, &mut self.scheduler);
        }
    }

    /// The peer sends no more on a stream. What it has sent needs its share until it is read.
    pub(crate) fn end_window(&mut self, key: Key, table: &mut Table) {
        let stream = &mut table[key];
        stream.clear(Flag::OwesUpd);
        if stream.recv.queue.is_empty() {
            self.release_window(key, table);
        } else {
            self.windows.end(stream);
            self.windows.feed(table, &mut self.scheduler);
        }
    }

    /// Nothing will be received or read on a stream: its window is free for others.
    pub(crate) fn release_window(&mut self, key: Key, table: &mut Table) {
        let stream = &mut table[key];
        if !stream.has(Flag::InWindows) {
            return;
        }
        let hungry = stream.clear(Flag::InHungry);
        self.windows.leave(stream);
        stream.clear(Flag::OwesUpd);
        self.windows.forget(hungry, table);
        self.windows.feed(table, &mut self.scheduler);
        self.notify_opener();
    }
}

/// What an idle stream costs is promised in the crate's documentation.
const _: () = assert!(size_of::<Stream>() <= 128);
