//! Frames that leave, batch by batch.

use core::time::Duration;

use bytes::Buf;

use crate::{
    buffer::Transmit,
    session::Session,
    session::closing::Phase,
    streams::Common,
    streams::stream::{Flag, Stream},
    streams::stream_mut,
    streams::table::Key,
    wire::{Command, Header, StreamId, Version},
};

impl Session {
    /// Fills `out` with frames to write, if it is empty or [more follows](Transmit::more_follows) and little is left of it, and tells
    /// whether it has bytes to write. Once nothing more will be sent, it empties `out`.
    ///
    /// Write from `out` what the transport takes, advance it, and call this again with the same
    /// `out` until it returns `false`: that is how the session sees the transport's progress.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Transmit) -> bool {
        let now = self.note_written(now, out);
        if matches!(self.phase, Phase::Receiving(_) | Phase::Terminated) {
            out.clear();
            return false;
        }
        if core::mem::take(&mut self.output_idle) {
            out.trim();
        }
        if out.has_remaining() && !out.wants_more() {
            return true;
        }
        self.close_if_drained(now);
        out.refill();
        let before = out.remaining();
        if let Some(version) = self.common.version {
            self.fill(version, out);
        }
        let added = out.remaining() - before;
        self.common.stats.bytes_emitted += added as u64;
        if added > 0 {
            out.set_more_follows(self.common.scheduler.has_frames());
            self.common.liveness.writing(now, out.remaining());
        } else if before > 0 {
            out.set_more_follows(false);
        } else if let Phase::Closing(limit) = self.phase {
            self.phase = Phase::Shut(limit);
        }
        out.has_remaining()
    }

    /// Takes note of what has left of a batch.
    pub(crate) fn note_written(&mut self, now: Duration, out: &mut Transmit) -> Duration {
        let now = self.advance(now);
        for buffer in out.spent() {
            self.common.segments.recycle(buffer);
        }
        self.common.liveness.wrote(now, out.remaining());
        now
    }

    /// A flush of the transport begins: until it [ends](Self::handle_flush_end), it counts as a write without
    /// progress, so that a transport that never passes on what it took is noticed. Again does nothing.
    ///
    /// Only transports that buffer need this.
    pub fn handle_flush_begin(&mut self, now: Duration) {
        let now = self.advance(now);
        self.common.liveness.flush_begins(now);
    }

    /// The flush of the transport has ended. Without one that has begun it does nothing.
    pub fn handle_flush_end(&mut self, now: Duration) {
        let now = self.advance(now);
        self.common.liveness.flush_ends(now);
    }

    fn fill(&mut self, version: Version, out: &mut Transmit) {
        let mut writer = Writer {
            version,
            start: self.common.stats.bytes_emitted - out.remaining() as u64,
            out,
        };
        if matches!(self.phase, Phase::Shut(_)) {
            return;
        }
        if self.common.liveness.nop_due() {
            writer.bare(Command::Nop, StreamId::new(0), &mut self.common);
        }
        self.fill_control(&mut writer);
        self.fill_data(&mut writer);
        self.notify_blocked();
    }

    fn fill_control(&mut self, writer: &mut Writer<'_>) {
        // A share of the batch: then data has its turn.
        let share = writer.out.remaining() + (writer.out.batch_size() / 4).max(1);
        while writer.out.remaining() < share
            && let Some(key) = self.common.scheduler.next_control(&mut self.table)
        {
            let stream = &mut self.table[key];
            writer.owed_control(stream, &mut self.common);
            self.common.notify_if_sent(key, stream);
            stream_mut::remove_if_done(key, &mut self.table, &mut self.common);
        }
        // A refused stream is a closed one: see `Stream::owed_fins`.
        let fins = 1 + usize::from(self.common.config.half_close());
        while writer.out.remaining() < share
            && let Some(id) = self.common.scheduler.next_refusal()
        {
            for _ in 0..fins {
                writer.bare(Command::Fin, id, &mut self.common);
            }
        }
    }

    fn fill_data(&mut self, writer: &mut Writer<'_>) {
        // One turn at least: however small the batch, control frames cannot fill it for ever.
        let mut turns = 0;
        while (turns == 0 || writer.out.remaining() < writer.out.batch_size())
            && let Some(key) = self.common.scheduler.next_data(&mut self.table)
        {
            turns += 1;
            let stream = &mut self.table[key];
            // A SYN leaves before the rest of its stream, even if the control lane is long.
            if stream.has(Flag::OwesSyn) {
                writer.owed_control(stream, &mut self.common);
            }
            writer.data(stream, &mut self.common);
            self.after_turn(key);
        }
    }

    /// Puts a stream back in the ring if it has more to send, and wakes its writer if it has room.
    fn after_turn(&mut self, key: Key) {
        let (stream, common) = (&mut self.table[key], &mut self.common);
        if !stream.send.queue.is_empty() {
            common.scheduler.owe_data(key, stream);
        }
        common.notify_if_sent(key, stream);
        common.notify_writer_with_room(key, stream);
        stream_mut::remove_if_done(key, &mut self.table, &mut self.common);
    }

    /// Wakes writers that wait for room in the session's queue, as many as the room may serve.
    fn notify_blocked(&mut self) {
        let mut room = self
            .common
            .config
            .max_session_send_queue()
            .saturating_sub(self.common.queued);
        while room > 0
            && let Some(key) = self.common.scheduler.next_blocked(&mut self.table)
        {
            let (stream, common) = (&mut self.table[key], &mut self.common);
            common.notify_writer(key, stream);
            if common.queued > 0 {
                room = room.saturating_sub(common.config.max_stream_send_queue());
            }
        }
    }
}

