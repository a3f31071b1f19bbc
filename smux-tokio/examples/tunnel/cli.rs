//! The command line, and the session configuration that it asks for.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use smux_tokio::{Config, ParseError, Version};
use tracing_subscriber::filter::LevelFilter;

use crate::pump::{Ending, HalfClose};

/// Forward TCP connections through smux sessions.
///
/// The client accepts connections and carries each as a stream of a session with the server; the
/// server connects every stream to its target. The first Ctrl-C (or SIGTERM) stops accepting and
/// lets open connections end, the second cuts them.
#[derive(Debug, Parser)]
#[command(name = "tunnel", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Least severe log entries to print: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log: LevelFilter,

    /// Show live statistics, if standard error is a terminal
    #[arg(long, global = true)]
    pub stats: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accept sessions, connect their streams to the target
    Server(ServerArgs),
    /// Accept TCP connections, carry them to the server
    Client(ClientArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Where to wait for tunnel clients; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    pub listen: String,

    /// Where the streams lead, as host:port
    #[arg(long, value_name = "ADDR")]
    pub target: String,

    /// Version of the smux protocol, 1 or 2; auto detects that of each client
    #[arg(long, value_name = "VERSION", default_value = "auto")]
    pub smux_version: ServerVersion,

    /// The most sessions at the same time; further clients are turned away
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_sessions: u16,

    /// How long a client may take for its handshake and its first frame, in seconds. It must exceed
    /// the keep-alive interval of a client that is not this tunnel. Over KCP it is at most 6
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = some_seconds)]
    pub first_frame_timeout: Duration,

    /// The most streams of a session at the same time; further ones are reset
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_connections: u16,

    /// How long connecting to the target may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds)]
    pub connect_timeout: Duration,

    /// The server's certificate chain in PEM, for `--transport tls`
    #[arg(long, value_name = "FILE", required_if_eq("transport", "tls"))]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", required_if_eq("transport", "tls"))]
    pub tls_key: Option<PathBuf>,

    /// Certificates in PEM of which clients must have one, or one that they issued. Without it
    /// every client is served, unless there is a token
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Generate a self-signed certificate in --tls-cert and --tls-key, unless both exist. Give the
    /// client a copy of the first one
    #[arg(long)]
    pub tls_generate: bool,

    /// Names and IP addresses that a generated certificate is for
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "localhost,127.0.0.1,::1",
        requires = "tls_generate"
    )]
    pub tls_name: Vec<String>,

    #[command(flatten)]
    pub link: LinkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// Where to accept TCP connections; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    pub listen: String,

    /// The tunnel server, as host:port
    #[arg(long, value_name = "ADDR")]
    pub server: String,

    /// Sessions to keep up; a connection goes to the one with the fewest streams
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub sessions: u16,

    /// Connections that a session carries in all before it is replaced; open ones go on
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub session_connections: u64,

    /// Version of the smux protocol, 1 or 2
    #[arg(long, value_name = "VERSION", default_value_t = Version::V2)]
    pub smux_version: Version,

    /// How long connecting to the server may take, and how long a connection waits for a session,
    /// in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds)]
    pub connect_timeout: Duration,

    /// Longest pause between two attempts to reach the server, in seconds; at least 0.2
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub max_backoff: Duration,

    /// Trusted certificates in PEM: the server's own or one that issued it, for `--transport tls`
    #[arg(long, value_name = "FILE", required_if_eq("transport", "tls"))]
    pub tls_ca: Option<PathBuf>,

    /// Name or IP address that the server's certificate must have [default: the host of --server]
    #[arg(long, value_name = "NAME")]
    pub tls_name: Option<String>,

    /// The client's certificate chain in PEM, for servers with --tls-client-ca
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Generate a self-signed certificate in the two files above, unless both exist. Give the
    /// server a copy of the first one
    #[arg(long, requires = "tls_cert")]
    pub tls_generate: bool,

    #[command(flatten)]
    pub link: LinkArgs,
}

/// The settings of a session, at either end.
#[derive(Clone, Debug, Args)]
pub(crate) struct LinkArgs {
    /// What the sessions run over; both ends must agree
    #[arg(long, value_name = "KIND", default_value = "tcp")]
    pub transport: Transport,

    /// A secret of at least 16 bytes that clients must know, for `--transport tls`: a file, since
    /// arguments are public. Both ends must have the same
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Serve counters at http://ADDR/metrics in the text format of Prometheus, to all who reach it;
    /// port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,

    /// Send a keep-alive after this many seconds without other output; 0 for never
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub keep_alive: Duration,

    /// Consider a peer dead after this many seconds of silence; must exceed the peer's interval
    /// [default: three times the interval]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub keep_alive_timeout: Option<Duration>,

    /// The most received and undelivered data of a session
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub receive_buffer: ByteSize,

    /// The largest window of a stream, as a part of these (version 2)
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    pub stream_buffer: ByteSize,

    /// The most unsent data of a stream
    #[arg(long, value_name = "SIZE", default_value = "128KiB")]
    pub send_buffer: ByteSize,

