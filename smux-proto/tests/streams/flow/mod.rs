//! Flow control: the receive budget that all streams share, and the windows of version 2.

mod budget;
mod demand;
mod long_links;
mod overruns;
mod promise;
mod receiver;
mod run_time_limits;
mod sender;
mod slow_readers;
mod stalls;
mod starving;
mod wrap;

use smux_conformance::{
    frame::{Frame, counting, psh, syn},
    harness::Harness,
};
use smux_proto::{Config, ConfigBuilder, StreamId, Version};

/// A sender's window before the first update.
const INITIAL: usize = 262_144;
/// The receive budget of the defaults.
const BUDGET: usize = 4_194_304;

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

fn build(config: ConfigBuilder) -> Config {
    config.build().expect("valid")
}

/// A server with stream 3 accepted, nothing left to expect, no events waiting.
fn server(config: ConfigBuilder) -> (Harness, StreamId) {
    let mut harness = Harness::server(build(config));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.events();
    (harness, id)
}

/// Bytes that have arrived and count against the budget.
fn buffered(harness: &Harness) -> usize {
    harness.session.stats().receive_buffered
}

/// This much data, in frames of the usual size.
fn data_frames(id: u32, len: usize) -> Vec<Frame> {
    counting(len)
        .chunks(32_768)
        .map(|chunk| psh(id, chunk))
        .collect()
}
