//! How a session ends: drained, closed, aborted, by the peer, by the transport or by its clocks.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    common::Common,
    error::{CloseReason, TransportError},
    keep_alive::Due,
    session::Session,
    stream_mut,
    table::Key,
};

/// How far the session is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// No new streams; closes when the last has gone, or at this time.
    Draining(Duration),
    /// Sends what is queued, until this time.
    Closing(Duration),
    /// Everything has left; discards input until the peer's end, or until this time.
    Shut(Duration),
    /// The transport is of no more use.
    Terminated,
}

impl Session {
    /// Lets the open streams end and refuses new ones, here and of the peer; then closes the session,
    /// after `limit` in any case. Again can only shorten the limit.
    pub fn drain(&mut self, now: Duration, limit: Duration) {
        let now = self.advance(now);
        let until = now.saturating_add(limit);
        match self.phase {
            Phase::Open => self.phase = Phase::Draining(until),
            Phase::Draining(before) => self.phase = Phase::Draining(until.min(before)),
            Phase::Closing(_) | Phase::Shut(_) | Phase::Terminated => return,
        }
        self.common.wake_opener();
        self.close_if_drained(now);
    }

    /// Ends the session. What is queued still leaves; then the transport's write side is to be
    /// [shut](Self::wants_shutdown), and the peer's end awaited, all within `close_timeout`.
    ///
    /// Streams that are not finished end without FIN: their readers see that the session ended.
    /// What has arrived can still be read. Again does nothing.
    pub fn close(&mut self, now: Duration) {
        let now = self.advance(now);
        if self.common.reason.is_none() {
            self.end(CloseReason::Local);
            self.phase = Phase::Closing(now.saturating_add(self.common.config.close_timeout()));
        }
    }

    /// Ends the session at once: what is queued is dropped, and so is the transport to be.
    pub fn abort(&mut self) {
        self.terminate(CloseReason::Aborted);
    }

    /// The transport's read side has ended. What has arrived can still be read.
    pub fn handle_eof(&mut self, now: Duration) {
        self.advance(now);
        self.terminate(if self.decoder.is_between_frames() {
            CloseReason::PeerClosed
        } else {
            CloseReason::Truncated
        });
    }

    /// Reading, writing or flushing the transport failed.
    pub fn handle_transport_error(&mut self, error: TransportError) {
        self.terminate(CloseReason::Transport(error));
    }

    /// Does what is due. Call it when the time of [`poll_timeout`](Self::poll_timeout) has come; too early does nothing.
    pub fn handle_timeout(&mut self, now: Duration) {
        let now = self.advance(now);
        match self.phase {
            Phase::Draining(limit) if now >= limit => self.close(now),
            Phase::Closing(limit) | Phase::Shut(limit) if now >= limit => {
                self.terminate(CloseReason::Local);
            }
            Phase::Open | Phase::Draining(_) => self.handle_liveness(now),
            Phase::Closing(_) | Phase::Shut(_) | Phase::Terminated => {}
        }
    }

    /// Gives unused memory back to the allocator.
    fn trim(&mut self) {
        self.backlog.shrink_to_fit();
        let Common {
            segments,
            scheduler,
            windows,
            events,
            ..
        } = &mut self.common;
        segments.trim();
        scheduler.trim();
        windows.trim();
        events.trim();
    }

    fn handle_liveness(&mut self, now: Duration) {
        let reading = self.wants_input();
        match self.common.liveness.handle_timeout(now, reading) {
            Some(Due::Nop) => self.trim(),
            Some(Due::PeerSilent) => self.terminate(CloseReason::KeepAliveTimeout),
            Some(Due::WriteStuck) => self.terminate(CloseReason::WriteTimeout),
            None => {}
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing happens before; `None`: never.
    ///
    /// Any other call may change it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let liveness = self.common.liveness.next_timeout(self.wants_input());
        match self.phase {
            Phase::Open => liveness,
            Phase::Draining(limit) => liveness.into_iter().chain([limit]).min(),
            Phase::Closing(limit) | Phase::Shut(limit) => Some(limit),
            Phase::Terminated => None,
        }
    }

    /// Whether everything has left that was to leave before the end: flush the transport, shut its
    /// write side and go on reading until its end.
    pub fn wants_shutdown(&self) -> bool {
        matches!(self.phase, Phase::Shut(_))
    }

    /// Whether the transport is of no more use: drop it.
    pub fn is_terminated(&self) -> bool {
        self.phase == Phase::Terminated
    }

    /// Whether the session has ended, for whatever reason: opening and writing fail from then on.
    pub fn is_closed(&self) -> bool {
        self.common.reason.is_some()
    }

    /// Why the session ended, the same for every caller from then on.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.common.reason.as_ref()
    }

    /// Ends a drain whose last stream has gone.
    pub(crate) fn close_if_drained(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Draining(_)) && self.table.len() == 0 {
            self.close(now);
        }
    }

    /// Notes why the session ends, unless it has ended already, and tells everybody.
    fn end(&mut self, reason: CloseReason) {
        if self.common.reason.is_none() {
            self.common.reason = Some(reason);
            self.common.events.closed();
            self.decoder.discard();
            self.common.arriving = None;
        }
    }

    /// Ends the session without sending anything more.
    pub(crate) fn terminate(&mut self, reason: CloseReason) {
        if self.phase == Phase::Terminated {
            return;
        }
        self.end(reason);
        self.phase = Phase::Terminated;
        self.common.scheduler.clear();
        let keys: Vec<Key> = self.table.keys().collect();
        for key in keys {
            let stream = &mut self.table[key];
            self.common.cut_off(stream);
            // A flush may have begun after the session's end was told.
            self.common.wake_writer(key, stream);
            stream_mut::remove_if_over(key, &mut self.table, &mut self.common);
        }
        self.common.segments.trim();
    }
}
