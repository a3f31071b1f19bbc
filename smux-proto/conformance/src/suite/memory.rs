//! A connection in memory, as bad as its configured behaviour.

mod io_traits;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use fastrand::Rng;

/// How one direction of a [`Memory`] connection behaves.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// Bytes that were written and not read yet, at most; 0: it never takes a byte.
    pub capacity: usize,
    /// Each write and each read moves from 1 to this many bytes, at random.
    pub max_piece: usize,
    /// Every call is pending once before it succeeds, and wakes its task at once.
    pub hesitant: bool,
    /// What was written reaches the reader only when it is flushed.
    pub held_until_flush: bool,
    /// What happens after this many bytes.
    pub failure: Option<(u64, Failure)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::FAST
    }
}

impl Behaviour {
    /// Reads and writes of 1 to 7 bytes: every frame is cut, also in its header.
    pub const SHORT: Self = Self {
        max_piece: 7,
        ..Self::FAST
    };
    /// Moves a kilobyte at a time, and each call is pending first.
    pub const SLOW: Self = Self {
        capacity: 1000,
        hesitant: true,
        ..Self::FAST
    };
    /// Holds a kilobyte.
    pub const NARROW: Self = Self {
        capacity: 1000,
        ..Self::FAST
    };
    /// As a buffered writer.
    pub const BUFFERED: Self = Self {
        held_until_flush: true,
        ..Self::FAST
    };
    /// Never takes a byte.
    pub const STUCK: Self = Self {
        capacity: 0,
        ..Self::FAST
    };
    /// Takes and gives up to 64 KiB at once.
    pub const FAST: Self = Self {
        capacity: 65_536,
        max_piece: usize::MAX,
        hesitant: false,
        held_until_flush: false,
        failure: None,
    };

    /// A connection that fails after this many bytes.
    pub const fn failing(after: u64, failure: Failure) -> Self {
        Self {
            failure: Some((after, failure)),
            ..Self::FAST
        }
    }
}

/// How a direction ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reader sees the end; writing fails with `BrokenPipe`.
    Eof,
    /// Reading and writing fail with `ConnectionReset`.
    Reset,
    /// As `Eof`, but writing returns `Ok(0)`.
    WriteZero,
    /// Writing fails with `BrokenPipe`; the reader sees the end only when the writer is dropped or
    /// closed.
    WriteOnly,
}

/// As the operating system tells it, with its number.
fn broken_pipe() -> io::Error {
    io::Error::from_raw_os_error(if cfg!(windows) { 109 } else { 32 })
}

/// As the operating system tells it, with its number.
fn connection_reset() -> io::Error {
    io::Error::from_raw_os_error(match () {
        () if cfg!(windows) => 10_054,
        () if cfg!(any(target_os = "android", target_os = "linux")) => 104,
        () => 54,
    })
}

/// One end of a connection in memory. Dropping it closes both directions.
#[derive(Debug)]
pub struct Memory {
    incoming: Arc<Channel>,
    outgoing: Arc<Channel>,
}

impl Memory {
    /// Both ends; first the behaviour of what the first one writes.
    pub fn pair(there: Behaviour, back: Behaviour) -> (Self, Self) {
        let (there, back) = (Channel::new(there, 1), Channel::new(back, 2));
        let near = Self {
            incoming: Arc::clone(&back),
            outgoing: Arc::clone(&there),
        };
        let far = Self {
            incoming: there,
            outgoing: back,
        };
        (near, far)
    }

