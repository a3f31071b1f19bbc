//! The workloads, each written once for every peer.

mod beside;
mod bulk;
mod churn;
mod download;
mod idle;
mod long;
pub(crate) mod pausing;
pub(crate) mod requests;
mod round_trips;
mod sampled;
mod sessions;
mod slow_link;
mod until;
mod usage;
mod workloads;

pub(crate) use round_trips::summary;
pub(crate) use sampled::sleep;
pub(crate) use workloads::{WORKLOADS, Workload, find};

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    ends::Ends,
    mux::{Mux, Options},
    relay::{self, Link},
    runtime::{Runtime, Shape},
};

pub(crate) const KIB: usize = 1 << 10;
/// Streams beyond those of the work: what is closed is not always forgotten at once.
const SPARE: usize = 128;
/// Bytes of a small message.
pub(crate) const MESSAGE: usize = 64;

/// The Go program knows it too, by its JSON.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// One direction, as fast as it goes.
    Bulk {
        streams: usize,
        write: usize,
        read: usize,
    },
    /// Messages of [`MESSAGE`] bytes in one direction.
    Messages { streams: usize },
    /// [`MESSAGE`] bytes there and back, again and again on the same streams.
    RoundTrips { streams: usize },
    /// Open, [`MESSAGE`] bytes there and back, close.
    Exchange { at_a_time: usize },
    /// Open and close; the accepting end closes at once.
    OpenClose {},
    /// Open and close; the accepting end reads to the end, in a task for each stream, then closes.
    AcceptClose {},
    /// Streams that are open.
    Idle { streams: usize },
    /// A stream that is read beside one that is not.
    Stalled {},
    /// One stream of large writes beside nine of small ones.
    Fairness {},
    /// Bulk over a long link.
    Link { milliseconds: u64, streams: usize },
    /// One download over a long link, from its first byte to its last.
    Long {
        milliseconds: u64,
        streams: usize,
        /// Of each stream.
        writers: u8,
    },
    /// A download over a link of [`beside::MILLISECONDS`] beside streams that do nothing.
    Beside { idle: usize },
    /// Round trips beside eight downloads over a slow link.
    SlowLink {},
    /// Pairs of sessions that do nothing, with one stream each.
    Sessions { pairs: usize },
}

impl Work {
    /// Of [`Figures::rate`].
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Bulk { .. } | Self::Stalled {} | Self::Link { .. } => "MB/s",
            Self::Idle { .. } | Self::Sessions { .. } => "B",
            Self::Fairness {} => "Jain",
            Self::Long { .. } | Self::Beside { .. } => "of the link",
            Self::SlowLink {} => "× idle",
            Self::Messages { .. }
            | Self::RoundTrips { .. }
            | Self::Exchange { .. }
            | Self::OpenClose {}
            | Self::AcceptClose {} => "k/s",
        }
    }

    /// Streams open at a time.
    pub(crate) fn streams(self) -> usize {
        match self {
            Self::Bulk { streams, .. }
            | Self::Messages { streams }
            | Self::RoundTrips { streams }
            | Self::Idle { streams }
            | Self::Link { streams, .. }
            | Self::Long { streams, .. } => streams,
            Self::Exchange { at_a_time } => at_a_time,
            Self::OpenClose {} | Self::AcceptClose {} => churn::AHEAD,
            Self::Stalled {} => 2,
            Self::Fairness {} => 10,
            Self::Beside { idle } => idle + 1,
            Self::SlowLink {} => slow_link::STREAMS,
            Self::Sessions { .. } => 1,
        }
    }

    /// The link between the two ends, if there is one.
    fn link(self) -> Option<Link> {
        let (milliseconds, rate, queue) = match self {
            Self::Link { milliseconds, .. } | Self::Long { milliseconds, .. } => {
                (milliseconds, GIGABIT, None)
            }
            Self::Beside { .. } => (beside::MILLISECONDS, GIGABIT, None),
            Self::SlowLink {} => return Some(slow_link::LINK),
            _ => return None,
        };
        Some(Link {
            round_trip: Duration::from_millis(milliseconds),
            rate,
            queue,
        })
    }

    /// What a run that measures for `time` may take.
    pub(crate) fn limit(self, time: Duration) -> Duration {
        let grace = match self {
            // Opening many streams takes its own time.
            Self::Idle { .. } | Self::Beside { .. } => 60,
            // So do the traffic of many sessions, and their rest.
            Self::Sessions { .. } => 180,
            _ => 10,
        };
        3 * time + Duration::from_secs(grace)
    }

    /// Whether figures are compared by their difference to raw TCP's, which is a part of them.
    pub(crate) fn by_difference(self) -> bool {
        matches!(self, Self::Sessions { .. })
    }
}

