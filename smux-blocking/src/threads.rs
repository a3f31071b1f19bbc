//! The threads that move a session, and the blocking transport as its pumps see it.
//!
//! There are three, whatever the number of streams: one is blocked in the transport's read, one in its write, and
//! while both are, somebody must keep time, or a peer that takes no bytes would never be noticed. The third ends
//! the other two: it sees the end of the session and shuts the transport.

use std::{
    cell::Cell,
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    task::{Context, Poll},
    thread,
    time::Instant,
};

use smux_proto::{
    Config, Side,
    poll::{
        Clock, Pumps, ReadPump, SessionHandle, TimerPump, TransportRead, TransportWrite, WritePump,
    },
};

use crate::{
    transport::{Parts, ShutdownFn},
    wait::Waiter,
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
    let (handle, pumps) = Pumps::new(side, config, Clock::new(move || epoch.elapsed()));
    let timer = TimerThread {
        shutdown: parts.shutdown.clone(),
        pump: pumps.timer,
        epoch,
    };
    let writer = WriterThread {
        transport: BlockingWriter {
            writer: Some(parts.writer),
            shutdown: parts.shutdown,
            vectored: parts.vectored,
        },
        pump: pumps.write,
    };
    let reader = ReaderThread {
        transport: BlockingReader(parts.reader),
        pump: pumps.read,
    };
    // If spawning a thread fails, dropping its pump aborts the session. The timer comes first, to see
    // that and end the others.
    start("smux-timer", move || timer.run())?;
    start("smux-write", move || writer.run())?;
    start("smux-read", move || reader.run())?;
    Ok(handle)
}

/// The thread ends with the session, so nobody joins it.
fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
    drop(thread);
    Ok(())
}

// In each of the three, fields are dropped in this order: the session counts as ended once the last pump is dropped, and by
// then nothing must be left of the transport.

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
    fn run(mut self) {
        Waiter::new().block_on(|cx| self.pump.poll(cx, &mut self.transport));
    }
}

/// Keeps the deadlines.
struct TimerThread {
    shutdown: ShutdownFn,
    pump: TimerPump,
    epoch: Instant,
}

impl TimerThread {
    fn run(mut self) {
        let deadline = Cell::new(None);
        let mut poll = |cx: &mut Context<'_>| {
            deadline.set(None);
            self.pump.poll(cx, |_, until| {
                // `None` is further away than the clock reaches.
                let until = self.epoch.checked_add(until);
                deadline.set(until);
                match until {
                    Some(until) if until <= Instant::now() => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
        };
        let waiter = Waiter::new();
        while waiter.block_until(&mut poll, || deadline.get()).is_none() {}
        // It may be shut already, or broken; there is nothing left to do about it.
        let _ = (self.shutdown)(Shutdown::Both);
    }
}

struct BlockingReader<R>(R);

impl<R: Read> TransportRead for BlockingReader<R> {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(uninterrupted(|| self.0.read(buf)))
    }
}

struct BlockingWriter<W> {
    /// Until its end: for some writers, such as pipes, dropping is the only way to tell the peer.
    writer: Option<W>,
    shutdown: ShutdownFn,
    vectored: bool,
}

impl<W: Write> BlockingWriter<W> {
    fn with(&mut self, mut act: impl FnMut(&mut W) -> io::Result<usize>) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => uninterrupted(|| act(writer)),
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
        let shut = (self.shutdown)(Shutdown::Write);
        self.writer = None;
        Poll::Ready(shut)
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
