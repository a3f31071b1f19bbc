use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, mpsc},
    task::Poll,
    thread,
    time::Duration,
};

use super::{Part, VirtualTime};
use crate::suite::time::{Task, Time};

/// Looks at the clock while it works.
struct Clockwork(VirtualTime);

impl Part for Clockwork {
    fn step(&mut self, now: Duration) -> bool {
        assert_eq!(self.0.now(), now);
        false
    }

    fn next_timer(&self) -> Option<Duration> {
        None
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// All threads wait for something that never happens: one notices, and the others end with it.
#[test]
fn a_failure_ends_every_thread() {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let time = VirtualTime::new();
        for _ in 0..3 {
            time.add(Arc::new(Mutex::new(Clockwork(time.clone()))));
        }
        let tasks =
            (0..100).map(|_| -> Task<'_> { Box::new(|| time.block(|| Poll::<()>::Pending)) });
        let tasks = tasks.collect();
        let result = panic::catch_unwind(AssertUnwindSafe(|| time.join(tasks)));
        // The receiver is gone if it took too long.
        let _ = ended.send(result.is_err());
    });
    let failed = end.recv_timeout(Duration::from_secs(30));
    assert_eq!(failed, Ok(true), "hangs if it is a timeout");
}
