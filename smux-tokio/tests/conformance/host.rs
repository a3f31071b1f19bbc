//! smux-tokio with calls that wait on the scenarios' own threads.

use std::thread::{self, JoinHandle};

use smux_conformance::{
    host,
    suite::{connection::Connection, host::Adapter, host_impl::park},
};
use smux_tokio::{Config, Session, Side, Stream};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
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
    pub(crate) fn start<T>(&self, side: Side, config: Config, io: T) -> Hosted<Session>
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let _context = self.handle.enter();
        let session = match side {
            Side::Client => Session::client(io, config),
            Side::Server => Session::server(io, config),
        };
        Hosted(session, ())
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
    type Session = Hosted<Session>;

    fn connect(&self, side: Side, config: Config, connection: Connection) -> Hosted<Session> {
        let _context = self.handle.enter();
        match connection {
            Connection::Tcp(tcp) => {
                tcp.set_nonblocking(true).expect("a socket");
                self.start(side, config, TcpStream::from_std(tcp).expect("a socket"))
            }
            #[cfg(unix)]
            Connection::Unix(unix) => {
                unix.set_nonblocking(true).expect("a socket");
                self.start(
                    side,
                    config,
                    tokio::net::UnixStream::from_std(unix).expect("a socket"),
                )
            }
            Connection::Memory(memory) => self.start(side, config, memory.compat()),
        }
    }
}

host! {
    sessions: Session,
    streams: Stream,
    readers: AsyncReadExt,
    lenders: AsyncBufReadExt,
    writers: AsyncWriteExt,
    wait: park,
    with: (),
    finish: |stream| stream.shutdown(),
    split: |stream| stream.into_split(),
}
