//! What stands between client and server.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_hdr_async, client_async,
    tungstenite::handshake::server::{ErrorResponse, Request, Response},
};

use crate::messages::Messages;

/// Forwards every WebSocket to the same path at `server`.
pub(crate) async fn forward(listener: TcpListener, server: SocketAddr) -> Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        // One that fails concerns no other: its client sees the end.
        tokio::spawn(forward_one(tcp, server));
    }
}

async fn forward_one(tcp: TcpStream, server: SocketAddr) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut path = String::new();
    #[allow(
        clippy::result_large_err,
        reason = "the type of tungstenite's callback"
    )]
    let keep_path = |request: &Request, response: Response| -> Result<_, ErrorResponse> {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let near = accept_hdr_async(tcp, keep_path).await?;
    let tcp = TcpStream::connect(server).await?;
    tcp.set_nodelay(true)?;
    let (far, _) = client_async(format!("ws://{server}{path}"), tcp).await?;
    copy_bidirectional(&mut Messages::new(near), &mut Messages::new(far)).await?;
    Ok(())
}
