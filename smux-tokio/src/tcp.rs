//! Options of the sockets that sessions run over.

use std::{io, time::Duration};

use tokio::net::TcpStream;

/// What a TCP connection needs to carry a session well.
/// [`Session::connect`](crate::Session::connect) and the constructors for TCP apply the defaults.
///
/// ```
/// # use smux_tokio::{Config, Session, TcpOptions};
/// # async fn connect() -> std::io::Result<Session> {
/// let tcp = tokio::net::TcpStream::connect("relay.example:7000").await?;
/// TcpOptions::default().notsent_lowat(None).apply(&tcp)?;
/// let session = Session::client(tcp, Config::v2());
/// # Ok(session)
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "options do nothing unless applied"]
pub struct TcpOptions {
    nodelay: bool,
    notsent_lowat: Option<u32>,
    user_timeout: Option<Duration>,
}

impl Default for TcpOptions {
    /// `TCP_NODELAY`, and `TCP_NOTSENT_LOWAT` of 16 KiB.
    fn default() -> Self {
        Self {
            nodelay: true,
            notsent_lowat: Some(16 << 10),
            user_timeout: None,
        }
    }
}

impl TcpOptions {
    /// `TCP_NODELAY`. Without it, small messages wait for each other.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// `TCP_NOTSENT_LOWAT`: how many bytes the kernel holds that it has not sent; `None` leaves
    /// that to the kernel.
    ///
    /// What is in the kernel leaves before all that becomes urgent later. On a slow link that is
    /// seconds of bulk data, ahead of every small message. It has no effect where the platform has
    /// no such option.
    pub fn notsent_lowat(mut self, bytes: Option<u32>) -> Self {
        self.notsent_lowat = bytes;
        self
    }

    /// `TCP_USER_TIMEOUT`: how long data may stay unacknowledged before the connection fails, in
    /// whole milliseconds; `None` leaves that to the kernel, which may wait for a quarter of an
    /// hour.
    ///
    /// It finds a dead peer that sends no keep-alives: ours stay unacknowledged. It also ends a
    /// connection whose peer lives, but reads nothing for so long, as in version 1 when a reader
    /// pauses. So it is not set by default. It has no effect where the platform has no such option.
    pub fn user_timeout(mut self, limit: Option<Duration>) -> Self {
        self.user_timeout = limit;
        self
    }

    /// Sets the options of a connection.
    ///
    /// # Errors
    /// If the socket refuses `TCP_NODELAY` or `TCP_USER_TIMEOUT`. `TCP_NOTSENT_LOWAT` is an
    /// optimisation, whose refusal is ignored.
    pub fn apply(self, tcp: &TcpStream) -> io::Result<()> {
        tcp.set_nodelay(self.nodelay)?;
        #[cfg(any(target_os = "android", target_os = "linux"))]
        {
            let socket = socket2::SockRef::from(tcp);
            if let Some(bytes) = self.notsent_lowat {
                let _ = socket.set_tcp_notsent_lowat(bytes);
            }
            if self.user_timeout.is_some() {
                socket.set_tcp_user_timeout(self.user_timeout)?;
            }
        }
        Ok(())
    }
}
