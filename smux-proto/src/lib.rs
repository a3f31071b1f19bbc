//! smux, the stream multiplexing protocol of [`xtaci/smux`](https://github.com/xtaci/smux), as a
//! state machine: many streams over one reliable, ordered connection.
//!
//! This crate does no I/O, reads no clock, takes no lock and starts nothing. It is `no_std` with
//! `alloc` and has no `unsafe` code. To use smux in a program, take `smux-tokio`, `smux-async-std`
//! or `smux-blocking`; take this crate to drive smux from an event loop of your own, in a kernel,
//! in WebAssembly, in a simulation or under a fuzzer.
//!
//! # The loop
//!
//! ```text
//!             bytes read ──► handle_input ┐                     ┌ poll_transmit ──► bytes to write
//!     end of the transport ──► handle_eof ├──►  [`Session`]  ──►├ poll_timeout ───► when to call
//!                   time ► handle_timeout ┘                     │                   handle_timeout
//!        open, accept, stream(id).read … ──►                    └ poll_event ─────► whom to wake
//! ```
//!
//! Two sessions and a pipe in memory follow. With sockets and deadlines this becomes an event loop,
//! such as the example `event_loop`, which you can copy.
//!
//! ```
//! use core::{task::Poll, time::Duration};
//!
//! use bytes::Buf;
//! use smux_proto::{Config, Session, Transmit};
//!
//! /// Carries what one end has to send to the other. What is left goes first next time.
//! fn carry(now: Duration, from: &mut Session, batch: &mut Transmit, to: &mut Session) {
//!     while from.poll_transmit(now, batch) {
//!         let taken = to.handle_input(now, batch.chunk()).expect("a well-behaved peer");
//!         batch.advance(taken);
//!         if taken == 0 {
//!             break; // its receive buffer is full: the rest goes when its streams have been read
//!         }
//!     }
//! }
//!
//! let now = Duration::ZERO; // since an epoch of your choice
//! let mut client = Session::client(Config::default(), 1, now); // 1: a random number, really
//! let mut server = Session::server(Config::default(), 2, now);
//! let mut batch = Transmit::new();
//!
//! let Poll::Ready(Ok(id)) = client.open() else { panic!() };
//! let mut stream = client.stream(id).expect("just opened");
//! assert_eq!(stream.write(b"ping"), Poll::Ready(Ok(4)));
//! stream.finish();
//! carry(now, &mut client, &mut batch, &mut server);
//!
//! let Poll::Ready(Ok(id)) = server.accept() else { panic!() };
//! let mut stream = server.stream(id).expect("just accepted");
//! let mut buf = [0; 16];
//! assert_eq!(stream.read(&mut buf), Poll::Ready(Ok(4)));
//! assert_eq!(stream.read(&mut buf), Poll::Ready(Ok(0))); // its end
//! # // More than the receive buffer takes, to a reader that is slower than the writer.
//! # let Poll::Ready(Ok(id)) = client.open() else { panic!() };
//! # let data: Vec<u8> = (0..12_000_000_u32).map(|n| (n % 251) as u8).collect();
//! # let (mut written, mut got) = (0, Vec::new());
//! # while got.len() < data.len() {
//! #     for _ in 0..20 {
//! #         let mut stream = client.stream(id).expect("open");
//! #         if let Poll::Ready(Ok(count)) = stream.write(&data[written..]) {
//! #             written += count;
//! #         }
//! #         carry(now, &mut client, &mut batch, &mut server);
//! #     }
//! #     let _ = server.accept();
//! #     let before = got.len();
//! #     let mut stream = server.stream(id).expect("accepted");
//! #     while let Poll::Ready(Ok(1..)) = stream.read_buf(&mut got) {}
//! #     assert!(got.len() > before, "stuck at {before} bytes");
//! # }
//! # assert!(got == data);
//! ```
//!
//! # Time
//!
//! A moment is a [`Duration`](core::time::Duration) since an epoch that the caller picks, such as
//! the start of the program. Call [`Session::handle_timeout`] when [`Session::poll_timeout`] says
//! so.
//!
//! # Memory
//!
//! The configuration bounds what a session holds, whatever its peer does: the guide's page on
//! [sizing](guide::sizing) has the formula. An idle stream takes some 200 bytes, an idle session
//! owns no buffers and takes 2 KiB. Buffers come from a [`BufferSource`] that any number of
//! sessions share, or from the allocator. Nothing is allocated per frame once a source is warm. The
//! table at [`Config`] lists every limit.
//!
//! # Errors
//!
//! A violation of the protocol by the peer ends the session with a [`ProtocolError`]. Every later
//! call returns the session's one [`CloseReason`]. Data that had arrived before stays readable.
//! Neither the peer's nor the caller's input causes a panic.
//!
//! # More
//!
//! The [guide] has pages on [embedding](guide::embedding) this crate, [sizing](guide::sizing),
//! [operating](guide::operating), [closing](guide::closing), [what smux cannot do](guide::limits),
//! and a table [from Go to Rust](guide::from_go). The example `event_loop` is a complete event loop
//! on `mio`.
//!
//! # Features
//!
//! None is on by default. `std`: conversions to
//! [`std::io::Error`](https://doc.rust-lang.org/std/io/struct.Error.html) and vectored writes from
//! [`Transmit`]. `poll`: the layer that the adapters share, `poll`. `serde`: [`Config`] in files,
//! with sizes and durations as a person writes them. `tracing`: what follows.
//!
//! # Metrics and logs
//!
//! [`Session::stats`] and [`StreamMut::stats`] are for metrics: frames and bytes, buffered data,
//! and how often and how long calls waited, by cause. They cost a few additions per batch.
//!
//! With feature `tracing`, which needs no `std`, a session also logs what happens to it with
//! [`tracing`](https://docs.rs/tracing), under the target `smux`. It never logs payload or single
//! frames, and allocates nothing without a subscriber.
//!
//! | level | what |
//! |---|---|
//! | `ERROR` | span `session` (side, version; in the poll layer also id, and peer if its address is known), inside the span that was current when the session was made; at this level so that warnings always have it as their parent |
//! | `WARN` | the session failed, with the reason: at most once |
//! | `WARN` | a stall lasts: nothing has moved for 5 s, with the cause, the stream, and for how long. Once a stall, and at most once in 10 s; `more` counts others. `INFO`: it ended |
//! | `INFO` | the session began; it ended without an error: the reason, how long it lasted, bytes both ways |
//! | `DEBUG` | span `stream` (id), from opening or accepting until the stream leaves the table |
//! | `DEBUG` | the session is draining; streams opened, accepted, closed, evicted, or refused and why; reading paused |
//! | `TRACE` | writes that wait, with the [cause](StallCause); the peer finished a stream, or stopped reading it |
//!
//! The causes of stalls are `link`, `window`, `reader` and `budget`: see the guide's page on
//! [operating](guide::operating). To notice them, a session whose data is held up has a deadline a
//! second, if a subscriber wants warnings. Other events that a peer can trigger at will are logged
//! at `DEBUG` or below. In the poll layer, and so
//! in each adapter, a subscriber runs without the session's lock and may use the session. It runs
//! at the end of the call that caused the event: a slow subscriber slows that call down. The events
//! of one call are in order; those of several threads may interleave.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod buffer;
mod config;
mod error;
mod parse;
mod priority;
mod session;
mod stats;
mod streams;
mod trace;
mod wire;

pub mod guide;
#[cfg(feature = "poll")]
pub mod poll;

pub use buffer::Transmit;
pub use buffer::{Buffer, BufferPool, BufferSource};
#[cfg(feature = "std")]
pub use buffer::{ProcessBuffers, ThreadBuffers};
pub use config::{Config, ConfigBuilder, ConfigError, KeepAlive, SlowReaderPolicy};
pub use error::{CloseReason, OpenError, StreamError, TransportError};
pub use parse::ParseError;
pub use priority::Priority;
pub use session::Session;
pub use stats::{
    FrameCounts, IgnoredFrames, SessionStats, StallCause, StreamState, StreamStats, WindowLimit,
};
pub use streams::Event;
pub use streams::StreamMut;
pub use wire::{
    Command, FrameClass, Header, OtherProtocol, ProtocolError, Side, StreamId, Version,
    WindowUpdate,
};

/// Makes a test of the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}
