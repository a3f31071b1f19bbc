//! What agents dial: it opens streams to them.

use std::{io, net::SocketAddr, time::Duration};

use smux_tokio::{Config, Session};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::auth::{Role, Secret};

/// How long an agent may take to show that it knows the secret.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// After an error of `accept`, which is most often the lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts agents; each becomes a session. The channel has room for as many as may wait.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) agents: mpsc::Receiver<io::Result<Session>>,
}

impl Gateway {
    pub(crate) async fn start(secret: &Secret) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, agents) = mpsc::channel(16);
        tokio::spawn(accept(listener, secret.clone(), sender));
        Ok(Self { address, agents })
    }
}

async fn accept(listener: TcpListener, secret: Secret, agents: mpsc::Sender<io::Result<Session>>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Strangers are handled beside each other, but not more of them than agents may wait.
        let Ok(place) = agents.clone().reserve_owned().await else {
            return;
        };
        let secret = secret.clone();
        tokio::spawn(async move {
            let started = timeout(HANDSHAKE, greet(tcp, secret)).await;
            place.send(started.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
        });
    }
}

async fn greet(mut tcp: TcpStream, secret: Secret) -> io::Result<Session> {
    secret.check(&mut tcp, Role::Gateway).await?;
    let session = Session::server_tcp(tcp, Config::v2())?;
    // The agent is called, and opens no streams.
    session.stop_accepting();
    Ok(session)
}
