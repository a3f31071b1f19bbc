//! The receiving half of a stream: what has arrived, how far it was read, what the peer was told.
//!
//! Consumption is announced in whole steps, counted from the first read, which is announced
//! exactly. So a peer that runs out of credit stops where everything it sent can be announced. A
//! step is half a window, so that a small window costs two updates a round trip. A large one has
//! smaller steps, of [`STEP`] bytes: what is read and not announced yet is missing from the credit
//! on a long link. An update with a smaller window is exact too.
//!
//! On a fast link, that would be thousands of updates a second. So as many steps are one as are
//! read in an [`INTERVAL`], at the rate that the last two updates show, up to half a window.

use crate::{buffer::segments::Queue, config::INITIAL_WINDOW, wire::WindowUpdate};

const STEP: u32 = 512 << 10;

/// Microseconds that a step takes at least, unless it is half a window. Without it, bulk data on
/// one stream moved at 0.73 of the speed of version 1, over loopback on a runtime of two threads;
/// with it at the same speed.
const INTERVAL: u64 = 1_000;
/// Microseconds of the clock that measures it.
const TICK: u32 = 32;

/// Counters run in 64 bits; on the wire they are modulo 2^32.
#[derive(Debug)]
pub(crate) struct Recv {
    pub(crate) queue: Queue,
    /// Bytes that arrived.
    pub(crate) received: u64,
    /// Bytes that the application has read.
    pub(crate) read: u64,
    /// What the last update said was consumed.
    announced: u64,
    /// Version 2: how far the peer was ever allowed to send, modulo 2^32.
    max_allowed: u32,
    /// Version 2: the window the peer has or assumes.
    window: u32,
    /// Version 2: when it was told of that, in [`TICK`]s modulo 2^16. After some seconds an update
    /// may look recent that is not, which makes one step too long.
    told_at: u16,
    /// Version 2: how many steps of a large window are one.
    steps: u8,
    /// Version 2.
    pub(crate) period: Period,
}

/// A time in which a stream is watched: it begins with an update, and with a later one it ends.
///
/// Times are in microseconds modulo 2^32.
#[derive(Debug)]
pub(crate) struct Period {
    pub(crate) start: u32,
    /// What was consumed then, modulo 2^32.
    from: u32,
    /// How far the peer could send before it heard of that update, modulo 2^32.
    mark: u32,
    /// When data arrived last.
    pub(crate) last_arrival: u32,
    /// The longest time in this period without data.
    pub(crate) longest_pause: u32,
}

impl Recv {
    pub(crate) const fn new() -> Self {
        Self {
            queue: Queue::new(),
            received: 0,
            read: 0,
            announced: 0,
            max_allowed: INITIAL_WINDOW,
            window: 0,
            told_at: 0,
            steps: 1,
            period: Period {
                start: 0,
                from: 0,
                mark: 0,
                last_arrival: 0,
                longest_pause: 0,
            },
        }
    }

    pub(crate) const fn window(&self) -> u32 {
        self.window
    }

    /// Changes the window, effective with the next update.
    pub(crate) const fn set_window(&mut self, window: u32) {
        self.window = window;
    }

    /// Sets the window to what has arrived of it: nothing more will.
    pub(crate) fn end_window(&mut self) {
        let arrived = self.received.min(self.told()) - self.announced;
        self.window = u32::try_from(arrived).unwrap_or(self.window);
    }

    /// How far the peer may send by the last update, or by one that is owed.
    pub(crate) const fn told(&self) -> u64 {
        self.announced + self.window as u64
    }

    /// What is unread or may still arrive, if the peer keeps to what it was told last.
    pub(crate) fn committed(&self) -> usize {
        size(self.told().max(self.received) - self.read)
    }

    /// Notes that bytes arrive. Returns how many are beyond the window: for those within, the
    /// stream was committed before.
    #[inline]
    pub(crate) fn arrive(&mut self, bytes: usize) -> usize {
        let (before, told) = (self.received, self.told());
        self.received += bytes as u64;
        match self.received > told {
            true => size(self.received - told.max(before)),
            false => 0,
        }
    }

    /// Notes that bytes are read. Returns how many are within the window.
    #[inline]
    pub(crate) fn consume(&mut self, bytes: usize) -> usize {
        let granted = self.granted();
        self.read += bytes as u64;
        granted.min(bytes)
    }

    /// What of that is within the window.
    pub(crate) fn granted(&self) -> usize {
        size(self.told().saturating_sub(self.read))
    }

