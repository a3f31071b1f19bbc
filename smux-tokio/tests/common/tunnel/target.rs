//! An echoing target, and users that check every byte.

use std::io;
use std::net::SocketAddr;

use smux_conformance::pattern::Pattern;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const BLOCK: usize = 64 * 1024;

/// Serves for as long as it is polled: reads 8 bytes of length, then sends back that many bytes.
/// Then it ends the connection, without waiting for the end of the user's data, which not every
/// tunnel can signal.
pub(crate) async fn echo(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut tcp, _) = accepted.expect("it listens");
                // The user notices failures here.
                connections.spawn(async move { drop(echo_one(&mut tcp).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Spawns an [`echo`] on a free port, and returns its address.
pub(crate) async fn start_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(echo(listener));
    address
}

async fn echo_one(tcp: &mut TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let length = tcp.read_u64().await?;
    let (read, mut write) = tcp.split();
    tokio::io::copy(&mut read.take(length), &mut write).await?;
    write.shutdown().await
}

/// Sends `length` bytes of the pattern `seed` to the echo behind `address`, and checks that exactly
/// these come back.
pub(crate) async fn check_echo(address: SocketAddr, seed: u32, length: u64) -> io::Result<()> {
    let mut tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let (mut read, mut write) = tcp.split();
    let send = async {
        write.write_u64(length).await?;
        send(&mut write, seed, length).await
    };
    tokio::try_join!(send, receive(&mut read, seed, length))?;
    Ok(())
}

/// Sends `length` bytes of the pattern `seed`.
pub(crate) async fn send(
    to: &mut (impl AsyncWriteExt + Unpin),
    seed: u32,
    length: u64,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut sent = 0;
    while sent < length {
        let part = usize::try_from(length - sent).map_or(BLOCK, |left| left.min(BLOCK));
        Pattern { seed }.fill(sent, &mut block[..part]);
        to.write_all(&block[..part]).await?;
        sent += part as u64;
    }
    Ok(())
}

/// Reads to the end, which must come after `length` bytes of the pattern `seed`.
pub(crate) async fn receive(
    from: &mut (impl AsyncReadExt + Unpin),
    seed: u32,
    length: u64,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut received = 0;
    loop {
        let read = from.read(&mut block).await?;
        if read == 0 {
            break;
        }
        let checked = Pattern { seed }.check(received, &block[..read]);
        checked.map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))?;
        received += read as u64;
    }
    if received == length {
        Ok(())
    } else {
        let what = format!("{received} bytes instead of {length}");
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, what))
    }
}
