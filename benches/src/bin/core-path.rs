//! Walks one path of the core a given number of times, to count its instructions: see
//! `instructions.sh`.

use clap::{Parser, ValueEnum};
use smux_benches::Pair;
use smux_proto::Version;

#[derive(Parser)]
struct Cli {
    #[arg(long, value_enum)]
    path: Path,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Streams that are open.
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// Messages, or streams to open and close, in each round.
    #[arg(long, default_value_t = 64)]
    round: usize,
    #[arg(long)]
    rounds: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Path {
    Out,
    In,
    ThroughV1,
    ThroughV2,
    OpenClose,
}

fn main() {
    let cli = Cli::parse();
    let version = if matches!(cli.path, Path::ThroughV2) {
        Version::V2
    } else {
        Version::V1
    };
    let mut pair = Pair::new(version, cli.streams, cli.size);
    let wire = if matches!(cli.path, Path::In) {
        pair.wire(cli.round)
    } else {
        Vec::new()
    };
    for _ in 0..cli.rounds {
        match cli.path {
            Path::Out => pair.frames_out(cli.round),
            Path::In => pair.frames_in(&wire),
            Path::ThroughV1 | Path::ThroughV2 => pair.through(cli.round),
            Path::OpenClose => pair.open_close(cli.round),
        }
    }
}
