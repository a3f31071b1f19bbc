//! The engine below the pumps, with a transport that owns its buffers while it works on them.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Buf;
use smux_conformance::suite::{host::Host, memory::Memory, time::Time, virtual_time::VirtualTime};
use smux_proto::{
    CloseReason, Config, Side, Transmit,
    poll::{Clock, Engine, Input, Output, Step},
};

use super::host::{Hosted, Sessions};

#[derive(Default)]
pub(crate) struct EngineHost(VirtualTime);

impl Host for EngineHost {
    type Session = Hosted<Sessions>;

    fn time(&self) -> &dyn Time {
        &self.0
    }

    fn connect_in_memory(&self, side: Side, config: Config, end: Memory) -> Self::Session {
        let time = self.0.clone();
        let clock = Clock::new(move || time.now());
        let (session, engine) = Engine::new(side, config, clock);
        let time = self.0.clone();
        self.0.spawn(async {
            drive(engine, end, time).await;
        });
        Hosted(Sessions(session), self.0.clone())
    }
}

async fn drive(engine: Engine, end: Memory, time: VirtualTime) -> CloseReason {
    let Engine {
        mut input,
        mut output,
        mut timer,
    } = engine;
    let transport = Arc::new(end);
    let reason = {
        let mut reading = pin!(read(&mut input, Arc::clone(&transport)));
        let mut writing = pin!(write(&mut output, transport));
        let (mut has_read, mut has_written) = (false, false);
        poll_fn(|cx| {
            has_read = has_read || reading.as_mut().poll(cx).is_ready();
            has_written = has_written || writing.as_mut().poll(cx).is_ready();
            timer.poll(cx, |cx, until| time.poll_sleep(cx, until))
        })
        .await
    };
    drop((input, output, timer));
    reason
}

async fn read(input: &mut Input, transport: Arc<Memory>) {
    let mut buffer = vec![0; 10_000];
    let mut count = 0;
    loop {
        let mut unread = &buffer[..count];
        if !poll_fn(|cx| input.poll_deliver(cx, &mut unread)).await {
            return;
        }
        let (read, back) = transport_read(&transport, buffer).await;
        buffer = back;
        count = match read {
            Ok(0) => return input.end(),
            Ok(count) => count,
            Err(error) => return input.fail(error),
        };
    }
}

async fn transport_read(transport: &Memory, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
    let read = poll_fn(|cx| transport.poll_read(cx, &mut buffer)).await;
    (read, buffer)
}

async fn write(output: &mut Output, transport: Arc<Memory>) {
    let mut batch = Transmit::new();
    loop {
        let done = match poll_fn(|cx| output.poll_next(cx, &mut batch)).await {
            Step::Write => {
                let (written, back) = transport_write(&transport, batch).await;
                batch = back;
                written.map(|count| batch.advance(count))
            }
            Step::Flush => {
                let flushed = poll_fn(|cx| transport.poll_flush(cx)).await;
                flushed.map(|()| output.flushed())
            }
            Step::Close => {
                let closed = poll_fn(|cx| transport.poll_close(cx)).await;
                closed.map(|()| output.end())
            }
            Step::Done => return,
        };
        if let Err(error) = done {
            return output.fail(error);
        }
    }
}

/// One slice of the batch is on its way until the transport has taken some of it.
async fn transport_write(transport: &Memory, batch: Transmit) -> (io::Result<usize>, Transmit) {
    let written = poll_fn(|cx: &mut Context<'_>| {
        let first = batch.slices().next().expect("there is a byte to write");
        match transport.poll_write(cx, first) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => written,
        }
    })
    .await;
    (written, batch)
}
