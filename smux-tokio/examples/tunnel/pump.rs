//! Carries one TCP connection through one stream, both ways.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use smux_tokio::{OwnedReadHalf, OwnedWriteHalf, Stream};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Read at once: what fits into two frames.
const BLOCK: usize = 64 * 1024;

/// When the tunnel shuts down and its sessions have ended: how long TCP connections may take for what has arrived.
pub(crate) const DELIVERY: Duration = Duration::from_secs(3);

/// What becomes of a stream when the TCP connection ends its direction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HalfClose {
    /// The peer is told, and the other direction goes on for as long as it likes.
    Carry,
    /// The peer cannot take that: the whole stream is closed, after so long in which the other direction may end first.
    /// If it is given time and does not, it is cut, and counts as broken.
    CloseAfter(Duration),
}

/// Why both directions end although one is not at its end.
enum Cut {
    /// As [`HalfClose::CloseAfter`] says, with nothing to wait for.
    Closed,
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
    /// The peer has closed the stream: it reads no more.
    stopped: AtomicBool,
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
    half_close: HalfClose,
    carried: &Carried,
) -> io::Result<()> {
    // Until all has gone well, also if this is dropped or the process ends.
    tcp.set_zero_linger()?;
    let (mut tcp_read, mut tcp_write) = tcp.split();
    let (mut stream_read, mut stream_write) = stream.into_split();
    // In this order: a peer that has closed the stream is known before its end of data is passed on, which then is no
    // proper end. What it has sent before is still delivered.
    let ended = tokio::try_join!(
        biased;
        to_stream(&mut tcp_read, &mut stream_write, half_close, carried),
        to_tcp(&mut stream_read, &mut tcp_write, half_close, carried),
    );
    match ended {
        Ok(_) | Err(Cut::Closed) => {}
        Err(Cut::Failed(error)) => return Err(error),
    }
    if !carried.is_broken(half_close) {
        SockRef::from(&tcp).set_linger(None)?;
    }
    Ok(())
}

impl Carried {
    /// Whether the peer has closed the stream before we were done. Without half-close every end looks so.
    fn is_broken(&self, half_close: HalfClose) -> bool {
        self.stopped.load(Relaxed) && matches!(half_close, HalfClose::Carry)
    }
}

/// Ends when the connection does, or when the peer will read no more.
async fn to_stream(
    tcp: &mut ReadHalf<'_>,
    stream: &mut OwnedWriteHalf,
    half_close: HalfClose,
    carried: &Carried,
) -> Result<(), Cut> {
    let mut block = vec![0; BLOCK];
    loop {
        let read = tokio::select! {
            biased;
            // If the session has ended, reading from it tells.
            Ok(()) = stream.stopped() => {
                carried.stopped.store(true, Relaxed);
                return Ok(());
            }
            read = tcp.read(&mut block) => read?,
        };
        if read == 0 {
            break;
        }
        match stream.write_all(&block[..read]).await {
            Ok(()) => carried.to_stream.fetch_add(read as u64, Relaxed),
            // As above; what the peer has sent before is still to be delivered.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                carried.stopped.store(true, Relaxed);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
    }
    if let HalfClose::CloseAfter(wait) = half_close {
        return match tokio::time::timeout(wait, stream.stopped()).await {
            Ok(ended) => Ok(ended.map_err(io::Error::from)?),
            Err(_) if wait.is_zero() => Err(Cut::Closed),
            Err(elapsed) => Err(Cut::Failed(elapsed.into())),
        };
    }
    stream.finish();
    Ok(())
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
    }
    if !carried.is_broken(half_close) {
        tcp.shutdown().await?;
    }
    Ok(())
}
