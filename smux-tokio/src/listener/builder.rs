//! The settings of a listener.

use std::{fmt, time::Duration};

use super::{event::ListenerEvent, server::Options};

/// The settings of a [`Listener`](super::Listener): see
/// [`Listener::builder`](super::Listener::builder).
#[must_use = "a builder does nothing unless its listener is started"]
pub struct ListenerBuilder(Options);

impl Default for ListenerBuilder {
    fn default() -> Self {
        Self(Options {
            max_sessions: 1024,
            handshake_timeout: Duration::from_secs(10),
            on_event: Box::new(|_| {}),
        })
    }
}

impl ListenerBuilder {
    /// How many sessions there may be, those that still shake hands included; further connections
    /// are turned away. 1024 unless set.
    ///
    /// The streams of each are limited by the
    /// [`max_inbound_streams`](crate::ConfigBuilder::max_inbound_streams) of its configuration.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.0.max_sessions = count;
        self
    }

    /// How long making a session of a connection may take; 10 seconds unless set.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.0.handshake_timeout = timeout;
        self
    }

    /// Is called with what happens to connections. It should return soon. If it panics while a
    /// connection is accepted, or the function that makes sessions does, the listener closes.
    pub fn on_event<F>(mut self, on_event: F) -> Self
    where
        F: Fn(&ListenerEvent<'_>) + Send + Sync + 'static,
    {
        self.0.on_event = Box::new(on_event);
        self
    }

    pub(super) fn options(self) -> Options {
        self.0
    }
}

impl fmt::Debug for ListenerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerBuilder")
            .field("max_sessions", &self.0.max_sessions)
            .field("handshake_timeout", &self.0.handshake_timeout)
            .finish_non_exhaustive()
    }
}
