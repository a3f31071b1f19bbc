//! Memory and processor time of this process, on Linux.

use std::{fs, time::Duration};

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// Bytes of memory in use.
    pub(crate) resident: u64,
    /// Processor time so far, in user and kernel mode.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// `None` where there is no `/proc`.
    pub(crate) fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        // Nanoseconds on the processor, of the only thread.
        let scheduled = fs::read_to_string("/proc/self/schedstat").ok()?;
        let nanos = scheduled.split(' ').next()?.parse().ok()?;
        Some(Self {
            resident: kib * 1024,
            cpu: Duration::from_nanos(nanos),
        })
    }
}
