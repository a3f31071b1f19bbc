//! The threads that move a session, and the blocking transport as its pumps see it.
//!
//! There are two, whatever the number of streams: one is blocked in the transport's read, one
//! writes to it, and keeps the session's deadlines while it has nothing to write; [`Watch`] has the
//! rest.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use smux_proto::{
    Config, ProcessBuffers, Side,
    poll::{
        Clock, Pumps, ReadPump, SessionHandle, TransportRead, TransportWrite, WritePump,
        has_pump_memory, release_pump_memory,
    },
};

use crate::{
    start::start,
    transport::{Parts, ShutdownFn},
    wait::Waiter,
    watch::{Presence, Watch},
};

/// Starts a session and its threads.
pub(crate) fn spawn<R, W>(
    side: Side,
    config: Config,
    parts: Parts<R, W>,
) -> io::Result<SessionHandle>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let epoch = Instant::now();
    let clock = Clock::new(move || epoch.elapsed());
    let (handle, pumps) = Pumps::with_buffers(side, config, clock, ProcessBuffers::shared());
    let watch = Watch::new(handle.id(), parts.shutdown.clone(), epoch, pumps.timer)?;
    let writer = WriterThread {
        transport: BlockingWriter {
            writer: Some(parts.writer),
            shutdown: parts.shutdown,
            vectored: parts.vectored,
            watch: Arc::clone(&watch),
        },
        pump: pumps.write,
    };
    let reader = ReaderThread {
        transport: BlockingReader::new(parts.reader),
        pump: pumps.read,
    };
    // If spawning a thread fails, dropping its pump aborts the session, which the writer sees.
    let presence = Presence(Arc::clone(&watch));
    start("smux-write", move || writer.run(&presence.0)).inspect_err(|_| watch.end())?;
    start("smux-read", move || reader.run())?;
    Ok(handle)
}

// In both, fields are dropped in this order: the session counts as ended once the last pump is
// dropped, and by then nothing must be left of the transport.

struct ReaderThread<R> {
    transport: BlockingReader<R>,
    pump: ReadPump,
}

impl<R: Read> ReaderThread<R> {
    fn run(mut self) {
        Waiter::new().block_on(|cx| self.pump.poll(cx, &mut self.transport));
    }
}

struct WriterThread<W> {
    transport: BlockingWriter<W>,
    pump: WritePump,
}

impl<W: Write> WriterThread<W> {
    /// Writes, and keeps the deadlines until the session ends, which may be long after the last
    /// byte is written.
    fn run(self, watch: &Arc<Watch>) {
        let mut writing = Some(self);
        let mut poll = |cx: &mut Context<'_>| {
            loop {
                if let Some(Self { transport, pump }) = &mut writing
                    && pump.poll(cx, transport).is_ready()
                {
                    // A writer may flush what it holds when it is dropped.
                    watch.away(|| writing = None);
                }
                match watch.attend() {
                    // What was written before the end is flushed before the transport is shut down.
                    // If that takes too long, the transport is shut down meanwhile.
                    Poll::Ready(()) if writing.is_some() => watch.call(),
                    ended => return ended,
                }
            }
        };
        let rest = || has_pump_memory().then(|| Instant::now() + KEPT);
        while watch.writer.block_until(&mut poll, rest).is_none() {
            release_pump_memory();
        }
        watch.end();
    }
}

/// How long a writer keeps its memory when it has nothing to write. Chosen, not tuned.
const KEPT: Duration = Duration::from_millis(100);

/// The room of a read that may wait for long: a page. Chosen, not tuned.
const LITTLE: usize = 4 << 10;

struct BlockingReader<R> {
    reader: R,
    /// The last read filled its buffer, so more is probably there.
    filled: bool,
}

impl<R> BlockingReader<R> {
    fn new(reader: R) -> Self {
        let filled = false;
        Self { reader, filled }
    }
}

impl<R: Read> TransportRead for BlockingReader<R> {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = uninterrupted(|| self.reader.read(buf));
        self.filled = matches!(read, Ok(count) if count == buf.len());
        Poll::Ready(read)
    }

    fn wanted_room(&self) -> usize {
        if self.filled { usize::MAX } else { LITTLE }
    }
}

struct BlockingWriter<W> {
    /// Until its end: for some writers, such as pipes, dropping is the only way to tell the peer.
    writer: Option<W>,
    shutdown: ShutdownFn,
    vectored: bool,
    watch: Arc<Watch>,
}

impl<W: Write> BlockingWriter<W> {
    fn with(&mut self, mut act: impl FnMut(&mut W) -> io::Result<usize>) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => self.watch.away(|| uninterrupted(|| act(writer))),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<W: Write> TransportWrite for BlockingWriter<W> {
    fn poll_write(&mut self, _: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.with(|writer| writer.write_vectored(bufs)))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.with(|writer| writer.flush().map(|()| 0)).map(drop))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.watch.away(|| {
            let shut = (self.shutdown)(Shutdown::Write);
            self.writer = None;
            shut
        }))
    }

    fn is_vectored(&self) -> bool {
        self.vectored
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
