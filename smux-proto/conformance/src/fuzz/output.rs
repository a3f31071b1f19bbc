//! Checks the output of a session under attack, as its peer sees it.

use std::collections::BTreeMap;

use smux_proto::{Config, Side, StreamId, Version};

use crate::frame::{self, Frame, Kind};

/// Bytes that a sender may have in flight before the first update.
const INITIAL_WINDOW: u64 = 262_144;

/// The peer's record of a stream that the session under test opened. Its id is used once.
#[derive(Debug)]
struct Seen {
    /// Bytes of data received, and FINs.
    bytes: u64,
    fins: u8,
    /// The largest offset up to which the peer ever allowed it to send.
    edge: u64,
    /// Bytes that the peer sent in complete frames, and how many were acknowledged.
    sent: u64,
    acknowledged: u64,
}

/// The peer's view of a session's output.
#[derive(Debug)]
pub(super) struct Output {
    version: Version,
    side: Side,
    config: Config,
    /// The start of a frame that is not complete.
    bytes: Vec<u8>,
    opened: BTreeMap<u32, Seen>,
}

impl Output {
    pub(super) fn new(version: Version, side: Side, config: Config) -> Self {
        Self {
            version,
            side,
            config,
            bytes: Vec::new(),
            opened: BTreeMap::new(),
        }
    }

    /// The session opens this stream.
    pub(super) fn opens(&mut self, id: StreamId) {
        let seen = Seen {
            bytes: 0,
            fins: 0,
            edge: INITIAL_WINDOW,
            sent: 0,
            acknowledged: 0,
        };
        let former = self.opened.insert(id.get(), seen);
        assert!(former.is_none(), "id {id} is used twice");
    }

    /// The peer sends this much data on a stream.
    pub(super) fn peer_sends(&mut self, id: u32, bytes: usize) {
        if let Some(seen) = self.opened.get_mut(&id) {
            seen.sent += bytes as u64;
        }
    }

    /// The peer sends this update, if the session may accept it.
    pub(super) fn peer_allows(&mut self, id: u32, consumed: u32, window: u32) {
        if let Some(seen) = self.opened.get_mut(&id) {
            let window = window.min(i32::MAX as u32);
            seen.edge = seen.edge.max(u64::from(consumed) + u64::from(window));
        }
    }

    /// Bytes of data received on a stream so far.
    pub(super) fn came(&self, id: u32) -> u64 {
        self.opened.get(&id).map_or(0, |seen| seen.bytes)
    }

    /// Checks bytes that the session sent.
    ///
    /// # Panics
    ///
    /// If they break a rule.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let all = std::mem::take(&mut self.bytes);
        let mut rest = all.as_slice();
        while let Some((version, frame, behind)) = frame::decode(rest) {
            assert_eq!(version, self.version as u8, "{frame:?}");
            self.check_form(&frame);
            self.check_stream(&frame);
            rest = behind;
        }
        self.bytes = rest.to_vec();
    }

    fn check_form(&self, frame: &Frame) {
        let length = frame.payload.len();
        match frame.kind {
            Kind::Psh => assert!(
                (1..=self.config.max_frame_size()).contains(&length),
                "{frame:?}"
            ),
            Kind::Upd => {
                assert_eq!(self.version, Version::V2, "{frame:?}");
                let (_, window) = frame.window_update().expect("8 bytes");
                assert!(
                    window as usize <= self.config.max_receive_buffer(),
                    "{frame:?}"
                );
            }
            Kind::Syn | Kind::Fin | Kind::Nop => assert_eq!(length, 0, "{frame:?}"),
        }
    }

    fn check_stream(&mut self, frame: &Frame) {
        let own = self.side.owns(StreamId::new(frame.id));
        if frame.kind == Kind::Nop || (!own && frame.kind != Kind::Syn) {
            return;
        }
        let seen = self.opened.get_mut(&frame.id);
        let seen = seen.unwrap_or_else(|| panic!("{frame:?} for a stream that was not opened"));
        match frame.kind {
            Kind::Psh => {
                assert_eq!(seen.fins, 0, "data behind FIN: {frame:?}");
                seen.bytes += frame.payload.len() as u64;
                let allowed = self.version == Version::V1 || seen.bytes <= seen.edge;
                assert!(allowed, "beyond every window: {frame:?}, {seen:?}");
            }
            Kind::Fin => {
                seen.fins += 1;
                assert!(seen.fins <= 2, "{frame:?}, {seen:?}");
            }
            Kind::Upd => {
                let consumed = frame.window_update().map_or(0, |(consumed, _)| consumed);
                let possible = seen.acknowledged..=seen.sent;
                assert!(possible.contains(&consumed.into()), "{frame:?}, {seen:?}");
                seen.acknowledged = consumed.into();
            }
            Kind::Syn | Kind::Nop => {}
        }
    }
}
