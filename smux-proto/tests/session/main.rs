//! The session: its configuration, its clocks, and every way in which it ends.

mod closing;
mod config;
mod keep_alive;
mod pairs;
mod regressions;
mod write_errors;
