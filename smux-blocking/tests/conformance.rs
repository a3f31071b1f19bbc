//! The conformance suite on threads: every transport there is for them, and live Go peers.

use std::{
    io::{self, BufRead, Read, Write},
    net::Shutdown,
    task::{Context, Waker},
};

use smux_blocking::{Config, Parts, Session, Side, Stream, Transport};
use smux_conformance::{
    host,
    suite::{
        connection::{Connection, Memory},
        host::Adapter,
        host_impl::at_once,
    },
};

#[cfg(unix)]
use smux_conformance::suite::host::Joined;

smux_conformance::suite!(threads, Threads);
smux_conformance::memory_suites!(in_memory, Threads);
#[cfg(unix)]
smux_conformance::transport_suite!(unix, Joined::over_unix(Threads));
smux_conformance::go_suite!(go, Threads, Newest);

struct Threads;

impl Adapter for Threads {
    type Session = Hosted<Session>;

    fn connect(&self, side: Side, config: Config, connection: Connection) -> Hosted<Session> {
        match connection {
            Connection::Tcp(tcp) => start(side, config, tcp),
            #[cfg(unix)]
            Connection::Unix(unix) => start(side, config, unix),
            Connection::Memory(memory) => start(side, config, Parts::of_socket(memory, shutdown)),
        }
    }
}

fn start(side: Side, config: Config, transport: impl Transport) -> Hosted<Session> {
    let session = match side {
        Side::Client => Session::client(transport, config),
        Side::Server => Session::server(transport, config),
    };
    Hosted(session.expect("a connection, and threads"), ())
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

host! {
    sessions: Session,
    streams: Stream,
    readers: Read,
    lenders: BufRead,
    writers: Write,
    wait: at_once,
    with: (),
    finish: |stream| stream.shutdown(Shutdown::Write),
    split: |stream| (ReadHalf(stream.try_clone().expect("never fails")), WriteHalf(stream)),
}

/// Ends its direction when dropped.
struct ReadHalf(Stream);

impl Read for ReadHalf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl BufRead for ReadHalf {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
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
