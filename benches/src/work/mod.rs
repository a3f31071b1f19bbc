//! The workloads, each written once for every peer.

mod bulk;
mod churn;
mod idle;
pub(crate) mod pausing;
mod round_trips;
mod sampled;
mod until;

pub(crate) use round_trips::summary;
pub(crate) use sampled::sleep;

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

/// A workload's name, what it does, and its numbers.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) work: Work,
}

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
}

const fn bulk(streams: usize) -> Work {
    Work::Bulk {
        streams,
        write: 128 * KIB,
        read: 64 * KIB,
    }
}

const fn link(
    name: &'static str,
    about: &'static str,
    milliseconds: u64,
    streams: usize,
) -> Workload {
    Workload {
        name,
        about,
        work: Work::Link {
            milliseconds,
            streams,
        },
    }
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "bulk-1",
        about: "1 stream, writes of 128 KiB, reads of 64 KiB",
        work: bulk(1),
    },
    Workload {
        name: "bulk-100",
        about: "100 streams, writes of 128 KiB, reads of 64 KiB",
        work: bulk(100),
    },
    Workload {
        name: "bulk-1000",
        about: "1000 streams, writes of 128 KiB, reads of 64 KiB",
        work: bulk(1000),
    },
    Workload {
        name: "msg-1",
        about: "1 stream, writes of 64 bytes, reads of up to 64 KiB",
        work: Work::Messages { streams: 1 },
    },
    Workload {
        name: "msg-100",
        about: "100 streams, writes of 64 bytes, reads of up to 64 KiB",
        work: Work::Messages { streams: 100 },
    },
    Workload {
        name: "rtt-1",
        about: "1 stream, 64 bytes there and back",
        work: Work::RoundTrips { streams: 1 },
    },
    Workload {
        name: "rtt-100",
        about: "100 streams, on each 64 bytes there and back",
        work: Work::RoundTrips { streams: 100 },
    },
    Workload {
        name: "exchange-1",
        about: "open, 64 bytes there and back, close; one at a time",
        work: Work::Exchange { at_a_time: 1 },
    },
    Workload {
        name: "exchange-64",
        about: "open, 64 bytes there and back, close; 64 at a time",
        work: Work::Exchange { at_a_time: 64 },
    },
    Workload {
        name: "open-close",
        about: "open and close, nothing else, up to 128 ahead of the accepting end",
        work: Work::OpenClose {},
    },
    Workload {
        name: "idle-10k",
        about: "resident bytes for each of 10 000 idle streams, both ends together; less is better",
        work: Work::Idle { streams: 10_000 },
    },
    Workload {
        name: "idle-100k",
        about: "resident bytes for each of 100 000 idle streams, both ends together; less is better",
        work: Work::Idle { streams: 100_000 },
    },
    Workload {
        name: "stalled",
        about: "bulk on 1 stream beside another that is written to and that nobody reads",
        work: Work::Stalled {},
    },
    Workload {
        name: "fairness",
        about: "Jain's index over the bytes of a stream of 64 KiB writes and nine of 512 bytes, all backlogged",
        work: Work::Fairness {},
    },
    Workload {
        name: "ref-conn",
        about: "as the reference's ConnSmux and ConnTCP: 1 stream, writes and reads of 128 KiB",
        work: Work::Bulk {
            streams: 1,
            write: 128 * KIB,
            read: 128 * KIB,
        },
    },
    Workload {
        name: "ref-accept-close",
        about: "as the reference's AcceptClose, but no more than 128 ahead of the accepting end",
        work: Work::AcceptClose {},
    },
    link("link-10ms-1", "1 stream over 10 ms and 1 Gbit/s", 10, 1),
    link("link-10ms-10", "10 streams over 10 ms and 1 Gbit/s", 10, 10),
    link("link-50ms-1", "1 stream over 50 ms and 1 Gbit/s", 50, 1),
    link("link-50ms-10", "10 streams over 50 ms and 1 Gbit/s", 50, 10),
    link("link-200ms-1", "1 stream over 200 ms and 1 Gbit/s", 200, 1),
    link(
        "link-200ms-10",
        "10 streams over 200 ms and 1 Gbit/s",
        200,
        10,
    ),
];

impl Work {
    /// Of [`Figures::rate`].
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Bulk { .. } | Self::Stalled {} | Self::Link { .. } => "MB/s",
            Self::Idle { .. } => "B",
            Self::Fairness {} => "Jain",
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
            | Self::Link { streams, .. } => streams,
            Self::Exchange { at_a_time } => at_a_time,
            Self::OpenClose {} | Self::AcceptClose {} => churn::AHEAD,
            Self::Stalled {} => 2,
            Self::Fairness {} => 10,
        }
    }
}

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
fn route(work: Work, target: SocketAddr) -> Result<SocketAddr> {
    let Work::Link { milliseconds, .. } = work else {
        return Ok(target);
    };
    let link = Link {
        round_trip: Duration::from_millis(milliseconds),
        rate: 125_000_000,
    };
    relay::start(link, target, None)
}

/// Runs `work` on `M`, first for a short time to warm up, then for `time`.
pub(crate) fn run<M: Mux>(work: Work, shape: Shape, time: Duration) -> Result<Figures> {
    let options = Options {
        streams: work.streams() + SPARE,
        receive_buffer: None,
    };
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
        }
    })
}

pub(crate) fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}