    /// Largest payload of a frame
    #[arg(long, value_name = "SIZE", default_value = "32KiB")]
    pub frame_size: ByteSize,

    /// Close a connection as a whole when one direction has ended: needed if the other end is
    /// kcptun. After the user has ended its direction, an answer may pause for 10 seconds, or for
    /// half a second if it had begun before; then it is cut with a reset
    #[arg(long)]
    pub no_half_close: bool,

    /// Reset a half-closed connection after this many seconds without data in the open direction
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = some_seconds)]
    pub half_close_timeout: Duration,

    /// After Ctrl-C: cut connections that are still open after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub drain: Duration,

    /// There if any of them was given.
    #[command(flatten)]
    pub kcp: Option<KcpArgs>,
}

/// Named as in kcptun, with its defaults.
#[derive(Clone, Debug, Parser)]
pub(crate) struct KcpArgs {
    /// Format of the datagrams: that of kcptun's --crypt null or --crypt none. Neither encrypts
    #[arg(long = "kcp-crypt", value_name = "KIND", default_value = "null")]
    pub crypt: KcpCrypt,

    /// How eagerly KCP retransmits
    #[arg(long = "kcp-mode", value_name = "MODE", default_value = "fast")]
    pub mode: KcpMode,

    /// Largest datagram in bytes
    #[arg(long = "kcp-mtu", value_name = "BYTES", default_value_t = 1350, value_parser = clap::value_parser!(u16).range(100..=1500))]
    pub mtu: u16,

    /// Datagrams on their way to the peer
    #[arg(long = "kcp-sndwnd", value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub send_window: u16,

    /// Datagrams on their way from the peer
    #[arg(long = "kcp-rcvwnd", value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(128..=32_768))]
    pub receive_window: u16,
}

/// That of the session; `None` is that of the client's first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerVersion(pub Option<Version>);

impl FromStr for ServerVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self(None));
        }
        let version: Result<Version, ParseError> = text.parse();
        let version = version.map_err(|error| format!("{error}, or auto"))?;
        Ok(Self(Some(version)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Plain TCP
    Tcp,
    /// TLS over TCP
    Tls,
    /// KCP over UDP, as kcptun with its encryption, error correction and compression off
    Kcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KcpCrypt {
    Null,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KcpMode {
    Normal,
    Fast,
    Fast2,
    Fast3,
}

impl Default for KcpArgs {
    /// The defaults of the command line.
    fn default() -> Self {
        Self::parse_from([""])
    }
}

impl LinkArgs {
    /// Refuses options that would be ignored: a client that names a certificate must not get plain
    /// text. `tls`: an option of TLS was given.
    pub(crate) fn check(&self, tls: bool) -> Result<()> {
        ensure!(
            !(tls || self.token_file.is_some()) || self.transport == Transport::Tls,
            "the options --tls-... and --token-file need --transport tls"
        );
        ensure!(
            self.kcp.is_none() || self.transport == Transport::Kcp,
            "the options --kcp-... need --transport kcp"
        );
        Ok(())
    }

    /// How connections end. `close` applies where one direction cannot end alone.
    pub(crate) fn ending(&self, close: HalfClose) -> Ending {
        Ending {
            half_close: if self.no_half_close {
                close
            } else {
                HalfClose::Carry
            },
            idle: self.half_close_timeout,
        }
    }

    /// The session configuration that these arguments ask for; without a version, the first frame
    /// tells it. The peer may have so many `inbound` streams open.
    pub(crate) fn config(&self, version: Option<Version>, inbound: u16) -> Result<Config> {
        let session_send_buffer = Config::v2().max_session_send_queue();
        let send_buffer = bytes(self.send_buffer);
        let builder = Config::v2()
            .to_builder()
            .version(version.unwrap_or(Version::V2))
            .detect_version(version.is_none())
            .half_close(!self.no_half_close)
            .max_inbound_streams(inbound.into())
            .max_receive_buffer(bytes(self.receive_buffer))
            .max_stream_buffer(bytes(self.stream_buffer))
            .max_stream_send_queue(send_buffer)
            .max_session_send_queue(session_send_buffer.max(send_buffer))
            .max_frame_size(bytes(self.frame_size));
        // Nothing else tells that a KCP peer is gone.
        ensure!(
            self.transport != Transport::Kcp
                || (1e-3..=60.0).contains(&self.keep_alive.as_secs_f64()),
            "--transport kcp needs a --keep-alive of at most 60 seconds, and not 0"
        );
        let builder = if self.keep_alive.is_zero() {
            builder.keep_alive_disabled()
        } else {
            let timeout = self.keep_alive_timeout.unwrap_or(self.keep_alive * 3);
            builder
                .keep_alive_interval(self.keep_alive)
                .keep_alive_timeout(timeout)
                .keep_alive_required(true)
        };
        builder
            .build()
            .context("the arguments contradict each other")
    }
}

/// A value that does not fit is above the configuration's limit, which reports it.
fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration.is_zero() {
        return Err("must be more than 0".to_owned());
    }
    Ok(duration)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration > Duration::from_secs(24 * 3600) {
        return Err("more than a day".to_owned());
    }
    Ok(duration)
}
