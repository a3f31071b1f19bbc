//! The work itself, the same code over a smux stream and over a raw TCP connection. So both are
//! compared with the same checksums, buffers and calls.

use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::protocol::{Digest, Request};
use crate::report::Progress;

/// Bytes per write call.
const BLOCK: usize = 128 * 1024;
/// Bytes per read call.
const READ: usize = 64 * 1024;
/// Bytes of a round trip in one direction.
pub(crate) const PING: usize = 64;
const PINGS: usize = 10_000;
/// Round trips before the clock starts: caches, branch predictors and frequency settle.
const WARM_UP: usize = 500;
/// What [`round_trips`] sends in all.
pub(crate) const ROUND_TRIP_BYTES: u64 = ((WARM_UP + PINGS) * PING) as u64;

/// Where blocks start in `RANDOM`. A power of two, so that an odd step visits every start once.
const STARTS: usize = 256 * 1024;
const STEP: usize = 4099;

/// Every block is another slice of this: no two neighbouring blocks are equal, so the checksum sees
/// lost, repeated and swapped blocks, and no stream needs a send buffer of its own.
static RANDOM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut data = vec![0; STARTS + BLOCK];
    fastrand::fill(&mut data);
    data
});

/// Asks the other side to take `bytes` from us and checks that it got them.
pub(crate) async fn push<S>(stream: &mut S, bytes: u64, progress: &Progress) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Request::Take.write(stream).await?;
    let digest = pour(stream, bytes, progress).await?;
    stream.shutdown().await?;
    digest.verify(stream).await
}

/// Serves [`Request::Take`]: reads to the end of the data, answers with its digest.
pub(crate) async fn take<S>(stream: &mut S, progress: &Progress) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let digest = drain(stream, progress).await?;
    digest.write(stream).await?;
    Ok(stream.shutdown().await?)
}

/// Asks the other side for `bytes` and checks them.
pub(crate) async fn pull<S>(stream: &mut S, bytes: u64, progress: &Progress) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Request::Give { bytes }.write(stream).await?;
    let digest = drain(&mut stream.take(bytes), progress).await?;
    digest.verify(&mut stream.take(Digest::SIZE)).await
}

/// Serves [`Request::Give`].
pub(crate) async fn give<S>(stream: &mut S, bytes: u64) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let digest = pour(stream, bytes, &Progress::hidden()).await?;
    digest.write(stream).await?;
    Ok(stream.shutdown().await?)
}

/// Serves [`Request::Echo`] until the other side finishes.
pub(crate) async fn echo<S>(stream: &mut S) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = [0; PING];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(stream.shutdown().await?);
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// Times round trips one after the other; the result is in nanoseconds.
pub(crate) async fn round_trips<S>(stream: &mut S, progress: &Progress) -> Result<Histogram<u64>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Request::Echo.write(stream).await?;
    let mut times = Histogram::new(3).context("three significant digits")?;
    let mut reply = [0; PING];
    for round in 0..WARM_UP + PINGS {
        let message = &RANDOM[round..round + PING];
        let start = Instant::now();
        stream.write_all(message).await?;
        stream.read_exact(&mut reply).await?;
        let elapsed = start.elapsed();
        ensure!(reply == message, "the echo differs from what was sent");
        progress.add(PING);
        if round >= WARM_UP {
            times.record(u64::try_from(elapsed.as_nanos())?)?;
        }
    }
    stream.shutdown().await?;
    Ok(times)
}

async fn pour<W>(to: &mut W, bytes: u64, progress: &Progress) -> Result<Digest>
where
    W: AsyncWrite + Unpin,
{
    let mut digest = Digest::default();
    let mut left = bytes;
    let mut start = fastrand::usize(..STARTS);
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let block = &RANDOM[start..start + length];
        digest.update(block);
        to.write_all(block).await?;
        progress.add(length);
        left -= length as u64;
        start = (start + STEP) % STARTS;
    }
    Ok(digest)
}

/// Reads to the end of the data.
async fn drain<R>(from: &mut R, progress: &Progress) -> Result<Digest>
where
    R: AsyncRead + Unpin,
{
    let mut digest = Digest::default();
    let mut buffer = vec![0; READ];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(digest);
        }
        digest.update(&buffer[..n]);
        progress.add(n);
    }
}
