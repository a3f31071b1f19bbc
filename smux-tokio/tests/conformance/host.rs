//! smux-tokio with blocking calls.

use std::{
    io::{self, Read, Write},
    thread::{self, JoinHandle},
    time::Duration,
};

use smux_conformance::suite::{
    carrier::Carrier,
    host::{Adapter, HostSession, HostStream},
};
use smux_tokio::{CloseReason, Config, Session, SessionStats, Side, Stream, StreamId};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};
use tokio_util::compat::FuturesAsyncReadCompatExt;

/// A runtime that runs the drivers while scenarios block threads of their own.
pub(crate) struct Tokio {
    pub(crate) handle: Handle,
    runs: Runs,
}

enum Runs {
    MultiThread(#[expect(dead_code, reason = "runs until dropped")] Runtime),
    /// A thread that runs the runtime until told to stop.
    CurrentThread {
        stop: Option<oneshot::Sender<()>>,
        thread: Option<JoinHandle<()>>,
    },
}

impl Tokio {
    pub(crate) fn multi_thread() -> Self {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            handle: runtime.handle().clone(),
            runs: Runs::MultiThread(runtime),
        }
    }

    pub(crate) fn current_thread() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            // An error says that the sender is gone, which means the same.
            let _ = runtime.block_on(stopped);
        });
        Self {
            handle,
            runs: Runs::CurrentThread {
                stop: Some(stop),
                thread: Some(thread),
            },
        }
    }

    /// A session over any transport.
    pub(crate) fn start<T>(&self, side: Side, config: Config, io: T) -> TokioSession
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let _context = self.handle.enter();
        let session = match side {
            Side::Client => Session::client(io, config),
            Side::Server => Session::server(io, config),
        };
        Blocking(session, self.handle.clone())
    }
}

impl Drop for Tokio {
    fn drop(&mut self) {
        if let Runs::CurrentThread { stop, thread } = &mut self.runs {
            drop(stop.take());
            if let Some(thread) = thread.take() {
                thread.join().expect("drivers do not panic");
            }
        }
    }
}

impl Adapter for Tokio {
    type Session = TokioSession;

    fn connect(&self, side: Side, config: Config, carrier: Carrier) -> TokioSession {
        let _context = self.handle.enter();
        match carrier {
            Carrier::Tcp(tcp) => {
                tcp.set_nonblocking(true).expect("a socket");
                self.start(side, config, TcpStream::from_std(tcp).expect("a socket"))
            }
            #[cfg(unix)]
            Carrier::Unix(unix) => {
                unix.set_nonblocking(true).expect("a socket");
                self.start(
                    side,
                    config,
                    tokio::net::UnixStream::from_std(unix).expect("a socket"),
                )
            }
            Carrier::Memory(memory) => self.start(side, config, memory.compat()),
        }
    }
}

/// Something asynchronous, and the runtime on which to wait for it.
#[derive(Clone)]
pub(crate) struct Blocking<T>(T, Handle);

pub(crate) type TokioSession = Blocking<Session>;

impl HostSession for Blocking<Session> {
    type Stream = Blocking<Stream>;

    fn open(&self) -> io::Result<Blocking<Stream>> {
        Ok(Blocking(self.1.block_on(self.0.open())?, self.1.clone()))
    }

    fn accept(&self) -> io::Result<Blocking<Stream>> {
        Ok(Blocking(self.1.block_on(self.0.accept())?, self.1.clone()))
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

impl HostStream for Blocking<Stream> {
    fn id(&self) -> StreamId {
        self.0.id()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.1.block_on(self.0.shutdown())
    }

    fn split(self) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
        let (read, write) = self.0.into_split();
        (
            Box::new(Blocking(read, self.1.clone())),
            Box::new(Blocking(write, self.1)),
        )
    }
}

impl<T: AsyncRead + Unpin> Read for Blocking<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1.block_on(self.0.read(buf))
    }
}

impl<T: AsyncWrite + Unpin> Write for Blocking<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.1.block_on(self.0.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.block_on(self.0.flush())
    }
}