    /// Bytes beyond all that the peer was ever allowed to send.
    pub(crate) const fn overrun(&self) -> u32 {
        ahead(wire(self.received), self.max_allowed)
    }

    /// Whether an update is due: at the first read, then at each step.
    ///
    /// `partial` is how much has arrived of a frame that is not complete: bytes that can be read
    /// but not yet acknowledged, because senders count a frame as sent once all of it has left.
    pub(crate) fn update_due(&self, partial: u64) -> bool {
        let since = self.consumed(partial) - self.announced;
        let is_due = match self.announced {
            0 => since > 0,
            _ => since >= self.step(),
        };
        debug_assert!(!is_due || self.may_be_due());
        is_due
    }

    /// Whether an update may be due: it is not if this is `false`, which takes fewer instructions
    /// to tell.
    #[inline]
    pub(crate) fn may_be_due(&self) -> bool {
        let since = self.read - self.announced;
        self.announced == 0 || since >= u64::from(self.window / 2) || since >= u64::from(STEP)
    }

    /// Returns the bytes to announce as consumed.
    pub(crate) fn due(&self, partial: u64) -> u64 {
        let consumed = self.consumed(partial);
        let since = consumed - self.announced;
        // The first read is announced at once: the peer's first window is not of our choosing.
        match self.announced {
            0 => consumed,
            _ => consumed - since % self.step(),
        }
    }

    /// What was read and can be acknowledged.
    pub(crate) fn consumed(&self, partial: u64) -> u64 {
        self.read.min(self.received - partial.min(self.received))
    }

    /// Bytes from one update to the next.
    fn step(&self) -> u64 {
        let most = STEP * u32::from(self.steps);
        (self.window / 2).clamp(1, most).into()
    }

    /// Returns the update to send now, which announces `due` and this window.
    pub(crate) fn announce(&mut self, due: u64, window: u32, now: u32) -> WindowUpdate {
        let now = ticks(now);
        let time = u64::from(now.wrapping_sub(self.told_at).max(1)) * u64::from(TICK);
        self.steps = match self.announced {
            0 => 1,
            before => {
                let bytes = (due - before).saturating_mul(INTERVAL) / time;
                u8::try_from(bytes / u64::from(STEP)).map_or(u8::MAX, |steps| steps.max(1))
            }
        };
        self.told_at = now;
        self.announced = due;
        self.window = window;
        self.max_allowed = self
            .max_allowed
            .wrapping_add(ahead(wire(self.told()), self.max_allowed));
        WindowUpdate {
            consumed: wire(self.announced),
            window: self.window,
        }
    }

    /// Bytes consumed in this period, if `due` are altogether.
    pub(crate) const fn consumed_in_period(&self, due: u64) -> u32 {
        wire(due).wrapping_sub(self.period.from)
    }

    /// Begins another period with the update sent last, before which the peer could send up to
    /// `mark`. Returns whether data beyond that will show how long the peer took to hear of it.
    pub(crate) const fn begin_period(&mut self, now: u32, mark: u64) -> bool {
        let mark = wire(mark);
        self.period.start = now;
        self.period.from = wire(self.announced);
        self.period.mark = mark;
        self.period.longest_pause = 0;
        ahead(wire(self.told()), mark) > 0 && ahead(wire(self.received), mark) == 0
    }

    /// Whether all of the window has arrived.
    pub(crate) const fn is_used_up(&self) -> bool {
        self.told() <= self.received
    }

    /// Whether more has arrived than the peer could send before it heard of the period's update.
    pub(crate) const fn is_past_mark(&self) -> bool {
        ahead(wire(self.received), self.period.mark) > 0
    }

    /// Whether all has arrived that the peer could send before it heard of the period's update.
    pub(crate) const fn is_at_mark(&self) -> bool {
        ahead(self.period.mark, wire(self.received)) == 0
    }
}

/// How far one counter is ahead of another, both modulo 2^32; 0 if it is not. Windows and budgets
/// are below 2^31, so their differences are too.
const fn ahead(counter: u32, other: u32) -> u32 {
    match counter.wrapping_sub(other) {
        difference if difference < 1 << 31 => difference,
        _ => 0,
    }
}

/// A counter as it stands on the wire: modulo 2^32.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const fn wire(counter: u64) -> u32 {
    counter as u32
}

/// A time in microseconds, as it is kept.
#[allow(clippy::cast_possible_truncation)]
const fn ticks(now: u32) -> u16 {
    (now / TICK) as u16
}

/// Of a difference that is below 2^32.
fn size(difference: u64) -> usize {
    usize::try_from(difference).unwrap_or(usize::MAX)
}
