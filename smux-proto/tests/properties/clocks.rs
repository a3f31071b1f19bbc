//! When a peer is declared dead, whatever the clock does.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use smux_conformance::{
    frame::{nop, syn},
    harness::Harness,
};
use smux_proto::Config;

use crate::cases;

const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// How late the driver must look at a deadline for the peer to get a grace period.
const LATE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Step {
    /// How far the clock moves: not at all, a little, over a deadline, or over a suspend.
    millis: u64,
    /// Whether it jumps back instead.
    back: bool,
    /// A frame of the peer is read before the driver looks at its deadline.
    heard: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let millis = prop_oneof![
        2 => Just(0),
        2 => Just(1_000),
        4 => 0..15_000_u64,
        2 => 25_000..45_000_u64,
        1 => 0..10_000_000_u64,
    ];
    (millis, prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        |(millis, back, heard)| Step {
            millis,
            back,
            heard,
        },
    )
}

proptest! {
    #![proptest_config(cases(500))]

    /// A silent peer is declared dead at the first look after its deadline, never before. If that
    /// look is late, the peer gets one grace period first.
    #[test]
    fn each_silence_gets_at_most_one_grace(steps in vec(step(), 1..60), stuck in any::<bool>()) {
        let mut harness = Harness::client(Config::default());
        harness.peer_sends([nop()]);
        if stuck {
            harness.set_transport_room(0);
            harness.open();
            harness.pump();
        }
        let (mut clock, mut now) = (Duration::ZERO, Duration::ZERO);
        let mut ends = TIMEOUT;
        let mut grace_left = true;
        for Step { millis, back, heard } in steps {
            let time = Duration::from_millis(millis);
            clock = if back { clock.saturating_sub(time) } else { clock + time };
            now = now.max(clock);
            if heard {
                let bytes = syn(2).encode(smux_proto::Version::V1);
                prop_assert_eq!(harness.session.handle_input(clock, &bytes), Ok(8));
                ends = now + TIMEOUT;
                grace_left = true;
            }
            harness.session.handle_timeout(clock);
            harness.skip(now - harness.now());
            harness.pump();
            if now >= ends {
                if grace_left && now - ends >= LATE {
                    grace_left = false;
                    ends = now + INTERVAL;
                } else {
                    prop_assert!(harness.session.is_closed(), "silent until {:?}", now);
                    return Ok(());
                }
            }
            prop_assert!(!harness.session.is_closed(), "declared dead at {:?}, before {:?}", now, ends);
            let due = harness.session.poll_timeout().expect("keep-alive is on");
            prop_assert!(due <= ends, "the driver is told of the end");
        }
    }
}