/// Writes frames of one version into a batch and counts them.
struct Writer<'a> {
    version: Version,
    /// Bytes that the session emitted before those that are in the batch.
    start: u64,
    out: &'a mut Transmit,
}

impl Writer<'_> {
    fn header(&mut self, command: Command, id: StreamId, length: u16, common: &mut Common) {
        common.stats.frames_sent.count(command);
        self.out.header(Header {
            version: self.version,
            command,
            length,
            stream_id: id,
        });
    }

    fn bare(&mut self, command: Command, id: StreamId, common: &mut Common) {
        self.header(command, id, 0, common);
    }

    /// SYN and UPD, whichever the stream owes.
    fn owed_control(&mut self, stream: &mut Stream, common: &mut Common) {
        if stream.clear(Flag::OwesSyn) {
            self.bare(Command::Syn, stream.id, common);
            self.mark(stream);
        }
        if stream.clear(Flag::OwesUpd) {
            self.header(Command::Upd, stream.id, 8, common);
            let update = stream.recv.announce(common.partial(stream.id));
            self.out.update(update);
        }
    }

    /// One frame of data, and what FINs are owed once there is no more.
    fn data(&mut self, stream: &mut Stream, common: &mut Common) {
        let before = self.out.remaining();
        let length = stream.send.queue.len().min(common.config.max_frame_size());
        if let Ok(length) = u16::try_from(length)
            && length > 0
        {
            self.header(Command::Psh, stream.id, length, common);
            self.payload(stream, length.into(), common);
        }
        if stream.send.queue.is_empty() {
            for _ in 0..stream.owed_fins(common.config.half_close()) {
                self.bare(Command::Fin, stream.id, common);
                stream.sent_fin();
            }
        }
        if self.out.remaining() > before {
            self.mark(stream);
        }
    }

    /// Notes how far the output has come with this stream's SYN, data or FIN.
    fn mark(&self, stream: &mut Stream) {
        stream.send.flush_offset = self.start + self.out.remaining() as u64;
    }

    fn payload(&mut self, stream: &mut Stream, length: usize, common: &mut Common) {
        let mut left = length;
        while left > 0
            && let Some(segment) = common.segments.split_front(&mut stream.send.queue, left)
        {
            left -= segment.as_slice().len();
            self.out.payload(segment);
        }
        common.queued -= length;
        common.stats.payload_sent += length as u64;
    }
}
