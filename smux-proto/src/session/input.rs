//! Bytes that arrive, frame by frame.

use core::time::Duration;

use crate::{
    error::CloseReason,
    session::Session,
    session::closing::Phase,
    streams::send::UpdateOutcome,
    streams::stream::{Flag, Stream},
    streams::stream_mut,
    streams::table::Key,
    wire::{Command, Header, ProtocolError, StreamId, Version, WindowUpdate},
};

/// Where in the byte stream the session is. No more than eight bytes are ever held back.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    staged: [u8; 8],
    staged_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// Payload of a PSH: bytes still to come. Those that no stream takes are skipped.
    Payload {
        to: Option<Key>,
        left: usize,
    },
    Update {
        id: StreamId,
    },
    /// The session has ended.
    Discard,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Header,
            staged: [0; 8],
            staged_len: 0,
        }
    }

    /// Whether the next byte begins a frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.state == State::Header && self.staged_len == 0
    }

    pub(crate) const fn discard(&mut self) {
        self.state = State::Discard;
        self.staged_len = 0;
    }

    /// Eight bytes, once they are complete.
    fn stage(&mut self, data: &mut &[u8]) -> Option<[u8; 8]> {
        if self.staged_len == 0
            && let Some((eight, rest)) = data.split_first_chunk()
        {
            *data = rest;
            return Some(*eight);
        }
        let room = self.staged.len() - self.staged_len;
        let (now, later) = data.split_at(room.min(data.len()));
        self.staged[self.staged_len..][..now.len()].copy_from_slice(now);
        self.staged_len += now.len();
        *data = later;
        if self.staged_len < self.staged.len() {
            return None;
        }
        self.staged_len = 0;
        Some(self.staged)
    }
}

impl Session {
    /// Takes bytes from the transport, cut in whatever way, and tells how many it took: fewer than
    /// all only if it no longer [wants input](Self::wants_input). Pass the rest again later.
    ///
    /// Once the session has ended, input is taken and thrown away.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol: the session has ended, with this as its reason unless writing had failed before.
    pub fn handle_input(&mut self, now: Duration, data: &[u8]) -> Result<usize, ProtocolError> {
        let now = self.advance(now);
        let mut rest = data;
        if self.wants_input() && !data.is_empty() {
            self.common.liveness.heard(now);
        }
        while !rest.is_empty() && self.wants_input() {
            if let Err(error) = self.step(&mut rest) {
                self.terminate(CloseReason::Protocol(error.clone()));
                return Err(error);
            }
        }
        if !self.wants_input() {
            self.common.liveness.pause();
            self.common.input_waits();
        }
        let taken = data.len() - rest.len();
        self.common.stats.bytes_received += taken as u64;
        Ok(taken)
    }

    /// Takes the next piece that belongs together.
    fn step(&mut self, rest: &mut &[u8]) -> Result<(), ProtocolError> {
        match self.decoder.state {
            State::Header => {
                if let Some(bytes) = self.decoder.stage(rest) {
                    self.begin_frame(bytes)?;
                }
            }
            State::Payload { to, left } => {
                let (now, later) = rest.split_at(left.min(rest.len()));
                *rest = later;
                self.receive(to, now);
                if now.len() < left {
                    let left = left - now.len();
                    self.decoder.state = State::Payload { to, left };
                    return Ok(());
                }
                self.decoder.state = State::Header;
                if let Some(key) = to {
                    self.end_of_data(key);
                }
            }
            State::Update { id } => {
                if let Some(bytes) = self.decoder.stage(rest) {
                    self.decoder.state = State::Header;
                    self.handle_update(id, WindowUpdate::decode(bytes))?;
                }
            }
            State::Discard => *rest = &[],
        }
        Ok(())
    }

    /// Judges a header: version, then command, then length, before it has any effect.
    fn begin_frame(&mut self, bytes: [u8; 8]) -> Result<(), ProtocolError> {
        self.check_version(bytes[0])?;
        let Header {
            command,
            length,
            stream_id: id,
            ..
        } = Header::decode(bytes)?;
        if command == Command::Upd && self.common.version == Some(Version::V1) {
            return Err(ProtocolError::UpdateInV1);
        }
        let fits = match command {
            Command::Psh => true,
            Command::Upd => usize::from(length) == WindowUpdate::SIZE,
            Command::Syn | Command::Fin | Command::Nop => length == 0,
        };
        if !fits {
            return Err(ProtocolError::Length { command, length });
        }
        self.common.stats.frames_received.count(command);
        match command {
            Command::Syn => self.handle_syn(id),
            Command::Fin => self.handle_fin(id),
            Command::Psh => self.begin_data(id, length.into()),
            Command::Upd => {
                self.decoder.state = State::Update { id };
                Ok(())
            }
            // Any byte was a sign of life already; a NOP says nothing more.
            Command::Nop => Ok(()),
        }
    }

