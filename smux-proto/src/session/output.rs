//! Output, batch by batch.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Buf;

use crate::{
    buffer::{Owner, Transmit},
    streams::stream::Flag,
    wire::{Command, StreamId, Version},
};

use super::{Session, phase::Phase, turns::Writer};

impl Session {
    /// Fills `out` with frames to write, and returns whether it has bytes to write. It adds frames
    /// if `out` is empty, or if [more follows](Transmit::more_follows) and little of it is left.
    /// Once nothing more will be sent, it empties `out`.
    ///
    /// Write from `out` as much as the transport takes, advance it, and call this again with the
    /// same `out` until it returns `false`: that is how the session sees the transport's progress.
    ///
    /// Also returns `false`, and leaves `out` alone, while it holds bytes of another session.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Transmit) -> bool {
        self.streams.trace.begin();
        self.note_written(now, out);
        let (now, owner) = (self.now, self.owner());
        if !out.is_free_for(owner) {
            return false;
        }
        if matches!(self.phase, Phase::Receiving(_) | Phase::Terminated) {
            out.clear();
            return false;
        }
        if core::mem::take(&mut self.output_idle) {
            out.trim();
        }
        // Every batch is followed by a poll that finds nothing.
        if self.phase == Phase::Open
            && !out.has_remaining()
            && !self.liveness.nop_due()
            && self.streams.is_quiet()
        {
            return false;
        }
        let emitted = self.streams.stats.bytes_emitted;
        if out.has_remaining() && !(out.wants_more() && out.is_newest(emitted)) {
            return true;
        }
        self.close_if_drained(now);
        out.refill();
        let before = out.remaining();
        if let Some(version) = self.streams.version {
            self.fill(version, out);
        }
        let added = out.remaining() - before;
        let emitted = emitted + added as u64;
        self.streams.stats.bytes_emitted = emitted;
        if added > 0 {
            self.marker.get_or_insert_with(|| Box::new(0));
            out.filled(self.owner(), emitted);
            if !self.liveness.is_writing() {
                self.unheard_refusals = 0;
            }
            out.set_more_follows(self.streams.scheduler.has_frames());
            self.liveness.writing(now, emitted);
        } else if before > 0 {
            out.set_more_follows(false);
        } else if let Phase::Closing(limit) = self.phase
            && !self.liveness.is_writing()
        {
            self.phase = Phase::Shut(limit);
        }
        out.has_remaining()
    }

    /// Takes note of what has left of a batch that this session filled, without filling it again.
    ///
    /// [`poll_transmit`](Self::poll_transmit) does that as well.
    pub fn handle_written(&mut self, now: Duration, batch: &mut Transmit) {
        self.note_written(now, batch);
    }

    #[inline(always)]
    fn note_written(&mut self, now: Duration, batch: &mut Transmit) {
        let now = self.advance(now);
        let Some(position) = batch.position(self.owner()) else {
            return;
        };
        if batch.has_spent() {
            self.recycle_spent(batch);
        }
        if self.liveness.wrote(now, position) {
            self.unheard_refusals = 0;
        }
    }

    #[inline(never)]
    fn recycle_spent(&mut self, batch: &mut Transmit) {
        for buffer in batch.spent() {
            self.streams.segments.recycle(buffer);
        }
    }

    /// Whose batches are this session's; `None` as long as there are none.
    fn owner(&self) -> Option<Owner> {
        let marker = self.marker.as_deref()?;
        Some(Owner {
            address: core::ptr::from_ref(marker).addr(),
            seed: self.seed,
        })
    }

    /// A flush of the transport begins. Until it [ends](Self::handle_flush_end), it counts as a
    /// write without progress, so that a transport that never flushes is noticed. Has no effect if
    /// a flush is under way.
    ///
    /// Only transports that buffer need this.
    pub fn handle_flush_begin(&mut self, now: Duration) {
        let now = self.advance(now);
        self.liveness.flush_begins(now);
    }

    /// The flush of the transport has ended. Has no effect if none has begun.
    pub fn handle_flush_end(&mut self, now: Duration) {
        let now = self.advance(now);
        self.liveness.flush_ends(now);
    }

    fn fill(&mut self, version: Version, out: &mut Transmit) {
        let mut writer = Writer {
            version,
            start: self.streams.stats.bytes_emitted - out.remaining() as u64,
            out,
        };
        if matches!(self.phase, Phase::Shut(_)) {
            return;
        }
        if self.liveness.nop_due() {
            writer.bare(Command::Nop, StreamId::new(0), &mut self.streams.stats);
        }
        self.streams
            .note_batch(writer.out.batch_size(), writer.out.turn());
        self.streams.relieve_windows();
        if self.streams.scheduler.owes_control() {
            self.fill_control(&mut writer);
        }
        writer.fill_data(&mut self.streams);
        self.streams.compact_segments();
        self.streams.notify_blocked();
    }

    // Out of line, so that a batch of data does not save registers for it.
    #[inline(never)]
    fn fill_control(&mut self, writer: &mut Writer<'_>) {
        // A share of the batch: then data has its turn.
        let share = writer.out.remaining() + (writer.out.batch_size() / 4).max(1);
        while writer.out.remaining() < share
            && let Some(key) = self.streams.scheduler.next_control(&mut self.streams.table)
        {
            writer.owed_control(key, &mut self.streams);
            let stream = &self.streams.table[key];
            // Of a closed stream FINs are still owed, unless the session is over.
            let owes_no_fin = stream.has(Flag::Closed) && !stream.has(Flag::Finished);
            if stream.has(Flag::SentWaits) || owes_no_fin {
                self.streams.notify_if_sent(key);
                self.streams.remove_if_done(key);
            }
        }
        // A refused stream is a closed one: see `Stream::owed_fins`.
        let fins = 1 + usize::from(self.streams.config.half_close());
        while writer.out.remaining() < share
            && let Some(id) = self.streams.scheduler.next_refusal()
        {
            for _ in 0..fins {
                writer.bare(Command::Fin, id, &mut self.streams.stats);
            }
        }
    }
}
