//! The conformance suite on smol.

mod common;

use common::Hosted;
use smux_conformance::suite::host::Joined;

common::runtime!(
    smux_async_std::smol,
    smol::net::TcpStream,
    smol::net::unix::UnixStream
);

smux_conformance::suite!(over_tcp, Runtime);
#[cfg(unix)]
smux_conformance::transport_suite!(over_unix, Joined::over_unix(Runtime));
smux_conformance::transport_suite!(over_tls, Joined(Runtime, tls));
smux_conformance::memory_suites!(in_memory, Runtime);
smux_conformance::go_suite!(go, Runtime, Newest);
