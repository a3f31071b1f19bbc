//! The conformance suite on tokio: both runtimes, every transport, live Go peers.

mod carriers;
mod host;

use carriers::{OverKcp, OverTls};
use host::Tokio;
#[cfg(unix)]
use smux_conformance::suite::host::OverUnix;

smux_conformance::suite!(current_thread, Tokio::current_thread());
smux_conformance::suite!(multi_thread, Tokio::multi_thread());
smux_conformance::memory_suites!(in_memory, Tokio::current_thread());
#[cfg(unix)]
smux_conformance::transport_suite!(unix, OverUnix(Tokio::multi_thread()));
smux_conformance::transport_suite!(tls, OverTls(Tokio::multi_thread()));
smux_conformance::datagram_suite!(kcp, OverKcp(Tokio::multi_thread()));
smux_conformance::go_suite!(go, Tokio::multi_thread(), All);