    /// The first frame decides, if the version is to be detected; then all must be alike.
    fn check_version(&mut self, byte: u8) -> Result<(), ProtocolError> {
        let expected = self.common.version;
        match Version::from_byte(byte) {
            Some(version) if expected.is_none() => {
                self.common.version = Some(version);
                self.common.trace.version(version);
                self.common.notify_opener();
                Ok(())
            }
            Some(version) if expected == Some(version) => Ok(()),
            _ => Err(ProtocolError::Version {
                expected,
                got: byte,
            }),
        }
    }

    fn handle_syn(&mut self, id: StreamId) -> Result<(), ProtocolError> {
        if self.common.side.owns(id) {
            self.common.stats.ignored.own_parity_syn += 1;
            return self.glitch();
        }
        if self.table.find(id).is_some() {
            self.common.stats.ignored.duplicate_syn += 1;
            return self.glitch();
        }
        if let Some(because) = self.refusal() {
            self.common.stats.streams_refused += 1;
            self.common.trace.refused(id, because);
            if matches!(self.phase, Phase::Receiving(_)) {
                return self.glitch();
            }
            if self.common.scheduler.refuse(id) > self.common.config.max_owed_refusals() {
                return Err(ProtocolError::TooManyRefusals);
            }
            return self.glitch();
        }
        let key = self.insert(id);
        self.backlog.push_back(key);
        self.common.events.acceptable();
        Ok(())
    }

