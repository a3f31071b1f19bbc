//! How much each step of the pumps moves before the next has its turn: every measured number.
//!
//! All were measured with both ends on one machine of two cores: loopback TCP, tokio, one thread
//! for each end. Larger machines move the optimum little, since it is set by cache and page sizes.

use std::{mem, time::Duration};

/// One read, and one gathered write.
///
/// Measured with bulk data: 64 KiB stay in the processor's cache; reads of 256 KiB cost a third of
/// the throughput.
pub(super) const BUFFER: usize = 64 * 1024;

/// Rounds of a pump per poll, then other tasks run. Chosen, not tuned: some hundred microseconds.
pub(super) const ROUNDS: usize = 8;

/// Slices per vectored write: many full frames, or some hundred small ones that lie together.
/// Chosen, not tuned.
pub(super) const SLICES: usize = 64;

/// Where writes end while more follows.
///
/// A kernel copies what it is given into pages. After a write that ends inside of one, every later
/// copy is out of step with them: bulk data moved at half to two thirds of the speed.
pub(super) const PAGE: u64 = 4 << 10;

/// The least that a batch holds, if there is so much.
///
/// A kernel cuts what it is given into packets of a little less than 64 KiB, headers included, also
/// for an offloading network card. A write of 64 KiB is one packet and a tiny one, which costs as
/// much. Whole pages just below it moved bulk data up to 1.4 times as fast. Its multiples up to
/// [`LARGEST_BATCH`] need no tiny packet either.
///
/// Smaller ones, as large as what a transport takes at a time, gain nothing: beside eight bulk
/// streams on a link of 2 MB/s and 23 ms, a ping took 120 ms with either. On loopback, where a
/// kernel with `TCP_NOTSENT_LOWAT` also takes little at a time, they halved the speed of bulk data.
pub(super) const SMALLEST_BATCH: usize = 60 << 10;

/// The most that a batch holds: four times as much for one write and one wake-up of the peer.
///
/// More would make urgent frames wait longer behind a batch that is under way.
pub(super) const LARGEST_BATCH: usize = 4 * SMALLEST_BATCH;

/// How long the largest batch may take to leave, 60 MB/s: on a slower transport batches are small.
/// Chosen, not tuned.
///
/// Loopback often takes a part of a write, and the rest soon. When each such write made batches
/// small, the same data took four times as many system calls.
pub(super) const SLOW: Duration = Duration::from_millis(4);

/// Bytes that a read into memory of the caller's kind copies at a time. Chosen, not tuned: they fit
/// the first-level cache.
pub(super) const COPY: usize = 16 * 1024;

/// Bytes that a read copies through its stack at first: small messages fit, and cost no more to
/// clear.
pub(super) const FEW: usize = 1024;

/// Steps of a copy per poll, then other tasks run. Chosen, not tuned: some hundred microseconds.
pub(super) const STEPS: usize = 32;

/// A sleep may take longer by this part of it. Chosen, not tuned: of very many sessions, due
/// at different times, no more than a 256th wake together.
const SLACK: u32 = 256;

/// Sleeps that end together do so at multiples of at most this. A deadline that is noticed a second
/// late counts as missed.
const LONGEST_SLOT: u32 = 128;

/// When a sleep until `until` is to end, so that sleeps of many sessions end together: up to a
/// 256th of `wait` later, which is how long it takes. Both `until` and the result are times since
/// an epoch that these sessions share.
///
/// A thread that wakes for each of its sessions spends most of a keep-alive on falling asleep,
/// waking up, and fetching code that has left the cache. With 1 800 keep-alives a second on one
/// thread, and a wake-up for 58 of them, each took two thirds of the time.
#[must_use]
pub fn sleep_together(until: Duration, wait: Duration) -> Duration {
    let most = u32::try_from((wait / SLACK).as_millis()).unwrap_or(u32::MAX);
    // Sleeps of about the same length have the same slots: a power of two of milliseconds.
    let Some(exponent) = most.min(LONGEST_SLOT).checked_ilog2() else {
        return until;
    };
    let slot = Duration::from_millis(1 << exponent).as_nanos();
    let beyond = until.as_nanos() % slot;
    #[allow(clippy::cast_possible_truncation, reason = "it is less than a slot")]
    let rest = ((slot - beyond) % slot) as u64;
    until.saturating_add(Duration::from_nanos(rest))
}

