//! The application's handle on a session.

use std::{io, net::SocketAddr, ops::Deref};

use compio::{net::TcpStream, runtime::spawn};
use smux_proto::{CloseReason, Config, OpenError, Side, poll::SessionHandle};

use crate::{driver::start, stream::Stream};

/// A session, with the methods of its [`SessionHandle`]. It may be used on any thread.
#[derive(Clone, Debug)]
pub struct Session(pub(crate) SessionHandle);

impl Session {
    /// Opens a stream; waits while there are as many as may be.
    ///
    /// # Errors
    /// If the session is closed.
    pub async fn open(&self) -> Result<Stream, OpenError> {
        self.0.open().await.map(Stream::new)
    }

    /// Waits for a stream that the peer opens.
    ///
    /// # Errors
    /// If the session has ended.
    pub async fn accept(&self) -> Result<Stream, CloseReason> {
        self.0.accept().await.map(Stream::new)
    }
}

impl Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.0
    }
}

/// Connects to a server over TCP, and spawns what moves the session on the current runtime.
///
/// # Errors
/// If the server cannot be reached.
pub async fn connect(address: SocketAddr, config: Config) -> io::Result<Session> {
    over_tcp(Side::Client, TcpStream::connect(address).await?, config)
}

/// A session over a TCP connection; spawns what moves it on the current runtime.
///
/// # Errors
/// If the socket is not connected.
pub fn over_tcp(side: Side, tcp: TcpStream, config: Config) -> io::Result<Session> {
    tcp.set_nodelay(true)?;
    let (reader, writer) = tcp.into_split();
    let (session, driver) = start(side, config, reader, writer);
    spawn(driver).detach();
    Ok(session)
}
