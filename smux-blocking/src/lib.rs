//! smux on threads and blocking I/O: many streams over one connection, compatible with Go's
//! [`xtaci/smux`](https://github.com/xtaci/smux), versions 1 and 2.
//!
//! A [`Session`] runs over a [`TcpStream`](std::net::TcpStream), a Unix socket, or any reader and
//! writer that can be [shut down](Parts). A [`Stream`] of it is [`Read`](std::io::Read) and
//! [`Write`](std::io::Write), with timeouts.
//!
//! ```
//! use std::{io::{Read, Write}, net::{Shutdown, TcpListener}};
//! use smux_blocking::{Config, Session};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let client = Session::connect(listener.local_addr()?, Config::v2())?;
//! let server = Session::server(listener.accept()?.0, Config::v2())?;
//!
//! let mut ours = client.open()?;
//! ours.write_all(b"hello")?;
//! ours.shutdown(Shutdown::Write)?; // no more from us; we can still read
//!
//! let mut theirs = server.accept()?;
//! let mut text = String::new();
//! theirs.read_to_string(&mut text)?;
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
//! # Threads
//!
//! A session has two threads, for any number of streams: one reads from the transport, the other
//! writes. They sleep while nothing happens and end with the session; to wait for that, call
//! [`Session::close`] or [`Session::closed`].
//!
//! Over a socket, except on Windows, threads that use streams take their place where that is
//! faster. One that sends a small message writes it itself, and one that waits in a read also reads
//! for other streams meanwhile. Such a wait may notice some 10 ms late that another thread shortens
//! its timeout or ends its direction.
//!
//! One more thread keeps time for all sessions of the process: n sessions have 2 n + 1 threads. It
//! starts with the first session and ends with the last. It only wakes the threads of sessions, in
//! small groups if many are due at once. A transport or subscriber that blocks or panics affects
//! its own session only. If a deadline passes while the writing thread is blocked in the transport,
//! a thread is started to see to it, and ends at once.
//!
//! A child process made by `fork` has none of these threads: it must not use sessions, nor begin
//! any, before it calls `exec`.
//!
//! A waiting call blocks only its own thread, and any thread may use any handle. For many thousands
//! of sessions take an asynchronous adapter, or drive [`smux_proto`] from an event loop.
//!
//! # Timeouts
//!
//! [`Stream::set_read_timeout`], [`Stream::set_write_timeout`] and [`Session::set_accept_timeout`]
//! limit each call, and can be changed while a thread waits in it. A timeout never withholds data
//! that has arrived, and a call that timed out has done nothing: repeat it, or give up.
//! [`TimeoutElapsed`] shows how to distinguish it from the end of the session.
//!
//! # Slow transports
//!
//! The progress of a blocking write shows only when it returns. So a transport is considered dead
//! if one write of up to 240 KiB takes longer than the [keep-alive timeout](KeepAlive), unless
//! input arrives and is read meanwhile. Configure a longer timeout for links below about 10 kB/s.
//!
//! One thread both writes and flushes. So a flush of the transport first waits for the write in
//! progress, even if that carries only other streams' bytes.
//!
//! # Small messages beside bulk data
//!
//! A session over TCP sets `TCP_NODELAY`. On a slow link, small messages also wait for the bulk
//! data that the kernel holds. `TCP_NOTSENT_LOWAT` bounds that, where the platform has it; the
//! crate `socket2`, with feature `all`, sets it:
//!
//! ```
//! # use std::net::{TcpListener, TcpStream};
//! use smux_blocking::{Config, Session};
//!
//! # let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! let tcp = TcpStream::connect(address)?;
//! # #[cfg(any(target_os = "android", target_os = "linux"))]
//! socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(16 << 10)?;
//! # #[cfg(any(target_os = "android", target_os = "linux"))]
//! # assert_eq!(socket2::SockRef::from(&tcp).tcp_notsent_lowat()?, 16 << 10);
//! let session = Session::client(tcp, Config::v2())?;
//! # Ok::<(), std::io::Error>(())
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
//! An example: `cargo run -p smux-blocking --example echo_blocking`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod crowd;
mod reading;
mod session;
mod start;
mod stream;
mod threads;
mod timer;
mod transport;
mod wait;
mod watch;
mod writing;

pub use bytes::Bytes;
pub use session::{Incoming, OnClosed, Session, WeakSession};
pub use smux_proto::poll::{SessionId, SharedBudget};
pub use smux_proto::{
    CloseReason, Config, ConfigBuilder, ConfigError, FrameCounts, IgnoredFrames, KeepAlive,
    OpenError, OtherProtocol, ParseError, Priority, ProtocolError, SessionStats, Side,
    SlowReaderPolicy, StallCause, StreamError, StreamId, StreamState, StreamStats, TransportError,
    Version, WindowLimit,
};
pub use stream::{OnStopped, Stream};
pub use transport::{Parts, Socket, Transport};
pub use wait::TimeoutElapsed;

/// Makes a test of the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}
