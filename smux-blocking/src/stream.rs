//! A stream on threads.

use std::{
    fmt,
    io::{self, BufRead, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use smux_proto::{Priority, StreamError, StreamId, StreamStats, poll::StreamHandle};

use crate::{
    threads::Direct,
    transport::Addresses,
    wait::{TimedWaiter, Waiter},
    writing::send,
};

/// What `copy_to` takes at a time, at most.
const COPY: usize = 64 * 1024;

/// A stream of a [`Session`](crate::Session): reads and writes as a socket does, also through
/// `&Stream`, so that one thread can read while another writes. Any number of threads may use it in
/// either direction.
///
/// A read of 0 bytes is the end of the peer's data. If the session ends before the peer has
/// finished, reading fails instead, so a truncated stream is never taken for a whole one.
///
/// A write returns once its bytes are queued; it waits while the peer's window or the send queue is
/// full. A flush returns once what is queued is written, and the transport flushed; nothing needs a
/// flush to be sent.
///
/// Dropping it, with all its [clones](Self::try_clone), closes the stream: what is queued is sent,
/// then its end; unread data is discarded. The peer's writes fail from then on if it understands
/// the second FIN. It never waits. A stream keeps its session open.
pub struct Stream {
    shared: Arc<Shared>,
    /// What `fill_buf` has lent, until it is consumed.
    lent: Bytes,
}

struct Shared {
    handle: StreamHandle,
    read: TimedWaiter,
    write: TimedWaiter,
    /// The transport, for this to read from and to write to.
    direct: Direct,
    addresses: Addresses,
}

impl Shared {
    fn write(
        &self,
        len: usize,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<usize, StreamError>>,
    ) -> io::Result<usize> {
        let direct = self.direct.output.as_deref();
        self.write.block_on(|cx| send(direct, len, || poll(cx)))
    }

    fn read<R>(
        &self,
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, StreamError>>,
    ) -> io::Result<R> {
        let input = self.direct.input.as_deref();
        self.read.block_after(poll, |wait| {
            let input = input?;
            input.read_until_over(wait);
            Some(input.wait())
        })
    }
}

impl Stream {
    pub(crate) fn new(handle: StreamHandle, addresses: Addresses, direct: Direct) -> Self {
        let shared = Shared {
            handle,
            read: TimedWaiter::new(),
            write: TimedWaiter::new(),
            direct,
            addresses,
        };
        Self::of(Arc::new(shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let lent = Bytes::new();
        Self { shared, lent }
    }

    /// Another handle on the same stream, with the same timeouts.
    ///
    /// # Errors
    /// None, for now.
    ///
    /// # Example
    /// ```
    /// # use std::{io::{Read, Write}, net::TcpListener, thread};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// let mut reader = stream.try_clone()?;
    /// let reading = thread::spawn(move || {
    ///     let mut echo = Vec::new();
    ///     reader.read_to_end(&mut echo).map(|_| echo)
    /// });
    /// stream.write_all(b"hello")?;
    /// stream.finish();
    /// # let served = server.accept()?;
    /// # served.copy_to(&mut &served)?;
    /// # served.finish();
    /// assert_eq!(reading.join().expect("no panic")?, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::of(Arc::clone(&self.shared)))
    }

    /// The stream's number, unique within its session.
    pub fn id(&self) -> StreamId {
        self.shared.handle.id()
    }

    /// A copy of the stream's counters.
    pub fn stats(&self) -> StreamStats {
        self.shared.handle.stats()
    }

    /// The transport's address here, if known.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.addresses.0
    }

    /// The transport's address at the peer, if known.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.addresses.1
    }

    /// How long each read may take. `None`, the default, means no limit.
    ///
    /// A read that takes longer fails with [`TimeoutElapsed`](crate::TimeoutElapsed) in an error of
    /// kind [`io::ErrorKind::TimedOut`], on every platform. It never fails while there is data to
    /// read, and loses none. The timeout holds for all clones, and also for threads that wait
    /// already; for them the time counts from now.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is zero.
    ///
    /// # Example
    /// ```
    /// # use std::{io::Read, net::TcpListener, time::Duration};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// stream.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// let error = stream.read(&mut [0; 8]).expect_err("the peer sends nothing");
    /// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.read.set_timeout(timeout)
    }

    /// How long each write, flush and shutdown may take. As
    /// [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// A write that fails has queued nothing. What was queued before, also by a flush or shutdown
    /// that failed, is still sent. Note that [`Write::write_all`] does not report how much it wrote
    /// before it failed.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.write.set_timeout(timeout)
    }

    /// How long each read may take.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.shared.read.timeout()
    }

    /// How long each write, flush and shutdown may take.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.shared.write.timeout()
    }

    /// Reads at most `max` bytes without a copy. Empty `Bytes` are the end of the peer's data.
    ///
    /// # Errors
    /// Same errors as reading.
    ///
    /// # Example
    /// ```
    /// # use std::{io::Write, net::TcpListener};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// # let mut writer = client.open()?;
    /// # writer.write_all(b"hello")?;
    /// # writer.finish();
    /// let stream = server.accept()?;
    /// let mut length = 0;
    /// loop {
    ///     let bytes = stream.read_bytes(64 * 1024)?;
    ///     if bytes.is_empty() {
    ///         break; // the peer has finished
    ///     }
    ///     length += bytes.len();
    /// }
    /// assert_eq!(length, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_bytes(&self, max: usize) -> io::Result<Bytes> {
        let shared = &*self.shared;
        shared.read(|cx| shared.handle.poll_read_bytes(cx, max))
    }

    /// Writes all that the peer sends to `writer`, then flushes it. Returns the number of bytes
    /// copied.
    ///
    /// # Errors
    /// Same errors as reading, or those of `writer`. What `writer` was being given is then lost.
    ///
    /// # Example
    /// ```
    /// # use std::{io::Write, net::TcpListener};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// # let mut writer = client.open()?;
    /// # writer.write_all(b"hello")?;
    /// # writer.finish();
    /// let stream = server.accept()?;
    /// let mut all = Vec::new();
    /// assert_eq!(stream.copy_to(&mut all)?, 5);
    /// assert_eq!(all, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn copy_to(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<u64> {
        let mut copied = 0;
        loop {
            let bytes = self.read_bytes(COPY)?;
            if bytes.is_empty() {
                writer.flush()?;
                return Ok(copied);
            }
            writer.write_all(&bytes)?;
            copied += bytes.len() as u64;
        }
    }

    /// Whether the peer has ended its data. Some of it may still be unread.
    pub fn peer_finished(&self) -> bool {
        self.shared.handle.peer_finished()
    }

    /// Queues bytes of `data` without a copy, advances it by what was taken, and returns how much
    /// that was; 0 only for empty `data`.
    ///
    /// # Errors
    /// Same errors as writing.
    ///
    /// # Example
    /// ```
    /// # use std::net::TcpListener;
    /// # use smux_blocking::{Bytes, Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let stream = client.open()?;
    /// let mut data = Bytes::from_static(b"hello");
    /// let taken = stream.write_bytes(&mut data)?;
    /// assert_eq!(taken + data.len(), 5); // what was not taken is still in `data`
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
        let shared = &*self.shared;
        shared.write(data.len(), |cx| shared.handle.poll_write_bytes(cx, data))
    }

    /// Queues all of `data` without a copy.
    ///
    /// # Errors
    /// Same errors as writing; `data` keeps what was not taken.
    ///
    /// # Example
    /// ```
    /// # use std::net::TcpListener;
    /// # use smux_blocking::{Bytes, Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let stream = client.open()?;
    /// let mut data = Bytes::from(vec![7; 100_000]);
    /// stream.write_all_bytes(&mut data)?;
    /// assert!(data.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_all_bytes(&self, data: &mut Bytes) -> io::Result<()> {
        while !data.is_empty() {
            self.write_bytes(data)?;
        }
        Ok(())
    }

    /// Sets which data leaves first if this and other streams of the session have some, also of
    /// what is queued already. It is [`Priority::NORMAL`] unless set.
    ///
    /// The peer does not learn of it: it orders what this side sends. The batch that is being
    /// written, at most 240 KiB and a frame, and what the transport holds already leave before. As
    /// long as streams of a higher level have data, those of lower ones send nothing. Within a
    /// level, a stream of three times the weight sends three times as much.
    ///
    /// ```
    /// # use std::{io::Write, net::TcpListener};
    /// # use smux_blocking::{Config, Priority, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut backup = client.open()?;
    /// backup.set_priority(Priority::LOW); // only what the others leave
    /// backup.write_all(&[7; 100_000])?;
    /// let mut keys = client.open()?;
    /// keys.set_priority(Priority::HIGH); // before all others
    /// keys.write_all(b"hello")?;
    /// assert_eq!(keys.priority(), Priority::HIGH);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_priority(&self, priority: Priority) {
        self.shared.handle.set_priority(priority);
    }

    /// How this stream's data ranks among that of others.
    pub fn priority(&self) -> Priority {
        self.shared.handle.priority()
    }

    /// Ends our data: FIN follows queued data. Unlike [`shutdown`](Self::shutdown), it does not
    /// wait until that is sent.
    ///
    /// Writes fail from now on, also those that wait already.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, net::TcpListener};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// stream.write_all(b"question")?;
    /// stream.finish();
    /// # let mut served = server.accept()?;
    /// # served.write_all(b"answer")?;
    /// # served.finish();
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer)?; // reading goes on
    /// assert_eq!(answer, "answer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish(&self) {
        self.shared.handle.finish();
    }

    /// Ends one direction or both, for all clones.
    ///
    /// * [`Shutdown::Write`]: [`finish`](Self::finish), then flush. Reading goes on. A program that
    ///   ends right after it may lose the last data: wait for
    ///   [`Session::close`](crate::Session::close) first.
    /// * [`Shutdown::Read`]: reads return 0 from now on, also those that wait already; what has
    ///   arrived and what still arrives is discarded. The protocol cannot tell the peer before the
    ///   stream is dropped: in version 2 its writer stops once the window is used up, in version 1
    ///   it goes on, and its data is discarded.
    /// * [`Shutdown::Both`]: both. Threads that read or write this stream return; the stream is
    ///   closed once it is dropped with all its clones.
    ///
    /// # Errors
    /// Same errors as flushing.
    ///
    /// # Example
    /// ```
    /// # use std::{io::{Read, Write}, net::{Shutdown, TcpListener}};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// stream.write_all(b"question")?;
    /// stream.shutdown(Shutdown::Write)?; // the question has left
    /// # let mut served = server.accept()?;
    /// # served.write_all(b"answer")?;
    /// # served.finish();
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer)?; // reading goes on
    /// assert_eq!(answer, "answer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.shared.handle.stop_reading();
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            self.finish();
            (&*self).flush()?;
        }
        Ok(())
    }

    /// Waits until the peer has closed the stream and will read no more, which only some peers
    /// signal.
    ///
    /// # Errors
    /// If the session ends before, and after the write timeout.
    ///
    /// # Example
    /// ```
    /// # use std::{io::Write, net::TcpListener};
    /// # use smux_blocking::{Config, Session};
    /// # fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
    /// # let server = Session::server(listener.accept()?.0, Config::v2())?;
    /// let mut stream = client.open()?;
    /// # stream.write_all(b"hello")?;
    /// # drop(server.accept()?);
    /// stream.stopped()?; // the peer has dropped its end
    /// assert!(stream.write_all(b"more").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn stopped(&self) -> io::Result<()> {
        let Shared { handle, write, .. } = &*self.shared;
        write.block_on(|cx| handle.poll_stopped(cx))
    }

    /// A wait for the peer's stop that does not keep the stream. Of this and
    /// [`stopped`](Self::stopped), only the one that began last is woken.
    pub fn on_stopped(&self) -> OnStopped {
        OnStopped(Box::pin(self.shared.handle.stopped()))
    }

    /// Whether the peer has closed the stream and will read no more.
    pub fn is_stopped(&self) -> bool {
        self.shared.handle.is_stopped()
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let shared = &*self.shared;
        shared.read(|cx| shared.handle.poll_read(cx, buf))
    }
}

