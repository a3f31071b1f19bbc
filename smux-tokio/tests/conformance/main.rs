//! The conformance suite on tokio: both runtimes, every transport, live Go peers.

mod connections;
mod host;

use host::Tokio;
use smux_conformance::suite::host::Joined;

smux_conformance::suite!(current_thread, Tokio::current_thread());
smux_conformance::suite!(multi_thread, Tokio::multi_thread());
smux_conformance::memory_suites!(in_memory, Tokio::current_thread());
#[cfg(unix)]
smux_conformance::transport_suite!(unix, Joined::over_unix(Tokio::multi_thread()));
smux_conformance::transport_suite!(tls, Joined(Tokio::multi_thread(), connections::tls));
smux_conformance::datagram_suite!(kcp, Joined(Tokio::multi_thread(), connections::kcp));
smux_conformance::go_suite!(go, Tokio::multi_thread(), All);
