//! The smallest complete program: an echo server and a client, over TCP.

use std::time::Duration;

use smux_tokio::{Config, Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// After an error of `accept`, before the next attempt.
const PAUSE: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener));

    let session = Session::connect(address, Config::v2()).await?;
    let mut stream = session.open().await?;
    stream.write_all(b"hello over smux").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("stream {}: {answer}", stream.id());

    session.close().await;
    Ok(())
}

/// Serves for ever: an error of `accept` concerns one client, or lasts until descriptors are free.
pub(crate) async fn serve(listener: TcpListener) {
    loop {
        let tcp = match listener.accept().await {
            Ok((tcp, _)) => tcp,
            Err(error) => {
                eprintln!("cannot accept a client: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(session) = Session::server_tcp(tcp, Config::v2()) else {
            continue; // the client is gone already
        };
        tokio::spawn(async move {
            while let Ok(stream) = session.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move {
                    read.copy_to(&mut write).await?;
                    write.shutdown().await
                });
            }
        });
    }
}
