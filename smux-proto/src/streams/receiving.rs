//! Payload on its way from a frame to its reader, and what it takes of the receive budget.

use core::{task::Poll, time::Duration};

use crate::{
    buffer::segments::{INLINE, SEGMENT},
    streams::{
        Streams,
        stream::{Flag, Stream},
        table::Key,
    },
    wire::{Decoder, Header, Version},
};

impl Streams {
    /// Begins a frame of data for a stream.
    pub(crate) const fn begin_data(&mut self, key: Key) {
        self.arriving = Some((key, 0));
    }

    /// Queues payload for its stream as it arrives; drops it if the stream takes none.
    pub(crate) fn receive(&mut self, to: Option<Key>, data: &[u8], now: &Duration) {
        if let Some((_, arrived)) = &mut self.arriving {
            *arrived += data.len() as u64;
        }
        let taker = to.filter(|&key| self.table.get(key).is_some_and(Stream::takes_data));
        match taker {
            Some(key) => self.take_in(key, data, now),
            None => self.stats.payload_discarded += data.len() as u64,
        }
    }

    /// Receives the frames of data that the input begins with, as long as they are there as a whole
    /// and there are streams that take them. Returns how many there were.
    ///
    /// A small message for a stream that has nothing unread is the usual case. It is copied as a
    /// block, if as much follows, and its stream is looked up and its flags are changed once.
    #[inline(always)]
    pub(crate) fn receive_frames(
        &mut self,
        version: Version,
        input: &mut &[u8],
        now: &Duration,
    ) -> u32 {
        let (is_v2, mut left) = (version == Version::V2, *input);
        let most = self.budget.most(is_v2);
        let mut frames = 0;
        while self.budget.used() < most
            && let Some(frame) = Decoder::whole_data(version, left)
            && let Some((key, stream)) = self.table.find_stream_mut(frame.stream_id)
            && stream.takes_data()
        {
            let data = frame.payload;
            let is_usual;
            if let Some(block) = frame.behind.first_chunk()
                && stream.recv.queue.is_empty()
                && data.len() <= INLINE
            {
                self.segments
                    .push_block(&mut stream.recv.queue, block, data.len());
                self.budget.charge(data.len());
                self.windows.on_arrival(data.len(), stream);
                if !is_v2 {
                    self.slow_readers.on_received(key, stream, *now);
                }
                self.events.raise_readable(key, stream);
                is_usual = stream.recv.overrun() == 0;
            } else {
                self.take_in(key, data, now);
                is_usual = false;
            }
            if is_v2
                && !(is_usual && self.budget.used() < most && self.windows.starved_streams() == 0)
            {
                self.after_frame(key);
            }
            frames += 1;
            left = frame.later;
        }
        self.stats.frames_received.psh += u64::from(frames);
        let taken = input.len() - left.len();
        self.stats.payload_received += (taken - frames as usize * Header::SIZE) as u64;
        *input = left;
        frames
    }

    /// Version 2: does what a frame of data may be the occasion for. Nothing of it has been read,
    /// so no update is due that was not before.
    #[inline(never)]
    fn after_frame(&mut self, key: Key) {
        self.grant_waiting();
        self.note_overrun(key);
    }

    /// Queues payload for a stream that takes it.
    // Out of line, so that small messages do not save registers for it.
    #[inline(never)]
    fn take_in(&mut self, key: Key, data: &[u8], now: &Duration) {
        let stream = &mut self.table[key];
        let was_empty = stream.recv.queue.is_empty();
        self.segments.push(&mut stream.recv.queue, data, SEGMENT);
        self.budget.charge(data.len());
        self.windows.on_arrival(data.len(), stream);
        if self.version == Some(Version::V1) {
            self.slow_readers.on_received(key, stream, *now);
        }
        if was_empty || stream.has(Flag::ReadWaits) {
            self.events.raise_readable(key, stream);
        }
    }

    /// Completes a frame of data: what was read of it meanwhile can be acknowledged now.
    pub(crate) fn end_of_data(&mut self, key: Key) {
        self.arriving = None;
        if !self.is_v2() || self.table.get(key).is_none() {
            return;
        }
        self.update_window(key);
        self.note_overrun(key);
    }

