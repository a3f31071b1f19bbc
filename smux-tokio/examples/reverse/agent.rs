//! The server behind a firewall: it dials out and serves the streams that come back.

use std::{io, net::SocketAddr};

use smux_tokio::{Config, Pool, PoolEvent, Session, Stream};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::auth::{Role, Secret};

/// Keeps a session with the gateway up, and serves on it.
pub(crate) fn start(gateway: SocketAddr, secret: &Secret) -> Pool {
    let secret = secret.clone();
    Pool::builder()
        .on_event(|event| {
            if let PoolEvent::Connected { session } = event {
                tokio::spawn(serve((*session).clone()));
            }
        })
        .start(move || connect(gateway, secret.clone()))
}

async fn connect(gateway: SocketAddr, secret: Secret) -> io::Result<Session> {
    let mut tcp = TcpStream::connect(gateway).await?;
    secret.check(&mut tcp, Role::Agent).await?;
    Session::client_tcp(tcp, Config::v2())
}

/// The service: it sends back what it gets.
async fn serve(session: Session) {
    while let Ok(stream) = session.accept().await {
        tokio::spawn(echo(stream));
    }
}

async fn echo(stream: Stream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    reader.copy_to(&mut writer).await?;
    writer.shutdown().await
}
