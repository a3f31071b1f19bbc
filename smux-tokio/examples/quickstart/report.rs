//! What the user sees: a bar on a terminal, plain lines everywhere, a table at the end.

use std::fs;
use std::time::Duration;

use bytesize::ByteSize;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use smux_tokio::Version;

use crate::work::PING;

/// Counts bytes on a bar. The bar goes to stderr and hides itself when that is not a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn bar() -> Self {
        let style = "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
        let style =
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::no_length().with_style(style))
    }

    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(crate) fn start(&self, what: &str, bytes: u64) {
        self.0.set_message(what.to_owned());
        self.0.set_length(bytes);
        self.0.reset();
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.inc(bytes as u64);
    }

    /// Prints what the job that was started has done, and returns its rate.
    pub(crate) fn moved(&self, bytes: u64, time: Duration) -> Rate {
        let rate = Rate { bytes, time };
        let line = format!(
            "{}: {} in {:.2} s, {:.0} MB/s, checksums equal",
            self.0.message(),
            ByteSize(bytes),
            time.as_secs_f64(),
            rate.megabytes_per_second()
        );
        self.0.suspend(|| println!("{line}"));
        rate
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    bytes: u64,
    time: Duration,
}

impl Rate {
    fn megabytes_per_second(self) -> f64 {
        self.bytes as f64 / 1e6 / self.time.as_secs_f64()
    }
}

/// The same measurement over smux and over raw TCP.
#[derive(Clone, Debug)]
pub(crate) struct Pair<T> {
    pub smux: T,
    pub raw: T,
}

/// Whether the memory of this process is that of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BothEnds {
    Yes,
    No,
}

#[derive(Debug)]
pub(crate) struct Report {
    both_ends: BothEnds,
    version: Version,
    rates: Vec<(String, Pair<Rate>)>,
    round_trips: Option<Pair<Histogram<u64>>>,
}

impl Report {
    pub(crate) fn new(both_ends: BothEnds, version: Version) -> Self {
        Self {
            both_ends,
            version,
            rates: Vec::new(),
            round_trips: None,
        }
    }

    pub(crate) fn rate(&mut self, label: String, rates: Pair<Rate>) {
        self.rates.push((label, rates));
    }

    pub(crate) fn round_trips(&mut self, times: Pair<Histogram<u64>>) {
        self.round_trips = Some(times);
    }

    pub(crate) fn print(&self) {
        let version = format!("smux v{}", self.version);
        println!();
        print_row("", &version, "raw TCP", "smux / raw");
        for (label, Pair { smux, raw }) in &self.rates {
            let (smux, raw) = (smux.megabytes_per_second(), raw.megabytes_per_second());
            print_row(
                &format!("{label}, MB/s"),
                &format!("{smux:.0}"),
                &format!("{raw:.0}"),
                &format!("{:.2}", smux / raw),
            );
        }
        if let Some(Pair { smux, raw }) = &self.round_trips {
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                let micros =
                    |times: &Histogram<u64>| times.value_at_quantile(quantile) as f64 / 1e3;
                print_row(
                    &format!("round trip of {PING} bytes, {name}, µs"),
                    &format!("{:.1}", micros(smux)),
                    &format!("{:.1}", micros(raw)),
                    &format!("{:.2}", micros(smux) / micros(raw)),
                );
            }
        }
        println!(
            "(the sender opens the streams; raw TCP has one connection per stream, at most 100)"
        );
        let whose = match self.both_ends {
            BothEnds::Yes => " (both ends, raw TCP included)",
            BothEnds::No => " (this end, raw TCP included)",
        };
        match resident_memory() {
            Some(memory) => println!("{memory}{whose}"),
            None => println!("memory: not known on this system"),
        }
    }
}

fn print_row(label: &str, smux: &str, raw: &str, ratio: &str) {
    println!("{label:<42}{smux:>10}{raw:>10}{ratio:>12}");
}

/// What this process holds now and has held at most. `None` where `/proc` does not tell (not
/// Linux).
pub(crate) fn resident_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line
            .trim_start_matches(':')
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(ByteSize::kib(kib))
    };
    Some(format!(
        "resident memory: {} at the peak, {} now",
        field("VmHWM")?,
        field("VmRSS")?
    ))
}
