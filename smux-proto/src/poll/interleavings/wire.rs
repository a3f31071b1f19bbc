//! A transport in memory: two bounded channels that hold bytes back until they are flushed.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use shuttle::sync::Mutex;

use crate::poll::{Transport, TransportRead, TransportWrite};

/// Bytes that a write takes at most, so that batches leave in pieces.
const PIECE: usize = 7;

/// Time goes on to the end of a sleep up to here. Later sleeps never end.
const LAST: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Bytes {
    queue: VecDeque<u8>,
    /// How many of the queued ones can be read.
    flushed: usize,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Bytes {
    fn flush(&mut self) {
        self.flushed = self.queue.len();
        wake(&mut self.reader);
    }

    fn end(&mut self) {
        self.ended = true;
        self.flush();
        wake(&mut self.writer);
    }
}

fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}

/// One direction.
#[derive(Clone)]
pub(super) struct Channel {
    bytes: Arc<Mutex<Bytes>>,
    capacity: usize,
}

impl Channel {
    fn new(capacity: usize) -> Self {
        let bytes = Arc::default();
        Self { bytes, capacity }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Bytes) -> R) -> R {
        act(&mut self.bytes.lock().expect("nothing panics in here"))
    }

    /// Whether `part` has been flushed, in a channel that is not read.
    pub(super) fn carries(&self, part: &[u8]) -> bool {
        self.with(|bytes| {
            let flushed = bytes.flushed;
            let mut windows = bytes.queue.make_contiguous()[..flushed].windows(part.len());
            windows.any(|window| window == part)
        })
    }
}

impl TransportRead for Channel {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.with(|bytes| {
            let count = bytes.flushed.min(buf.len());
            if count == 0 && !bytes.ended {
                bytes.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            buf.iter_mut()
                .zip(bytes.queue.drain(..count))
                .for_each(|(to, from)| *to = from);
            bytes.flushed -= count;
            wake(&mut bytes.writer);
            Poll::Ready(Ok(count))
        })
    }
}

impl TransportWrite for Channel {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let capacity = self.capacity;
        self.with(|bytes| {
            if bytes.ended {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let before = bytes.queue.len();
            let data = bufs.iter().flat_map(|buf| buf.iter());
            bytes.queue.extend(data.take(PIECE.min(capacity - before)));
            if bytes.queue.len() == before {
                bytes.flush();
                bytes.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(bytes.queue.len() - before))
        })
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Bytes::flush);
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Bytes::end);
        Poll::Ready(Ok(()))
    }
}

/// The time at one end of a wire.
#[derive(Clone, Default)]
pub(super) struct Time(Arc<AtomicU64>);

impl Time {
    pub(super) fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(SeqCst))
    }

    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// One end. Dropping it ends both directions; what was flushed can be read.
pub(super) struct Wire {
    pub(super) input: Channel,
    pub(super) output: Channel,
    pub(super) time: Time,
}

pub(super) fn pair(capacity: usize) -> (Wire, Wire) {
    let (there, back) = (Channel::new(capacity), Channel::new(capacity));
    let end = |input: &Channel, output: &Channel| Wire {
        input: input.clone(),
        output: output.clone(),
        time: Time::default(),
    };
    (end(&back, &there), end(&there, &back))
}

impl Wire {
    /// From now on writing to this end fails, and nothing else ever happens here.
    pub(super) fn fail_writers(self) {
        self.input.with(Bytes::end);
        mem::forget(self);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.input.with(Bytes::end);
        self.output.with(Bytes::end);
    }
}

impl TransportRead for Wire {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.input.poll_read(cx, buf)
    }
}

impl TransportWrite for Wire {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.output.poll_write(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_close(cx)
    }
}

impl Transport for Wire {
    fn poll_sleep(&mut self, _: &mut Context<'_>, until: Duration) -> Poll<()> {
        if until > LAST {
            return Poll::Pending;
        }
        self.time.0.fetch_max(until.as_secs(), SeqCst);
        Poll::Ready(())
    }
}
