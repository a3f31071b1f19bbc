//! What a stream is asked for, in bytes, so that the accepting end can be another program.
//!
//! A request is the number of writers, a byte, and the number of bytes that the answer has, eight
//! bytes in network order. A stream carries any number of requests, one after another.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::Mutex;

use super::KIB;
use crate::{
    ends::End,
    mux::{Mux, Stream},
};

/// As many bytes as the stream takes.
pub(super) const ENDLESS: u64 = u64::MAX;
const REQUEST: usize = 9;

/// What answers are made of.
static DATA: [u8; 128 * KIB] = [0x5a; 128 * KIB];

/// Asks for `bytes`, written by so many `writers`.
pub(super) async fn ask<S: Stream>(stream: &mut S, writers: u8, bytes: u64) -> Result<()> {
    let mut request = [writers; REQUEST];
    request[1..].copy_from_slice(&bytes.to_be_bytes());
    stream.write_all(&request).await.context("asking")
}

/// Answers all requests on all streams that are opened, until the session ends.
pub(crate) async fn answer_all<M: Mux>(end: End<M>) -> Result<()> {
    loop {
        let stream = end.mux.accept().await?;
        drop(end.spawn(answer(end.clone(), stream)));
    }
}

async fn answer<M: Mux>(end: End<M>, mut stream: M::Stream) -> Result<()> {
    loop {
        let mut request = [0; REQUEST];
        stream.read_exact(&mut request).await?;
        let [writers, bytes @ ..] = request;
        let bytes = u64::from_be_bytes(bytes);
        if writers > 1 {
            stream = share(&end, stream, writers, bytes / u64::from(writers)).await?;
        } else {
            write(&mut stream, bytes).await?;
        }
    }
}

async fn write<S: Stream>(stream: &mut S, bytes: u64) -> Result<()> {
    let mut left = bytes;
    while left > 0 {
        let data = piece(left);
        stream.write_all(data).await?;
        left -= data.len() as u64;
    }
    Ok(())
}

/// Has tasks write `each`; they take turns.
async fn share<M: Mux>(
    end: &End<M>,
    stream: M::Stream,
    writers: u8,
    each: u64,
) -> Result<M::Stream> {
    let shared = Arc::new(Mutex::new(stream));
    let write = |_| {
        let shared = Arc::clone(&shared);
        end.spawn(async move {
            let mut left = each;
            while left > 0 {
                let data = piece(left);
                shared.lock().await.write_all(data).await?;
                left -= data.len() as u64;
            }
            Ok(())
        })
    };
    for writer in (0..writers).map(write).collect::<Vec<_>>() {
        writer.await?;
    }
    let stream = Arc::into_inner(shared).context("a writer is left")?;
    Ok(stream.into_inner())
}

fn piece(left: u64) -> &'static [u8] {
    let length = usize::try_from(left).unwrap_or(usize::MAX);
    &DATA[..DATA.len().min(length)]
}
