//! What a session can run over.

#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// A connection that a session can run over.
///
/// Implemented for [`TcpStream`], for [`UnixStream`](std::os::unix::net::UnixStream), and for
/// [`Parts`]. `Parts` hold any reader and writer that two threads can use at the same time and that
/// can be shut down.
///
/// A blocking TLS stream is usually no such pair, since reading and writing share its state: take
/// an asynchronous adapter for TLS, or run it in another process.
pub trait Transport {
    /// Its reading side.
    type Reader: Read + Send + 'static;
    /// Its writing side.
    type Writer: Write + Send + 'static;

    /// Gets it ready and takes it apart.
    ///
    /// # Errors
    /// If it is not connected any more, or cannot be set up.
    fn into_parts(self) -> io::Result<Parts<Self::Reader, Self::Writer>>;
}

/// A reader, a writer, and a way to end both: what a [`Transport`] consists of.
///
/// ```no_run
/// use std::{net::Shutdown, process::{Command, Stdio}};
/// use smux_blocking::{Config, Parts, Session};
///
/// let mut child = Command::new("ssh")
///     .args(["host", "smux-server"])
///     .stdin(Stdio::piped())
///     .stdout(Stdio::piped())
///     .spawn()?;
/// let (stdout, stdin) = (child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
/// let child = std::sync::Mutex::new(child);
/// let session = Session::client(
///     Parts::new(stdout, stdin, move |how| match how {
///         // Its end of input is that `stdin` is dropped, which follows.
///         Shutdown::Write => Ok(()),
///         _ => child.lock().expect("no panic").kill(),
///     }),
///     Config::default(),
/// )?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Parts<R, W> {
    pub(crate) reader: R,
    pub(crate) writer: W,
    pub(crate) shutdown: ShutdownFn,
    pub(crate) vectored: bool,
    pub(crate) addresses: Addresses,
    pub(crate) limit_reads: Option<LimitFn<R>>,
    pub(crate) limit_writes: Option<LimitFn<W>>,
}

pub(crate) type ShutdownFn = Arc<dyn Fn(Shutdown) -> io::Result<()> + Send + Sync>;

/// Sets how long a read or a write may block before it fails with [`io::ErrorKind::WouldBlock`], or
/// takes a part; `None` is for as long as it takes.
pub(crate) type LimitFn<W> = fn(&W, Option<Duration>) -> io::Result<()>;

/// The transport's addresses, here and at the peer; `None` if unknown.
pub(crate) type Addresses = (Option<SocketAddr>, Option<SocketAddr>);

impl<R, W> Parts<R, W> {
    /// A reader and a writer that two threads use at the same time.
    ///
    /// Both block: a call that fails, with [`io::ErrorKind::WouldBlock`] too, ends the session.
    /// Only [`io::ErrorKind::Interrupted`] is tried again. A writer that buffers is flushed
    /// whenever nothing is left to send.
    ///
    /// `shutdown` is called from other threads while `reader` and `writer` may be in use:
    ///
    /// * with [`Shutdown::Write`] at most once, when all is written: the peer must read its end of
    ///   input then, at the latest when `writer` is dropped, which follows at once. An error ends
    ///   the session.
    /// * with [`Shutdown::Both`] once, when the session has ended: reads and writes that are
    ///   blocked must return then, with whatever result. **If a read does not, its thread stays,
    ///   and [`Session::close`](crate::Session::close) waits for it.**
    pub fn new(
        reader: R,
        writer: W,
        shutdown: impl Fn(Shutdown) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            reader,
            writer,
            shutdown: Arc::new(shutdown),
            vectored: false,
            addresses: (None, None),
            limit_reads: None,
            limit_writes: None,
        }
    }

    /// `writer` implements [`Write::write_vectored`], as sockets, pipes and files do. Otherwise
    /// small pieces are copied together first.
    #[must_use]
    pub fn vectored(mut self) -> Self {
        self.vectored = true;
        self
    }

    /// Its reads and writes can be kept from blocking for long.
    #[cfg(unix)]
    fn limited(mut self, reads: LimitFn<R>, writes: LimitFn<W>) -> Self {
        self.limit_reads = Some(reads);
        self.limit_writes = Some(writes);
        self
    }

    /// Addresses for the session to tell.
    #[must_use]
    pub fn with_addresses(mut self, local: Option<SocketAddr>, peer: Option<SocketAddr>) -> Self {
        self.addresses = (local, peer);
        self
    }
}

impl<S> Parts<Socket<S>, Socket<S>> {
    /// The two sides of a socket, or of anything else of which `&S` is a reader and a writer. As
    /// [`new`](Self::new).
    pub fn of_socket(
        socket: S,
        shutdown: impl Fn(&S, Shutdown) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self
    where
        S: Send + Sync + 'static,
    {
        let socket = Arc::new(socket);
        let (reader, writer) = (Socket(Arc::clone(&socket)), Socket(Arc::clone(&socket)));
        Self::new(reader, writer, move |how| shutdown(&socket, how))
    }
}

impl<R, W> fmt::Debug for Parts<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("vectored", &self.vectored)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl<R, W> Transport for Parts<R, W>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    type Reader = R;
    type Writer = W;

    fn into_parts(self) -> io::Result<Self> {
        Ok(self)
    }
}

/// Sets `TCP_NODELAY`, without which small messages wait for each other, blocking mode, and no
/// timeouts. The session changes the timeouts as it needs, except on Windows.
impl Transport for TcpStream {
    type Reader = Socket<Self>;
    type Writer = Socket<Self>;

    fn into_parts(self) -> io::Result<Parts<Socket<Self>, Socket<Self>>> {
        let (local, peer) = (self.local_addr()?, self.peer_addr()?);
        self.set_nodelay(true)?;
        self.set_nonblocking(false)?;
        self.set_read_timeout(None)?;
        self.set_write_timeout(None)?;
        let parts = Parts::of_socket(self, Self::shutdown).vectored();
        // Elsewhere a socket may be of no use after a call that was cut short.
        #[cfg(unix)]
        let parts = parts.limited(
            |Socket(tcp), limit| tcp.set_read_timeout(limit),
            |Socket(tcp), limit| tcp.set_write_timeout(limit),
        );
        Ok(parts.with_addresses(Some(local), Some(peer)))
    }
}

/// Sets blocking mode and no timeouts. The session changes them as it needs.
#[cfg(unix)]
impl Transport for UnixStream {
    type Reader = Socket<Self>;
    type Writer = Socket<Self>;

    fn into_parts(self) -> io::Result<Parts<Socket<Self>, Socket<Self>>> {
        self.set_nonblocking(false)?;
        self.set_read_timeout(None)?;
        self.set_write_timeout(None)?;
        let parts = Parts::of_socket(self, Self::shutdown).vectored();
        Ok(parts.limited(
            |Socket(unix), limit| unix.set_read_timeout(limit),
            |Socket(unix), limit| unix.set_write_timeout(limit),
        ))
    }
}

/// One side of something that can be read and written at the same time through a shared reference,
/// as sockets can.
///
/// It is dropped when both sides are, and the session has ended.
#[derive(Debug)]
pub struct Socket<S>(Arc<S>);

impl<S> Read for Socket<S>
where
    for<'a> &'a S: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl<S> Write for Socket<S>
where
    for<'a> &'a S: Write,
{
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self.0).write(data)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}
