//! The life of streams, from SYN to the last FIN.

mod closing;
mod draining;
mod half_close;
mod opening;
mod refusing;
mod stop_reading;

use smux_conformance::{frame::syn, harness::Harness};
use smux_proto::{Config, ConfigBuilder, StreamId, Version};

const BOTH: [Version; 2] = [Version::V1, Version::V2];

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

fn client(version: Version) -> Harness {
    Harness::client(config(version).build().expect("valid"))
}

fn server(version: Version) -> Harness {
    Harness::server(config(version).build().expect("valid"))
}

/// A server with stream 3 accepted, nothing left to expect, no events waiting.
fn server_with_stream(version: Version) -> (Harness, StreamId) {
    let mut harness = server(version);
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.events();
    (harness, id)
}
