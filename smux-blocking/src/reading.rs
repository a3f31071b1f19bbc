//! Reading from a session's transport: by the session's reader, or by a thread that waits for its
//! stream's data.
//!
//! A reader that has data for another thread has to wake it, and that thread runs later. So a
//! thread that would wait for data reads itself, for all streams, until there is some for it,
//! unless another thread reads already. A message for it then takes one wake-up, the kernel's, and
//! no futex call: a round trip takes 0.8 of the time, and of the processor's, as the median of 9
//! interleaved runs on loopback.
//!
//! While the thread uses its data, no thread reads. The session's reader watches that this is never
//! for long: it takes over if no thread comes back soon. Where that happens, or threads take long
//! with their data, it reads all the time. Its reads block for as long as it takes. Those of other
//! threads are brief, so that timeouts and what other threads do to the stream are noticed.

use std::{
    cell::Cell,
    io::{self, Read},
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{
            AtomicBool, AtomicI8, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
            fence,
        },
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use smux_proto::poll::{ReadPump, TransportRead};

use crate::{
    crowd::Crowd,
    transport::LimitFn,
    wait::{Wait, Waiter, ignore_poison},
    writing::uninterrupted,
};

/// How long the read of a stream's thread may block. Sockets round it up to their clock's tick.
/// Chosen, not tuned.
const BRIEF: Duration = Duration::from_millis(10);

/// A thread with less time left than this does not read: a brief read, rounded up, fits in.
const LEAST: Duration = Duration::from_millis(30);

/// The longest time without a thread that reads, if threads are expected. Chosen, not tuned.
const GAP: Duration = Duration::from_millis(1);

/// The same while threads wait for data. With five streams whose threads often paused, a
/// millisecond cost a sixth of the rate.
const SHORT_GAP: Duration = Duration::from_micros(250);

/// A thread that comes back within this time will probably do so again. Chosen, not tuned.
const SOON: Duration = Duration::from_micros(200);

/// The room of a read that may wait for long: a page. Chosen, not tuned.
const LITTLE: usize = 4 << 10;

/// The input of one session.
pub(crate) struct Input<R> {
    epoch: Instant,
    /// Locked by the thread that reads. `None` once the input has ended.
    reading: Mutex<Option<Reading<R>>>,
    /// Where the session's reader waits.
    reader: Waiter,
    /// The reader looks again soon, without being woken.
    is_watched: AtomicBool,
    /// When what was read last was delivered, in nanoseconds since the epoch.
    delivered_at: AtomicU64,
    trust: Trust,
    /// Threads that wait for data that another thread reads.
    waiting: AtomicU32,
    crowd: Arc<Crowd>,
}

/// Dropped in this order: the session counts as ended once the last pump is dropped, and by then
/// nothing must be left of the transport.
struct Reading<R> {
    transport: BlockingReader<R>,
    pump: ReadPump,
}

/// An [`Input`] whose transport can be kept from blocking for long.
pub(crate) trait DirectInput: Send + Sync {
    /// Reads, unless another thread does, until the wait is over or the reader is to go on.
    fn read_until_over(&self, wait: &Wait<'_>);

    /// A wait for data that another thread reads.
    fn wait(&self) -> Waiting<'_>;
}

/// A thread that waits for data that another thread reads.
pub(crate) struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl<R: Read> Input<R> {
    pub(crate) fn new(
        epoch: Instant,
        crowd: &Arc<Crowd>,
        reader: R,
        limit: Option<LimitFn<R>>,
        pump: ReadPump,
    ) -> Self {
        let transport = BlockingReader {
            reader,
            limit,
            is_limited: false,
            filled: false,
        };
        Self {
            epoch,
            reading: Mutex::new(Some(Reading { transport, pump })),
            reader: Waiter::new(),
            is_watched: AtomicBool::new(false),
            delivered_at: AtomicU64::new(0),
            trust: Trust::default(),
            waiting: AtomicU32::new(0),
            crowd: Arc::clone(crowd),
        }
    }

    /// Reads on the session's reader, or lets other threads do so. When to look again, if there is
    /// a time; broken off once the input has ended.
    fn attend(&self, seen: &mut Duration) -> ControlFlow<(), Option<Instant>> {
        loop {
            let delivered_at = self.delivered_at();
            let is_busy = delivered_at != *seen;
            *seen = delivered_at;
            let Some(mut reading) = self.try_lock() else {
                self.is_watched.store(is_busy, SeqCst);
                if is_busy {
                    return ControlFlow::Continue(Some(Instant::now() + self.gap()));
                }
                // A thread waits in the transport, and wakes this when it leaves: see there.
                fence(SeqCst);
                if self.try_lock().is_none() {
                    return ControlFlow::Continue(None);
                }
                continue;
            };
            if self.trust.is_enough() {
                let expected = delivered_at + self.gap();
                if self.now() < expected {
                    self.is_watched.store(true, SeqCst);
                    drop(reading);
                    return ControlFlow::Continue(self.epoch.checked_add(expected));
                }
                self.trust.lose();
            }
            let Some(Reading { transport, pump }) = &mut *reading else {
                return ControlFlow::Break(());
            };
            let mut transport = Patient {
                reader: transport,
                input: self,
                was_read: false,
                gives_way: false,
            };
            if self.poll(pump, &mut transport).is_ready() {
                return ControlFlow::Break(());
            }
            if !transport.gives_way {
                // The session has no room. It wakes this when it has.
                self.is_watched.store(false, SeqCst);
                return ControlFlow::Continue(None);
            }
        }
    }

    /// Pending while the session has no room, and once the transport does not go on.
    fn poll(&self, pump: &mut ReadPump, transport: &mut impl TransportRead) -> Poll<()> {
        let mut cx = Context::from_waker(self.reader.waker());
        loop {
            let (poll, goes_on) = self.reader.hold_back(|| pump.poll(&mut cx, transport));
            if poll.is_ready() || !goes_on {
                return poll;
            }
        }
    }

    fn gap(&self) -> Duration {
        match self.waiting.load(Relaxed) {
            0 => GAP,
            _ => SHORT_GAP,
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn delivered_at(&self) -> Duration {
        Duration::from_nanos(self.delivered_at.load(Relaxed))
    }

    fn note_delivered(&self) {
        // It would take centuries to wrap.
        let now = u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX);
        self.delivered_at.store(now, Relaxed);
    }

    /// `None` while another thread reads. Once foreign code has panicked, the input has ended.
    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Reading<R>>>> {
        match self.reading.try_lock() {
            Ok(reading) => Some(reading),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poison)) => {
                let mut reading = poison.into_inner();
                *reading = None;
                Some(reading)
            }
        }
    }
}

impl<R: Read + Send> DirectInput for Input<R> {
    fn read_until_over(&self, wait: &Wait<'_>) {
        if wait.is_over(LEAST) {
            return;
        }
        self.crowd.come();
        let reading = self.try_lock();
        let soon = self.now().saturating_sub(self.delivered_at()) < SOON;
        let Some(reading) = reading else {
            if soon {
                self.trust.gain();
            }
            return;
        };
        if soon {
            self.trust.gain();
        } else {
            self.trust.doubt();
        }
        let mut turn = Turn {
            reading,
            leave: Leave { input: self },
        };
        if let Some(Reading { transport, pump }) = &mut *turn.reading {
            let mut transport = Brief {
                reader: transport,
                wait,
                crowd: &self.crowd,
                was_silent: false,
            };
            let is_over = self.poll(pump, &mut transport).is_ready();
            if is_over || transport.was_silent {
                self.trust.reset();
            }
        }
        self.note_delivered();
    }

    fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(&self.waiting)
    }
}

