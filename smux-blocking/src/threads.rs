//! The threads that move a session, and the blocking transport as its pumps see it.
//!
//! There are two, whatever the number of streams: one is blocked in the transport's read, one
//! writes to it, and keeps the session's deadlines while it has nothing to write; [`Watch`] has the
//! rest. Small messages are [written](crate::writing) by the threads that send them.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use smux_proto::{
    Config, ProcessBuffers, Side,
    poll::{
        Clock, Pumps, ReadPump, SessionHandle, TransportRead, has_pump_memory, release_pump_memory,
    },
};

use crate::{
    start::start,
    transport::Parts,
    wait::Waiter,
    watch::{Presence, Watch},
    writing::{BlockingWriter, DirectOutput, Output, Writer, uninterrupted},
};

/// Starts a session and its threads.
pub(crate) fn spawn<R, W>(
    side: Side,
    config: Config,
    parts: Parts<R, W>,
) -> io::Result<(SessionHandle, Option<Arc<dyn DirectOutput>>)>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let epoch = Instant::now();
    let clock = Clock::new(move || epoch.elapsed());
    let (handle, pumps) = Pumps::with_buffers(side, config, clock, ProcessBuffers::shared());
    let watch = Watch::new(handle.id(), parts.shutdown.clone(), epoch, pumps.timer)?;
    let is_direct = parts.limit_writes.is_some();
    let transport = BlockingWriter::new(
        parts.writer,
        parts.shutdown,
        parts.vectored,
        parts.limit_writes,
        &watch,
    );
    let output = Arc::new(Output::new(&watch, transport, pumps.write));
    let writer = Writer(Arc::clone(&output));
    let reader = ReaderThread {
        transport: BlockingReader::new(parts.reader),
        pump: pumps.read,
    };
    // If spawning a thread fails, dropping its pump aborts the session, which the writer sees.
    let presence = Presence(Arc::clone(&watch));
    start("smux-write", move || write(&writer, &presence.0)).inspect_err(|_| watch.end())?;
    start("smux-read", move || reader.run())?;
    let direct = is_direct.then_some(output as _);
    Ok((handle, direct))
}

/// Dropped in this order: the session counts as ended once the last pump is dropped, and by then
/// nothing must be left of the transport.
struct ReaderThread<R> {
    transport: BlockingReader<R>,
    pump: ReadPump,
}

impl<R: Read> ReaderThread<R> {
    fn run(mut self) {
        Waiter::new().block_on(|cx| self.pump.poll(cx, &mut self.transport));
    }
}

/// Writes, and keeps the deadlines until the session ends, which may be long after the last byte is
/// written.
fn write<W: Write>(writer: &Writer<W>, watch: &Arc<Watch>) {
    let mut is_writing = true;
    let mut poll = |cx: &mut Context<'_>| {
        loop {
            is_writing = is_writing && writer.0.poll(cx).is_pending();
            match watch.attend() {
                // What was written before the end is flushed before the transport is shut down.
                // If that takes too long, the transport is shut down meanwhile.
                Poll::Ready(()) if is_writing => watch.call(),
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
