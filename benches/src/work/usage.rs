//! What this process uses.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Resident bytes.
pub(super) fn resident() -> Result<f64> {
    let stats = memory_stats::memory_stats().context("this system does not tell")?;
    Ok(stats.physical_mem as f64)
}

/// What the threads that still run have used of their processors.
pub(super) fn processor_time() -> Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").context("this system does not tell")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().context("empty")?;
        nanos += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
