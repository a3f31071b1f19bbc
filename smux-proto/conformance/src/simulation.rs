//! Runs of a [`World`] in which a seed decides every step: sizes, delays, stalls, failures, and
//! the applications' calls.

use std::time::Duration;

use fastrand::Rng;
use smux_proto::{Config, Version};

use crate::{
    pipe::{Death, Link},
    world::{Ending, Operation, SIDES, World},
};

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Operations performed, those to settle everything not counted.
    pub operations: u64,
    /// Bytes of stream data that arrived at both ends.
    pub payload: u64,
}

/// Runs the world of this seed to its end.
///
/// # Panics
///
/// If anything that must hold does not.
pub fn run(seed: u64) -> Outcome {
    let rng = &mut Rng::with_seed(seed);
    let config = config(rng);
    let mortal = rng.u8(..) < 64;
    let links = SIDES.map(|_| link(rng, mortal));
    let mut world = World::new(&config, links, seed);
    let habits = SIDES.map(|_| Habits::new(rng));
    let operations = rng.u64(50..1_500);
    for _ in 0..operations {
        let side = SIDES[usize::from(rng.bool())];
        let operation = habits[side as usize].choose(rng);
        world.perform(side, operation);
        world.check();
    }
    world.finish();
    let payload = world
        .stats()
        .iter()
        .map(|stats| stats.payload_received)
        .sum();
    Outcome {
        operations,
        payload,
    }
}

/// One of these, each as likely.
fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

fn config(rng: &mut Rng) -> Config {
    let budget = pick(rng, &[1, 500, 5_000, 100_000, 4 << 20, 4 << 20]);
    let stream = rng.usize(1..=budget.min(100_000));
    let frame = pick(rng, &[1, 100, 5_000, 32_768, 65_535]);
    // A link that moves single bytes should carry little.
    let queues = if budget.min(frame) < 100 { 0..3 } else { 0..5 };
    let queue = pick(rng, &[1, 100, 5_000, 131_072, 524_288][queues]);
    let builder = Config::builder()
        .version(pick(rng, &[Version::V1, Version::V2]))
        .half_close(rng.u8(..) < 200)
        .max_frame_size(frame)
        .max_receive_buffer(budget)
        .max_stream_buffer(stream)
        .max_stream_send_queue(queue)
        .max_session_send_queue(queue * pick(rng, &[1, 2, 100]))
        .accept_backlog(pick(rng, &[1, 3, 1_000]))
        .max_inbound_streams(pick(rng, &[0, 1, 5, 1_000, 1_000]))
        .max_outbound_streams(pick(rng, &[1, 5, 1_000]))
        .max_owed_refusals(100_000);
    let builder = match rng.u8(..3) {
        0 => builder.keep_alive_disabled(),
        1 => builder
            .keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(3)),
        _ => builder
            .keep_alive_interval(Duration::from_secs(60))
            .keep_alive_timeout(Duration::from_secs(86_400)),
    };
    builder.build().expect("valid")
}

fn link(rng: &mut Rng, mortal: bool) -> Link {
    let death = mortal.then(|| (rng.u64(..30_000), pick(rng, &[Death::Eof, Death::Reset])));
    Link {
        capacity: pick(rng, &[1, 30, 1_000, 1 << 20, 1 << 20]),
        delay: Duration::from_millis(pick(rng, &[0, 0, 0, 1, 80, 400])),
        rate: None,
        max_cut: pick(rng, &[1, 100, 3_000, 65_536, 65_536]),
        death: death.filter(|_| rng.bool()),
    }
}

/// How often each operation happens at one end: a slow reader rarely reads, a stalled connection
/// rarely moves, a full backlog comes from rarely accepting.
#[derive(Debug)]
struct Habits {
    weights: [u32; KINDS],
    largest: u16,
}

const KINDS: usize = 16;

impl Habits {
    fn new(rng: &mut Rng) -> Self {
        let usual = [4, 10, 30, 5, 30, 5, 5, 5, 1, 2, 80, 80, 40, 4, 1, 1];
        let weights = usual.map(|weight: u32| weight * pick(rng, &[0, 1, 10, 10, 10, 10, 40]) + 1);
        let largest = pick(rng, &[10, 1_000, 60_000, 60_000]);
        Self { weights, largest }
    }

    fn choose(&self, rng: &mut Rng) -> Operation {
        let mut ticket = rng.u32(..self.weights.iter().sum::<u32>());
        let kind = self
            .weights
            .iter()
            .position(|&weight| match ticket.checked_sub(weight) {
                Some(rest) => {
                    ticket = rest;
                    false
                }
                None => true,
            });
        let (stream, length) = (rng.u8(..), rng.u16(..=self.largest));
        match kind.unwrap_or(KINDS) {
            0 => Operation::Open,
            1 => Operation::Accept,
            2 => Operation::Write { stream, length },
            3 => Operation::WriteBytes { stream, length },
            4 => Operation::Read { stream, length },
            5 => Operation::ReadBytes { stream, length },
            6 => Operation::Consume { stream, length },
            7 => Operation::Flush { stream },
            8 => Operation::Finish { stream },
            9 => Operation::Close { stream },
            10 => Operation::Send,
            11 => Operation::Receive,
            12 => Operation::Look,
            13 => Operation::Wait {
                millis: rng.u16(..2_000),
            },
            14 => Operation::StopReading { stream },
            _ => {
                let how = pick(
                    rng,
                    &[
                        Ending::StopAccepting,
                        Ending::Drain,
                        Ending::Close,
                        Ending::Abort,
                    ],
                );
                Operation::End {
                    how,
                    sure: rng.u8(..20),
                }
            }
        }
    }
}
