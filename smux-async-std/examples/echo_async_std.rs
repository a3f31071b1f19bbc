//! The smallest complete program on async-std: an echo server and a client, over TCP.

use std::{error::Error, io};

use async_std::{
    io::{ReadExt, WriteExt},
    net::TcpListener,
    task,
};
use smux_async_std::{
    Config,
    async_std::{connect, server_tcp},
};

fn main() -> Result<(), Box<dyn Error>> {
    task::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        task::spawn(serve(listener));

        let session = connect(address, Config::v2()).await?;
        let mut stream = session.open().await?;
        stream.write_all(b"hello over smux").await?;
        stream.finish(); // ends our data; we can still read
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
        task::spawn(async move {
            while let Ok(stream) = session.accept().await {
                let (mut read, mut write) = stream.into_split();
                task::spawn(async move { read.copy_to(&mut write).await });
            }
        });
    }
}