    /// Reads into `buf`; `Ok(0)` at the end.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.incoming.lock().read(cx, buf)
    }

    /// Writes some of `data`.
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing.lock().write(cx, data)
    }

    /// Passes held-back data to the reader.
    pub fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.lock().flush();
        Poll::Ready(Ok(()))
    }

    /// Ends the writing direction.
    pub fn poll_close(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.lock().end(Failure::Eof);
        Poll::Ready(Ok(()))
    }

    /// Ends both directions, and with them the calls that are blocked there.
    pub fn shutdown(&self) {
        self.outgoing.lock().end(Failure::Eof);
        self.incoming.lock().leave();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// One direction.
#[derive(Debug)]
struct Channel(Mutex<Direction>);

impl Channel {
    fn new(behaviour: Behaviour, seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Direction {
            behaviour,
            bytes: VecDeque::new(),
            held: 0,
            written: 0,
            ended: None,
            reader_gone: false,
            read: Party::default(),
            write: Party::default(),
            rng: Rng::with_seed(seed),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Direction> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Direction {
    behaviour: Behaviour,
    /// Written and not read; the last `held` of them are not flushed.
    bytes: VecDeque<u8>,
    held: usize,
    written: u64,
    ended: Option<Failure>,
    reader_gone: bool,
    read: Party,
    write: Party,
    rng: Rng,
}

/// A reader or a writer.
#[derive(Debug, Default)]
struct Party {
    waker: Option<Waker>,
    hesitated: bool,
}

impl Party {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn hesitates(&mut self, hesitant: bool, cx: &Context<'_>) -> bool {
        self.hesitated = hesitant && !self.hesitated;
        if self.hesitated {
            cx.waker().wake_by_ref();
        }
        self.hesitated
    }
}

impl Direction {
    fn read(&mut self, cx: &Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let piece = self.piece().min(buf.len());
        let there = self.bytes.len() - self.held;
        if there == 0 {
            return match self.ended {
                Some(Failure::Reset) => Poll::Ready(Err(connection_reset())),
                Some(Failure::Eof | Failure::WriteZero) => Poll::Ready(Ok(0)),
                None | Some(Failure::WriteOnly) if self.reader_gone => Poll::Ready(Ok(0)),
                None | Some(Failure::WriteOnly) => {
                    self.read.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        if self.read.hesitates(self.behaviour.hesitant, cx) {
            return Poll::Pending;
        }
        let count = piece.min(there);
        for (slot, byte) in buf.iter_mut().zip(self.bytes.drain(..count)) {
            *slot = byte;
        }
        self.write.wake();
        Poll::Ready(Ok(count))
    }

    fn write(&mut self, cx: &Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.ended {
            Some(Failure::WriteZero) => return Poll::Ready(Ok(0)),
            Some(Failure::Reset) => return Poll::Ready(Err(connection_reset())),
            Some(Failure::Eof | Failure::WriteOnly) => {
                return Poll::Ready(Err(broken_pipe()));
            }
            None if self.reader_gone => return Poll::Ready(Err(broken_pipe())),
            None => {}
        }
        let room = self.behaviour.capacity.saturating_sub(self.bytes.len());
        if room == 0 {
            // A full buffer is passed on, as a buffered writer does: otherwise it would stay full.
            self.flush();
            self.write.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.write.hesitates(self.behaviour.hesitant, cx) {
            return Poll::Pending;
        }
        let mut count = data.len().min(self.piece()).min(room);
        if let Some((after, failure)) = self.behaviour.failure {
            let left = usize::try_from(after - self.written).unwrap_or(usize::MAX);
            count = count.min(left);
            self.accept(&data[..count]);
            if count == left {
                self.end(failure);
            }
            // Nothing fitted before the end: this write sees it.
            return if count == 0 {
                self.write(cx, data)
            } else {
                Poll::Ready(Ok(count))
            };
        }
        self.accept(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn accept(&mut self, data: &[u8]) {
        self.bytes.extend(data);
        self.written += data.len() as u64;
        self.held += data.len();
        if !self.behaviour.held_until_flush {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.held = 0;
        self.read.wake();
    }

    fn end(&mut self, how: Failure) {
        if matches!(self.ended, None | Some(Failure::WriteOnly)) {
            self.ended = Some(how);
        }
        self.flush();
        self.write.wake();
    }

    fn leave(&mut self) {
        self.reader_gone = true;
        self.bytes.clear();
        self.held = 0;
        self.read.wake();
        self.write.wake();
    }

    fn piece(&mut self) -> usize {
        match self.behaviour.max_piece {
            usize::MAX => usize::MAX,
            max => self.rng.usize(1..=max),
        }
    }
}
