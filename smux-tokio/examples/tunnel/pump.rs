//! Carries one TCP connection through one stream, both ways.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use smux_tokio::{OwnedReadHalf, OwnedWriteHalf, Stream};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::socket;

/// Read at once: what fits into two frames.
const BLOCK: usize = 64 * 1024;

/// When the tunnel shuts down and its sessions have ended: how long TCP connections may take for what has arrived.
pub(crate) const DELIVERY: Duration = Duration::from_secs(3);

/// When a session is lost: how long a TCP connection may take nothing of what has arrived.
const LOST: Duration = Duration::from_secs(10);

/// Without half-close, a user that ends its direction after it was answered has most often closed
/// its connection. This is how long the answer may pause.
const QUIET: Duration = Duration::from_millis(500);

/// How connections end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub half_close: HalfClose,
    /// How long nothing may move once one direction has ended.
    pub idle: Duration,
}

/// What becomes of a stream when the TCP connection ends its direction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HalfClose {
    /// The peer is told, and the other direction goes on.
    Carry,
    /// The peer cannot take that: the whole stream is closed.
    Close,
    /// As `Close`, after the answer: when the peer has ended the stream, nothing has come for so
    /// long, or an answer that had begun before has paused for [`QUIET`].
    CloseAfter(Duration),
}

/// Why both directions end although one is not at its end.
enum Cut {
    /// As [`HalfClose::Close`] says.
    Closed,
    /// As [`QUIET`] says. More might have come.
    Quiet,
    Failed(io::Error),
}

impl<E: Into<io::Error>> From<E> for Cut {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub to_stream: AtomicU64,
    pub to_tcp: AtomicU64,
    /// What was carried last went to the stream.
    asked: AtomicBool,
    /// The peer has closed the stream: it reads no more.
    stopped: AtomicBool,
    /// The session has ended.
    lost: AtomicBool,
}

/// Carries `tcp` through `stream` until both directions have ended, each in its own time.
///
/// What is broken on one side is broken on the other: a TCP connection that is reset closes the stream; a session that is
/// lost, or a stream that the peer closes although more is to be sent, resets the TCP connection. So does the end of this future
/// before it is ready, or of the process. So nobody takes a part of the data for all of it. The news does not overtake data: as long as a side takes none, it learns nothing either.
///
/// # Errors
/// Of either side. Both are ended then.
pub(crate) async fn carry(
    mut tcp: TcpStream,
    stream: Stream,
    ending: Ending,
    carried: &Carried,
) -> io::Result<()> {
    socket::prepare(&tcp)?;
    // Until all has gone well, also if this is dropped or the process ends.
    tcp.set_zero_linger()?;
    let half_close = ending.half_close;
    match both_ways(&mut tcp, stream, ending, carried).await {
        Ok(()) | Err(Cut::Closed) => {}
        Err(Cut::Quiet) => return Ok(()),
        Err(Cut::Failed(error)) => return Err(error),
    }
    if carried.lost.load(Relaxed) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    if !carried.is_broken(half_close) {
        SockRef::from(&tcp).set_linger(None)?;
    }
    Ok(())
}

async fn both_ways(
    tcp: &mut TcpStream,
    stream: Stream,
    ending: Ending,
    carried: &Carried,
) -> Result<(), Cut> {
    let (tcp_read, mut tcp_write) = tcp.split();
    let (mut stream_read, stream_write) = stream.into_split();
    let up = Upward {
        tcp: tcp_read,
        stream: stream_write,
    };
    let mut up = pin!(up.carry(ending.half_close, carried));
    let mut down = pin!(to_tcp(
        &mut stream_read,
        &mut tcp_write,
        ending.half_close,
        carried
    ));
    // In this order: a peer that has closed the stream is known before its end of data is passed on, which then is no
    // proper end. What it has sent before is still delivered.
    tokio::select! {
        biased;
        ended = &mut up => {
            let mut up = ended?;
            tokio::select! {
                biased;
                down = down => down,
                cut = up.broken(ending.idle, carried) => Err(cut),
            }
        }
        ended = &mut down => {
            ended?;
            tokio::select! {
                biased;
                up = up => up.map(drop),
                cut = idle(ending.idle, carried) => Err(cut),
            }
        }
    }
}

impl Carried {
    /// Whether the stream has ended otherwise than by the ends of both directions.
    fn is_broken(&self, half_close: HalfClose) -> bool {
        match half_close {
            // The peer has closed the stream before we were done.
            HalfClose::Carry => self.stopped.load(Relaxed),
            HalfClose::Close => false,
            // Every end looks alike. One without an answer is a refusal.
            HalfClose::CloseAfter(_) => self.to_tcp.load(Relaxed) == 0,
        }
    }