    /// Notes that a frame of data may have gone beyond its stream's window or the budget.
    #[inline]
    fn note_overrun(&mut self, key: Key) {
        let stream = &mut self.table[key];
        if stream.recv.overrun() > 0 && stream.takes_data() {
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

    /// How much of the arriving frame, if it is this stream's, cannot be acknowledged yet.
    pub(crate) fn partial(&self, key: Key) -> u64 {
        match self.arriving {
            Some((arriving, bytes)) if arriving == key => bytes,
            _ => 0,
        }
    }

    /// Takes no more input, in the middle of a frame or not.
    pub(crate) const fn end_input(&mut self) {
        self.input_over = true;
        self.arriving = None;
    }

    /// Whether the receive budget lets another frame begin.
    pub(crate) fn has_receive_budget(&self) -> bool {
        self.budget.is_open(self.is_v2())
    }

    /// Bounds what streams hold unread, and what their windows add up to.
    pub(crate) fn set_receive_limits(&mut self, held: usize, windows: usize) {
        let most = self.config.max_receive_buffer();
        let held = held.saturating_sub(self.slow_readers.unbudgeted());
        self.budget.set_limit(held.clamp(1, most));
        self.windows.set_budget(windows.clamp(1, most));
        self.grant_waiting();
    }

    /// Returns what streams hold unread, those that are evicted included.
    pub(crate) const fn unread(&self) -> usize {
        self.budget.used() + self.slow_readers.unbudgeted()
    }

    /// Notes that input has to wait.
    pub(crate) fn input_waits(&mut self) {
        if self.budget.stall(&mut self.stats) {
            self.trace.input_waits(self.budget.used());
        }
    }

    /// Notes that a read took bytes, and tells the peer in time.
    pub(super) fn on_read(&mut self, key: Key, bytes: usize) {
        self.refund(key, bytes);
        self.windows.on_read(bytes, &mut self.table[key]);
        self.compact_segments();
        self.after_read(key);
    }

    /// Reads a small message that is all that has arrived, or finds that nothing has: what most
    /// reads of small messages are. Returns `None` for any other read, which is not begun.
    ///
    /// It does what the general way does, with half of its instructions.
    #[inline]
    pub(super) fn read_small(&mut self, key: Key, buf: &mut [u8]) -> Option<Poll<usize>> {
        let stream = &mut self.table[key];
        if stream.has_any([
            Flag::PeerFinished,
            Flag::ReadStopped,
            Flag::Evicted,
            Flag::Unbudgeted,
            Flag::HoldsMuch,
        ]) || buf.is_empty()
        {
            return None;
        }
        if stream.recv.queue.is_empty() {
            if self.input_over {
                return None;
            }
            stream.set(Flag::ReadWaits);
            return Some(Poll::Pending);
        }
        let message = (self.segments).take_small(&mut stream.recv.queue, buf.len())?;
        let count = message.length;
        buf[..count].copy_from_slice(message.as_slice());
        self.budget.refund(count);
        self.windows.on_read(count, stream);
        if self.version == Some(Version::V2)
            && (stream.recv.may_be_due() || self.windows.starved_streams() > 0)
        {
            self.update_window(key);
        }
        Some(Poll::Ready(count))
    }

    /// Does what a read may be the occasion for.
    #[inline]
    pub(super) fn after_read(&mut self, key: Key) {
        self.slow_readers.on_read(key, &mut self.table[key]);
        if self.is_v2() {
            self.update_window(key);
        }
        if self.table[key].has(Flag::PeerFinished) {
            self.uncount_if_spent(key);
        }
    }

    /// Gives back what bytes that are read or dropped took.
    pub(super) fn refund(&mut self, key: Key, bytes: usize) {
        if self.table[key].has(Flag::Unbudgeted) {
            self.slow_readers.release(bytes);
        } else {
            self.budget.refund(bytes);
        }
    }

    /// Drops what a stream has received and returns its tokens.
    pub(super) fn discard_received(&mut self, key: Key) {
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
}
