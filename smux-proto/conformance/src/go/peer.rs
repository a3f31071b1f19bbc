//! A running Go peer.

use std::{net::SocketAddr, process::Command, time::Duration};

use super::{
    Mode, Options, Release, Tcp, build,
    process::{GoError, Process},
};

/// Generous: a peer only binds a port before it reports its address.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A process with one release of the Go implementation. It is killed when this is dropped.
#[derive(Debug)]
pub struct GoPeer {
    process: Process,
    address: SocketAddr,
    release: Release,
}

/// The counts that a Go peer reports when it has found no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Streams that it opened or accepted.
    pub streams: u64,
    /// Those among them whose work it ended without an error.
    pub finished: u64,
}

impl GoPeer {
    /// Whether there is a Go toolchain. If not, prints that once per process to standard error, and
    /// the test returns.
    ///
    /// # Panics
    ///
    /// If there is none and the environment variable `SMUX_REQUIRE_GO` is 1.
    #[must_use]
    pub fn available() -> bool {
        build::available()
    }

    /// Builds the peer if this process has not yet done so, and starts it. If it listens, it does
    /// so when this returns.
    ///
    /// # Errors
    ///
    /// The build failed, or the peer refused the options: the text has what was written.
    pub fn start(release: Release, mode: Mode, options: &Options) -> Result<Self, GoError> {
        let mut command = Command::new(build::program(release)?);
        let what = format!("Go peer {release} {}", mode.name());
        let mut process = Process::spawn(what, command.args(options.arguments(mode)))?;
        let address = match options.tcp {
            Tcp::Dial(address) => address,
            Tcp::Listen => {
                let line = process.line(START_LIMIT)?;
                let address = line
                    .strip_prefix("LISTENING ")
                    .and_then(|address| address.parse().ok());
                address.ok_or_else(|| process.fail("did not print its address"))?
            }
        };
        Ok(Self {
            process,
            address,
            release,
        })
    }

    /// Where it listens, or what it was told to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id, for a test that stops or kills it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the peer ends: an opener, when it has verified everything and our side has
    /// closed the connection; [`Mode::Serve`], when the last connection has ended.
    ///
    /// # Errors
    ///
    /// The peer found a fault, or was still running after `limit` (it is killed then): the text has
    /// what it has written.
    pub fn wait(self, limit: Duration) -> Result<Outcome, GoError> {
        let stdout = self.process.wait(limit)?;
        read_outcome(&stdout, self.release).ok_or_else(|| {
            GoError::new(format_args!(
                "Go peer {}: its output is no outcome:\n{stdout}",
                self.release
            ))
        })
    }
}

/// Reads `OK mode smux=v1.5.58 streams=3 finished=3`.
fn read_outcome(stdout: &str, release: Release) -> Option<Outcome> {
    let line = stdout.lines().last()?.strip_prefix("OK ")?;
    let value = |key: &str| {
        line.split(' ')
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let built_with = value("smux")?.strip_prefix('v')?;
    (built_with == release.number()).then_some(())?;
    Some(Outcome {
        streams: value("streams")?.parse().ok()?,
        finished: value("finished")?.parse().ok()?,
    })
}
