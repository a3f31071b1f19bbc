//! The session: its configuration, its clocks, and every way in which it ends.

mod batches;
mod closing;
mod config;
mod embedding;
mod keep_alive;
mod pairs;
mod regressions;
mod sums;
mod text;
mod write_errors;
