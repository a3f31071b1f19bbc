//! The framing-only limit: how fast smux frames move when nothing is multiplexed.
//!
//! Each end is one task, which reads or writes for all streams; received payload goes nowhere.

mod frames;

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use self::frames::{FIN, PSH, SYN, Walker, message, push};
use super::tcp::TokioTcp;
use crate::{
    ends::Ends,
    mux::{Mux, Options},
    runtime::{Runtime, Shape, Tokio},
    work::{Figures, KIB, MESSAGE, Work, summary},
};

const FRAME: usize = 32 * KIB;
/// Ready-made.
const FRAMES: usize = 8;
const WRITE: usize = 240 * KIB;
const PAGE: usize = 4 * KIB;

pub(crate) fn run(work: Work, shape: Shape, time: Duration) -> Result<Figures> {
    if shape != Shape::Single {
        once(work, shape, time / 5)?; // to warm up
    }
    once(work, shape, time)
}

fn once(work: Work, shape: Shape, time: Duration) -> Result<Figures> {
    let runtimes = Tokio::pair(shape)?;
    runtimes.0.clone().block_on(async {
        let options = Options {
            streams: 1,
            receive_buffer: None,
        };
        let ends = Ends::<TokioTcp>::connect(runtimes, options, Ok).await?;
        let (opening, accepting) = (ends.client.clone(), ends.server.clone());
        let client = ends.client.spawn(async move { opening.mux.open().await });
        let server = ends
            .server
            .spawn(async move { accepting.mux.accept().await });
        let (client, server) = (client.await?.0, server.await?.0);
        let start = Instant::now();
        let deadline = start + time;
        match work {
            Work::Bulk { streams, .. } => {
                let reader = ends.server.spawn(count(server));
                ends.client.spawn(bulk(client, streams, deadline)).await?;
                let (bytes, _) = reader.await?;
                Ok(Figures::megabytes(bytes, start.elapsed()))
            }
            Work::Messages { streams } => {
                let reader = ends.server.spawn(count(server));
                ends.client
                    .spawn(messages(client, streams, deadline))
                    .await?;
                let (_, frames) = reader.await?;
                Ok(Figures::thousands(frames, start.elapsed()))
            }
            _ => {
                // It ends with the connection.
                drop(ends.server.spawn(answer(server, reply(work))));
                ends.client.spawn(ask(client, work, deadline)).await
            }
        }
    })
}

/// Frames of streams that take turns, over and over, in writes that fill the kernel's packets and
/// end where its pages do: what makes one connection fastest.
async fn bulk(mut tcp: TcpStream, streams: usize, deadline: Instant) -> Result<()> {
    let payload = vec![0x5a; FRAME];
    let mut ready = Vec::new();
    for id in (0..u32::try_from(streams)?).cycle().take(FRAMES) {
        ready.extend(frames::header(PSH, u16::try_from(FRAME)?, id));
        ready.extend(&payload);
    }
    let mut written = 0;
    while Instant::now() < deadline {
        let (before, behind) = ready.split_at(written % ready.len());
        let size = WRITE - written % PAGE;
        let first = behind.len().min(size);
        let slices = [
            IoSlice::new(&behind[..first]),
            IoSlice::new(&before[..before.len().min(size - first)]),
        ];
        let count = tcp.write_vectored(&slices).await?;
        ensure!(count > 0, "nothing was written");
        written += count;
    }
    Ok(tcp.shutdown().await?)
}

/// Messages on streams that take turns, 64 KiB of them in each write.
async fn messages(mut tcp: TcpStream, streams: usize, deadline: Instant) -> Result<()> {
    let mut ids = (0..u32::try_from(streams)?).cycle();
    let mut out = Vec::with_capacity(64 * KIB);
    while Instant::now() < deadline {
        out.clear();
        while out.len() + 8 + MESSAGE <= 64 * KIB {
            message(&mut out, ids.next().context("no stream")?);
        }
        tcp.write_all(&out).await?;
    }
    Ok(tcp.shutdown().await?)
}

/// The bytes of payload, and the frames, up to the end of the connection.
async fn count(mut tcp: TcpStream) -> Result<(u64, u64)> {
    let mut walker = Walker::default();
    let mut buf = vec![0; 64 * KIB];
    let (mut bytes, mut frames) = (0, 0);
    loop {
        let n = tcp.read(&mut buf).await?;
        if n == 0 {
            return Ok((bytes, frames));
        }
        walker.walk(&buf[..n], |frame| {
            bytes += u64::from(frame.length);
            frames += 1;
        });
    }
}

/// What the accepting end sends for a frame.
fn reply(work: Work) -> fn(&frames::Frame, &mut Vec<u8>) {
    match work {
        Work::RoundTrips { .. } => |frame, out| message(out, frame.id),
        Work::Exchange { .. } => |frame, out| {
            if frame.command == PSH {
                message(out, frame.id);
                push(out, FIN, frame.id);
            }
        },
        _ => |frame, out| {
            if frame.command == SYN {
                push(out, FIN, frame.id);
            }
        },
    }
}

async fn answer(
    mut tcp: TcpStream,
    mut reply: impl FnMut(&frames::Frame, &mut Vec<u8>),
) -> Result<()> {
    let mut walker = Walker::default();
    let mut buf = vec![0; 64 * KIB];
    let mut out = Vec::new();
    loop {
        let n = tcp.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        walker.walk(&buf[..n], |frame| reply(frame, &mut out));
        tcp.write_all(&out).await?;
        out.clear();
    }
}

/// Keeps as many requests on their way as `work` has streams, until the deadline.
async fn ask(mut tcp: TcpStream, work: Work, deadline: Instant) -> Result<Figures> {
    let start = Instant::now();
    let streams = work.streams();
    let mut next = u32::try_from(streams)?;
    let mut asked = vec![start; streams];
    let mut times = Histogram::<u64>::new(3)?;
    let mut count = 0;
    let mut out = Vec::new();
    (0..next).for_each(|id| request(work, &mut out, id));

    let mut walker = Walker::default();
    let mut buf = vec![0; 64 * KIB];
    loop {
        tcp.write_all(&out).await?;
        out.clear();
        let n = tcp.read(&mut buf).await?;
        ensure!(n > 0, "the other end is gone");
        let now = Instant::now();
        if now >= deadline {
            break;
        }
        walker.walk(&buf[..n], |frame| match (work, frame.command) {
            (Work::RoundTrips { .. }, _) => {
                let asked = &mut asked[frame.id as usize];
                let nanos = u64::try_from((now - *asked).as_nanos()).unwrap_or(u64::MAX);
                // Only times that a histogram cannot hold are refused: centuries.
                let _ = times.record(nanos);
                *asked = now;
                request(work, &mut out, frame.id);
            }
            (_, FIN) => {
                count += 1;
                if matches!(work, Work::Exchange { .. }) {
                    push(&mut out, FIN, frame.id);
                }
                request(work, &mut out, next);
                next = next.wrapping_add(1);
            }
            _ => {}
        });
    }
    match work {
        Work::RoundTrips { .. } => Ok(summary(&times, start.elapsed())),
        Work::Exchange { .. } | Work::OpenClose {} => {
            Ok(Figures::thousands(count, start.elapsed()))
        }
        _ => bail!("this workload is about streams, not frames"),
    }
}

fn request(work: Work, out: &mut Vec<u8>, id: u32) {
    match work {
        Work::RoundTrips { .. } => message(out, id),
        Work::Exchange { .. } => {
            push(out, SYN, id);
            message(out, id);
        }
        _ => {
            push(out, SYN, id);
            push(out, FIN, id);
        }
    }
}
