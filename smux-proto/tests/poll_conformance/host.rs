//! The poll layer with blocking calls, in virtual time. Whoever is not woken is not polled.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll},
    time::Duration,
};

use smux_conformance::suite::{
    core::VirtualWire,
    host::{Host, HostSession, HostStream, Task, Wire},
    memory::{Behaviour, Memory},
    virtual_time::VirtualTime,
};
use smux_proto::{
    CloseReason, Config, SessionStats, Side, StreamId,
    poll::{
        Clock, ReadHandle, SessionHandle, StreamHandle, Transport, TransportRead, TransportWrite,
        WriteHandle, connect,
    },
};

#[derive(Default)]
pub(crate) struct PollHost(VirtualTime);

impl PollHost {
    fn connect(&self, side: Side, config: Config, memory: Memory) -> PollSession {
        let time = self.0.clone();
        let clock = Clock::new(move || time.now());
        let transport = Joined(memory, self.0.clone());
        let (session, driver) = connect(side, config, clock, transport);
        self.0.spawn(async {
            driver.await;
        });
        PollSession(session, self.0.clone())
    }
}

impl Host for PollHost {
    type Session = PollSession;

    fn pair(&self, client: Config, server: Config) -> (PollSession, PollSession) {
        self.pair_over(client, server, Behaviour::FAST, Behaviour::FAST)
    }

    fn pair_over(
        &self,
        client: Config,
        server: Config,
        there: Behaviour,
        back: Behaviour,
    ) -> (PollSession, PollSession) {
        let (near, far) = Memory::pair(there, back);
        (
            self.connect(Side::Client, client, near),
            self.connect(Side::Server, server, far),
        )
    }

    fn wire(&self, side: Side, config: Config) -> (PollSession, Box<dyn Wire>) {
        self.wire_over(side, config, Behaviour::FAST)
    }

    fn wire_over(
        &self,
        side: Side,
        config: Config,
        behaviour: Behaviour,
    ) -> (PollSession, Box<dyn Wire>) {
        let (near, transport) = Memory::pair(behaviour, behaviour);
        let time = self.0.clone();
        let wire = VirtualWire { transport, time };
        (self.connect(side, config, near), Box::new(wire))
    }

    fn join(&self, tasks: Vec<Task<'_>>) {
        self.0.join(tasks);
    }

    fn elapse(&self, time: Duration) {
        self.0.elapse(time);
    }

    fn until(&self, what: &str, condition: &mut dyn FnMut() -> bool) {
        self.0.until(what, condition);
    }
}

/// A transport with a timer.
struct Joined(Memory, VirtualTime);

impl TransportRead for Joined {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
}

impl TransportWrite for Joined {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.0
            .poll_write(cx, first.expect("there is a byte to write"))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_close(cx)
    }
}

impl Transport for Joined {
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        self.1.poll_sleep(cx, until)
    }
}

#[derive(Clone)]
pub(crate) struct PollSession(SessionHandle, VirtualTime);

impl HostSession for PollSession {
    type Stream = PollStream<StreamHandle>;

    fn open(&self) -> io::Result<PollStream<StreamHandle>> {
        let stream = self.1.block_on(self.0.open())?;
        Ok(PollStream(stream, self.1.clone()))
    }

    fn accept(&self) -> io::Result<PollStream<StreamHandle>> {
        let stream = self.1.block_on(self.0.accept())?;
        Ok(PollStream(stream, self.1.clone()))
    }

    fn close(&self) -> CloseReason {
        self.1.block_on(self.0.close())
    }

    fn drain(&self, limit: Duration) -> CloseReason {
        self.1.block_on(self.0.drain(limit))
    }

    fn abort(&self) {
        self.0.abort();
    }

    fn closed(&self) -> CloseReason {
        self.1.block_on(self.0.closed())
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.0.close_reason()
    }

    fn streams(&self) -> usize {
        self.0.streams()
    }

    fn stats(&self) -> SessionStats {
        self.0.stats()
    }
}

/// A stream or one of its halves.
pub(crate) struct PollStream<T>(T, VirtualTime);

pub(crate) trait Handle {
    fn stream(&self) -> &StreamHandle;
}

impl Handle for StreamHandle {
    fn stream(&self) -> &StreamHandle {
        self
    }
}

impl Handle for ReadHandle {
    fn stream(&self) -> &StreamHandle {
        self.stream()
    }
}

impl Handle for WriteHandle {
    fn stream(&self) -> &StreamHandle {
        self.stream()
    }
}

impl<T: Handle> Read for PollStream<T> {
    fn read(&mut self, mut buf: &mut [u8]) -> io::Result<usize> {
        let stream = self.0.stream();
        Ok(self
            .1
            .block_on(poll_fn(|cx| stream.poll_read(cx, &mut buf)))?)
    }
}

impl<T: Handle> Write for PollStream<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let stream = self.0.stream();
        Ok(self.1.block_on(poll_fn(|cx| stream.poll_write(cx, data)))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        let stream = self.0.stream();
        Ok(self.1.block_on(poll_fn(|cx| stream.poll_flush(cx)))?)
    }
}

impl HostStream for PollStream<StreamHandle> {
    fn id(&self) -> StreamId {
        self.0.id()
    }

    fn finish(&mut self) -> io::Result<()> {
        let Self(stream, time) = self;
        Ok(time.block_on(poll_fn(|cx| stream.poll_shutdown(cx)))?)
    }

    fn split(self) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
        let Self(stream, time) = self;
        let (read, write) = stream.into_split();
        (
            Box::new(PollStream(read, time.clone())),
            Box::new(PollStream(write, time)),
        )
    }
}
