//! What the user sees on standard error: log entries, and below them, if wanted, live statistics.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::ProgressBar;
use tokio::time::{Instant, MissedTickBehavior};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::statistics::{Statistics, Totals};

const REFRESH: Duration = Duration::from_millis(500);

/// The line with the statistics; hidden unless it was asked for and standard error is a terminal.
#[derive(Clone)]
pub(crate) struct Terminal(ProgressBar);

impl Terminal {
    pub(crate) fn new(wanted: bool) -> Self {
        Self(if wanted && io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        })
    }

    /// Sends log entries here; also those of libraries that use the `log` crate.
    pub(crate) fn log(&self, level: LevelFilter) {
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(self.clone())
            .init();
    }

    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }

    /// Refreshes the line until dropped.
    pub(crate) async fn show(&self, statistics: &Statistics) {
        let mut ticks = tokio::time::interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = (Instant::now(), Totals::default());
        loop {
            ticks.tick().await;
            let now = (Instant::now(), statistics.totals());
            let elapsed = (now.0 - before.0).as_millis().max(1);
            let rate = |now: u64, before: u64| {
                let per_second = u128::from(now.saturating_sub(before)) * 1000 / elapsed;
                ByteSize(u64::try_from(per_second).unwrap_or(u64::MAX))
            };
            self.0.set_message(format!(
                "{}; {}/s up, {}/s down",
                now.1,
                rate(now.1.sent, before.1.sent),
                rate(now.1.received, before.1.received),
            ));
            self.0.tick();
            before = now;
        }
    }
}

/// Writes entries above the line.
impl Write for &Terminal {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(entry))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}
