use bytesize::ByteSize;
use clap::Parser;
use smux_tokio::Version;

/// Move checked data through smux over TCP and compare the speed with raw TCP.
///
/// Without --listen or --connect, both ends run in this process over loopback.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
pub(crate) struct Args {
    /// Be the server only: wait for clients on ADDR (port 0 picks a free port)
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["connect", "bytes", "streams", "smux_version"])]
    pub listen: Option<String>,

    /// With --listen: exit when the first session has ended
    #[arg(long, requires = "listen")]
    pub once: bool,

    /// Be the client only: run the measurement against the server at ADDR
    #[arg(long, value_name = "ADDR")]
    pub connect: Option<String>,

    /// Data to move in each measurement, such as 64MiB or 2GiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = parse_size)]
    pub bytes: ByteSize,

    /// Streams in the measurement with many streams
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub streams: u32,

    /// Version of the smux protocol, 1 or 2
    #[arg(long, value_name = "VERSION", default_value_t = Version::V2)]
    pub smux_version: Version,

    /// Worker threads of the runtime, of each end if both run here [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

fn parse_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| "not a size such as 64MiB or 2GiB")?;
    // Below this a measurement is over before it can be timed; above it, counters would only waste
    // time.
    if (ByteSize::mib(1)..=ByteSize::tib(1)).contains(&size) {
        Ok(size)
    } else {
        Err("must be between 1MiB and 1TiB".to_owned())
    }
}
