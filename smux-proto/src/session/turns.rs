//! The turns of streams: what each adds to a batch.

use bytes::Buf;

use crate::{
    buffer::{
        Transmit,
        segments::{INLINE, Queue, Segments, Small},
    },
    stats::SessionStats,
    streams::{
        Streams,
        stream::{Flag, Stream},
        table::Key,
    },
    wire::{Command, Header, StreamId, Version},
};

/// Each of these means that a stream's turn is more than a frame of data.
const MORE_TO_DO: [Flag; 4] = [Flag::OwesSyn, Flag::Finished, Flag::Closed, Flag::SentWaits];

/// Writes frames of one version into a batch and counts them.
pub(super) struct Writer<'a> {
    pub(super) version: Version,
    /// Bytes that the session emitted before those that are in the batch.
    pub(super) start: u64,
    pub(super) out: &'a mut Transmit,
}

impl Writer<'_> {
    #[inline]
    fn header(
        &mut self,
        command: Command,
        stream_id: StreamId,
        length: u16,
        stats: &mut SessionStats,
    ) {
        stats.frames_sent.count(command);
        self.out.header(Header {
            version: self.version,
            command,
            length,
            stream_id,
        });
    }

    #[inline]
    pub(super) fn bare(&mut self, command: Command, id: StreamId, stats: &mut SessionStats) {
        self.header(command, id, 0, stats);
    }

    /// SYN and UPD, whichever the stream owes.
    #[inline]
    pub(super) fn owed_control(&mut self, key: Key, streams: &mut Streams) {
        let (stream, stats) = (&mut streams.table[key], &mut streams.stats);
        if stream.clear(Flag::OwesSyn) {
            self.bare(Command::Syn, stream.id, stats);
            self.note_offset(stream);
        }
        if stream.has(Flag::OwesUpd) {
            self.update(key, streams);
        }
    }

    #[inline(never)]
    fn update(&mut self, key: Key, streams: &mut Streams) {
        let stream = &mut streams.table[key];
        stream.clear(Flag::OwesUpd);
        self.header(Command::Upd, stream.id, 8, &mut streams.stats);
        self.out.update(streams.announce(key));
    }

    /// Gives streams their turns until the batch is full.
    // Out of line, so that it has the registers to itself.
    #[inline(never)]
    pub(super) fn fill_data(&mut self, streams: &mut Streams) {
        let max_frame = streams.config.max_frame_size();
        let before = self.out.remaining();
        self.fill_alone(streams, max_frame);
        // One turn at least: however small the batch, control frames cannot fill it for ever.
        let mut most = match self.out.remaining() > before {
            true => self.out.batch_size(),
            false => usize::MAX,
        };
        while self.out.remaining() < most
            && let Some((key, bytes)) = streams.scheduler.next_data(&mut streams.table, max_frame)
        {
            if !self.small_message(key, bytes, streams) {
                self.turn(key, bytes, streams);
            }
            most = self.out.batch_size();
        }
    }

    /// Gives turns that are short to write, as long as no others than fresh streams have anything
    /// to send.
    #[inline(always)]
    fn fill_alone(&mut self, streams: &mut Streams, max_frame: usize) {
        loop {
            if streams.queued > 0 && max_frame >= INLINE {
                while self.small_messages(streams) {}
            }
            if !self.last_turns(streams) || streams.queued == 0 {
                return;
            }
        }
    }

    /// The turns of fresh streams as long as each has a small message and no more to do, if no
    /// others have anything to send. Returns whether more of them may follow.
    ///
    /// It does what [`small_message`](Self::small_message) does, with half of its instructions:
    /// what is the same for all of them is done once.
    #[inline(always)]
    fn small_messages(&mut self, streams: &mut Streams) -> bool {
        let Streams {
            table,
            segments,
            scheduler,
            stats,
            queued,
            ..
        } = streams;
        let before = self.out.remaining();
        let most = self.out.batch_size();
        let fresh = scheduler.fresh_alone();
        let (mut count, all) = (0, fresh.len());
        for &key in fresh {
            if self.out.remaining() >= most {
                break;
            }
            let Some(stream) = table.get_mut(key) else {
                break;
            };
            if stream.has_any(MORE_TO_DO) || stream.write_stall.is_some() {
                break;
            }
            let Some(message) = segments.take_small(&mut stream.send.queue, INLINE) else {
                break;
            };
            stream.clear_all([Flag::InFresh, Flag::OwesData, Flag::Queued]);
            self.small_frame(stream, &message);
            count += 1;
        }
        scheduler.left_alone(count);
        let payload = self.out.remaining() - before - count as usize * Header::SIZE;
        *queued -= payload;
        stats.payload_sent += payload as u64;
        stats.frames_sent.psh += u64::from(count);
        count > 0 && count as usize == all && !scheduler.fresh_alone().is_empty()
    }

    /// The last turns of fresh streams as long as each is closed and has no data to send, if no
    /// others have anything to send. Returns whether there was one.
    ///
    /// It does what [`turn`](Self::turn) does, with half of its instructions.
    #[inline(always)]
    fn last_turns(&mut self, streams: &mut Streams) -> bool {
        let mut is_any = false;
        while self.out.remaining() < self.out.batch_size()
            && let Some(&key) = streams.scheduler.fresh_alone().first()
            && let Some(stream) = streams.table.get_mut(key)
            && stream.send.queue.is_empty()
            && stream.has(Flag::Closed)
            && !stream.has_any([Flag::OwesSyn, Flag::SentWaits])
            && stream.write_stall.is_none()
        {
            stream.clear_all([Flag::InFresh, Flag::OwesData]);
            self.fins(stream, streams.config.half_close(), &mut streams.stats);
            streams.scheduler.left_alone(1);
            streams.remove(key);
            is_any = true;
        }
        is_any
    }

    /// A stream's turn: a frame of `most` bytes of data or less, and what goes before and after.
    #[inline(never)]
    fn turn(&mut self, key: Key, most: usize, streams: &mut Streams) {
        // A SYN leaves before the rest of its stream, even if the control lane is long.
        if streams.table[key].has(Flag::OwesSyn) {
            self.owed_control(key, streams);
        }
        if !streams.table[key].send.queue.is_empty() {
            self.data(key, most, streams);
        }
        let stream = &mut streams.table[key];
        if !stream.send.queue.is_empty() {
            streams.scheduler.owe_data(key, stream);
        } else if stream.has(Flag::Finished) {
            self.fins(stream, streams.config.half_close(), &mut streams.stats);
        }
        let is_finished = stream.has(Flag::Finished);
        let is_done = stream.has(Flag::Closed) && stream.send.queue.is_empty();
        if stream.writer_waits() {
            streams.notify_if_sent(key);
            streams.notify_writer_with_room(key);
        }
        if is_done {
            // It owed no more than has left.
            streams.remove(key);
        } else if is_finished {
            streams.uncount_if_spent(key);
        }
    }

    /// One frame with a small message that is all that a stream has to send, and that none waits
    /// for: the usual turn of a stream among many. Returns whether it is that.
    ///
    /// It does what [`turn`](Self::turn) does, with a quarter of its instructions.
    #[inline]
    fn small_message(&mut self, key: Key, most: usize, streams: &mut Streams) -> bool {
        let stream = &mut streams.table[key];
        if stream.has_any(MORE_TO_DO) || stream.write_stall.is_some() {
            return false;
        }
        let queue = &mut stream.send.queue;
        let Some(message) = streams.segments.take_small(queue, most) else {
            return false;
        };
        self.small_frame(stream, &message);
        streams.queued -= message.length;
        streams.stats.payload_sent += message.length as u64;
        streams.stats.frames_sent.count(Command::Psh);
        true
    }

    /// A small message of a stream, which is not counted.
    #[inline(always)]
    fn small_frame(&mut self, stream: &mut Stream, message: &Small<'_>) {
        let header = Header {
            version: self.version,
            command: Command::Psh,
            #[allow(clippy::cast_possible_truncation, reason = "it is small")]
            length: message.length as u16,
            stream_id: stream.id,
        };
        self.out.small_frame(header, message);
        self.note_offset(stream);
    }

    /// One frame of `most` bytes of data or less.
    // Out of line, so that a turn of FINs alone does not save registers for it.
    #[inline(never)]
    fn data(&mut self, key: Key, most: usize, streams: &mut Streams) {
        let Streams {
            table,
            segments,
            stats,
            queued,
            ..
        } = streams;
        let stream = &mut table[key];
        let length = stream.send.queue.len().min(most);
        if let Ok(wire_length) = u16::try_from(length)
            && wire_length > 0
        {
            self.header(Command::Psh, stream.id, wire_length, stats);
            self.payload(&mut stream.send.queue, length, segments);
            *queued -= length;
            stats.payload_sent += length as u64;
            self.note_offset(stream);
        }
    }

    /// What FINs are owed, behind all data.
    #[inline]
    fn fins(&mut self, stream: &mut Stream, half_close: bool, stats: &mut SessionStats) {
        let fins = stream.owed_fins(half_close);
        for _ in 0..fins {
            self.bare(Command::Fin, stream.id, stats);
        }
        if fins > 0 {
            stream.sent_fins(fins);
            self.note_offset(stream);
        }
    }

    /// Notes how far the output has come with this stream's SYN, data or FIN.
    fn note_offset(&self, stream: &mut Stream) {
        stream.send.flush_offset = self.start + self.out.remaining() as u64;
    }

    fn payload(&mut self, queue: &mut Queue, length: usize, segments: &mut Segments) {
        let mut left = length;
        while left > 0 {
            // A small message is one copy from the arena into the batch.
            let copied = segments.take_inline(queue, left, |bytes| self.out.copy(bytes));
            left -= copied;
            if copied > 0 {
                continue;
            }
            let Some(segment) = segments.split_front(queue, left) else {
                return;
            };
            left -= segment.as_slice().len();
            if let Some(spent) = self.out.payload(segment) {
                segments.recycle(spent);
            }
        }
    }
}
