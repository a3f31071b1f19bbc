//! This layer with its tasks in orders that a scheduler picks.
//!
//! `shuttle` runs the tasks of a scenario as coroutines and decides at every lock which of them
//! goes on; handles and pumps share nothing that is not behind one. After `Pending` a task goes on
//! only if its waker was woken: a missed wake-up ends as a deadlock. A failure prints its schedule,
//! which `shuttle::replay` in place of `explore` repeats.
//!
//! Each run takes other schedules, `cargo test` a few.
//! `SMUX_SCHEDULES=100000 cargo test --release -p smux-proto --features poll --lib interleavings`
//! takes many.

mod budget;
mod endings;
mod locks;
mod outboxes;
mod sessions;
mod streams;
mod wire;

use std::{env, future::poll_fn, pin::pin, task::Poll, time::Duration, vec, vec::Vec};

use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    rand::{Rng, thread_rng},
};

use super::{Clock, Pumps, ReadHandle, SessionHandle, Transport, WriteHandle, connect};
use crate::{Config, Side, StreamError, Version};
use wire::{Time, Wire};

/// Schedules of each kind for a scenario, unless `SMUX_SCHEDULES` says how many.
const FEW: usize = 100;

/// Points at which the second scheduler preempts a task; most races need one or two.
const PREEMPTIONS: usize = 3;

/// The tasks that move a session: one for all, or one for each direction and one for the deadlines.
#[derive(Clone, Copy, Debug)]
enum Movers {
    Driver,
    Pumps,
}

fn explore(scenario: impl Fn(Movers) + Copy + Send + Sync + 'static) {
    let schedules = env::var("SMUX_SCHEDULES").map_or(FEW, |number| {
        number.parse().expect("SMUX_SCHEDULES is a number")
    });
    for movers in [Movers::Driver, Movers::Pumps] {
        shuttle::check_random(move || scenario(movers), schedules);
        shuttle::check_pct(move || scenario(movers), schedules, PREEMPTIONS);
    }
}

/// Small limits, so that the tasks wait for each other; closing never runs out of time.
fn tight(version: Version) -> Config {
    Config::builder()
        .version(version)
        .max_frame_size(20)
        .max_receive_buffer(32)
        .max_stream_buffer(16)
        .window_floor(16)
        .initial_send_window(16)
        .max_stream_send_queue(24)
        .max_outbound_streams(2)
        .close_timeout(Duration::from_secs(3600))
        .build()
        .expect("valid")
}

/// The tasks that move a session.
struct Running {
    tasks: Vec<JoinHandle<()>>,
    /// Whatever is left of the session has a clock, and with it a part of this.
    time: Time,
}

impl Running {
    /// Waits until the tasks have ended by themselves. No handle of the session may be left then,
    /// nor anything else.
    async fn ended(self) {
        for task in self.tasks {
            task.await.expect("ends without panic");
        }
        assert!(!self.time.is_shared(), "something of the session is left");
    }

    /// Drops one of the tasks. The others end by themselves.
    async fn stop_one(mut self) -> Self {
        let any = thread_rng().gen_range(0..self.tasks.len());
        let task = self.tasks.swap_remove(any);
        task.abort();
        let stopped = task.await;
        assert!(stopped.is_err(), "the session had not ended");
        self
    }
}

fn start(movers: Movers, side: Side, config: Config, wire: Wire) -> (SessionHandle, Running) {
    let time = wire.time.clone();
    let clock = Clock::new({
        let time = time.clone();
        move || time.now()
    });
    let (session, tasks) = match movers {
        Movers::Driver => {
            let (session, driver) = connect(side, config, clock, wire);
            let task = spawn(async {
                driver.await;
            });
            (session, vec![task])
        }
        Movers::Pumps => {
            let (session, pumps) = Pumps::new(side, config, clock);
            (session, spawn_pumps(pumps, wire))
        }
    };
    (session, Running { tasks, time })
}

fn spawn_pumps(pumps: Pumps, mut wire: Wire) -> Vec<JoinHandle<()>> {
    let Pumps {
        mut read,
        mut write,
        mut timer,
    } = pumps;
    let mut input = wire.input.clone();
    let mut output = wire.output.clone();
    vec![
        spawn(async move { poll_fn(|cx| read.poll(cx, &mut input)).await }),
        spawn(async move { poll_fn(|cx| write.poll(cx, &mut output)).await }),
        // The wire is dropped when this ends, which ends the other two.
        spawn(async move {
            poll_fn(|cx| timer.poll(cx, |cx, until| wire.poll_sleep(cx, until))).await;
        }),
    ]
}

/// A client and a server on the two ends of a wire that holds this many bytes.
fn pair(movers: Movers, config: &Config, capacity: usize) -> [(SessionHandle, Running); 2] {
    let (client, server) = wire::pair(capacity);
    [
        start(movers, Side::Client, config.clone(), client),
        start(movers, Side::Server, config.clone(), server),
    ]
}

async fn write_all(to: &WriteHandle, mut data: &[u8]) -> Result<(), StreamError> {
    while !data.is_empty() {
        let written = poll_fn(|cx| to.stream().poll_write(cx, data)).await?;
        data = &data[written..];
    }
    Ok(())
}

async fn read_to_end(from: &ReadHandle) -> Result<Vec<u8>, StreamError> {
    let mut data = Vec::new();
    while poll_fn(|cx| from.stream().poll_read_buf(cx, &mut data)).await? > 0 {}
    Ok(data)
}

/// Polls `future` a few times, whatever wakes it, and gives up.
async fn given_up<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..2 {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        yield_now().await;
    }
    None
}