/// Bytes a second.
const GIGABIT: u32 = 125_000_000;

/// What a run of a workload found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) rate: f64,
    /// What was moved or done, in the rate's unit.
    #[serde(default)]
    pub(crate) amount: f64,
    /// By name, unit included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) more: BTreeMap<String, f64>,
    /// Megabytes a second, in each tenth of a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) over_time: Vec<f64>,
}

impl Figures {
    /// `count` things in `time`, in thousands a second.
    pub(crate) fn thousands(count: u64, time: Duration) -> Self {
        Self::over(count as f64 / 1e3, time)
    }

    /// `count` bytes in `time`, in megabytes a second.
    pub(crate) fn megabytes(count: u64, time: Duration) -> Self {
        Self::over(count as f64 / 1e6, time)
    }

    fn over(amount: f64, time: Duration) -> Self {
        Self {
            rate: amount / time.as_secs_f64(),
            amount,
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

/// Where to connect to reach `target` over the link that `work` asks for.
pub(crate) fn route(work: Work, target: SocketAddr) -> Result<SocketAddr> {
    match work.link() {
        Some(link) => relay::start(link, target, None),
        None => Ok(target),
    }
}

/// What `work` asks of a peer.
pub(crate) fn options(work: Work) -> Options {
    Options {
        streams: work.streams() + SPARE,
        receive_buffer: None,
    }
}

/// Runs `work` on `M`, first for a short time to warm up, then for `time`.
pub(crate) fn run<M: Mux>(work: Work, shape: Shape, time: Duration) -> Result<Figures> {
    let options = options(work);
    let runtimes = M::Runtime::pair(shape)?;
    runtimes.0.clone().block_on(async {
        let ends = Ends::<M>::connect(runtimes, options, |to| route(work, to)).await?;
        // Without a warm-up, all that the process does is what is counted.
        let warm_up = if shape == Shape::Single {
            Duration::ZERO
        } else {
            time / 5
        };
        let phases = [warm_up, time];
        match work {
            Work::Bulk {
                streams,
                write,
                read,
            } => {
                let sent = bulk::run(&ends, streams, write, read, phases).await?;
                Ok(Figures::megabytes(sent.bytes, sent.time))
            }
            Work::Messages { streams } => {
                let sent = bulk::run(&ends, streams, MESSAGE, 64 * KIB, phases).await?;
                Ok(Figures::thousands(sent.bytes / MESSAGE as u64, sent.time))
            }
            Work::RoundTrips { streams } => round_trips::run(&ends, streams, phases).await,
            Work::Exchange { at_a_time } => churn::exchange(&ends, at_a_time, phases).await,
            Work::OpenClose {} => churn::open_close(&ends, false, phases).await,
            Work::AcceptClose {} => churn::open_close(&ends, true, phases).await,
            Work::Idle { streams } => idle::run(&ends, streams).await,
            Work::Stalled {} => sampled::stalled(&ends, time).await,
            Work::Fairness {} => sampled::fairness(&ends, time).await,
            Work::Link { streams, .. } => sampled::total(&ends, streams, time).await,
            Work::Long {
                milliseconds,
                streams,
                writers,
            } => {
                let round_trip = Duration::from_millis(milliseconds);
                long::run(&ends, round_trip, streams, writers, time).await
            }
            Work::Beside { idle } => beside::run(&ends, idle, time).await,
            Work::SlowLink {} => slow_link::run(&ends, time).await,
            Work::Sessions { pairs } => sessions::run(&ends, options, pairs, time).await,
        }
    })
}
