//! The rules that hold at any moment, when all events are taken, and at the end.

use std::{task::Poll, time::Duration};

use smux_proto::{CloseReason, Side, StreamError, StreamId, Version};

use super::{SIDES, SessionWaits, World, application::read};
use crate::{
    model::other,
    pipe::{Link, Pipe},
};

/// Moves after which the sessions count as never coming to rest, and further ones for each byte in
/// flight.
const MAX_MOVES: usize = 100_000;
const MAX_MOVES_FOR_BYTE: usize = 50;
/// Largest payload of a frame: by so much the receive budget may be exceeded.
const MAX_FRAME: usize = 65_535;

impl World {
    /// An error must come from the session's end, from this application's own calls, or from the
    /// other one closing the stream.
    pub(super) fn expect_error(
        &mut self,
        side: Side,
        id: StreamId,
        error: &StreamError,
        finished: bool,
    ) {
        let session = self.session(side);
        let (reason, half_close) = (
            session.close_reason().cloned(),
            session.config().half_close(),
        );
        match error {
            StreamError::Closed(told) => assert_eq!(Some(told), reason.as_ref()),
            StreamError::Finished => assert!(finished && reason.is_none()),
            StreamError::Stopped => {
                let peer = self.model.view(other(side), id);
                // A side that never got the stream may have refused it.
                let gone =
                    peer.closed || !peer.held || (peer.finished && (peer.deaf || !half_close));
                assert!(
                    gone && reason.is_none(),
                    "{side:?}: stream {id} is stopped, but the peer has it: {peer:?}"
                );
            }
            other => panic!("{side:?}: {other:?} between two honest ends"),
        }
    }

    /// All events are taken, so every call that still waits must be pending if it is repeated.
    pub(super) fn check_waits(&mut self, side: Side) {
        let SessionWaits { open, accept } = self.waits[side as usize];
        assert!(
            !open || self.session(side).open().is_pending(),
            "{side:?}: opening was not woken"
        );
        assert!(
            !accept || self.session(side).accept().is_pending(),
            "{side:?}: accepting was not woken"
        );
        for id in self.model.held(side) {
            let waits = self.model.view(side, id).waits;
            // As long as there is output, a writer may be left to wait for more room than there is.
            let idle =
                self.session(side).stats().send_queued == 0 && !self.session(side).wants_transmit();
            let mut stream = self.stream(side, id);
            assert!(
                !waits.read || stream.read(&mut [0]).is_pending(),
                "{side:?}: a reader of {id} was not woken"
            );
            if waits.sent {
                let result = stream.poll_sent();
                let state = stream.stats();
                assert_eq!(
                    result,
                    Poll::Pending,
                    "{side:?}: a flush of {id} was not woken: {state:?}"
                );
            }
            if waits.write && idle {
                let result = stream.write(&[0]);
                assert_eq!(
                    result,
                    Poll::Pending,
                    "{side:?}: a writer of {id} was not woken"
                );
            }
        }
    }

    /// Neither session has ended, nor is one about to.
    pub fn is_open(&mut self) -> bool {
        SIDES.iter().all(|&side| !self.session(side).is_closed())
    }

