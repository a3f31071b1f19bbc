//! smux over `futures-io`, for smol and async-std: many streams over one connection, compatible
//! with Go's [`xtaci/smux`](https://github.com/xtaci/smux), versions 1 and 2.
//!
//! A [`Session`] runs over any `AsyncRead + AsyncWrite` and is cheap to clone. A [`Stream`] of it
//! is `AsyncRead + AsyncWrite` again.
//!
//! With the feature `smol`:
//!
#![cfg_attr(feature = "smol", doc = "```")]
#![cfg_attr(not(feature = "smol"), doc = "```ignore")]
//! use smol::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};
//! use smux_async_std::{Config, smol::{connect, server_tcp}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # smol::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = connect(listener.local_addr()?, Config::v2()).await?;
//! let server = server_tcp(listener.accept().await?.0, Config::v2())?;
//!
//! let mut ours = client.open().await?;
//! ours.write_all(b"hello").await?;
//! ours.close().await?; // no more from us; we can still read
//!
//! let mut theirs = server.accept().await?;
//! let mut text = String::new();
//! theirs.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Runtimes
//!
//! The session itself needs no runtime. `async-io`, on which smol and async-std are built, wakes
//! its socket and timer. It runs a thread of its own if no thread runs it already.
//!
//! | feature | what it adds |
//! |---|---|
//! | none | [`Session::client_with_timer`], with a [`Timer`] of yours: builds without a network, also for `wasm32-unknown-unknown` |
//! | `async-io`, on by default | `Session::client_with_driver`: a `Driver` for your executor, on the timer of `async-io` |
//! | `smol` | module `smol`: constructors that spawn on smol's global executor |
//! | `async-std` | module `async_std`: the same on async-std's executor; async-std is discontinued |
//!
//! They can be combined. The same program with `async-std`:
//!
#![cfg_attr(feature = "async-std", doc = "```")]
#![cfg_attr(not(feature = "async-std"), doc = "```ignore")]
//! use async_std::{io::{ReadExt, WriteExt}, net::TcpListener};
//! use smux_async_std::{Config, async_std::{connect, server_tcp}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # async_std::task::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = connect(listener.local_addr()?, Config::v2()).await?;
//! let server = server_tcp(listener.accept().await?.0, Config::v2())?;
//!
//! let mut ours = client.open().await?;
//! ours.write_all(b"hello").await?;
//! ours.finish();
//!
//! let mut theirs = server.accept().await?;
//! let mut text = String::new();
//! theirs.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Both ends alike
//!
//! The two ends must be configured with the same version. [`Config::default`] is version 1 with the
//! Go package's defaults. Prefer [`Config::v2`] where both ends are yours: in version 2 an unread
//! stream does not hold up the others.
//!
//! # Writing, flushing, ending
//!
//! * A write returns once its bytes are queued. It waits when the peer's window or the send queue
//!   is full.
//! * `flush` returns once what the stream had queued is written to the transport, and the transport
//!   is flushed. It is not needed for progress: the driver sends at once what is queued, and
//!   flushes whenever nothing is left to send.
//! * `close`, of `AsyncWriteExt`, ends the stream's data and flushes; where that trait has none, as
//!   in async-std, call [`Stream::finish`], then `flush`. Reading goes on. A program that ends
//!   right after it may lose the last data: wait for [`Session::close`] first.
//! * Dropping a stream sends what is queued, then ends both directions. It never blocks, and works
//!   on any thread.
//! * When the last [`Session`] and the last [`Stream`] are gone, the session closes by itself; to
//!   wait for that, or to end a program after it, use [`Session::close`].
//!
//! # Cancel safety
//!
//! Every future of this crate can be dropped at any moment: nothing that was received is lost, and
//! a write whose future was dropped before it completed has queued nothing. `write_all_bytes` and
//! `copy_to` take many steps; the steps already taken are kept. (The `write_all` and `copy` of the
//! runtimes do not report how far they came.)
//!
//! # Small messages beside bulk data
//!
//! The constructors for TCP set `TCP_NODELAY`. On a slow link, small messages also wait for the
//! bulk data that the kernel holds. `TCP_NOTSENT_LOWAT` bounds that, where the platform has it; the
//! crate `socket2`, with feature `all`, sets it:
//!
#![cfg_attr(feature = "smol", doc = "```")]
#![cfg_attr(not(feature = "smol"), doc = "```ignore")]
//! # use smol::net::{TcpListener, TcpStream};
//! use smux_async_std::{Config, smol::client_tcp};
//!
//! # fn main() -> std::io::Result<()> {
//! # smol::block_on(async {
//! # let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! let tcp = TcpStream::connect(address).await?;
//! # #[cfg(any(target_os = "android", target_os = "linux"))]
//! socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(16 << 10)?;
//! # #[cfg(any(target_os = "android", target_os = "linux"))]
//! # assert_eq!(socket2::SockRef::from(&tcp).tcp_notsent_lowat()?, 16 << 10);
//! let session = client_tcp(tcp, Config::v2())?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Errors
//!
//! The [`std::io::Error`]s of a stream hold a [`StreamError`], which `get_ref` returns. Its causes
//! follow by [`source`](std::error::Error::source): the [`CloseReason`], the [`TransportError`],
//! the transport's own error. A session has one [`CloseReason`], which every waiting and every
//! later call returns.
//!
//! The protocol cannot reset a stream with a code, nor keep message boundaries: see
//! [limits](smux_proto::guide::limits).
//!
//! # Metrics and logs
//!
//! [`Session::stats`] and [`Stream::stats`] are for metrics. With feature `tracing`, off by
//! default, sessions and streams are spans with events under the target `smux`. The documentation
//! of `smux_proto` lists the levels and when a subscriber runs.
//!
//! # More
//!
//! The guide has pages on [sizing](smux_proto::guide::sizing),
//! [closing](smux_proto::guide::closing), [cancellation](smux_proto::guide::cancellation) and
//! [moving from Go to Rust](smux_proto::guide::from_go). [`Config`] lists every setting.
//!
//! Examples, to be run with `cargo run -p smux-async-std --example NAME`: `echo_smol`, and
//! `echo_async_std`. Two more are workspaces of their own in the folder `examples`: `libp2p`, with
//! sessions as libp2p's multiplexer, and `browser`, a page that opens streams over a WebSocket.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod copy;
#[cfg(feature = "async-io")]
mod driver;
mod io;
#[cfg(any(feature = "async-std", feature = "smol"))]
mod runtime;
mod session;
mod shutdown;
mod split;
mod stream;
mod transport;

pub use bytes::Bytes;
#[cfg(feature = "async-io")]
pub use driver::Driver;
#[cfg(feature = "async-std")]
pub use runtime::async_std;
#[cfg(feature = "smol")]
pub use runtime::smol;
pub use session::{Incoming, Session, WeakSession};
pub use shutdown::ShutdownOnClose;
pub use smux_proto::poll::{Clock, SessionId, SharedBudget, Timer};
pub use smux_proto::{
    CloseReason, Config, ConfigBuilder, ConfigError, FrameCounts, IgnoredFrames, KeepAlive,
    OpenError, OtherProtocol, ParseError, Priority, ProtocolError, SessionStats, Side,
    SlowReaderPolicy, StallCause, StreamError, StreamId, StreamState, StreamStats, TransportError,
    Version, WindowLimit,
};
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::Stream;

/// Makes a test of the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}
