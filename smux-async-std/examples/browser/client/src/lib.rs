//! A client in a web page: many streams over one WebSocket, every byte compared.
//!
//! | file | job |
//! |---|---|
//! | `socket.rs` | a WebSocket as a stream of bytes: the file to copy |
//! | `timer.rs` | the browser's clock and timer for a session: the other file to copy |

#![cfg(target_family = "wasm")]

mod socket;
mod timer;

use std::{alloc::System, io, iter};

use cap::Cap;
use futures_util::{
    AsyncReadExt, AsyncWriteExt, StreamExt, TryStreamExt, future::try_join, stream,
};
use js_sys::{ArrayBuffer, WebAssembly::Memory};
use smux_async_std::{Config, Session};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::{socket::Socket, timer::BrowserTimer};

/// Only counts what is allocated.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const CHUNK: usize = 8 * 1024;

#[wasm_bindgen]
extern "C" {
    /// What the page shows.
    pub type Page;
    /// So many bytes of a stream have come back.
    #[wasm_bindgen(method)]
    fn progress(this: &Page, stream: u32, bytes: u32);

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_random(bytes: &mut [u8]);
}

/// What the page tells of its memory.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub struct Usage {
    /// Bytes that are allocated.
    pub allocated: u32,
    /// Bytes that the page has for them. They never become fewer.
    pub reserved: u32,
}

#[wasm_bindgen]
impl Usage {
    /// That of now.
    pub fn now() -> Self {
        let memory: Memory = wasm_bindgen::memory().unchecked_into();
        let buffer: ArrayBuffer = memory.buffer().unchecked_into();
        Self {
            allocated: u32::try_from(ALLOCATOR.allocated()).unwrap_or(u32::MAX),
            reserved: buffer.byte_length(),
        }
    }
}

/// A session over one WebSocket.
#[wasm_bindgen]
pub struct Client(Session);

#[wasm_bindgen]
impl Client {
    /// Opens the session.
    pub async fn connect(url: &str) -> Result<Self, JsError> {
        let socket = Socket::connect(url).await?;
        let mut seed = [0; 8];
        fill_random(&mut seed);
        let seed = u64::from_ne_bytes(seed);
        let timer = BrowserTimer::default();
        let (session, driver) = Session::client_with_timer(socket, Config::v2(), seed, timer);
        spawn_local(async {
            driver.await;
        });
        Ok(Self(session))
    }

    /// Opens these streams, so many at a time, and compares what comes back.
    pub async fn check(
        &self,
        first: u32,
        count: u32,
        at_once: usize,
        bytes: u32,
        page: &Page,
    ) -> Result<(), JsError> {
        stream::iter(first..first + count)
            .map(|number| self.check_one(number, bytes as usize, page))
            .buffer_unordered(at_once)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    async fn check_one(&self, number: u32, bytes: usize, page: &Page) -> io::Result<()> {
        let (mut reader, mut writer) = self.0.open().await?.into_split();
        let send = async {
            for chunk in chunks(number, bytes) {
                writer.write_all(&chunk).await?;
            }
            writer.close().await
        };
        let compare = async {
            let (mut received, mut count) = ([0; CHUNK], 0);
            for chunk in chunks(number, bytes) {
                let received = &mut received[..chunk.len()];
                reader.read_exact(received).await?;
                if *received != chunk {
                    return Err(io::Error::other("other bytes came back"));
                }
                count += chunk.len() as u32;
                page.progress(number, count);
            }
            match reader.read(&mut received).await? {
                0 => Ok(()),
                _ => Err(io::Error::other("more bytes came back")),
            }
        };
        try_join(send, compare).await?;
        Ok(())
    }

    /// Closes the session, and returns why it has ended.
    pub async fn close(self) -> String {
        self.0.close().await.to_string()
    }
}

/// The data of a stream, which the next call makes again.
fn chunks(number: u32, bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(number.into());
    let mut left = bytes;
    iter::from_fn(move || {
        let mut chunk = vec![0; left.min(CHUNK)];
        random.fill(&mut chunk);
        left -= chunk.len();
        (!chunk.is_empty()).then_some(chunk)
    })
}
