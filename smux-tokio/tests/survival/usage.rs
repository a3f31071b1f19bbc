//! Resources that the process holds.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::runtime::Builder;

use crate::ends::End;

/// Memory that the allocator may keep: a small part of what passes through it.
fn slack() -> u64 {
    crate::size(12, 48) << 20
}

/// Generous: nothing waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test while no other runs, with its runtime: one that another test makes or drops
/// meanwhile would count.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test);
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Where the system tells.
    descriptors: Option<usize>,
    resident: Option<u64>,
    tasks: usize,
}

impl Usage {
    pub(crate) fn of(ends: &[&End]) -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            descriptors: descriptors.map(Iterator::count),
            resident: resident(),
            tasks: ends.iter().map(|end| end.tasks()).sum(),
        }
    }

    fn is_within(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.resident <= before.resident.map(|bytes| bytes + slack())
            && self.tasks <= before.tasks
    }
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

/// Runs the same round three times. The first may leave resources in use; the others must add
/// none.
pub(crate) async fn leaves_nothing(ends: &[&End], round: impl AsyncFn()) {
    let idle = Usage::of(ends);
    round().await;
    let first = settled(
        ends,
        &Usage {
            resident: None,
            ..idle
        },
    )
    .await;
    for _ in 0..2 {
        round().await;
        settled(
            ends,
            &Usage {
                resident: first.resident,
                ..idle
            },
        )
        .await;
    }
}

/// Waits until no more is held than `before`. Memory is compared only where `before` has a figure.
async fn settled(ends: &[&End], before: &Usage) -> Usage {
    let settled = tokio::time::timeout(LIMIT, async {
        loop {
            let mut now = Usage::of(ends);
            let resident = now.resident;
            if before.resident.is_none() {
                now.resident = None;
            }
            if now.is_within(before) {
                return Usage { resident, ..now };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    match settled.await {
        Ok(usage) => usage,
        Err(_) => panic!("{:?} is held, {before:?} before", Usage::of(ends)),
    }
}
