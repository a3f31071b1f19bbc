//! Two sessions on any connection carry what was written, in order and once.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};
use smux_conformance::{
    pipe::Link,
    world::{Operation, SIDES, World},
};
use smux_proto::Config;

use crate::{cases, version};

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
        operations in vec((select(&SIDES), operation()), 1..400),
    ) {
        let config = Config::builder()
            .version(version)
            .max_receive_buffer(budget)
            .max_stream_buffer(budget.min(65_536))
            // Limits high enough that no stream is refused.
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
        let mut world = World::new(&config, links, seed);
        for (side, operation) in operations {
            world.perform(side, operation);
            world.check();
            prop_assert!(world.is_open(), "neither application ends its session");
        }
        world.finish();
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let on_stream = || (any::<u8>(), 0..3_000_u16);
    prop_oneof![
        5 => Just(Operation::Open),
        10 => Just(Operation::Accept),
        15 => on_stream().prop_map(|(stream, length)| Operation::Write { stream, length }),
        5 => on_stream().prop_map(|(stream, length)| Operation::WriteBytes { stream, length }),
        10 => on_stream().prop_map(|(stream, length)| Operation::Read { stream, length }),
        5 => on_stream().prop_map(|(stream, length)| Operation::ReadBytes { stream, length }),
        5 => on_stream().prop_map(|(stream, length)| Operation::Consume { stream, length }),
        5 => any::<u8>().prop_map(|stream| Operation::Flush { stream }),
        2 => any::<u8>().prop_map(|stream| Operation::Finish { stream }),
        1 => any::<u8>().prop_map(|stream| Operation::StopReading { stream }),
        2 => any::<u8>().prop_map(|stream| Operation::Close { stream }),
        30 => Just(Operation::Send),
        30 => Just(Operation::Receive),
        20 => Just(Operation::Look),
        5 => (0..15_000_u16).prop_map(|millis| Operation::Wait { millis }),
    ]
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
