//! The first frame each way.
//!
//! A client sends a NOP at once, so that the server can distinguish it from a stranger before the
//! first stream. The server starts a session once it has seen the header of a frame and has a place
//! for it. Then it sends a NOP too, so that the client does not take a connection that the server
//! will drop for a session.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use smux_tokio::Version;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Bytes of a frame without data.
const FRAME: usize = 8;
/// The command that does nothing. Peers of all releases ignore it.
const NOP: u8 = 3;
/// How often to look for the rest of an incomplete header.
const LOOK: Duration = Duration::from_millis(20);
/// How long a server may take to answer at most. A server of another kind does not answer: then the
/// session begins without.
const ANSWER: Duration = Duration::from_secs(1);
/// What it may be if a server ends the connection instead.
const TURNED_AWAY: &str =
    "turned away: is this client allowed, and has the server a place (--max-sessions)?";

/// Sends a first frame.
pub(crate) async fn say(to: &mut (impl AsyncWrite + Unpin), version: Version) -> io::Result<()> {
    send(to, version.to_byte()).await
}

pub(crate) async fn send(to: &mut (impl AsyncWrite + Unpin), version: u8) -> io::Result<()> {
    let mut frame = [0; FRAME];
    frame[..2].copy_from_slice(&[version, NOP]);
    to.write_all(&frame).await?;
    to.flush().await
}

/// Waits a moment for the server's first byte, and leaves it to be read.
///
/// # Errors
/// If the server ends the connection instead.
pub(crate) async fn peek_answer(tcp: &TcpStream, limit: Duration) -> Result<()> {
    let mut byte = [0];
    let answer = tcp.peek(&mut byte);
    let Ok(answer) = tokio::time::timeout(limit.min(ANSWER), answer).await else {
        return Ok(());
    };
    ensure!(answer.context(TURNED_AWAY)? > 0, TURNED_AWAY);
    Ok(())
}

/// As [`peek_answer`], where one cannot look ahead. Without a `limit` the answer must come.
pub(crate) async fn read_answer<T: AsyncRead + Unpin>(
    io: T,
    limit: Option<Duration>,
) -> Result<Heard<T>> {
    let limit = limit.map_or(Duration::MAX, |limit| limit.min(ANSWER));
    let mut heard = Heard::new(io);
    let answer = heard.io.read(&mut heard.frame);
    let Ok(answer) = tokio::time::timeout(limit, answer).await else {
        return Ok(heard);
    };
    heard.filled = answer.context(TURNED_AWAY)?;
    ensure!(heard.filled > 0, TURNED_AWAY);
    Ok(heard)
}

/// Waits for the head of the client's first frame, and leaves it to be read. Returns the version.
pub(crate) async fn peek(tcp: &TcpStream) -> Result<u8> {
    let mut frame = [0; FRAME];
    loop {
        let seen = tcp.peek(&mut frame).await?;
        ensure!(seen > 0, "the client left before its first frame");
        check(frame[0])?;
        if seen == FRAME {
            return Ok(frame[0]);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// As [`peek`], where one cannot look ahead.
pub(crate) async fn read<T: AsyncRead + Unpin>(io: T) -> Result<Heard<T>> {
    let mut heard = Heard::new(io);
    let Heard { frame, io, .. } = &mut heard;
    // The first byte decides, whenever the others come.
    io.read_exact(&mut frame[..1]).await?;
    check(frame[0])?;
    io.read_exact(&mut frame[1..]).await?;
    heard.filled = FRAME;
    Ok(heard)
}

fn check(first: u8) -> Result<()> {
    let what = match first {
        1 | 2 => return Ok(()),
        0x16 => "TLS: should this end have --transport tls?",
        0xff => "compressed, perhaps: start kcptun with --nocomp",
        b's' => "a token: should this end have --token-file?",
        b'S' => "SSH, perhaps",
        b'C' | b'D' | b'G' | b'H' | b'O' | b'P' => "HTTP, perhaps",
        _ => "the other end may have other settings",
    };
    bail!("the client does not speak smux ({what})");
}

/// A transport whose first bytes were looked at; they are read again.
pub(crate) struct Heard<T> {
    frame: [u8; FRAME],
    /// So many bytes of it have come,
    filled: usize,
    /// and so many of these were read again.
    read: usize,
    io: T,
}

impl<T> Heard<T> {
    fn new(io: T) -> Self {
        Self {
            frame: [0; FRAME],
            filled: 0,
            read: 0,
            io,
        }
    }
}

impl<T: AsyncWrite + Unpin> Heard<T> {
    /// Sends a first frame in the client's version.
    pub(crate) async fn answer(&mut self) -> io::Result<&mut T> {
        send(&mut self.io, self.frame[0]).await?;
        Ok(&mut self.io)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read == self.filled {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let part = buf.remaining().min(self.filled - self.read);
        buf.put_slice(&self.frame[self.read..self.read + part]);
        self.read += part;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
