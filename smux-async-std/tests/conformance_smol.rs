//! The conformance suite on smol.

mod common;

use smux_conformance::suite::carrier::Carrier;

common::runtime!(
    smux_async_std::smol,
    smol::net::TcpStream,
    smol::net::unix::UnixStream
);

smux_conformance::suite!(over_tcp, Runtime(Carrier::tcp_pair));
#[cfg(unix)]
smux_conformance::transport_suite!(over_unix, Runtime(Carrier::unix_pair));
smux_conformance::transport_suite!(over_tls, OverTls(Runtime(Carrier::tcp_pair)));
smux_conformance::memory_suites!(in_memory, Runtime(Carrier::tcp_pair));
smux_conformance::go_suite!(go, Runtime(Carrier::tcp_pair), Newest);