/// A thread's turn to read. Dropped in this order, also if foreign code panics.
struct Turn<'a, R> {
    reading: MutexGuard<'a, Option<Reading<R>>>,
    #[expect(dead_code, reason = "only dropped")]
    leave: Leave<'a, R>,
}

/// Leaves reading to others.
struct Leave<'a, R> {
    input: &'a Input<R>,
}

impl<R> Drop for Leave<'_, R> {
    fn drop(&mut self) {
        let input = self.input;
        // After the lock was released: either this sees that the reader does not look again, or
        // the reader sees that the lock is free.
        fence(SeqCst);
        if !input.is_watched.load(SeqCst) || !input.trust.is_enough() {
            input.reader.wake();
        }
    }
}

/// The reader's part in an input: nothing is read any more once this is dropped.
pub(crate) struct Reader<R>(Arc<Input<R>>);

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: &Arc<Input<R>>) -> Self {
        Self(Arc::clone(input))
    }

    /// Reads until the input ends, on the session's reader.
    pub(crate) fn run(self) {
        let input = &self.0;
        let mut seen = Duration::ZERO;
        let until = Cell::new(None);
        let mut attend = |_: &mut Context<'_>| match input.attend(&mut seen) {
            ControlFlow::Continue(next) => {
                until.set(next);
                Poll::Pending
            }
            ControlFlow::Break(()) => Poll::Ready(()),
        };
        while input
            .reader
            .block_until(&mut attend, || until.get())
            .is_none()
        {}
    }
}

impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        let ended = ignore_poison(self.0.reading.lock()).take();
        drop(ended);
    }
}

/// Whether threads come back soon after they were given their data. A count that is lost does no
/// harm.
#[derive(Default)]
struct Trust(AtomicI8);

impl Trust {
    /// Chosen, not tuned, as are the other numbers.
    const ENOUGH: i8 = 4;
    const MOST: i8 = 8;
    /// After a gap, which delays all streams and is not to happen often.
    const LEAST: i8 = -60;

    fn is_enough(&self) -> bool {
        self.0.load(Relaxed) >= Self::ENOUGH
    }

    /// A thread came soon.
    fn gain(&self) {
        let now = self.0.load(Relaxed);
        if now < Self::MOST {
            self.0.store(now + 1, Relaxed);
        }
    }

    /// A thread took its time.
    fn doubt(&self) {
        let now = self.0.load(Relaxed);
        if now > Self::LEAST {
            self.0.store(now - 1, Relaxed);
        }
    }

    /// No thread came.
    fn lose(&self) {
        self.0.store(Self::LEAST, Relaxed);
    }

    /// There is nothing to read for now.
    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// A blocking transport.
struct BlockingReader<R> {
    reader: R,
    limit: Option<LimitFn<R>>,
    /// The time of reads is limited now.
    is_limited: bool,
    /// The last read filled its buffer, so more is probably there.
    filled: bool,
}

impl<R: Read> BlockingReader<R> {
    fn read(&mut self, buf: &mut [u8], limit: Option<Duration>) -> io::Result<usize> {
        if let Some(set) = self.limit
            && self.is_limited != limit.is_some()
        {
            set(&self.reader, limit)?;
            self.is_limited = limit.is_some();
        }
        let read = uninterrupted(|| self.reader.read(buf));
        self.filled = matches!(read, Ok(count) if count == buf.len());
        read
    }

    fn wanted_room(&self) -> usize {
        if self.filled { usize::MAX } else { LITTLE }
    }
}

/// The transport as the session's reader reads from it: each read for as long as it takes.
struct Patient<'a, R> {
    reader: &'a mut BlockingReader<R>,
    input: &'a Input<R>,
    was_read: bool,
    /// Other threads are expected to read on.
    gives_way: bool,
}

impl<R: Read> TransportRead for Patient<'_, R> {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.input.note_delivered();
        if self.was_read && self.input.trust.is_enough() {
            self.gives_way = true;
            return Poll::Pending;
        }
        self.was_read = true;
        self.input.crowd.count();
        Poll::Ready(self.reader.read(buf, None))
    }

    fn wanted_room(&self) -> usize {
        self.reader.wanted_room()
    }

    fn keeps_buffer(&self) -> bool {
        self.gives_way
    }
}

/// The transport as the threads of streams read from it: each read is brief.
struct Brief<'a, R> {
    reader: &'a mut BlockingReader<R>,
    wait: &'a Wait<'a>,
    crowd: &'a Crowd,
    /// A read brought nothing in its time.
    was_silent: bool,
}

impl<R: Read> TransportRead for Brief<'_, R> {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.wait.is_over(LEAST) {
            return Poll::Pending;
        }
        self.crowd.count();
        self.crowd.make_way(1);
        match self.reader.read(buf, Some(BRIEF)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.was_silent = true;
                Poll::Pending
            }
            read => Poll::Ready(read),
        }
    }

    fn wanted_room(&self) -> usize {
        self.reader.wanted_room()
    }

    fn keeps_buffer(&self) -> bool {
        true
    }
}
