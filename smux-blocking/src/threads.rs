//! The threads that move a session, and the blocking transport as its pumps see it.
//!
//! There are two, whatever the number of streams: one reads from the transport, one writes to it,
//! and keeps the session's deadlines while it has nothing to write; [`Watch`] has the rest. The
//! threads of streams [read](crate::reading) while they wait for data, and
//! [write](crate::writing) small messages themselves.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use smux_proto::{
    Config, ProcessBuffers, Side,
    poll::{Clock, Pumps, SessionHandle, has_pump_memory, release_pump_memory},
};

use crate::{
    reading::{DirectInput, Input, Reader},
    start::start,
    transport::Parts,
    watch::{Presence, Watch},
    writing::{BlockingWriter, DirectOutput, Output, Writer},
};

/// The transport, for the threads of streams: as far as it can be kept from blocking them.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) input: Option<Arc<dyn DirectInput>>,
    pub(crate) output: Option<Arc<dyn DirectOutput>>,
}

/// Starts a session and its threads.
pub(crate) fn spawn<R, W>(
    side: Side,
    config: Config,
    parts: Parts<R, W>,
) -> io::Result<(SessionHandle, Direct)>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let epoch = Instant::now();
    let clock = Clock::new(move || epoch.elapsed());
    let (handle, mut pumps) = Pumps::with_buffers(side, config, clock, ProcessBuffers::shared());
    // A peer's thread that finds more at a time is woken less often: bulk data on 100 streams moves
    // 1.2 times as fast, as the median of 13 interleaved runs.
    pumps.write.set_long_turns(true);
    let watch = Watch::new(handle.id(), parts.shutdown.clone(), epoch, pumps.timer)?;
    let (reads_directly, writes_directly) =
        (parts.limit_reads.is_some(), parts.limit_writes.is_some());
    let crowd = Arc::default();
    let transport = BlockingWriter::new(
        parts.writer,
        parts.shutdown,
        parts.vectored,
        parts.limit_writes,
        &watch,
    );
    let output = Arc::new(Output::new(&watch, &crowd, transport, pumps.write));
    let writer = Writer(Arc::clone(&output));
    let input = Arc::new(Input::new(
        epoch,
        &crowd,
        parts.reader,
        parts.limit_reads,
        pumps.read,
    ));
    let reader = Reader::new(&input);
    // If spawning a thread fails, dropping its pump aborts the session, which the writer sees.
    let presence = Presence(Arc::clone(&watch));
    start("smux-write", move || write(&writer, &presence.0)).inspect_err(|_| watch.end())?;
    start("smux-read", move || reader.run())?;
    let direct = Direct {
        input: reads_directly.then_some(input as _),
        output: writes_directly.then_some(output as _),
    };
    Ok((handle, direct))
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
