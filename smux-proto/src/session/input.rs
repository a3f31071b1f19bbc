//! What each frame that arrives does.

use core::time::Duration;

use crate::{
    error::CloseReason,
    streams::{
        send::UpdateOutcome,
        stream::{Flag, Stream},
        table::Key,
    },
    wire::{Command, Decoder, Header, Item, ProtocolError, StreamId, WholeFrame, WindowUpdate},
};

use super::{Session, phase::Phase};

impl Session {
    /// Takes bytes from the transport, in any pieces, and returns how many: fewer than all only if
    /// the session no longer [wants input](Self::wants_input). Pass the rest again later.
    ///
    /// Once the session has ended, input is taken and discarded.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol: the session has ended, with this as its reason unless writing
    /// had failed before.
    pub fn handle_input(&mut self, now: Duration, data: &[u8]) -> Result<usize, ProtocolError> {
        let now = self.advance(now);
        self.streams.trace.begin();
        let mut rest = data;
        if self.wants_input() && !data.is_empty() {
            self.liveness.heard(now);
        }
        while !rest.is_empty() {
            let taken = self.take_whole_frames(&mut rest);
            if taken == Ok(true) {
                continue;
            }
            if taken.is_ok() && !(self.wants_input() || self.make_room(now)) {
                break;
            }
            if self.streams.input_over {
                rest = &[];
            } else if let Err(error) = taken.and_then(|_| self.take_item(&mut rest)) {
                self.terminate(CloseReason::Protocol(error.clone()));
                return Err(error);
            }
        }
        if !self.wants_input() {
            self.liveness.pause();
            if !self.streams.has_receive_budget() {
                self.streams.input_waits();
            }
        }
        let taken = data.len() - rest.len();
        self.streams.stats.bytes_received += taken as u64;
        Ok(taken)
    }

    /// Ends slow readers whose time is up. Returns whether input can go on.
    fn make_room(&mut self, now: Duration) -> bool {
        self.streams.evict_slow_readers(now) && self.wants_input()
    }

    /// Takes frames that are here as a whole, as most are. Returns whether there were any.
    ///
    /// It does what [`take_item`](Self::take_item) does, with half of its instructions: what holds
    /// for all of these frames is judged once, nothing has to be kept for a frame's next piece, and
    /// the stream of data is looked up once. Out of line, it has the registers to itself.
    #[inline(never)]
    fn take_whole_frames(&mut self, rest: &mut &[u8]) -> Result<bool, ProtocolError> {
        let Some(version) = self
            .decoder
            .next_version()
            .filter(|_| !self.streams.input_over)
        else {
            return Ok(false);
        };
        let mut left = *rest;
        let mut goes_on = self.streams.has_receive_budget() && !self.refusals_wait();
        while goes_on && let Some(frame) = Decoder::whole_frame(version, left) {
            match frame {
                WholeFrame::Data => {
                    let frames = self.streams.receive_frames(version, &mut left, &self.now);
                    self.glitches.forgive(frames);
                    goes_on = frames > 0 && self.streams.has_receive_budget();
                    continue;
                }
                WholeFrame::Syn(id) => {
                    self.streams.stats.frames_received.count(Command::Syn);
                    self.handle_syn(id)?;
                    goes_on = !self.refusals_wait();
                }
                // It neither takes of the budget nor is refused.
                WholeFrame::Fin(id) => {
                    self.streams.stats.frames_received.count(Command::Fin);
                    self.handle_fin(id)?;
                }
            }
            left = left.get(Header::SIZE..).unwrap_or_default();
        }
        let taken = left.len() < rest.len();
        *rest = left;
        Ok(taken)
    }

    /// Takes the next piece that belongs together.
    fn take_item(&mut self, rest: &mut &[u8]) -> Result<(), ProtocolError> {
        match self.decoder.next(rest)? {
            Some(Item::Header { header, payload }) => {
                self.begin_frame(header)?;
                if let Some(bytes) = payload {
                    self.receive(bytes, true);
                }
                Ok(())
            }
            Some(Item::Payload { bytes, is_last }) => {
                self.receive(bytes, is_last);
                Ok(())
            }
            Some(Item::Update(id, update)) => self.handle_update(id, update),
            None => Ok(()),
        }
    }

    fn receive(&mut self, payload: &[u8], is_last: bool) {
        self.streams.receive(self.receiver, payload, &self.now);
        if is_last && let Some(key) = self.receiver {
            self.streams.end_of_data(key);
        }
    }

    fn begin_frame(&mut self, header: Header) -> Result<(), ProtocolError> {
        let Header {
            version,
            command,
            length,
            stream_id: id,
        } = header;
        if self.streams.version.is_none() {
            self.streams.detected(version);
        }
        self.streams.stats.frames_received.count(command);
        match command {
            Command::Syn => self.handle_syn(id),
            Command::Fin => self.handle_fin(id),
            Command::Psh => self.begin_data(id, length.into()),
            Command::Nop => {
                self.liveness.heard_keep_alive();
                Ok(())
            }
            // It acts with its body.
            Command::Upd => Ok(()),
        }
    }

