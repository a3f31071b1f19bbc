//! The conformance suite of smux, from outside its workspace.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    sync::mpsc::sync_channel,
    thread::{self, JoinHandle},
};

use compio::{
    BufResult,
    buf::{self, IoVectoredBuf},
    driver::{DriverType, ProactorBuilder},
    io::{AsyncBufRead, AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Runtime, spawn},
};
use futures_channel::mpsc::{UnboundedSender, unbounded};
use futures_util::StreamExt;
use smux_compio::{Config, Half, Session, Side, Stream, over_tcp, start};
use smux_conformance::{
    host,
    suite::{
        connection::{Connection, Memory},
        host::Adapter,
        host_impl::park,
    },
};

smux_conformance::suite!(over_tcp, Completion::new());
smux_conformance::memory_suites!(in_memory, Completion::new());
smux_conformance::transport_suite!(by_readiness, Completion::by_readiness());
smux_conformance::go_suite!(go, Completion::new(), Newest);

type Job = Box<dyn FnOnce() + Send>;

/// A runtime on a thread of its own, which runs until this is dropped.
struct Completion {
    jobs: Option<UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Completion {
    /// With io_uring if the kernel has it.
    fn new() -> Self {
        Self::with(ProactorBuilder::new())
    }

    /// As where the kernel does not have it.
    fn by_readiness() -> Self {
        let mut driver = ProactorBuilder::new();
        driver.driver_type(DriverType::Poll);
        Self::with(driver)
    }

    fn with(driver: ProactorBuilder) -> Self {
        let (jobs, mut coming) = unbounded::<Job>();
        let thread = thread::spawn(move || {
            let runtime = Runtime::builder().with_proactor(driver).build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                while let Some(job) = coming.next().await {
                    job();
                }
            });
        });
        Self {
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }

    fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (done, result) = sync_channel(1);
        let job = Box::new(move || {
            let _ = done.send(job());
        });
        let jobs = self.jobs.as_ref().expect("it is there until the end");
        jobs.unbounded_send(job).expect("the thread runs");
        result.recv().expect("the job is done")
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it shows in the test that needed it.
            let _ = thread.join();
        }
    }
}

impl Adapter for Completion {
    type Session = Hosted<Session>;

    fn connect(&self, side: Side, config: Config, connection: Connection) -> Self::Session {
        let session = self.run(move || match connection {
            Connection::Tcp(tcp) => {
                let tcp = TcpStream::from_std(tcp).expect("a socket");
                over_tcp(side, tcp, config).expect("it is connected")
            }
            Connection::Memory(memory) => {
                let memory = Rc::new(memory);
                let (session, driver) =
                    start(side, config, Piped(Rc::clone(&memory)), Piped(memory));
                spawn(driver).detach();
                session
            }
            #[cfg(unix)]
            Connection::Unix(_) => unreachable!("no test asks for it"),
        });
        Hosted(session, ())
    }
}

/// A connection in memory in the runtime's traits.
struct Piped(Rc<Memory>);

impl AsyncRead for Piped {
    async fn read<B: buf::IoBufMut>(&mut self, mut buffer: B) -> BufResult<usize, B> {
        let mut bytes = vec![0; buffer.buf_capacity()];
        match poll_fn(|cx| self.0.poll_read(cx, &mut bytes)).await {
            Ok(count) => (&bytes[..count]).read(buffer).await,
            Err(error) => BufResult(Err(error), buffer),
        }
    }
}

impl AsyncWrite for Piped {
    async fn write<B: buf::IoBuf>(&mut self, buffer: B) -> BufResult<usize, B> {
        let written = poll_fn(|cx| self.0.poll_write(cx, buffer.as_init())).await;
        BufResult(written, buffer)
    }

    async fn write_vectored<B: IoVectoredBuf>(&mut self, buffer: B) -> BufResult<usize, B> {
        let written = poll_fn(|cx| {
            let first = buffer.iter_slice().find(|slice| !slice.is_empty());
            self.0
                .poll_write(cx, first.expect("there is a byte to write"))
        });
        let written = written.await;
        BufResult(written, buffer)
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.0.poll_flush(cx)).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.0.poll_close(cx)).await
    }
}

host! {
    sessions: Session,
    streams: Stream,
    readers: Reader,
    lenders: Lender,
    writers: Writer,
    wait: park,
    with: (),
    finish: |stream| stream.shutdown(),
    split: |stream| stream.into_split(),
}

/// The runtime's traits with borrowed buffers.
trait Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

trait Lender {
    async fn fill_buf(&mut self) -> io::Result<&[u8]>;
    fn consume(&mut self, count: usize);
}

trait Writer {
    async fn write(&mut self, data: &[u8]) -> io::Result<usize>;
    async fn flush(&mut self) -> io::Result<()>;
}

impl<T> Reader for Half<T>
where
    Self: AsyncRead,
{
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let BufResult(read, bytes) = AsyncRead::read(self, vec![0; buffer.len()]).await;
        let count = read?;
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl<T> Lender for Half<T>
where
    Self: AsyncBufRead,
{
    async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        AsyncBufRead::fill_buf(self).await
    }

    fn consume(&mut self, count: usize) {
        AsyncBufRead::consume(self, count);
    }
}

impl<T> Writer for Half<T>
where
    Self: AsyncWrite,
{
    async fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let BufResult(written, _) = AsyncWrite::write(self, data.to_vec()).await;
        written
    }

    async fn flush(&mut self) -> io::Result<()> {
        AsyncWrite::flush(self).await
    }
}
