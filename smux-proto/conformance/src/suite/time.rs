//! How scenarios wait, and the bare ends of connections, whose calls wait too.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use super::memory::Memory;

/// How long a scripted peer waits for a byte, and how long a scenario waits for a condition.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Something that a scenario does beside other things.
pub type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

/// The time in which a host's scenarios run: [real](RealTime) or
/// [virtual](super::virtual_time::VirtualTime).
pub trait Time: fmt::Debug + Send + Sync {
    /// Runs all tasks at the same time, and waits for them.
    fn join(&self, tasks: Vec<Task<'_>>);

    /// Lets time pass in which nothing else is to happen.
    fn elapse(&self, time: Duration);

    /// Waits for a condition that no call waits for.
    ///
    /// # Panics
    ///
    /// If that takes too long.
    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool);

    /// One end of a connection in memory, whose calls wait in this time.
    fn wire(&self, end: Memory) -> Box<dyn Wire>;
}

/// The bare end of a connection. Dropping it closes the connection.
pub trait Wire: Read + Write + Send {
    /// Ends the writing direction.
    fn finish(&mut self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Real time, in which threads wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct RealTime;

impl Time for RealTime {
    fn join(&self, tasks: Vec<Task<'_>>) {
        thread::scope(|scope| {
            for task in tasks {
                scope.spawn(task);
            }
        });
    }

    fn elapse(&self, time: Duration) {
        pause(time);
    }

    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(
                Instant::now() < end,
                "waited {PATIENCE:?} in vain until {what}"
            );
            pause(Duration::from_millis(1));
        }
    }

    fn wire(&self, end: Memory) -> Box<dyn Wire> {
        Box::new(end)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the scenario waits for time to pass, or for counters without an event"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}