impl Write for &Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let shared = &*self.shared;
        shared.write(data.len(), |cx| shared.handle.poll_write(cx, data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let shared = &*self.shared;
        let len = data.iter().map(|slice| slice.len()).sum();
        shared.write(len, |cx| shared.handle.poll_write_vectored(cx, data))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Shared { handle, write, .. } = &*self.shared;
        write.block_on(|cx| handle.poll_flush(cx))
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // It is kept no longer than it is unread.
        self.lent = Bytes::new();
        (&*self).read(buf)
    }
}

/// Lends what has arrived without a copy, so a `BufReader` around the stream adds nothing. What is
/// consumed counts as read: only then may the peer send more. Let no clone read between a
/// `fill_buf` and its `consume`, which would skip what the clone has left.
///
/// ```
/// # use std::{io::{BufRead, Write}, net::TcpListener};
/// # use smux_blocking::{Config, Session};
/// # fn main() -> std::io::Result<()> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let client = Session::connect(listener.local_addr()?, Config::v2())?;
/// # let server = Session::server(listener.accept()?.0, Config::v2())?;
/// # let mut writer = client.open()?;
/// # writer.write_all(b"first\nsecond\n")?;
/// # writer.finish();
/// let mut lines = server.accept()?.lines();
/// assert_eq!(lines.next().transpose()?.as_deref(), Some("first"));
/// assert_eq!(lines.next().transpose()?.as_deref(), Some("second"));
/// assert!(lines.next().is_none());
/// # Ok(())
/// # }
/// ```
impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let shared = &*self.shared;
        self.lent = shared.read(|cx| shared.handle.poll_peek_bytes(cx))?;
        Ok(&self.lent)
    }

    fn consume(&mut self, count: usize) {
        self.lent = Bytes::new();
        self.shared.handle.consume(count);
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

/// A wait until the peer has closed a [`Stream`] and will read no more, that does not keep it.
pub struct OnStopped(Pin<Box<dyn Future<Output = Result<(), StreamError>> + Send + Sync>>);

impl OnStopped {
    /// Waits for the peer's stop.
    ///
    /// # Errors
    /// If the session ends before; [`StreamError::Finished`] if the stream is dropped before.
    pub fn wait(self) -> Result<(), StreamError> {
        Waiter::new().block_on_future(self.0)
    }
}

impl fmt::Debug for OnStopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnStopped").finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
