//! A deadline that is cheap to ask.

use std::time::Instant;

/// Says when `deadline` has passed. Reads the clock on every `every`th call.
pub(crate) struct Until {
    deadline: Instant,
    every: u32,
    left: u32,
}

impl Until {
    pub(crate) fn new(deadline: Instant, every: u32) -> Self {
        Self {
            deadline,
            every,
            left: every,
        }
    }

    pub(crate) fn passed(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.left = self.every;
        Instant::now() >= self.deadline
    }
}
