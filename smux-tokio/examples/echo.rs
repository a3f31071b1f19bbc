//! The smallest whole program: a server that sends back what it gets, and a client, over TCP.

use std::io;

use smux_tokio::{Config, Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

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

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
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
