//! How a session ends: drained, closed, aborted, by the peer, by the transport or by its clocks.

use core::time::Duration;

use crate::{
    error::{CloseReason, TransportError},
    streams::Streams,
};

use super::{Session, keep_alive::Due, phase::Phase};

impl Session {
    /// Drains the session: refuses new streams of both sides, and closes once the open ones have
    /// ended, after `limit` at the latest. A second call can only shorten the limit.
    pub fn drain(&mut self, now: Duration, limit: Duration) {
        let now = self.advance(now);
        let until = now.saturating_add(limit);
        match self.phase {
            Phase::Open => self.phase = Phase::Draining(until),
            Phase::Draining(before) => self.phase = Phase::Draining(until.min(before)),
            Phase::Closing(_) | Phase::Shut(_) | Phase::Receiving(_) | Phase::Terminated => return,
        }
        let streams = self.stream_count();
        self.streams.trace.draining(streams);
        self.streams.notify_opener();
        self.close_if_drained(now);
    }

    /// Closes the session. Queued data still leaves; then the transport's write side is to be
    /// [shut](Self::wants_shutdown) and the peer's end awaited, all within `close_timeout`.
    ///
    /// Streams that are not finished end without FIN, so their readers see that the session ended.
    /// Data that has arrived stays readable. Has no effect if already closed. After a
    /// [write error](Self::handle_write_error) nothing can leave, so the session terminates at
    /// once.
    pub fn close(&mut self, now: Duration) {
        let now = self.advance(now);
        match self.phase {
            Phase::Open | Phase::Draining(_) => {
                self.end(CloseReason::Local);
                self.end_input();
                self.phase = Phase::Closing(self.close_limit(now));
            }
            Phase::Receiving(_) => self.terminate(CloseReason::Local),
            Phase::Closing(_) | Phase::Shut(_) | Phase::Terminated => {}
        }
    }

    fn close_limit(&self, now: Duration) -> Duration {
        now.saturating_add(self.streams.config.close_timeout())
    }

    /// Ends the session at once: queued data is dropped, and the transport can be dropped too.
    pub fn abort(&mut self) {
        self.terminate(CloseReason::Aborted);
    }

    /// The transport's read side has ended. What has arrived can still be read.
    pub fn handle_eof(&mut self, now: Duration) {
        self.advance(now);
        self.terminate(if self.streams.stats.bytes_received == 0 {
            CloseReason::PeerNeverSpoke
        } else if self.decoder.is_between_frames() {
            CloseReason::PeerClosed
        } else {
            CloseReason::Truncated
        });
    }

    /// Reading the transport failed, or it is of no more use at all. Data that has arrived stays
    /// readable. If only writing failed, call [`handle_write_error`](Self::handle_write_error)
    /// instead, so that unread data in the transport is not lost.
    pub fn handle_transport_error(&mut self, error: TransportError) {
        self.terminate(CloseReason::Transport(error));
    }

    /// Writing, flushing or shutting the transport failed. Opening and writing return this error
    /// from now on; queued data is dropped.
    ///
    /// Data that the peer sent before may be unread in the transport. So go on reading it, to its
    /// end or an error: streams can still be accepted and data be read, and a full receive buffer
    /// waits for the application. Readers see the end then, or after `close_timeout`. A session
    /// that is closing has no use for input and terminates at once.
    pub fn handle_write_error(&mut self, now: Duration, error: TransportError) {
        let now = self.advance(now);
        match self.phase {
            Phase::Open | Phase::Draining(_) => {
                // A session that drains goes on refusing.
                self.accepting &= self.phase == Phase::Open;
                self.end(CloseReason::Transport(error));
                self.phase = Phase::Receiving(self.close_limit(now));
                self.streams.end_output();
            }
            Phase::Receiving(_) => {}
            Phase::Closing(_) | Phase::Shut(_) | Phase::Terminated => {
                self.terminate(CloseReason::Transport(error));
            }
        }
    }