    /// What must hold at any moment.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn check(&mut self) {
        for side in SIDES {
            let held = self.model.held(side);
            let session = self.session(side);
            let (mut unread, mut unsent) = (0, 0);
            for id in held {
                let stream = session.stream(id).expect("the application holds it");
                unread += stream.unread();
                unsent += stream.unsent();
            }
            let (stats, config) = (session.stats(), session.config());
            // Streams in the backlog cannot be asked.
            let backlog =
                stats.streams_accepted + stats.streams_refused < stats.frames_received.syn;
            assert!(
                stats.receive_buffered == unread || backlog && stats.receive_buffered > unread,
                "{side:?}: {stats:?}, {unread} unread"
            );
            assert!(
                stats.receive_buffered <= config.max_receive_buffer() + MAX_FRAME,
                "{side:?}: {stats:?}"
            );
            assert!(
                stats.send_queued >= unsent && stats.send_queued <= config.max_session_send_queue(),
                "{side:?}: {stats:?}"
            );
            assert!(
                stats.windows_granted <= config.max_receive_buffer(),
                "{side:?}: {stats:?}"
            );
            assert_eq!(
                (stats.window_overruns, stats.streams_evicted),
                (0, 0),
                "{side:?} takes an honest peer for a hostile one"
            );
            assert!(
                !matches!(session.close_reason(), Some(CloseReason::Protocol(_))),
                "{side:?}: {:?}",
                session.close_reason()
            );
        }
    }

    /// Applications read and accept, the connection (a fast one from now on) moves, until nothing
    /// moves any more.
    fn settle(&mut self) {
        for pipe in [&mut self.pair.upstream, &mut self.pair.downstream] {
            let death = pipe.link.death;
            pipe.link = Link {
                death,
                ..Link::default()
            };
        }
        let sessions = self.stats().into_iter();
        let on_its_way = sessions.map(|stats| stats.send_queued + stats.receive_buffered);
        let bytes = on_its_way.sum::<usize>() + self.pair.upstream.held + self.pair.downstream.held;
        for _ in 0..MAX_MOVES + MAX_MOVES_FOR_BYTE * bytes {
            let mut moved = false;
            for side in SIDES {
                moved |= self.send(side) | self.receive(side);
                self.look(side);
                while !self.waits[side as usize].accept && self.accept(side) {
                    moved = true;
                }
                for id in self.model.held(side) {
                    let view = self.model.view(side, id);
                    if !view.waits.read && !view.ended && !view.deaf {
                        moved |= self.read(side, id, u16::MAX, read);
                    }
                }
            }
            if moved {
                continue;
            }
            let arrivals = [&self.pair.upstream, &self.pair.downstream].map(Pipe::next_arrival);
            let Some(next) = arrivals
                .into_iter()
                .flatten()
                .filter(|next| *next > self.pair.now)
                .min()
            else {
                return;
            };
            self.wait(next - self.pair.now);
        }
        panic!("the sessions never come to rest: {:?}", self.stats());
    }

    /// Lets everything come to its end.
    ///
    /// # Panics
    ///
    /// If data does not arrive although nothing stands in its way, or if anything is left at the
    /// end.
    pub fn finish(&mut self) {
        self.settle();
        if self.is_open() {
            self.check_delivered();
        }
        for side in SIDES {
            for id in self.model.held(side) {
                self.close(side, id);
            }
        }
        self.settle();
        let now = self.pair.now;
        let unharmed = self.is_open();
        for side in SIDES {
            let (stats, read) = (self.session(side).stats(), self.model.read(side));
            assert!(
                !unharmed || stats.payload_received == read + stats.payload_discarded,
                "{side:?}: {read} bytes read, {stats:?}"
            );
            assert!(
                !unharmed || self.session(side).stream_count() == 0,
                "{side:?}: streams are left"
            );
            self.session(side).close(now);
        }
        self.settle();
        // A peer that is gone ends it at the latest with the limit of closing.
        self.wait(Duration::from_secs(10));
        for side in SIDES {
            self.look(side);
            assert!(
                self.session(side).is_terminated(),
                "{side:?} does not terminate"
            );
            let (streams, stats) = (
                self.session(side).stream_count(),
                self.session(side).stats(),
            );
            let left = [
                streams,
                stats.receive_buffered,
                stats.send_queued,
                stats.windows_granted,
            ];
            assert_eq!(left, [0; 4], "{side:?}: streams, received, queued, windows");
        }
    }

    /// With both sessions alive and all readers reading, every byte has arrived, and every end.
    fn check_delivered(&mut self) {
        let config = self.session(Side::Client).config();
        let (half_close, v2) = (config.half_close(), config.version() == Version::V2);
        for side in SIDES {
            for id in self.model.held(side) {
                let (view, peer) = (
                    self.model.view(side, id).clone(),
                    self.model.view(other(side), id).clone(),
                );
                if (peer.held || peer.closed) && !view.deaf {
                    assert_eq!(view.read, peer.written, "{side:?}: stream {id} has stalled");
                }
                let ends = peer.closed || (peer.finished && half_close);
                assert!(
                    !ends || view.ended || view.deaf,
                    "{side:?}: the end of stream {id} did not come"
                );
                // The window of an unread stream is not renewed.
                let stopped = v2 && peer.deaf;
                assert!(
                    (!view.waits.write || stopped) && !view.waits.sent,
                    "{side:?}: a writer of {id} is never woken"
                );
            }
        }
    }
}
