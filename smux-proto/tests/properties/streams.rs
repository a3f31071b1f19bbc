//! Two sessions on any connection carry what was written, in order and once.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};
use smux_conformance::pipe::Link;
use smux_proto::Config;

use crate::{cases, model::ops, version, world::World};

proptest! {
    #![proptest_config(cases(80))]

    /// Two sessions, any calls, any connection: each stream does what a queue of bytes would do.
    #[test]
    fn streams_carry_what_was_written(
        version in version(),
        budget in prop_oneof![300..5_000_usize, Just(4_194_304)],
        links in [link(), link()],
        half_close in any::<bool>(),
        tight in any::<bool>(),
        seed in any::<u64>(),
        ops in vec(ops(), 1..80),
    ) {
        let config = Config::builder()
            .version(version)
            .max_receive_buffer(budget)
            .max_stream_buffer(budget.min(65_536))
            // So many streams fit that none is refused.
            .window_floor(1)
            .max_frame_size(1_000)
            .max_stream_send_queue(if tight { 500 } else { 5_000 })
            .max_session_send_queue(if tight { 600 } else { 8_000 })
            .initial_send_window(if tight { 400 } else { 262_144 })
            .half_close(half_close)
            // An application that does not read for long would look like a dead peer.
            .keep_alive_timeout(Duration::from_secs(3_600))
            .build()
            .expect("valid");
        let mut world = World::new(config, links, seed);
        for op in ops {
            world.perform(op);
            world.check();
        }
        world.finish();
    }
}

fn link() -> impl Strategy<Value = Link> {
    (
        select(vec![16, 300, 5_000, 1 << 20]),
        0..50_u64,
        select(vec![1, 7, 900, 65_536]),
    )
        .prop_map(|(capacity, delay, max_cut)| Link {
            capacity,
            delay: Duration::from_millis(delay),
            rate: None,
            max_cut,
            death: None,
        })
}
