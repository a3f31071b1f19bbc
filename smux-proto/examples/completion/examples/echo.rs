//! Both ends of a session over TCP in one thread: a client sends lines, and compares the echo.

use std::net::SocketAddr;

use compio::{
    BufResult,
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::TcpListener,
    runtime::{Runtime, spawn},
};
use smux_compio::{CloseReason, Config, Session, Side, connect, over_tcp};

const STREAMS: usize = 100;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let runtime = Runtime::new()?;
    println!("driver: {:?}", runtime.driver_type());
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        spawn(async move {
            if let Err(error) = serve(listener).await {
                eprintln!("server: {error}");
            }
        })
        .detach();
        ask(address).await
    })
}

async fn serve(listener: TcpListener) -> Result<()> {
    let (tcp, _) = listener.accept().await?;
    let session = over_tcp(Side::Server, tcp, Config::v2())?;
    while let Ok(stream) = session.accept().await {
        spawn(async {
            let (mut reader, mut writer) = stream.into_split();
            if let Err(error) = copy(&mut reader, &mut writer).await {
                eprintln!("stream: {error}");
            }
        })
        .detach();
    }
    Ok(())
}

async fn ask(server: SocketAddr) -> Result<()> {
    let session = connect(server, Config::v2()).await?;
    let asking: Vec<_> = (0..STREAMS)
        .map(|number| spawn(echo(session.clone(), number)))
        .collect();
    for asked in asking {
        asked.await??;
    }
    assert_eq!(session.close().await, CloseReason::Local);
    println!("{STREAMS} streams echoed, every byte compared");
    Ok(())
}

async fn echo(session: Session, number: usize) -> std::io::Result<()> {
    let (mut reader, mut writer) = session.open().await?.into_split();
    let question = format!("stream {number}\n").repeat(10_000).into_bytes();
    let sent = question.clone();
    let sending = spawn(async move {
        let BufResult(written, _) = writer.write_all(sent).await;
        written?;
        writer.shutdown().await
    });
    let BufResult(read, answer) = reader.read_to_end(Vec::new()).await;
    read?;
    sending.await.expect("it does not panic")?;
    assert!(answer == question, "stream {number} has other bytes");
    Ok(())
}
