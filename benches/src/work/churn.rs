//! Streams that are opened and closed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use super::{Figures, MESSAGE};
use crate::{
    ends::{End, Ends},
    mux::{Mux, Stream},
};

/// Streams that are opened before the accepting end must have closed some. A listening TCP socket
/// queues 128, and drops what comes beyond.
pub(super) const AHEAD: usize = 128;
/// Streams closed at the accepting end are told in groups: telling costs a wake-up across threads.
const GROUP: usize = 32;

pub(super) async fn exchange<M: Mux>(
    ends: &Ends<M>,
    at_a_time: usize,
    phases: [Duration; 2],
) -> Result<Figures> {
    // It ends with the process.
    drop(ends.server.spawn(answer_all(ends.server.clone())));
    let mut figures = None;
    for time in phases {
        let start = Instant::now();
        let asking: Vec<_> = (0..at_a_time)
            .map(|_| {
                ends.client
                    .spawn(exchange_until(ends.client.clone(), start + time))
            })
            .collect();
        let mut count = 0;
        for task in asking {
            count += task.await?;
        }
        figures = Some(Figures::thousands(count, start.elapsed()));
    }
    figures.context("no phase")
}

async fn exchange_until<M: Mux>(end: End<M>, deadline: Instant) -> Result<u64> {
    let mut message = [0x5a; MESSAGE];
    let mut count = 0;
    while Instant::now() < deadline {
        let mut stream = end.mux.open().await.context("opening")?;
        stream.write_all(&message).await.context("writing")?;
        stream.read_exact(&mut message).await.context("reading")?;
        stream.close().await.context("closing")?;
        count += 1;
    }
    Ok(count)
}

async fn answer_all<M: Mux>(end: End<M>) -> Result<()> {
    loop {
        let mut stream = end.mux.accept().await?;
        drop(end.spawn(async move {
            let mut message = [0; MESSAGE];
            stream.read_exact(&mut message).await?;
            stream.write_all(&message).await?;
            stream.close().await
        }));
    }
}

/// `to_the_end`: whether the accepting end waits for a stream's end before it closes it.
pub(super) async fn open_close<M: Mux>(
    ends: &Ends<M>,
    to_the_end: bool,
    phases: [Duration; 2],
) -> Result<Figures> {
    let tally = Arc::new(Tally {
        permits: Semaphore::new(AHEAD),
        closed: AtomicUsize::new(0),
    });
    // It ends with the process.
    drop(ends.server.spawn(close_all(
        ends.server.clone(),
        to_the_end,
        Arc::clone(&tally),
    )));
    let mut figures = None;
    for time in phases {
        let before = tally.closed.load(Ordering::Relaxed);
        let start = Instant::now();
        let opening = open_close_until(ends.client.clone(), Arc::clone(&tally), start + time);
        ends.client.spawn(opening).await?;
        let count = tally.closed.load(Ordering::Relaxed) - before;
        figures = Some(Figures::thousands(count as u64, start.elapsed()));
    }
    figures.context("no phase")
}

struct Tally {
    /// To open one more.
    permits: Semaphore,
    /// Streams closed at the accepting end.
    closed: AtomicUsize,
}

impl Tally {
    fn add(&self) {
        if (self.closed.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(GROUP) {
            self.permits.add_permits(GROUP);
        }
    }
}

async fn open_close_until<M: Mux>(end: End<M>, tally: Arc<Tally>, deadline: Instant) -> Result<()> {
    while Instant::now() < deadline {
        for _ in 0..GROUP {
            tally.permits.acquire().await?.forget();
            end.mux
                .open()
                .await
                .context("opening")?
                .close()
                .await
                .context("closing")?;
        }
    }
    // What is still on its way counts, and so does its time.
    drop(tally.permits.acquire_many(u32::try_from(AHEAD)?).await?);
    Ok(())
}

async fn close_all<M: Mux>(end: End<M>, to_the_end: bool, tally: Arc<Tally>) -> Result<()> {
    loop {
        let mut stream = end.mux.accept().await?;
        if !to_the_end {
            stream.close().await?;
            tally.add();
            continue;
        }
        let tally = Arc::clone(&tally);
        drop(end.spawn(async move {
            let mut buf = [0; MESSAGE];
            while stream.read(&mut buf).await? > 0 {}
            stream.close().await?;
            tally.add();
            Ok(())
        }));
    }
}
