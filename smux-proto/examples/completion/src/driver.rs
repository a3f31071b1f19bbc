//! What moves a session: operations that own their buffers, one at a time in each direction.

use std::{
    future::{self, Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Buf;
use compio::{
    BufResult,
    buf::IoVectoredBuf,
    io::{AsyncRead, AsyncWrite},
    time::sleep_until,
};
use smux_proto::{
    CloseReason, Config, Side, Transmit,
    poll::{Clock, Engine, Input, Output, Step},
};

use crate::session::Session;

/// What one read takes, at most.
const BUFFER: usize = 64 * 1024;

/// Starts a session over the two directions of a transport: a handle for the application, and the
/// future that moves it, to be spawned on the runtime of the transport.
///
/// The future resolves once the session has ended and the transport is dropped. To drop it before
/// aborts the session.
pub fn start<R, W>(
    side: Side,
    config: Config,
    reader: R,
    writer: W,
) -> (Session, impl Future<Output = CloseReason>)
where
    R: AsyncRead + 'static,
    W: AsyncWrite + 'static,
{
    let epoch = Instant::now();
    let clock = Clock::new(move || epoch.elapsed());
    let (handle, engine) = Engine::new(side, config, clock);
    (Session(handle), drive(engine, reader, writer, epoch))
}

async fn drive(
    engine: Engine,
    reader: impl AsyncRead,
    writer: impl AsyncWrite,
    epoch: Instant,
) -> CloseReason {
    let Engine {
        mut input,
        mut output,
        mut timer,
    } = engine;
    let reason = {
        let mut reading = pin!(read(&mut input, reader));
        let mut writing = pin!(write(&mut output, writer));
        let (mut has_read, mut has_written) = (false, false);
        let mut sleep = Sleep { epoch, set: None };
        poll_fn(|cx| {
            has_read = has_read || reading.as_mut().poll(cx).is_ready();
            has_written = has_written || writing.as_mut().poll(cx).is_ready();
            timer.poll(cx, |cx, until| sleep.poll(cx, until))
        })
        .await
        // Here operations in flight are cancelled, and the transport is dropped.
    };
    drop((input, output, timer));
    reason
}

/// A read is never given up while the session lives: the bytes would be lost.
async fn read(input: &mut Input, mut transport: impl AsyncRead) {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let mut unread = buffer.as_slice();
        if !poll_fn(|cx| input.poll_deliver(cx, &mut unread)).await {
            return;
        }
        buffer.clear();
        let BufResult(read, back) = transport.read(buffer).await;
        buffer = back;
        match read {
            Ok(0) => return input.end(),
            Ok(count) => buffer.truncate(count),
            Err(error) => return input.fail(error),
        }
    }
}

async fn write(output: &mut Output, mut transport: impl AsyncWrite) {
    let mut batch = Batch(Transmit::new());
    loop {
        let done = match poll_fn(|cx| output.poll_next(cx, &mut batch.0)).await {
            Step::Write => {
                let BufResult(written, back) = transport.write_vectored(batch).await;
                batch = back;
                match written {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    written => written.map(|count| batch.0.advance(count)),
                }
            }
            Step::Flush => transport.flush().await.map(|()| output.flushed()),
            Step::Close => transport.shutdown().await.map(|()| output.end()),
            Step::Done => return,
        };
        if let Err(error) = done {
            return output.fail(error);
        }
    }
}

/// Moves to the operation that writes it, and comes back with it.
struct Batch(Transmit);

impl IoVectoredBuf for Batch {
    fn iter_slice(&self) -> impl Iterator<Item = &[u8]> {
        self.0.slices()
    }
}

struct Sleep {
    epoch: Instant,
    set: Option<(Duration, Sleeping)>,
}

type Sleeping = Pin<Box<dyn Future<Output = ()>>>;

impl Sleep {
    fn poll(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        let set = self.set.take().filter(|(at, _)| *at == until);
        let (_, sleep) = self.set.insert(set.unwrap_or_else(|| {
            let sleep: Sleeping = match self.epoch.checked_add(until) {
                Some(at) => Box::pin(sleep_until(at)),
                None => Box::pin(future::pending()),
            };
            (until, sleep)
        }));
        ready!(sleep.as_mut().poll(cx));
        self.set = None;
        Poll::Ready(())
    }
}
