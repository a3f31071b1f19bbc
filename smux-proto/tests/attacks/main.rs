//! Every attack that a session must survive, by number, with a scripted peer as the attacker.
//!
//! For all of them: no panic, memory bounded by the configuration, an error that names its cause,
//! and other streams go on unless the session is to end. `SECURITY.md` has the table of attacks and
//! the limit that stops each. Memory and allocations are counted, time is virtual.
//!
//! | file | attacks |
//! |---|---|
//! | `framing` | 1–8: malformed frames, and frames in odd pieces |
//! | `life` | 9–15, 49: opening, ending, stream ids |
//! | `flow` | 16–24: data, windows, the receive budget |
//! | `updates` | 25–31: window updates |
//! | `writer` | 32–35: a peer or a transport that takes nothing |
//! | `liveness` | 36–40: keep-alives, silence, clocks |
//! | `fairness` | 41–43: many streams, big streams |
//! | `teardown` | 44–48: ends of streams, transports and sessions |

mod fairness;
mod flow;
mod framing;
mod life;
mod liveness;
mod teardown;
mod updates;
mod writer;

use allocation_counter::AllocationInfo;
use smux_conformance::{
    frame::{Frame, syn},
    harness::Harness,
};
use smux_proto::{Config, ConfigBuilder, SessionStats, StreamId, Version};

const BOTH: [Version; 2] = [Version::V1, Version::V2];
/// A sender's window before the first update.
const INITIAL_WINDOW: usize = 262_144;
/// Largest payload of a frame.
const MAX_FRAME: usize = 65_535;

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

fn server(config: ConfigBuilder) -> Harness {
    Harness::server(config.build().expect("valid"))
}

fn client(config: ConfigBuilder) -> Harness {
    Harness::client(config.build().expect("valid"))
}

/// A server with stream 3 accepted, nothing left to expect, no events waiting.
fn server_with_stream(config: ConfigBuilder) -> (Harness, StreamId) {
    let mut harness = server(config);
    let id = accept(&mut harness, 3);
    (harness, id)
}

/// The peer opens this stream and the application takes it.
fn accept(harness: &mut Harness, id: u32) -> StreamId {
    harness.peer_sends([syn(id)]);
    let id = harness.accept();
    harness.events();
    harness.discard_output();
    id
}

/// Ids of the client's streams from 3 on.
fn ids(count: usize) -> impl Iterator<Item = u32> + Clone {
    (3..).step_by(2).take(count)
}

/// These frames as they come from the transport.
fn wire(version: Version, frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames
        .into_iter()
        .flat_map(|frame| frame.encode(version))
        .collect()
}

fn stats(harness: &Harness) -> SessionStats {
    harness.session.stats()
}

/// The session still serves: what comes on another stream is read, what is written leaves.
fn assert_serves(harness: &mut Harness, id: StreamId) {
    harness.take_frames();
    harness.peer_sends([smux_conformance::frame::psh(id.get(), "still")]);
    assert_eq!(harness.read(id), b"still");
    harness.write(id, b"here");
    let answer = harness
        .take_frames()
        .into_iter()
        .find(|frame| frame.payload == b"here");
    assert_eq!(answer.map(|frame| frame.id), Some(id.get()));
}

/// Counts the allocations of `work` on this thread.
fn measure(work: impl FnOnce()) -> AllocationInfo {
    allocation_counter::measure(work)
}

/// `SECURITY.md` promises a row and a test for each attack.
#[test]
fn every_attack_has_a_row_and_a_test() {
    let table = include_str!("../../../SECURITY.md");
    let tests = [
        include_str!("framing.rs"),
        include_str!("life.rs"),
        include_str!("flow.rs"),
        include_str!("updates.rs"),
        include_str!("writer.rs"),
        include_str!("liveness.rs"),
        include_str!("fairness.rs"),
        include_str!("teardown.rs"),
    ];
    for attack in 1..=49 {
        let rows = table
            .lines()
            .filter(|line| line.starts_with(&format!("| {attack} |")));
        assert_eq!(rows.count(), 1, "rows of attack {attack}");
        let name = format!("#[test]\nfn attack_{attack:02}_");
        assert!(
            tests.iter().any(|file| file.contains(&name)),
            "a test of attack {attack}"
        );
    }
}
