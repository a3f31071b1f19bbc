//! When to send a keep-alive, and when to consider the peer dead.

use core::time::Duration;

use crate::config::KeepAlive;

/// A deadline that is noticed later than this grants a grace: the driver was away when it was due,
/// so signs of life may lie unread in the transport.
const LATE: Duration = Duration::from_secs(1);

/// What the clocks of a session say is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nop,
    /// The peer was silent although this side was reading.
    PeerSilent,
    /// A write made no progress, or a flush did not end.
    WriteStuck,
}

/// How long something may go on without the peer, and whether the grace for it has been granted.
#[derive(Clone, Copy, Debug)]
struct Patience {
    since: Duration,
    /// The end of the grace, which is granted at most once until it [restarts](Self::restart).
    grace: Option<Duration>,
}

impl Patience {
    const fn new(now: Duration) -> Self {
        Self {
            since: now,
            grace: None,
        }
    }

    const fn restart(&mut self, now: Duration) {
        *self = Self::new(now);
    }

    fn ends(&self, timeout: Duration) -> Duration {
        self.grace
            .unwrap_or_else(|| self.since.saturating_add(timeout))
    }

    /// Grants the grace if this end is noticed late and none was granted before.
    fn extend(&mut self, now: Duration, end: Duration, grace: Duration) -> bool {
        let is_late = now.saturating_sub(end) >= grace.min(LATE);
        let extends = is_late && self.grace.is_none();
        if extends {
            self.grace = Some(now.saturating_add(grace));
        }
        extends
    }
}

/// The three clocks of a session's life: one for each direction, and one for a write or a flush
/// under way.
#[derive(Debug)]
pub(super) struct Liveness {
    keep_alive: Option<KeepAlive>,
    /// Since a byte last arrived, or reading last began again after a pause of ours.
    silence: Patience,
    /// The peer has sent a keep-alive, so that it would send more if it lived.
    peer_keeps_alive: bool,
    /// When a byte last left.
    left: Duration,
    /// How much output was handed out for writing, and how much of it has left.
    emitted: u64,
    written: u64,
    /// A flush of the transport is under way.
    flushing: bool,
    /// Since the write or the flush under way last made progress.
    no_progress: Patience,
    nop_due: bool,
    /// Reading paused since a byte last arrived, so the silence was (partly) ours.
    paused: bool,
}

impl Liveness {
    pub(super) const fn new(keep_alive: Option<KeepAlive>, now: Duration) -> Self {
        Self {
            keep_alive,
            silence: Patience::new(now),
            peer_keeps_alive: false,
            left: now,
            emitted: 0,
            written: 0,
            flushing: false,
            no_progress: Patience::new(now),
            nop_due: false,
            paused: false,
        }
    }

    /// Any byte is a sign of life, also one inside a frame.
    pub(super) const fn heard(&mut self, now: Duration) {
        self.silence.restart(now);
        self.no_progress.grace = None;
        self.paused = false;
    }

    /// A keep-alive has arrived: from now on their absence counts against the peer.
    pub(super) const fn heard_keep_alive(&mut self) {
        self.peer_keeps_alive = true;
    }

    /// This side stops reading for a while.
    pub(super) const fn pause(&mut self) {
        self.paused = true;
    }

    /// The output has left up to here. Returns whether that is further than before.
    pub(super) const fn wrote(&mut self, now: Duration, position: u64) -> bool {
        let progressed = position > self.written;
        if progressed {
            self.left = now;
            self.no_progress.restart(now);
            self.written = position;
        }
        progressed
    }

    /// The output up to here is to be written now; that it is more is no progress.
    pub(super) const fn writing(&mut self, now: Duration, emitted: u64) {
        if !self.has_output() {
            self.no_progress.restart(now);
        }
        self.emitted = emitted;
        self.nop_due = false;
    }

    /// The transport begins to pass on what it has taken. That it had taken something was progress.
    pub(super) const fn flush_begins(&mut self, now: Duration) {
        if !self.flushing {
            self.flushing = true;
            self.no_progress.restart(now);
        }
    }

    pub(super) const fn flush_ends(&mut self, now: Duration) {
        if self.flushing {
            self.flushing = false;
            self.no_progress.restart(now);
        }
    }

    pub(super) const fn is_writing(&self) -> bool {
        self.written < self.emitted
    }

    /// Whether a write or a flush is under way.
    const fn has_output(&self) -> bool {
        self.is_writing() || self.flushing
    }

    /// While a write or a flush is under way: since when it makes no progress, and how much was
    /// written before.
    pub(super) fn without_progress(&self) -> Option<(Duration, u64)> {
        self.has_output()
            .then_some((self.no_progress.since, self.written))
    }

    pub(super) const fn nop_due(&self) -> bool {
        self.nop_due
    }

    /// The next thing that is due at `now`. A NOP becomes due once, until a batch goes out.
    pub(super) fn handle_timeout(&mut self, now: Duration, reading: bool) -> Option<Due> {
        let KeepAlive { interval, .. } = self.keep_alive?;
        loop {
            let (due, at) = self.next(reading)?;
            if now < at {
                return None;
            }
            let extended = match due {
                Due::Nop => {
                    self.nop_due = true;
                    false
                }
                Due::PeerSilent if self.paused => {
                    self.heard(now);
                    true
                }
                Due::PeerSilent => self.silence.extend(now, at, interval),
                Due::WriteStuck => self.no_progress.extend(now, at, interval),
            };
            if !extended {
                return Some(due);
            }
        }
    }

    pub(super) fn next_timeout(&self, reading: bool) -> Option<Duration> {
        self.next(reading).map(|(_, at)| at)
    }

    fn next(&self, reading: bool) -> Option<(Due, Duration)> {
        let KeepAlive {
            interval,
            timeout,
            required,
        } = self.keep_alive?;
        // While we do not read, silence says nothing about the peer. Nor does it about one that has
        // nothing to say and sends no keep-alives.
        let counts = reading && (required || self.peer_keeps_alive);
        let silent = counts.then(|| (Due::PeerSilent, self.silence.ends(timeout)));
        // Output under way is a sign of life in itself, and a NOP would only queue behind it.
        let other = if self.has_output() {
            // A peer that is heard of lives, and just does not read for a while.
            let silence_ends = self.silence.ends(timeout);
            let ends = self.no_progress.ends(timeout).max(silence_ends);
            Some((Due::WriteStuck, ends))
        } else {
            (!self.nop_due).then(|| (Due::Nop, self.left.saturating_add(interval)))
        };
        earlier(silent, other)
    }
}

/// The one that is due earlier; the first of two that are due at once.
fn earlier(
    one: Option<(Due, Duration)>,
    other: Option<(Due, Duration)>,
) -> Option<(Due, Duration)> {
    match (one, other) {
        (Some((_, at)), Some((_, then))) if then < at => other,
        (None, _) => other,
        _ => one,
    }
}