/// Divides input into pieces that wake about a crowd of tasks each, and lets a crowd run before the
/// next piece.
///
/// One read may bring something for hundreds of tasks. Delivered at once, all of them would run
/// before the first answer leaves, and the peer would sit idle meanwhile; in turns, both ends work
/// at the same time. That more than doubled the rate of 100 concurrent round trips of 64 bytes.
/// Bulk data wakes few, so its pieces are whole reads.
pub(super) struct Pace {
    /// Bytes to deliver under one lock.
    piece: usize,
    /// Something was delivered since this last made way, so that it makes progress however many are
    /// woken meanwhile. They may have run already, when the transport had nothing: then this makes
    /// way once more than it has to.
    delivered: bool,
    /// The session's count of streams woken, as of the last look.
    woken: u64,
    /// About how many tasks the last pieces have woken each.
    recent: u64,
}

impl Pace {
    /// Half of it is enough to let others run; a piece that wakes more is too large.
    const CROWD: u64 = 32;
    /// Smaller pieces would cost more in locking than they win.
    const SMALLEST: usize = 1024;

    pub(super) fn new() -> Self {
        Self {
            piece: BUFFER,
            delivered: false,
            woken: 0,
            recent: 0,
        }
    }

    /// About how many tasks run between two pieces.
    pub(super) fn crowd(&self) -> u64 {
        self.recent
    }

    /// Bytes of the next piece; `None` lets woken tasks run first.
    pub(super) fn next(&mut self, woken: u64) -> Option<usize> {
        let crowd = woken.wrapping_sub(mem::replace(&mut self.woken, woken));
        self.recent = crowd.max(self.recent / 2);
        if !mem::take(&mut self.delivered) {
            return self.deliver();
        }
        if crowd > Self::CROWD {
            self.piece = (self.piece / 2).max(Self::SMALLEST);
        } else if crowd < Self::CROWD / 4 {
            self.piece = (self.piece * 2).min(BUFFER);
        }
        if crowd < Self::CROWD / 2 {
            return self.deliver();
        }
        None
    }

    fn deliver(&mut self) -> Option<usize> {
        self.delivered = true;
        Some(self.piece)
    }
}

/// Lets a crowd of tasks write before a batch is taken.
///
/// A runtime of several threads runs a task that another one wakes next on the same thread, ahead
/// of those that wait. So the driver would run after the first write of a crowd, and send almost
/// nothing. A task that wakes itself is put behind them. That doubled the rate of 100 concurrent
/// round trips there; runtimes of one thread, which have no such order, lose nothing.
#[derive(Default)]
pub(super) struct Courtesy {
    /// Since the last batch.
    made_way: bool,
}

impl Courtesy {
    /// Fewer tasks are not worth the detour.
    const CROWD: u64 = 4;

    /// Whether others are to run first: once for each batch, so that output leaves however many
    /// there are.
    pub(super) fn makes_way(&mut self, crowd: u64) -> bool {
        crowd >= Self::CROWD && !mem::replace(&mut self.made_way, true)
    }

    pub(super) fn batch_taken(&mut self) {
        self.made_way = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_end_together_and_a_little_late() {
        let at = Duration::from_millis;
        for (wait, slot) in [(1_000, 2), (10_000, 32), (30_000, 64), (600_000, 128)] {
            let ends = [1, slot / 2, slot].map(|beyond| {
                let until = at(1_024_000 + beyond) - Duration::from_nanos(1);
                sleep_together(until, at(wait))
            });
            assert_eq!(ends, [at(1_024_000 + slot); 3], "after {wait} ms");
            assert!(u128::from(slot) <= at(wait).as_millis() / u128::from(SLACK));
        }
    }

    #[test]
    fn short_sleeps_end_on_time() {
        let until = Duration::from_micros(1_234_567);
        for wait in [Duration::ZERO, Duration::from_millis(255)] {
            assert_eq!(sleep_together(until, wait), until);
        }
    }

    #[test]
    fn sleeps_may_be_of_any_length() {
        assert_eq!(sleep_together(Duration::MAX, Duration::MAX), Duration::MAX);
    }
}