    fn handle_syn(&mut self, id: StreamId) -> Result<(), ProtocolError> {
        if self.streams.side.owns(id) {
            self.streams.stats.ignored.own_parity_syn += 1;
            return self.glitch();
        }
        if self.streams.table.find(id).is_some() {
            self.streams.stats.ignored.duplicate_syn += 1;
            return self.glitch();
        }
        let Some(because) = self.refusal(id) else {
            self.streams.open_inbound(id);
            return Ok(());
        };
        self.streams.stats.streams_refused += 1;
        self.streams.trace.refused(id, because);
        if matches!(self.phase, Phase::Receiving(_)) {
            return Ok(());
        }
        self.streams.scheduler.refuse(id);
        self.unheard_refusals += 1;
        // What the peer cannot have read yet counts once more: it may have sent as many meanwhile.
        let limit = self.streams.config.max_owed_refusals();
        let owed = self.streams.scheduler.owed_refusals();
        if self.unheard_refusals > limit || owed > limit.saturating_mul(2) {
            return Err(ProtocolError::TooManyRefusals);
        }
        Ok(())
    }

    /// Why no stream of the peer can be taken in, if so.
    fn refusal(&self, id: StreamId) -> Option<&'static str> {
        let config = &self.streams.config;
        if !self.accepting {
            Some("accepting has stopped")
        } else if !matches!(self.phase, Phase::Open | Phase::Receiving(_)) {
            Some("draining or closed")
        } else if self.streams.backlog.len() >= config.accept_backlog() {
            Some("accept_backlog")
        } else if self.streams.inbound >= config.max_inbound_streams() {
            Some("max_inbound_streams")
        } else if !self.streams.has_window_room(id) {
            Some("window_floor")
        } else {
            None
        }
    }

    /// The first FIN ends the peer's data, the second its reading; without half-close the first
    /// does both.
    #[inline(always)]
    fn handle_fin(&mut self, id: StreamId) -> Result<(), ProtocolError> {
        let Some(key) = self.streams.table.find(id) else {
            self.streams.stats.ignored.unknown_stream += 1;
            return Ok(());
        };
        self.handle_fin_of(key)
    }

    #[inline(never)]
    fn handle_fin_of(&mut self, key: Key) -> Result<(), ProtocolError> {
        let stream = &mut self.streams.table[key];
        let first = !stream.has(Flag::PeerFinished);
        if !first && stream.has(Flag::PeerClosed) {
            self.streams.stats.ignored.repeated_fin += 1;
            return self.glitch();
        }
        if first {
            self.streams.on_peer_finished(key);
        } else {
            stream.set(Flag::PeerClosed);
        }
        let reads_no_more = !first || !self.streams.config.half_close();
        if reads_no_more && !self.streams.table[key].has(Flag::Stopped) {
            self.streams.on_peer_stopped(key);
        }
        self.streams.remove_if_done(key);
        Ok(())
    }

    fn begin_data(&mut self, id: StreamId, length: usize) -> Result<(), ProtocolError> {
        let ignored = &mut self.streams.stats.ignored;
        self.receiver = None;
        if length == 0 {
            ignored.empty_psh += 1;
            return self.glitch();
        }
        self.streams.stats.payload_received += length as u64;
        let key = self.streams.table.find(id);
        match key.map(|key| (key, &self.streams.table[key])) {
            Some((key, stream)) if stream.takes_data() => {
                self.receiver = Some(key);
                self.streams.begin_data(key);
                self.glitches.forgive(1);
            }
            // The reference sends the rest of a write behind the FIN of a concurrent close.
            Some((_, stream)) if stream.has(Flag::PeerFinished) => ignored.after_fin += 1,
            Some((_, stream)) if stream.has(Flag::ReadStopped) && !stream.has(Flag::Closed) => {
                ignored.reading_stopped += 1;
            }
            // Usual after a local close: the peer cannot know yet.
            _ => ignored.unknown_stream += 1,
        }
        Ok(())
    }

    fn handle_update(&mut self, id: StreamId, update: WindowUpdate) -> Result<(), ProtocolError> {
        let Some(key) = self.streams.table.find(id) else {
            self.streams.stats.ignored.unknown_stream += 1;
            return Ok(());
        };
        let stream: &mut Stream = &mut self.streams.table[key];
        match stream.send.update(update) {
            UpdateOutcome::Applied => {
                stream.clear(Flag::AckedTooMuch);
                self.streams.notify_writer_with_room(key);
            }
            // The writer is to see the error.
            UpdateOutcome::Ahead => {
                stream.set(Flag::AckedTooMuch);
                self.streams.notify_writer(key);
            }
            UpdateOutcome::Stale => {
                self.streams.stats.ignored.stale_upd += 1;
                return self.glitch();
            }
        }
        Ok(())
    }

    /// Counts a useless frame; useful ones and time count against it.
    fn glitch(&mut self) -> Result<(), ProtocolError> {
        self.glitches.count(self.now)
    }
}
