//! Log entries that peers can cause: one now, then one an interval.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one entry pass an interval, and counts those that it withholds.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    next: Option<Instant>,
    withheld: u64,
}

impl Throttle {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State {
            next: None,
            withheld: 0,
        }))
    }

    /// Returns how many entries were withheld before this one, unless this one is withheld too.
    pub(crate) fn pass(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.next.is_some_and(|next| now < next) {
            state.withheld += 1;
            return None;
        }
        state.next = Some(now + INTERVAL);
        Some(std::mem::take(&mut state.withheld))
    }
}