    fn total(&self) -> u64 {
        self.to_stream.load(Relaxed) + self.to_tcp.load(Relaxed)
    }
}

/// Ready when nothing has moved for so long.
async fn idle(limit: Duration, carried: &Carried) -> Cut {
    loop {
        let before = carried.total();
        tokio::time::sleep(limit).await;
        if carried.total() == before {
            let what = "half-closed, and nothing has moved for too long";
            return Cut::Failed(io::Error::new(io::ErrorKind::TimedOut, what));
        }
    }
}

/// From the TCP connection to the stream.
struct Upward<'a> {
    tcp: ReadHalf<'a>,
    stream: OwnedWriteHalf,
}

impl Upward<'_> {
    /// Ends when the connection does, or when the peer will read no more.
    async fn carry(mut self, half_close: HalfClose, carried: &Carried) -> Result<Self, Cut> {
        let mut block = vec![0; BLOCK];
        loop {
            let read = tokio::select! {
                biased;
                stopped = self.stream.stopped() => {
                    // What has arrived before is still delivered. Then reading tells that the
                    // session has ended.
                    match stopped {
                        Ok(()) => carried.stopped.store(true, Relaxed),
                        Err(_) => carried.lost.store(true, Relaxed),
                    }
                    return Ok(self);
                }
                read = self.tcp.read(&mut block) => read?,
            };
            if read == 0 {
                break;
            }
            match self.stream.write_all(&block[..read]).await {
                Ok(()) => carried.to_stream.fetch_add(read as u64, Relaxed),
                // As above.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    carried.stopped.store(true, Relaxed);
                    return Ok(self);
                }
                Err(error) => return Err(error.into()),
            };
            carried.asked.store(true, Relaxed);
        }
        match half_close {
            HalfClose::Carry => self.stream.finish(),
            HalfClose::Close => return Err(Cut::Closed),
            HalfClose::CloseAfter(limit) => self.answered(limit, carried).await?,
        }
        Ok(self)
    }

    /// Ends when the peer has ended the stream: see [`HalfClose::CloseAfter`].
    async fn answered(&mut self, limit: Duration, carried: &Carried) -> Result<(), Cut> {
        let is_quick = !carried.asked.load(Relaxed);
        let limit = if is_quick { limit.min(QUIET) } else { limit };
        loop {
            let before = carried.to_tcp.load(Relaxed);
            match tokio::time::timeout(limit, self.stream.stopped()).await {
                Ok(ended) => return Ok(ended?),
                Err(_) if carried.to_tcp.load(Relaxed) != before => {}
                Err(_) if is_quick => return Err(Cut::Quiet),
                Err(elapsed) => return Err(elapsed.into()),
            }
        }
    }

    /// After its end: ready when the other direction must not go on.
    async fn broken(&mut self, limit: Duration, carried: &Carried) -> Cut {
        let lost = async {
            if !carried.lost.load(Relaxed) && self.stream.stopped().await.is_ok() {
                return pending().await;
            }
            carried.lost.store(true, Relaxed);
            // The other direction ends by itself, if its user or target takes what has arrived.
            idle(limit.min(LOST), carried).await
        };
        tokio::select! {
            cut = lost => cut,
            cut = idle(limit, carried) => cut,
            cut = reset(&self.tcp) => cut,
        }
    }
}

/// Ready when the connection is reset, or its other end is gone. After the end of data, reading does
/// not tell.
async fn reset(tcp: &ReadHalf<'_>) -> Cut {
    if tcp.ready(Interest::ERROR).await.is_err() {
        pending::<()>().await;
    }
    let error = SockRef::from(tcp.as_ref()).take_error().ok().flatten();
    Cut::Failed(error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()))
}

/// Ends when the peer has sent everything and the connection has taken it.
async fn to_tcp(
    stream: &mut OwnedReadHalf,
    tcp: &mut WriteHalf<'_>,
    half_close: HalfClose,
    carried: &Carried,
) -> Result<(), Cut> {
    loop {
        let data = stream.read_bytes(BLOCK).await?;
        if data.is_empty() {
            break;
        }
        tcp.write_all(&data).await?;
        carried.to_tcp.fetch_add(data.len() as u64, Relaxed);
        carried.asked.store(false, Relaxed);
    }
    if !carried.is_broken(half_close) {
        tcp.shutdown().await?;
    }
    Ok(())
}
