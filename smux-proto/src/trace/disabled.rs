//! Without feature `tracing`: the same, and nothing happens.

use alloc::vec::Vec;
use core::time::Duration;

use super::Stall;
use crate::{
    error::CloseReason,
    stats::{SessionStats, StallCause},
    wire::{Side, StreamId, Version},
};

#[derive(Debug)]
pub(crate) struct Trace;

impl Trace {
    pub(crate) const fn new(_: Side, _: Option<Version>) -> Self {
        Self
    }

    pub(crate) const fn began(&self, _: Duration) {}

    #[inline]
    pub(crate) const fn begin(&self) {}

    #[cfg(feature = "poll")]
    pub(crate) const fn keep_untold(&self) {}

    #[cfg(feature = "poll")]
    pub(crate) const fn has_untold(&self) -> bool {
        false
    }

    #[cfg(feature = "poll")]
    pub(crate) const fn untold(&self) -> Untold {
        Untold
    }

    #[cfg(feature = "poll")]
    pub(crate) const fn id(&self, _: u64) {}

    #[cfg(feature = "poll")]
    pub(crate) const fn peer(&self, _: core::net::SocketAddr) {}

    pub(crate) const fn version(&self, _: Version) {}

    pub(crate) const fn opened(&mut self, _: StreamId) {}

    pub(crate) const fn accepted(&mut self, _: StreamId) {}

    pub(crate) const fn refused(&self, _: StreamId, _because: &str) {}

    pub(crate) const fn write_waits(&self, _: StreamId, _: StallCause) {}

    pub(crate) const fn input_waits(&self, _buffered: usize) {}

    pub(crate) const fn finished(&self, _: StreamId) {}

    pub(crate) const fn stopped(&self, _: StreamId) {}

    pub(crate) const fn evicted(&self, _: StreamId) {}

    pub(crate) const fn closed(&self, _: StreamId, _: usize, _: usize) {}

    pub(crate) const fn gone(&mut self, _: StreamId) {}

    pub(crate) const fn draining(&self, _streams: usize) {}

    pub(crate) const fn ended(&self, _: &CloseReason, _now: Duration, _: &SessionStats, _: usize) {}
}

#[cfg(feature = "poll")]
#[derive(Debug, Default)]
pub(crate) struct Untold;

#[cfg(feature = "poll")]
impl Untold {
    pub(crate) const fn tell(self) {}
}

#[derive(Debug)]
pub(crate) struct StallWatch;

impl StallWatch {
    #[cfg(feature = "poll")]
    pub(crate) const IS_ON: bool = false;

    pub(crate) const fn new(_: Duration) -> Self {
        Self
    }

    pub(crate) const fn next_look(&self, _may_stall: bool) -> Option<Duration> {
        None
    }

    pub(crate) const fn is_due(&self, _may_stall: bool, _: Duration) -> bool {
        false
    }

    pub(crate) fn look(&mut self, _: Duration, _: Vec<Stall>, _: &mut Trace) {}

    pub(crate) const fn end(&mut self, _: Duration, _: &mut Trace) {}
}
