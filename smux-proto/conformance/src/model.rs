//! What applications at both ends of a stream may observe: each direction is a queue of bytes.
//!
//! The bytes of a direction are a [`Pattern`], so that a queue is two counters: how much was
//! written and how much was read.

use std::collections::BTreeMap;

use smux_proto::{Side, StreamId};

use crate::pattern::Pattern;

/// One application's view of one stream.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Opened or accepted, and not closed.
    pub held: bool,
    /// Closed by the application: data that arrives is discarded.
    pub closed: bool,
    /// Reading has stopped: data that arrives is discarded.
    pub deaf: bool,
    /// Writes no more: finished or closed.
    pub finished: bool,
    /// Bytes that the session took from the application.
    pub written: u64,
    /// Bytes that the application has read.
    pub read: u64,
    /// Read to the end of the stream.
    pub ended: bool,
    /// A call was pending, and no event has followed yet.
    pub waits: Waits,
}

/// What a pending call waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Data, the end, or an error.
    pub read: bool,
    /// Room, or an error.
    pub write: bool,
    /// That all has left, or an error.
    pub sent: bool,
}

/// All streams of a connection, as seen from both ends.
#[derive(Debug, Default)]
pub struct Model {
    streams: BTreeMap<(StreamId, bool), View>,
}

impl Model {
    /// What the application on this side has done and seen of a stream.
    pub fn view(&mut self, side: Side, id: StreamId) -> &mut View {
        self.streams.entry((id, side == Side::Client)).or_default()
    }

    /// The streams that the application on this side holds.
    pub fn held(&self, side: Side) -> Vec<StreamId> {
        let held = self
            .streams
            .iter()
            .filter(|(key, view)| key.1 == (side == Side::Client) && view.held);
        held.map(|(key, _)| key.0).collect()
    }

    /// Bytes that the application on this side has read altogether.
    pub fn read(&self, side: Side) -> u64 {
        let own = |(key, view): (&(StreamId, bool), &View)| {
            (key.1 == (side == Side::Client)).then_some(view.read)
        };
        self.streams.iter().filter_map(own).sum()
    }

    /// Every stream of the connection.
    pub fn ids(&self) -> Vec<StreamId> {
        let mut ids: Vec<_> = self.streams.keys().map(|key| key.0).collect();
        ids.dedup();
        ids
    }

    /// The application on this side has opened a stream.
    ///
    /// # Panics
    ///
    /// If its id was used before.
    pub fn note_open(&mut self, side: Side, id: StreamId) {
        let former = self.ids().contains(&id);
        assert!(!former, "{side:?}: id {id} is used twice");
        self.view(side, id).held = true;
    }

    /// The application on this side has accepted a stream.
    ///
    /// # Panics
    ///
    /// If the other side has not opened it, or it was accepted before.
    pub fn note_accept(&mut self, side: Side, id: StreamId) {
        let opener = self.view(other(side), id);
        assert!(
            opener.held || opener.closed,
            "{side:?}: {id} was never opened"
        );
        let view = self.view(side, id);
        let former = view.held || view.closed;
        assert!(!former, "{side:?}: stream {id} is accepted twice");
        view.held = true;
    }

    /// Returns the next bytes for the application on this side to write.
    pub fn next(&mut self, side: Side, id: StreamId, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        pattern(side, id).fill(self.view(side, id).written, &mut data);
        data
    }

    /// The application on this side has read this.
    ///
    /// # Panics
    ///
    /// If that is not what the other side wrote next.
    pub fn note_read(&mut self, side: Side, id: StreamId, data: &[u8]) {
        let from = self.view(other(side), id).written;
        let view = self.view(side, id);
        assert!(!view.ended, "{side:?} reads beyond the end of stream {id}");
        let check = pattern(other(side), id).check(view.read, data);
        assert_eq!(check, Ok(()), "{side:?}, stream {id}");
        view.read += data.len() as u64;
        assert!(
            view.read <= from,
            "{side:?} read more of stream {id} than was written"
        );
    }

    /// The application on this side has come to the end of a stream.
    ///
    /// # Panics
    ///
    /// If the other side has not ended it there.
    pub fn note_end(&mut self, side: Side, id: StreamId) {
        let peer = self.view(other(side), id).clone();
        let view = self.view(side, id);
        view.ended = true;
        // A stream that the other application never got was refused: nothing was written.
        let refused = !(peer.held || peer.closed);
        assert!(
            peer.finished || refused,
            "{side:?} sees an end of stream {id} that its peer did not make"
        );
        assert_eq!(
            view.read, peer.written,
            "{side:?}: stream {id} was cut off without an error"
        );
    }
}

/// The side at the far end.
pub fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

fn pattern(side: Side, id: StreamId) -> Pattern {
    let direction = u32::from(side == Side::Client);
    Pattern {
        seed: id.get() << 1 | direction,
    }
}
