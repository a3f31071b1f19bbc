//! The reference at the end that asks, in a process of its own, and `smux-tokio` at the other.

use std::time::Duration;

use anyhow::Result;

use super::smux_tokio::SmuxTokio;
use crate::{
    ends::{self, End},
    go,
    mux::Mux,
    runtime::{Runtime, Shape, Tokio},
    work::{self, Figures, Work, requests},
};

/// One run, measured by the other process.
pub(super) fn run(work: Work, shape: Shape, time: Duration) -> Result<Figures> {
    let (_, runtime) = Tokio::pair(shape)?;
    let options = work::options(work);
    let listener = ends::listen(options)?;
    let address = work::route(work, listener.local_addr()?)?;
    let here = runtime.clone();
    // It ends with the process.
    runtime.spawn(async move {
        if let Ok(server) = SmuxTokio::<2>::server(&here, listener, options).await {
            let end = End::new(server, here);
            drop(requests::answer_all(end).await);
        }
    });
    go::client("go-smux-v2-16m", work, time, address)
}