    /// Handles deadlines that have passed. Call it at the time of
    /// [`poll_timeout`](Self::poll_timeout); an earlier call has no effect.
    pub fn handle_timeout(&mut self, now: Duration) {
        let now = self.advance(now);
        match self.phase {
            Phase::Draining(limit) if now >= limit => self.close(now),
            Phase::Closing(limit) | Phase::Shut(limit) | Phase::Receiving(limit)
                if now >= limit =>
            {
                self.terminate(CloseReason::Local);
            }
            Phase::Open | Phase::Draining(_) => {
                self.streams.evict_slow_readers(now);
                self.streams.relieve_windows();
                self.look_at_stalls(now);
                self.handle_liveness(now);
            }
            Phase::Closing(_) | Phase::Shut(_) | Phase::Receiving(_) | Phase::Terminated => {}
        }
    }

    /// Gives unused memory back to the allocator.
    fn trim(&mut self) {
        self.output_idle = true;
        self.streams.trim();
    }

    fn handle_liveness(&mut self, now: Duration) {
        let reading = self.wants_input();
        while let Some(due) = self.liveness.handle_timeout(now, reading) {
            match due {
                Due::Nop => self.trim(),
                Due::PeerSilent => return self.terminate(CloseReason::KeepAliveTimeout),
                Due::WriteStuck => return self.terminate(CloseReason::WriteTimeout),
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing happens before; `None`:
    /// never.
    ///
    /// Any other call may change it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Open => self.next_deadline(),
            Phase::Draining(limit) => Some(self.next_deadline().map_or(limit, |at| at.min(limit))),
            Phase::Closing(limit) | Phase::Shut(limit) | Phase::Receiving(limit) => Some(limit),
            Phase::Terminated => None,
        }
    }

    /// As long as the session lives. Drivers ask again and again, and most of this is about what
    /// hardly ever happens: one after the other, it took half of what a chain of iterators did.
    fn next_deadline(&self) -> Option<Duration> {
        let mut next = self.liveness.next_timeout(self.wants_input());
        let mut consider = |at: Duration| next = Some(next.map_or(at, |next| next.min(at)));
        if self.streams.can_reclaim() {
            // One call reclaims no more than so many windows: the next is due at once.
            consider(self.now);
        }
        if let Some(at) = self.next_look() {
            consider(at);
        }
        if let Some(at) = self.streams.next_eviction() {
            consider(at);
        }
        next
    }

    /// Whether all output has left: flush the transport, shut its write side, and go on reading to
    /// its end.
    pub fn wants_shutdown(&self) -> bool {
        matches!(self.phase, Phase::Shut(_))
    }

    /// Whether the transport is of no more use: drop it.
    pub fn is_terminated(&self) -> bool {
        self.phase == Phase::Terminated
    }

    /// Whether the session has ended, for whatever reason: opening and writing fail from then on.
    pub fn is_closed(&self) -> bool {
        self.streams.reason.is_some()
    }

    /// Why the session ended, the same for every caller from then on. After a
    /// [write error](Self::handle_write_error) data may still arrive.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.streams.reason.as_ref()
    }

    /// Ends a drain whose last stream has gone.
    pub(crate) fn close_if_drained(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Draining(_)) && self.stream_count() == 0 {
            self.close(now);
        }
    }

    /// Notes why the session ends, unless it has ended already, and raises the event for it.
    fn end(&mut self, reason: CloseReason) {
        if self.streams.reason.is_none() {
            let streams = self.stream_count();
            let Streams { trace, stats, .. } = &mut self.streams;
            self.watch.end(self.now, trace);
            trace.ended(&reason, self.now, stats, streams);
            self.streams.reason = Some(reason);
            self.streams.events.closed();
        }
    }

    /// Takes no more input, and raises the event for tasks that waited for it.
    fn end_input(&mut self) {
        if !self.streams.input_over {
            self.streams.end_input();
            self.streams.events.closed();
        }
    }

    /// Ends the session without sending or receiving anything more.
    pub(crate) fn terminate(&mut self, reason: CloseReason) {
        if self.phase == Phase::Terminated {
            return;
        }
        self.end(reason);
        self.end_input();
        self.phase = Phase::Terminated;
        self.streams.end_output();
    }
}
