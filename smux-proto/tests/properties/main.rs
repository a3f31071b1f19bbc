//! Properties that hold for any frames, cuts, calls and connections.

mod accepted;
mod calls;
mod clocks;
mod cuts;
mod fuzz_corpus;
mod simulation;
mod streams;

use proptest::{prelude::*, sample::select};
use smux_conformance::frame::{Frame, counting, fin, nop, psh, syn, upd};
use smux_proto::{Config, Version};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn version() -> impl Strategy<Value = Version> {
    select(vec![Version::V1, Version::V2])
}

/// Few ids, so that frames hit the same streams.
fn id() -> impl Strategy<Value = u32> {
    select(vec![2, 3, 4, 5, 7, 9])
}

fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        3 => id().prop_map(syn),
        2 => id().prop_map(fin),
        6 => (id(), 0..3_000_usize).prop_map(|(id, len)| psh(id, counting(len))),
        1 => Just(nop()),
        2 => (id(), 0..5_000_u32, any::<u32>())
            .prop_map(|(id, consumed, window)| upd(id, consumed, window)),
    ]
}

fn small(version: Version) -> Config {
    let config = Config::builder()
        .version(version)
        .max_receive_buffer(10_000)
        .max_stream_buffer(4_000);
    config
        .accept_backlog(3)
        .max_inbound_streams(4)
        .build()
        .expect("valid")
}
