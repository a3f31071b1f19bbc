//! Who is compared, and with which settings.

mod async_smux;
mod from_go;
mod h2;
mod limit;
mod muxado;
mod picomux;
mod smux_async_std;
mod smux_blocking;
mod smux_iberryful;
mod smux_rust;
mod smux_tokio;
mod std_tcp;
mod tcp;
mod to_go;
mod tokio_smux;
mod tokio_yamux;
mod yamux;

pub(crate) use self::{smux_tokio::SmuxTokio, tcp::TokioTcp};

use std::time::Duration;

use anyhow::Result;

use crate::{
    go,
    runtime::Shape,
    work::{self, Figures, Work},
};

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What was set, and what else to know.
    pub(crate) settings: &'static str,
    run: Run,
    /// Why it cannot do this work.
    skip: fn(Work) -> Option<&'static str>,
}

enum Run {
    Here(fn(Work, Shape, Duration) -> Result<Figures>),
    /// One end here, one in the Go program.
    WithGo(fn(Work, Shape, Duration) -> Result<Figures>),
    /// In the Go program, which is asked by the peer's name.
    Go,
}

impl Peer {
    /// One run, in this process or in one that it starts.
    pub(crate) fn run(&self, work: Work, shape: Shape, time: Duration) -> Result<Figures> {
        match self.run {
            Run::Here(run) | Run::WithGo(run) => run(work, shape, time),
            Run::Go => go::run(self.name, work, time),
        }
    }

    pub(crate) fn needs_go(&self) -> bool {
        !matches!(self.run, Run::Here(_))
    }

    /// The peer whose memory is a part of this one's.
    pub(crate) fn beneath(&self) -> &'static str {
        match self.run {
            Run::Go => "go-tcp",
            _ => BASELINE,
        }
    }

    /// Why it cannot do this work in this shape.
    pub(crate) fn skip(&self, work: Work, shape: Shape) -> Option<&'static str> {
        let threads = self.name.contains("blocking") || self.name == "tcp-std";
        if shape == Shape::Single && (threads || self.needs_go()) {
            return Some("needs threads");
        }
        if threads && matches!(work, Work::Beside { idle: 1000.. } | Work::Sessions { .. }) {
            return Some("a thread for each is too many");
        }
        if shape != Shape::One && self.name.starts_with("smux-async-std") {
            return Some("async-std has one executor in a process");
        }
        if shape == Shape::Single && self.name == "yamux" && matches!(work, Work::Bulk { .. }) {
            return Some("stops when both ends share a thread");
        }
        (self.skip)(work)
    }
}

fn nothing(_: Work) -> Option<&'static str> {
    None
}

/// Descriptors, and the kernel's memory, which is not the process's.
fn connections(work: Work) -> Option<&'static str> {
    match work {
        Work::Idle { .. } => Some("a connection's memory is the kernel's"),
        Work::Beside { idle: 10_000.. } => Some("too many descriptors"),
        _ => None,
    }
}

fn frames(work: Work) -> Option<&'static str> {
    let known = matches!(
        work,
        Work::Bulk { .. }
            | Work::Messages { .. }
            | Work::RoundTrips { .. }
            | Work::Exchange { .. }
            | Work::OpenClose {}
    );
    (!known).then_some("this work is about more than frames")
}

fn silent_open(work: Work) -> Option<&'static str> {
    matches!(work, Work::OpenClose {} | Work::AcceptClose {})
        .then_some("the peer learns of a stream with its first data")
}

/// For peers that differ from others in what only links show.
fn no_link(work: Work) -> Option<&'static str> {
    let links = matches!(
        work,
        Work::Long { .. } | Work::Beside { .. } | Work::SlowLink {}
    );
    (!links).then_some("for long and slow links only")
}

fn no_sessions(work: Work) -> Option<&'static str> {
    (!matches!(work, Work::Sessions { .. })).then_some("for sessions only")
}

/// What every table's ratios refer to.
pub(crate) const BASELINE: &str = "tcp-tokio";

pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: BASELINE,
        settings: "no multiplexer: a connection for every stream; TCP_NODELAY, as everywhere below",
        run: Run::Here(work::run::<TokioTcp>),
        skip: connections,
    },
    Peer {
        name: "tcp-nops",
        settings: "no multiplexer; beside each stream a connection on which both ends send 8 bytes every 10 s, as a \
                   session does: for the processor's time, not for memory",
        run: Run::Here(work::run::<tcp::TcpNops>),
        skip: no_sessions,
    },
    Peer {
        name: "tcp-std",
        settings: "no runtime: a connection and a thread at each end for every stream, whatever the shape",
        run: Run::Here(work::run::<std_tcp::StdTcp>),
        skip: connections,
    },
    Peer {
        name: "limit",
        settings: "the same frames as smux v1 over one connection of tokio, without a multiplexer: \
                   what is sent is known in advance, and received payload goes nowhere",
        run: Run::Here(limit::run),
        skip: frames,
    },
    Peer {
        name: "smux-tokio-v1",
        settings: "`Config::default()`",
        run: Run::Here(work::run::<SmuxTokio<1>>),
        skip: nothing,
    },
    Peer {
        name: "smux-tokio-v2",
        settings: "`Config::v2()`",
        run: Run::Here(work::run::<SmuxTokio<2>>),
        skip: nothing,
    },
    Peer {
        name: "smux-tokio-v2-128m",
        settings: "`Config::v2()` with `max_receive_buffer(128 << 20)`",
        run: Run::Here(work::run::<SmuxTokio<2, { 128 << 20 }>>),
        skip: no_link,
    },
    Peer {
        name: "smux-from-go",
        settings: "`smux-tokio` with `Config::v2()` asks go-smux-v2, in a process of its own",
        run: Run::WithGo(work::run::<from_go::FromGo>),
        skip: no_link,
    },
    Peer {
        name: "smux-to-go",
        settings: "go-smux-v2-16m, in a process of its own, asks `smux-tokio` with `Config::v2()`",
        run: Run::WithGo(to_go::run),
        skip: no_link,
    },
    Peer {
        name: "smux-smol-v1",
        settings: "`smux-async-std` on smol; `Config::default()`",
        run: Run::Here(work::run::<smux_async_std::SmuxSmol<1>>),
        skip: nothing,
    },
    Peer {
        name: "smux-smol-v2",
        settings: "`smux-async-std` on smol; `Config::v2()`",
        run: Run::Here(work::run::<smux_async_std::SmuxSmol<2>>),
        skip: nothing,
    },
    Peer {
        name: "smux-async-std-v1",
        settings: "`smux-async-std` on async-std, whose executor has two threads; `Config::default()`",
        run: Run::Here(work::run::<smux_async_std::SmuxAsyncStd<1>>),
        skip: nothing,
    },
    Peer {
        name: "smux-async-std-v2",
        settings: "`smux-async-std` on async-std, whose executor has two threads; `Config::v2()`",
        run: Run::Here(work::run::<smux_async_std::SmuxAsyncStd<2>>),
        skip: nothing,
    },
    Peer {
        name: "smux-blocking-v1",
        settings: "`Config::default()`; a thread for every stream at each end, whatever the shape",
        run: Run::Here(work::run::<smux_blocking::SmuxBlocking<1>>),
        skip: nothing,
    },
    Peer {
        name: "smux-blocking-v2",
        settings: "`Config::v2()`; a thread for every stream at each end, whatever the shape",
        run: Run::Here(work::run::<smux_blocking::SmuxBlocking<2>>),
        skip: nothing,
    },
    Peer {
        name: "async_smux",
        settings: "0.4, defaults",
        run: Run::Here(work::run::<async_smux::AsyncSmux>),
        skip: nothing,
    },
    Peer {
        name: "h2",
        settings: "0.4; windows of 1 MiB a stream and 16 MiB a connection, frames of 64 KiB, `data_frame_budget` of 1 GiB",
        run: Run::Here(work::run::<h2::H2>),
        skip: nothing,
    },
    Peer {
        name: "h2-16m",
        settings: "0.4; windows of 16 MiB a stream and 256 MiB a connection, else the same",
        run: Run::Here(work::run::<h2::H2<{ h2::LARGE_WINDOW }>>),
        skip: no_link,
    },
    Peer {
        name: "tokio_smux",
        settings: "0.2, defaults; messages of 32 KiB",
        run: Run::Here(work::run::<tokio_smux::TokioSmux>),
        skip: nothing,
    },
    Peer {
        name: "smux",
        settings: "0.2, defaults (version 1)",
        run: Run::Here(work::run::<smux_iberryful::SmuxIberryful>),
        skip: nothing,
    },
    Peer {
        name: "smux_rust-v1",
        settings: "0.2, defaults",
        run: Run::Here(work::run::<smux_rust::SmuxRust<1>>),
        skip: nothing,
    },
    Peer {
        name: "smux_rust-v2",
        settings: "0.2, version 2, with 16 MiB a session and 1 MiB a stream",
        run: Run::Here(work::run::<smux_rust::SmuxRust<2>>),
        skip: nothing,
    },
    Peer {
        name: "yamux",
        settings: "0.14 (libp2p), defaults, and streams as many as the work needs",
        run: Run::Here(work::run::<yamux::Yamux>),
        skip: silent_open,
    },
    Peer {
        name: "tokio-yamux",
        settings: "0.3, defaults, and streams as many as the work needs; who writes also looks for what arrives, without which it stops",
        run: Run::Here(work::run::<tokio_yamux::TokioYamux>),
        skip: nothing,
    },
    Peer {
        name: "muxado",
        settings: "0.5, defaults, and streams as many as the work needs",
        run: Run::Here(work::run::<muxado::Muxado>),
        skip: silent_open,
    },
    Peer {
        name: "picomux",
        settings: "0.3, defaults; its tasks run on a runtime of its own, whatever the shape",
        run: Run::Here(work::run::<picomux::Picomux>),
        skip: nothing,
    },
    Peer {
        name: "go-tcp",
        settings: "Go, no multiplexer; as all of Go, two threads (GOMAXPROCS), whatever the shape",
        run: Run::Go,
        skip: connections,
    },
    Peer {
        name: "go-smux-v1",
        settings: "xtaci/smux 1.5.58, `DefaultConfig()`",
        run: Run::Go,
        skip: nothing,
    },
    Peer {
        name: "go-smux-v2",
        settings: "xtaci/smux 1.5.58, version 2, with 16 MiB a session and 1 MiB a stream",
        run: Run::Go,
        skip: nothing,
    },
    Peer {
        name: "go-smux-v2-16m",
        settings: "xtaci/smux 1.5.58, version 2, with 32 MiB a session and 16 MiB a stream",
        run: Run::Go,
        skip: no_link,
    },
    Peer {
        name: "go-yamux",
        settings: "hashicorp/yamux 0.1.2, `DefaultConfig()`",
        run: Run::Go,
        skip: nothing,
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}
