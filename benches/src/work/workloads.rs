//! The list of workloads.

use super::{KIB, Work};

/// A workload's name, what it does, and its numbers.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) work: Work,
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

const fn long(name: &'static str, about: &'static str, milliseconds: u64) -> Workload {
    Workload {
        name,
        about,
        work: Work::Long {
            milliseconds,
            streams: 1,
            writers: 1,
        },
    }
}

const fn beside(name: &'static str, about: &'static str, idle: usize) -> Workload {
    Workload {
        name,
        about,
        work: Work::Beside { idle },
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
    long(
        "long-10",
        "500 MB on 1 stream over 10 ms and 1 Gbit/s, from opening it",
        10,
    ),
    long(
        "long-50",
        "500 MB on 1 stream over 50 ms and 1 Gbit/s, from opening it",
        50,
    ),
    long(
        "long-100",
        "500 MB on 1 stream over 100 ms and 1 Gbit/s, from opening it",
        100,
    ),
    long(
        "long-200",
        "500 MB on 1 stream over 200 ms and 1 Gbit/s, from opening it",
        200,
    ),
    Workload {
        name: "writers-1",
        about: "500 MB by 4 writers on 1 stream over 50 ms and 1 Gbit/s",
        work: Work::Long {
            milliseconds: 50,
            streams: 1,
            writers: 4,
        },
    },
    Workload {
        name: "writers-4",
        about: "500 MB by 4 writers on 4 streams over 50 ms and 1 Gbit/s",
        work: Work::Long {
            milliseconds: 50,
            streams: 4,
            writers: 1,
        },
    },
    beside(
        "beside-10",
        "1 stream over 50 ms and 1 Gbit/s after 3 s, beside 10 idle ones",
        10,
    ),
    beside(
        "beside-100",
        "1 stream over 50 ms and 1 Gbit/s after 3 s, beside 100 idle ones",
        100,
    ),
    beside(
        "beside-1000",
        "1 stream over 50 ms and 1 Gbit/s after 3 s, beside 1000 idle ones",
        1000,
    ),
    beside(
        "beside-10000",
        "1 stream over 50 ms and 1 Gbit/s after 3 s, beside 10 000 idle ones",
        10_000,
    ),
    Workload {
        name: "slow-link",
        about: "round trips over 23 ms and 2 MB/s beside 8 downloads; less is better",
        work: Work::SlowLink {},
    },
    Workload {
        name: "sessions-500",
        about: "bytes of each of 500 pairs of sessions, 1 s after 4 MB; less is better",
        work: Work::Sessions { pairs: 500 },
    },
    Workload {
        name: "sessions-2000",
        about: "bytes of each of 2000 pairs of sessions, 1 s after 4 MB; less is better",
        work: Work::Sessions { pairs: 2000 },
    },
    Workload {
        name: "sessions-5000",
        about: "bytes of each of 5000 pairs of sessions, 1 s after 4 MB; less is better",
        work: Work::Sessions { pairs: 5000 },
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}
