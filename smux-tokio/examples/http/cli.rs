use clap::Parser;

/// Serve HTTP over the streams of one smux session, and put its latency beside plain TCP.
#[derive(Debug, Parser)]
#[command(name = "http")]
pub(crate) struct Args {
    /// Requests to send, over smux and over TCP each
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub requests: u64,

    /// Requests that are under way at the same time, as far as there are streams for them
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub concurrency: u32,

    /// Streams of the session, each a connection that is kept alive; as many TCP connections, which
    /// need two file descriptors each [default: the concurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub streams: Option<u32>,
}

impl Args {
    pub(crate) fn streams(&self) -> u32 {
        self.streams.unwrap_or(self.concurrency)
    }
}
