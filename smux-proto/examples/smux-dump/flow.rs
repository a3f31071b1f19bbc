//! One direction of one stream: what is under way, and what its sender waits for.

use smux_proto::WindowUpdate;

/// What every receiver takes before it has told a window, in version 2.
const FIRST_WINDOW: u32 = 262_144;

/// What one end sent on a stream, and what the other told of it.
pub(crate) struct Flow {
    pub(crate) sent: u64,
    /// Bytes that the receiver's application has read, as far as it has told.
    pub(crate) consumed: u64,
    pub(crate) window: u32,
    pub(crate) finished: bool,
    /// When the receiver last told.
    pub(crate) told: Option<f64>,
    /// The sender has used up what the receiver allowed,
    pub(crate) full: Option<Full>,
    /// and did so before.
    pub(crate) pauses: Pauses,
}

/// A window that is used up.
pub(crate) struct Full {
    pub(crate) since: Option<f64>,
}

/// Times between a window that was used up and the update that opened it.
#[derive(Default)]
pub(crate) struct Pauses {
    pub(crate) count: u32,
    /// Seconds, of those whose time is known.
    pub(crate) total: f64,
    pub(crate) shortest: Option<f64>,
    pub(crate) longest: f64,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            sent: 0,
            consumed: 0,
            window: FIRST_WINDOW,
            finished: false,
            told: None,
            full: None,
            pauses: Pauses::default(),
        }
    }
}

impl Flow {
    /// Bytes that are under way or unread.
    pub(crate) const fn outstanding(&self) -> u64 {
        self.sent.saturating_sub(self.consumed)
    }

    /// Bytes that may still be sent.
    pub(crate) const fn credit(&self) -> u64 {
        (self.window as u64).saturating_sub(self.outstanding())
    }

    /// Notes data of the sender. Returns what is wrong with it.
    pub(crate) fn send(&mut self, bytes: u16, now: Option<f64>, windows: bool) -> Option<String> {
        let credit = self.credit();
        self.sent += u64::from(bytes);
        if self.finished {
            return Some("data behind a FIN".to_owned());
        }
        if windows && self.credit() == 0 && self.full.is_none() {
            self.full = Some(Full { since: now });
        }
        let beyond = u64::from(bytes).saturating_sub(credit);
        (windows && beyond > 0).then(|| format!("{beyond} bytes more than the window allows"))
    }

    /// Notes an update of the receiver. Returns what is wrong with it.
    pub(crate) fn told(&mut self, update: WindowUpdate, now: Option<f64>) -> Option<String> {
        // The count on the wire wraps at 2^32. A step of half of that or more is one backwards.
        let step = update.consumed.wrapping_sub(low_half(self.consumed));
        if step > u32::MAX / 2 {
            let back = step.wrapping_neg();
            return Some(format!(
                "consumed goes back by {back}: the sender ignores it"
            ));
        }
        self.consumed += u64::from(step);
        self.window = update.window;
        self.told = now;
        if self.credit() > 0
            && let Some(full) = self.full.take()
        {
            self.pauses.note(full.since.zip(now));
        }
        (self.consumed > self.sent).then(|| {
            let more = self.consumed - self.sent;
            format!("{more} bytes consumed that were not sent: the capture began later?")
        })
    }
}

impl Pauses {
    fn note(&mut self, times: Option<(f64, f64)>) {
        self.count += 1;
        if let Some((since, until)) = times {
            let pause = until - since;
            self.total += pause;
            self.longest = self.longest.max(pause);
            self.shortest = Some(self.shortest.map_or(pause, |least| least.min(pause)));
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
const fn low_half(count: u64) -> u32 {
    count as u32
}
