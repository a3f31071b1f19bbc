//! What the three pumps have in common.

use std::{io, sync::Arc, time::Duration};

use super::shared::Shared;

/// A pump's part of the session, which ends if this is dropped before the pump is done.
pub(super) struct Pump {
    pub(super) shared: Arc<Shared>,
    /// The time of the poll under way, for a pump that is polled with others.
    pub(super) time: Option<Duration>,
    pub(super) done: bool,
}

impl Pump {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            time: None,
            done: false,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.time.unwrap_or_else(|| self.shared.now())
    }

    /// The time, after something that may have taken a while.
    pub(super) fn look_again(&mut self) -> Duration {
        let now = self.shared.now();
        self.time = self.time.and(Some(now));
        now
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.act(|state| state.drop_pump(self.done));
    }
}

/// An error of a transport that does not keep to its contract.
pub(super) fn miscounted() -> io::Error {
    io::Error::other("transport reports more bytes than it was given")
}