    /// Why no stream of the peer can be taken in, if so.
    fn refusal(&self) -> Option<&'static str> {
        let config = &self.common.config;
        if !self.accepting {
            Some("nobody accepts")
        } else if !matches!(self.phase, Phase::Open | Phase::Receiving(_)) {
            Some("draining or closed")
        } else if self.backlog.len() >= config.accept_backlog() {
            Some("accept_backlog")
        } else if self.common.inbound >= config.max_inbound_streams() {
            Some("max_inbound_streams")
        } else if !self.has_window_room() {
            Some("window_floor")
        } else {
            None
        }
    }

    /// The first FIN ends the peer's data, the second its reading; without half-close the first does both.
    fn handle_fin(&mut self, id: StreamId) -> Result<(), ProtocolError> {
        let Some(key) = self.table.find(id) else {
            self.common.stats.ignored.unknown_stream += 1;
            return Ok(());
        };
        let first = !self.table[key].has(Flag::PeerFinished);
        if first {
            self.common.end_window(key, &mut self.table);
            let (stream, common) = (&mut self.table[key], &mut self.common);
            stream.set(Flag::PeerFinished);
            common.events.raise(key, stream, Flag::EventFinished);
            common.trace.finished(id);
            // Without half-close our own FIN may have waited for this.
            common.scheduler.owe_data(key, stream);
        }
        if !first || !self.common.config.half_close() {
            if self.table[key].has(Flag::Stopped) {
                self.common.stats.ignored.repeated_fin += 1;
                return self.glitch();
            }
            self.stop(key);
        }
        stream_mut::remove_if_done(key, &mut self.table, &mut self.common);
        Ok(())
    }

    /// The peer reads no more: what is queued is of no use.
    fn stop(&mut self, key: Key) {
        let (stream, common) = (&mut self.table[key], &mut self.common);
        stream.set(Flag::Stopped);
        common.trace.stopped(stream.id);
        common.discard_queued(stream);
        common.notify_writer(key, stream);
        common.events.raise(key, stream, Flag::EventStopped);
    }

    fn begin_data(&mut self, id: StreamId, length: usize) -> Result<(), ProtocolError> {
        self.common.stats.payload_received += length as u64;
        if length == 0 {
            self.common.stats.ignored.empty_psh += 1;
            return self.glitch();
        }
        let key = self.table.find(id);
        let stream = key.map(|key| &self.table[key]);
        let takes = stream.is_some_and(Stream::takes_data);
        self.decoder.state = State::Payload {
            to: key.filter(|_| takes),
            left: length,
        };
        match stream {
            Some(_) if takes => {
                self.common.arriving = Some((id, 0));
                self.glitches = self.glitches.saturating_sub(1);
            }
            Some(stream) if stream.has(Flag::PeerFinished) => {
                self.common.stats.ignored.after_fin += 1;
                return self.glitch();
            }
            Some(stream) if stream.has(Flag::ReadStopped) && !stream.has(Flag::Closed) => {
                self.common.stats.ignored.reading_stopped += 1;
            }
            // Usual after a local close: the peer cannot know yet.
            _ => self.common.stats.ignored.unknown_stream += 1,
        }
        Ok(())
    }

    /// Gives payload to its stream as it arrives. What nobody will read is dropped.
    fn receive(&mut self, to: Option<Key>, data: &[u8]) {
        if let Some((_, arrived)) = &mut self.common.arriving {
            *arrived += data.len() as u64;
        }
        let (table, common) = (&mut self.table, &mut self.common);
        let taker = to.and_then(|key| Some((key, table.get_mut(key)?)));
        let Some((key, stream)) = taker.filter(|(_, stream)| stream.takes_data()) else {
            common.stats.payload_discarded += data.len() as u64;
            return;
        };
        let was_empty = stream.recv.queue.is_empty();
        common.segments.push(
            &mut stream.recv.queue,
            data,
            crate::buffer::segments::SEGMENT,
        );
        common.budget.charge(data.len());
        stream.recv.received += data.len() as u64;
        if was_empty | stream.clear(Flag::ReadWaits) {
            common.events.raise(key, stream, Flag::EventReadable);
        }
    }

    /// A frame of data is complete: what was read of it meanwhile can be acknowledged now.
    fn end_of_data(&mut self, key: Key) {
        self.common.arriving = None;
        if !self.common.is_v2() || self.table.get(key).is_none() {
            return;
        }
        self.common.update_window(key, &mut self.table);
        let stream = &mut self.table[key];
        if stream.takes_data() && stream.recv.overrun() > 0 {
            self.common.stats.window_overruns += 1;
            if !stream.has(Flag::Overran) {
                stream.set(Flag::Overran);
                self.note_overrunner(key);
            }
        }
        if !self.common.budget.is_open(true) {
            self.evict_worst();
        }
    }

    fn note_overrunner(&mut self, key: Key) {
        self.overrunners.push(key);
        // Most of so many have gone.
        if self.overrunners.len() > 32 + 2 * self.table.len() {
            let table = &self.table;
            self.overrunners.retain(|&key| table.get(key).is_some());
        }
    }

    /// With the budget empty, ends the stream that holds most beyond its window, if there is one.
    fn evict_worst(&mut self) {
        let excess = |stream: &Stream| {
            let unread = stream.recv.queue.len() as u64;
            stream.recv.overrun().min(unread)
        };
        let table = &mut self.table;
        self.overrunners.retain(|&key| {
            let Some(stream) = table.get_mut(key) else {
                return false;
            };
            // One that was read may overrun again, and is then noted again.
            excess(stream) > 0 || !stream.clear(Flag::Overran)
        });
        let overrunners = self.overrunners.iter().copied();
        let Some(key) = overrunners.max_by_key(|&key| table.get(key).map(excess)) else {
            return;
        };
        self.common.stats.streams_evicted += 1;
        self.common.release_window(key, &mut self.table);
        let (stream, common) = (&mut self.table[key], &mut self.common);
        common.trace.evicted(stream.id);
        common.discard_received(stream);
        common.discard_queued(stream);
        stream.set(Flag::Evicted);
        if common.reason.is_none() {
            stream.set(Flag::Finished);
        }
        stream.clear(Flag::ReadWaits);
        common.scheduler.owe_data(key, stream);
        common.notify_writer(key, stream);
        common.events.raise(key, stream, Flag::EventReadable);
    }

    fn handle_update(&mut self, id: StreamId, update: WindowUpdate) -> Result<(), ProtocolError> {
        let Some(key) = self.table.find(id) else {
            self.common.stats.ignored.unknown_stream += 1;
            return Ok(());
        };
        let (stream, common) = (&mut self.table[key], &mut self.common);
        match stream.send.update(update) {
            UpdateOutcome::Applied => common.notify_writer_with_room(key, stream),
            // The writer is to see the error.
            UpdateOutcome::Ahead => common.notify_writer(key, stream),
            UpdateOutcome::Stale => {
                common.stats.ignored.stale_upd += 1;
                return self.glitch();
            }
        }
        Ok(())
    }

    /// Counts a useless frame; useful ones count against it.
    fn glitch(&mut self) -> Result<(), ProtocolError> {
        self.glitches = self.glitches.saturating_add(1);
        if self.glitches > self.common.config.max_glitches() {
            return Err(ProtocolError::TooManyGlitches);
        }
        Ok(())
    }
}
