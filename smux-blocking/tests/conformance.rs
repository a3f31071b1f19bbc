//! The conformance suite on threads: every transport there is for them, and live Go peers.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    task::{Context, Waker},
    time::Duration,
};

use smux_blocking::{
    CloseReason, Config, Parts, Session, SessionStats, Side, Stream, StreamId, Transport,
};
#[cfg(unix)]
use smux_conformance::suite::host::OverUnix;
use smux_conformance::suite::{
    carrier::{Carrier, Memory},
    host::{Adapter, HostSession, HostStream},
};

smux_conformance::suite!(threads, Blocking);
smux_conformance::memory_suites!(in_memory, Blocking);
#[cfg(unix)]
smux_conformance::transport_suite!(unix, OverUnix(Blocking));
smux_conformance::go_suite!(go, Blocking, Newest);

struct Blocking;

impl Adapter for Blocking {
    type Session = Hosted<Session>;

    fn connect(&self, side: Side, config: Config, carrier: Carrier) -> Hosted<Session> {
        match carrier {
            Carrier::Tcp(tcp) => start(side, config, tcp),
            #[cfg(unix)]
            Carrier::Unix(unix) => start(side, config, unix),
            Carrier::Memory(memory) => start(side, config, Parts::of_socket(memory, shutdown)),
        }
    }
}

fn start(side: Side, config: Config, transport: impl Transport) -> Hosted<Session> {
    let session = match side {
        Side::Client => Session::client(transport, config),
        Side::Server => Session::server(transport, config),
    };
    Hosted(session.expect("a connection, and threads"))
}

fn shutdown(memory: &Memory, how: Shutdown) -> io::Result<()> {
    if how != Shutdown::Write {
        memory.shutdown();
    } else if memory
        .poll_close(&mut Context::from_waker(Waker::noop()))
        .is_pending()
    {
        unreachable!("nothing has to be waited for");
    }
    Ok(())
}

#[derive(Clone)]
struct Hosted<T>(T);

impl HostSession for Hosted<Session> {
    type Stream = Hosted<Stream>;

    fn open(&self) -> io::Result<Hosted<Stream>> {
        Ok(Hosted(self.0.open()?))
    }

    fn accept(&self) -> io::Result<Hosted<Stream>> {
        self.0.accept().map(Hosted)
    }

    fn close(&self) -> CloseReason {
        self.0.close()
    }

    fn drain(&self, limit: Duration) -> CloseReason {
        self.0.drain(limit)
    }

    fn abort(&self) {
        self.0.abort();
    }

    fn closed(&self) -> CloseReason {
        self.0.closed()
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

impl Read for Hosted<Stream> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Hosted<Stream> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl HostStream for Hosted<Stream> {
    fn id(&self) -> StreamId {
        self.0.id()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    fn split(self) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
        let reader = self.0.try_clone().expect("it never fails");
        (Box::new(ReadHalf(reader)), Box::new(WriteHalf(self.0)))
    }
}

/// Ends its direction when dropped.
struct ReadHalf(Stream);

impl Read for ReadHalf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        self.0
            .shutdown(Shutdown::Read)
            .expect("it waits for nothing");
    }
}

/// Ends its direction when dropped.
struct WriteHalf(Stream);

impl Write for WriteHalf {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        self.0.finish();
    }
}
