//! Scenarios with a live Go peer at the other end of a TCP connection.
//!
//! [`go_suite!`](crate::go_suite!) expands to one test per scenario; each runs with the releases
//! that it is told, in both versions and with both roles. Without a Go toolchain they are skipped,
//! see [`GoPeer::available`].

mod acceptor;
pub mod go_accepts;
pub mod go_opens;

use std::{
    net::TcpStream,
    panic::{self, AssertUnwindSafe},
    thread,
    time::Duration,
};

use smux_proto::{Config, ConfigBuilder, Side, Version};

use super::{
    case::{built, full_size, other, scaled_limit},
    connection::Connection,
    host::{Adapter, HostSession},
};
use crate::go::{GoPeer, Mode, Options, Outcome, Release, Role};

/// A Go peer ends long before, or it is stuck. See [`scaled_limit`].
const LIMIT: Duration = Duration::from_secs(50);
/// Peers that run at the same time; they are mostly idle.
const AT_A_TIME: usize = 10;

/// A module with a test for every scenario with a live Go peer. The releases are `All`, or `Newest`
/// for an adapter over a core that another adapter tests with all of them.
///
/// ```
/// use smux_conformance::suite::core::CoreOverTcp;
///
/// smux_conformance::go_suite!(go, CoreOverTcp, Newest);
/// ```
#[macro_export]
macro_rules! go_suite {
    ($module:ident, $adapter:expr, $releases:ident) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            use $crate::suite::live;

            $crate::go_scenarios!(
                $adapter,
                $releases,
                go_accepts,
                [
                    close_in_write,
                    concurrent,
                    echo,
                    evict,
                    fin_first,
                    full_frames,
                    greeting,
                    hold,
                    idle,
                    many_short,
                    megabytes_each_way,
                    no_keep_alive,
                    our_fin_first,
                    peer_abandons,
                    peer_reads_last,
                    unread,
                    we_abandon,
                    without_half_close,
                    writers_on_four_streams,
                    writers_on_one_stream,
                ]
            );

            mod go_opens {
                use super::*;
                $crate::go_scenarios!(
                    $adapter,
                    $releases,
                    go_opens,
                    [
                        abandon,
                        bulk_down,
                        bulk_up,
                        concurrent,
                        echo,
                        half_close_go_first,
                        half_close_peer_first,
                        half_close_read_last,
                        hold,
                        idle,
                        many_short,
                        unread,
                    ]
                );
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! go_scenarios {
    ($adapter:expr, $releases:ident, $module:ident, [$($scenario:ident),* $(,)?]) => {$(
        #[test]
        fn $scenario() {
            live::run(&$adapter, live::Releases::$releases, live::$module::$scenario);
        }
    )*};
}

/// Which releases to run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releases {
    /// All of them.
    All,
    /// The newest.
    Newest,
}

impl Releases {
    fn list(self) -> &'static [Release] {
        match self {
            Self::All => &Release::ALL,
            Self::Newest => &[Release::NEWEST],
        }
    }
}

/// One run of a scenario.
#[derive(Debug)]
pub struct Live<'a, A> {
    /// Our end.
    pub adapter: &'a A,
    /// The release at the other end.
    pub release: Release,
    /// Which version both speak.
    pub version: Version,
    /// Our side of the session.
    pub side: Side,
}

/// Runs a scenario with each release, in each version, with each role; a few of them at the same
/// time.
///
/// # Panics
///
/// If one of them does.
pub fn run<A: Adapter>(adapter: &A, releases: Releases, scenario: fn(&Live<'_, A>)) {
    if !GoPeer::available() {
        return;
    }
    let mut cases = Vec::new();
    for &release in releases.list() {
        for version in [Version::V1, Version::V2] {
            for side in [Side::Client, Side::Server] {
                cases.push(Live {
                    adapter,
                    release,
                    version,
                    side,
                });
            }
        }
    }
    for some in cases.chunks(AT_A_TIME) {
        thread::scope(|scope| {
            for case in some {
                scope.spawn(move || {
                    let result = panic::catch_unwind(AssertUnwindSafe(|| scenario(case)));
                    if let Err(payload) = result {
                        let Live {
                            release,
                            version,
                            side,
                            ..
                        } = case;
                        eprintln!("failed with {release}, {version:?}, ours as the {side:?}");
                        panic::resume_unwind(payload);
                    }
                });
            }
        });
    }
}

impl<A: Adapter> Live<'_, A> {
    /// `small` in an ordinary run, `full` in one of full size.
    pub fn scaled<T>(&self, small: T, full: T) -> T {
        if full_size() { full } else { small }
    }

    /// The preset of the version.
    pub fn config(&self) -> ConfigBuilder {
        match self.version {
            Version::V1 => Config::builder(),
            Version::V2 => Config::v2().to_builder(),
        }
    }

    /// The Go peer's options for our role and version.
    pub fn options(&self) -> Options {
        let options = Options::default();
        Options {
            role: match other(self.side) {
                Side::Client => Role::Client,
                Side::Server => Role::Server,
            },
            version: self.version as u8,
            deadline: scaled_limit(options.deadline),
            ..options
        }
    }

    /// A Go peer, and our session with it.
    pub fn connect(
        &self,
        mode: Mode,
        options: &Options,
        config: ConfigBuilder,
    ) -> (A::Session, GoPeer) {
        let peer = GoPeer::start(self.release, mode, options).expect("a Go peer");
        let tcp = TcpStream::connect(peer.address()).expect("it listens");
        tcp.set_nodelay(true).expect("a TCP socket");
        let session = self
            .adapter
            .connect(self.side, built(config), Connection::Tcp(tcp));
        (session, peer)
    }

    /// Ends our session, and returns what the peer counted.
    pub fn end(&self, session: &A::Session, peer: GoPeer) -> Outcome {
        session.close();
        peer.wait(scaled_limit(LIMIT)).expect("the peer is content")
    }

    /// As [`end`](Self::end), for conversations in which no stream was cut short.
    pub fn end_well(&self, session: &A::Session, peer: GoPeer) {
        let outcome = self.end(session, peer);
        assert_eq!(
            outcome.finished, outcome.streams,
            "all streams ended well at the peer"
        );
    }
}
