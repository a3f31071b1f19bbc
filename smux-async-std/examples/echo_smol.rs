//! The smallest complete program on smol: an echo server and a client, over TCP.

use std::{error::Error, io};

use smol::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use smux_async_std::{
    Config,
    smol::{connect, server_tcp},
};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        smol::spawn(serve(listener)).detach();

        let session = connect(address, Config::v2()).await?;
        let mut stream = session.open().await?;
        stream.write_all(b"hello over smux").await?;
        stream.close().await?; // ends our data; we can still read
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("stream {}: {answer}", stream.id());

        session.close().await;
        Ok(())
    })
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        let Ok(session) = server_tcp(tcp, Config::v2()) else {
            continue; // the client is gone already
        };
        smol::spawn(async move {
            while let Ok(stream) = session.accept().await {
                let (mut read, mut write) = stream.into_split();
                let echo = async move {
                    read.copy_to(&mut write).await?;
                    write.close().await
                };
                smol::spawn(echo).detach();
            }
        })
        .detach();
    }
}
