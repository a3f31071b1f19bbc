//! Useless frames: an honest peer sends some, a flood ends the session.

use core::time::Duration;

use crate::wire::ProtocolError;

/// The count halves this often, so that honest peers can go on for ever: twice the limit in this
/// time is a flood, half the limit is none.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// A count of useless frames that decays. It is brought up to date only when it is looked at.
#[derive(Debug)]
pub(super) struct Glitches {
    limit: u32,
    count: u32,
    /// When the count was last halved.
    halved: Duration,
}

impl Glitches {
    pub(super) const fn new(limit: u32, now: Duration) -> Self {
        Self {
            limit,
            count: 0,
            halved: now,
        }
    }

    /// Counts a useless frame.
    pub(super) fn count(&mut self, now: Duration) -> Result<(), ProtocolError> {
        self.decay(now);
        self.count = self.count.saturating_add(1);
        if self.count > self.limit {
            return Err(ProtocolError::TooManyGlitches);
        }
        Ok(())
    }

    /// Returns the count as of the last useless frame.
    pub(super) const fn counted(&self) -> u32 {
        self.count
    }

    /// Each useful frame makes up for a useless one.
    pub(super) const fn forgive(&mut self, frames: u32) {
        self.count = self.count.saturating_sub(frames);
    }

    fn decay(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.halved);
        let halvings = passed.as_secs() / HALF_LIFE.as_secs();
        if halvings == 0 {
            return;
        }
        let shift = u32::try_from(halvings).unwrap_or(u32::MAX);
        self.count = self.count.checked_shr(shift).unwrap_or(0);
        let beyond = Duration::from_secs(passed.as_secs() % HALF_LIFE.as_secs());
        self.halved = now - beyond;
    }
}

/// The public interface would take as many frames as the count has values.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_does_not_wrap() {
        let mut glitches = Glitches::new(u32::MAX, Duration::ZERO);
        glitches.count = u32::MAX - 1;
        for _ in 0..3 {
            assert_eq!(glitches.count(Duration::ZERO), Ok(()));
        }
        assert_eq!(glitches.count, u32::MAX);
        assert_eq!(glitches.count(Duration::MAX), Ok(()));
        assert_eq!(glitches.count, 1, "everything before has decayed");
    }

    #[test]
    fn the_count_halves_by_the_minute() {
        let mut glitches = Glitches::new(1_000, Duration::ZERO);
        glitches.count = 800;
        for (secs, left) in [(59, 801), (60, 401), (61, 402), (179, 202), (180, 102)] {
            assert_eq!(glitches.count(Duration::from_secs(secs)), Ok(()));
            assert_eq!(glitches.count, left, "after {secs} s");
        }
    }
}
