//! What an idle stream holds.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use super::{Figures, churn::AHEAD, sampled::sleep, usage::resident};
use crate::{
    ends::{End, Ends},
    mux::{Mux, Stream},
};

/// Streams opened before the first measurement, so that whatever is allocated once does not count.
const FIRST: usize = 100;
const SETTLE: Duration = Duration::from_secs(1);

/// Resident bytes of this process for each stream, so of both ends together. Each stream has
/// carried a byte.
pub(super) async fn run<M: Mux>(ends: &Ends<M>, streams: usize) -> Result<Figures> {
    let permits = Arc::new(Semaphore::new(AHEAD));
    // It ends with the process, and holds the streams until then.
    drop(
        ends.server
            .spawn(accept_all(ends.server.clone(), Arc::clone(&permits))),
    );
    let mut held = Vec::with_capacity(2);
    held.push(hold(ends, FIRST, &permits).await?);
    let before = resident()?;
    held.push(hold(ends, streams, &permits).await?);
    sleep(SETTLE);
    let taken = resident()? - before;
    Ok(Figures {
        rate: taken / streams as f64,
        ..Figures::default()
    })
}

async fn hold<M: Mux>(
    ends: &Ends<M>,
    count: usize,
    permits: &Arc<Semaphore>,
) -> Result<Vec<M::Stream>> {
    let (client, permits) = (ends.client.clone(), Arc::clone(permits));
    let opening = ends.client.spawn(async move {
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            permits.acquire().await?.forget();
            let mut stream = client.mux.open().await.context("opening")?;
            stream.write_all(&[1]).await.context("writing")?;
            held.push(stream);
        }
        drop(permits.acquire_many(u32::try_from(AHEAD)?).await?);
        Ok(held)
    });
    opening.await
}

async fn accept_all<M: Mux>(end: End<M>, permits: Arc<Semaphore>) -> Result<()> {
    let mut held = Vec::new();
    loop {
        let mut stream = end.mux.accept().await?;
        stream.read_exact(&mut [0]).await?;
        held.push(stream);
        permits.add_permits(1);
    }
}
