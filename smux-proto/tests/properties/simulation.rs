//! Pairs of sessions in virtual time on bad connections, decided by seeds.
//!
//! `cargo test` runs a few.
//! `SMUX_SEEDS=1000000 cargo test --release -p smux-proto --test properties simulation` runs many,
//! `SMUX_FIRST_SEED` says where to begin, and a run that failed is repeated with the
//! `SMUX_FIRST_SEED` that it printed and `SMUX_SEEDS=1`.

use std::{
    env, panic,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use smux_conformance::simulation;

/// Seeds of a run without `SMUX_SEEDS`.
const FEW: u64 = 300;

fn number(variable: &str, default: u64) -> u64 {
    let value = env::var(variable).ok();
    value.map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

#[test]
fn streams_carry_what_was_written_over_bad_connections() {
    let (first, count) = (number("SMUX_FIRST_SEED", 0), number("SMUX_SEEDS", FEW));
    let next = AtomicU64::new(first);
    let work = || {
        let (mut operations, mut payload) = (0, 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return (operations, payload);
            }
            let outcome = panic::catch_unwind(|| simulation::run(seed));
            let outcome = outcome
                .unwrap_or_else(|_| panic!("repeat it with SMUX_FIRST_SEED={seed} SMUX_SEEDS=1"));
            operations += outcome.operations;
            payload += outcome.payload;
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (mut operations, mut payload) = (0, 0);
    thread::scope(|scope| {
        for worker in (0..workers).map(|_| scope.spawn(work)).collect::<Vec<_>>() {
            let done = worker
                .join()
                .unwrap_or_else(|failure| panic::resume_unwind(failure));
            operations += done.0;
            payload += done.1;
        }
    });
    println!("{count} seeds: {operations} operations, {payload} bytes of stream data arrived");
    assert!(
        operations > 0 && (count < 100 || payload > 0),
        "nothing was tested"
    );
}
