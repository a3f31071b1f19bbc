//! smux over tokio: many streams over one connection, compatible with Go's
//! [`xtaci/smux`](https://github.com/xtaci/smux), versions 1 and 2.
//!
//! A [`Session`] runs over any `AsyncRead + AsyncWrite` and is cheap to clone. A [`Stream`] of it
//! is `AsyncRead + AsyncWrite` again.
//!
//! ```
//! use smux_tokio::{Config, Session};
//! use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = Session::connect(listener.local_addr()?, Config::v2()).await?;
//! let server = Session::server_tcp(listener.accept().await?.0, Config::v2())?;
//!
//! let mut ours = client.open().await?;
//! ours.write_all(b"hello").await?;
//! ours.shutdown().await?; // no more from us; we can still read
//!
//! let mut theirs = server.accept().await?;
//! let mut text = String::new();
//! theirs.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Both ends alike
//!
//! The two ends must be configured with the same version. [`Config::default`] is version 1 with the
//! Go package's defaults. Prefer [`Config::v2`] where both ends are yours: in version 2 an unread
//! stream does not hold up the others.
//!
//! # What runs where
//!
//! [`Session::client`] and [`Session::server`] spawn one task that moves the session's bytes. To
//! place that task yourself, take [`Session::client_with_driver`] and poll the [`Driver`].
//! Everything else works on any task, thread or runtime. The runtime of the driver needs its timer
//! enabled.
//!
//! A task that computes for long between its reads can delay all streams of its session: tokio
//! keeps the session's task on the same thread. Move such work to [`tokio::task::spawn_blocking`],
//! or the session to a runtime of its own with [`Session::client_on`].
//!
//! # Writing, flushing, ending
//!
//! * A write returns once its bytes are queued. It waits when the peer's window or the send queue
//!   is full.
//! * `flush` returns once what the stream had queued is written to the transport, and the transport
//!   is flushed. It is not needed for progress: the driver sends at once what is queued, and
//!   flushes whenever nothing is left to send.
//! * `shutdown` ends the stream's data and flushes. Reading goes on. A program that ends right
//!   after it may lose the last data: wait for [`Session::close`] first.
//! * Dropping a stream sends what is queued, then ends both directions. It never blocks, and works
//!   outside of a runtime.
//! * When the last [`Session`] and the last [`Stream`] are gone, the session closes by itself; to
//!   wait for that, or to end a program after it, use [`Session::close`].
//!
//! # Cancel safety
//!
//! Every future of this crate can be dropped at any moment, as in `select!`: nothing that was
//! received is lost, and a write whose future was dropped before it completed has queued nothing.
//! `write_all_bytes` and `copy_to` take many steps; the steps already taken are kept. (tokio's own
//! `write_all` and `copy` do not report how far they came.)
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
//! # Many sessions
//!
//! [`Pool`] keeps sessions with one peer up, connects again when one is lost, and opens streams on
//! the least loaded. [`Listener`] is the other end: the streams of all sessions that a TCP, Unix or
//! TLS listener accepts.
//!
//! # Without a network
//!
//! Feature `net`, on by default, brings tokio's sockets: `TcpOptions`, `Session::connect` and the
//! other constructors for TCP, `Listener::tcp` and `Listener::unix`. Without it the crate builds
//! for targets that have none, such as `wasm32-unknown-unknown`. That one has no clock for tokio's
//! timer either: take [`Session::client_with_timer`], with a [`Timer`] of yours.
//!
//! # With other libraries
//!
//! Each of these features is off by default, and can be combined with all others.
//!
//! | feature | what it adds |
//! |---|---|
//! | `axum` | `axum::serve` accepts a [`Listener`]; handlers get a `StreamInfo` as `ConnectInfo` |
//! | `tonic` | tonic's server accepts the streams of a [`Listener`] |
//! | `hyper-util` | hyper-util's client accepts a [`Stream`] as its connection |
//! | `tower` | tonic's `Endpoint` connects through a [`Pool`]; with `hyper-util`, hyper-util's client too |
//!
//! # Metrics and logs
//!
//! [`Session::stats`] and [`Stream::stats`] are for metrics; the example `metrics` exports them.
//! With feature `tracing`, off by default, sessions and streams are spans with events under the
//! target `smux`. The documentation of `smux_proto` lists the levels and when a subscriber runs.
//!
//! # More
//!
//! The guide has pages on [sizing](smux_proto::guide::sizing),
//! [closing](smux_proto::guide::closing), [cancellation](smux_proto::guide::cancellation) and
//! [moving from Go to Rust](smux_proto::guide::from_go). [`Config`] lists every setting.
//!
//! Examples, to be run with `cargo run --release -p smux-tokio --example NAME`: `echo`, the
//! smallest whole program; `quickstart`, which moves checked data and puts the speed beside raw
//! TCP; `tunnel`, TCP ports through sessions; `websocket`, sessions as through a CDN; `reverse`, a
//! server that dials out; `metrics`, Prometheus. With features: `http` with `axum`, axum and hyper;
//! `grpc` with `tonic,tower`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod integrations;
mod listener;
#[cfg(feature = "net")]
mod net;
mod phase;
mod pipe;
mod pool;
mod race;
mod session;
mod split;
mod stream;
#[cfg(feature = "net")]
mod tcp;
mod timer;
mod transport;
mod wakeup;

pub use bytes::Bytes;
#[cfg(any(feature = "axum", feature = "hyper-util", feature = "tonic"))]
pub use integrations::StreamInfo;
pub use listener::{Accept, Listener, ListenerBuilder, ListenerEvent, ListenerHandle};
pub use pipe::DropOnShutdown;
pub use pool::{Connect, Pool, PoolBuilder, PoolClosed, PoolEvent, PoolStats};
pub use session::{Incoming, Session, WeakSession};
pub use smux_proto::poll::{Clock, SessionId, SharedBudget, Timer};
pub use smux_proto::{
    CloseReason, Config, ConfigBuilder, ConfigError, FrameCounts, IgnoredFrames, KeepAlive,
    OpenError, OtherProtocol, ParseError, Priority, ProtocolError, SessionStats, Side,
    SlowReaderPolicy, StallCause, StreamError, StreamId, StreamState, StreamStats, TransportError,
    Version, WindowLimit,
};
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::Stream;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use tcp::TcpOptions;
pub use transport::Driver;

/// Makes tests of the code in the READMEs and in the pages of the guide that use tokio.
#[cfg(doctest)]
pub mod examples {
    #[doc = include_str!("../../README.md")]
    pub mod workspace_readme {}
    #[doc = include_str!("../README.md")]
    pub mod readme {}
    #[doc = include_str!("../../smux-proto/docs/many_sessions.md")]
    pub mod many_sessions {}
    #[doc = include_str!("../../smux-proto/docs/closing.md")]
    pub mod closing {}
    #[doc = include_str!("../../smux-proto/docs/cancellation.md")]
    pub mod cancellation {}
    #[doc = include_str!("../../smux-proto/docs/from_go.md")]
    pub mod from_go {}
}

/// Handles move between threads and are shared by them, whatever the transport.
const _: () = {
    const fn check<T: Send + Sync + Unpin>() {}
    check::<Session>();
    check::<Incoming>();
    check::<Listener>();
    check::<Pool>();
    check::<Stream>();
    check::<OwnedReadHalf>();
    check::<OwnedWriteHalf>();
    check::<Driver<tokio::io::DuplexStream>>();
};
