//! What every TCP connection of the tunnel is told.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// A silent connection is probed after this, so that one whose other end is gone is noticed.
const SILENCE: Duration = Duration::from_secs(60);
/// Between probes, of which the system sends nine or so before it gives up.
const PROBE: Duration = Duration::from_secs(10);

/// Has small writes leave at once, and the system look whether the other end still lives.
pub(crate) fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE);
    SockRef::from(tcp).set_tcp_keepalive(&probes)
}
