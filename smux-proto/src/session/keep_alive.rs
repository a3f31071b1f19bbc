//! When to send a keep-alive and when to give the peer up.

use core::time::Duration;

use crate::config::KeepAlive;

/// A deadline that is noticed later than this is looked at once more before it counts.
const GRACE: Duration = Duration::from_secs(1);

/// What the clocks of a session say is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nop,
    /// The peer was silent although this side was reading.
    PeerSilent,
    /// A write made no progress, or a flush did not end.
    WriteStuck,
}

/// The three clocks of a session's life: one for each direction, and one for a write or a flush under way.
#[derive(Debug)]
pub(super) struct Liveness {
    keep_alive: Option<KeepAlive>,
    /// When a byte last arrived, or reading last began again after a pause of ours.
    heard: Duration,
    /// When a byte last left.
    left: Duration,
    /// The bytes being written and since when there was no progress.
    writing: Option<(usize, Duration)>,
    /// Since when a flush of the transport is under way.
    flushing: Option<Duration>,
    nop_due: bool,
    /// Reading paused since a byte last arrived, so the silence was (partly) ours.
    paused: bool,
}

impl Liveness {
    pub(super) const fn new(keep_alive: Option<KeepAlive>, now: Duration) -> Self {
        Self {
            keep_alive,
            heard: now,
            left: now,
            writing: None,
            flushing: None,
            nop_due: false,
            paused: false,
        }
    }

    /// Any byte is a sign of life, also one inside a frame.
    pub(super) const fn heard(&mut self, now: Duration) {
        self.heard = now;
        self.paused = false;
    }

    /// This side stops reading for a while.
    pub(super) const fn pause(&mut self) {
        self.paused = true;
    }

    /// Compares what is left of the batch being written with what was left before.
    pub(super) const fn wrote(&mut self, now: Duration, remaining: usize) {
        if let Some((before, _)) = self.writing
            && remaining < before
        {
            self.left = now;
            self.writing = if remaining == 0 {
                None
            } else {
                Some((remaining, now))
            };
        }
    }

    /// So many bytes are to be written now; more of them are no progress.
    pub(super) fn writing(&mut self, now: Duration, bytes: usize) {
        let since = self.writing.map_or(now, |(_, since)| since);
        self.writing = Some((bytes, since));
        self.nop_due = false;
    }

    /// The transport begins to pass on what it has taken. That it had taken something was progress.
    pub(super) fn flush_begins(&mut self, now: Duration) {
        if self.flushing.is_none() {
            self.flushing = Some(now);
            self.progressed(now);
        }
    }

    pub(super) fn flush_ends(&mut self, now: Duration) {
        if self.flushing.take().is_some() {
            self.progressed(now);
        }
    }

    fn progressed(&mut self, now: Duration) {
        self.writing = self.writing.map(|(bytes, _)| (bytes, now));
    }

    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    pub(super) const fn nop_due(&self) -> bool {
        self.nop_due
    }

    /// What is due at `now`. A NOP becomes due once, until a batch goes out.
    pub(super) fn handle_timeout(&mut self, now: Duration, reading: bool) -> Option<Due> {
        let (due, at) = self.next(reading)?;
        if now < at {
            return None;
        }
        match due {
            Due::Nop => self.nop_due = true,
            Due::PeerSilent if self.paused => {
                self.heard(now);
                return None;
            }
            Due::PeerSilent | Due::WriteStuck if self.was_late(now, at) => return None,
            Due::PeerSilent | Due::WriteStuck => {}
        }
        Some(due)
    }

    /// Whoever drives the session was away when this was due, so signs of life may lie unread in the transport:
    /// grants a moment to find them.
    fn was_late(&mut self, now: Duration, due: Duration) -> bool {
        let Some(KeepAlive { interval, timeout }) = self.keep_alive else {
            return false;
        };
        let grace = interval.min(GRACE);
        if now.saturating_sub(due) < grace {
            return false;
        }
        self.heard = now.saturating_add(grace).saturating_sub(timeout);
        self.progressed(self.heard);
        self.flushing = self.flushing.map(|_| self.heard);
        true
    }

    pub(super) fn next_timeout(&self, reading: bool) -> Option<Duration> {
        self.next(reading).map(|(_, at)| at)
    }

    fn next(&self, reading: bool) -> Option<(Due, Duration)> {
        let KeepAlive { interval, timeout } = self.keep_alive?;
        // While we do not read, silence says nothing about the peer.
        let silent = reading.then(|| (Due::PeerSilent, self.heard.saturating_add(timeout)));
        // A peer that is heard of lives, and just does not read for a while.
        let output = self
            .flushing
            .or_else(|| self.writing.map(|(_, since)| since));
        let stuck = output.map(|since| {
            let since = since.max(self.heard);
            (Due::WriteStuck, since.saturating_add(timeout))
        });
        // Output under way is a sign of life in itself, and a NOP would only queue behind it.
        let nop = (!self.nop_due && output.is_none())
            .then(|| (Due::Nop, self.left.saturating_add(interval)));
        [silent, stuck, nop]
            .into_iter()
            .flatten()
            .min_by_key(|&(_, at)| at)
    }
}
