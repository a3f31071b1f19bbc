//! The pump alone, between a TCP connection and a stream.

use std::io::ErrorKind;
use std::time::Duration;

use smux_tokio::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{pair, within};
use crate::pump::{self, Carried, Ending, HalfClose};

/// Both ends of a connection over loopback.
async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let near = TcpStream::connect(address).await.expect("it listens");
    let (tunnel, _) = listener.accept().await.expect("it listens");
    (near, tunnel)
}

/// The user has ended its direction and waits for an answer, of which only a part comes in time.
#[tokio::test]
async fn without_half_close_an_answer_that_takes_too_long_is_cut_with_a_reset() {
    let config = Config::v2().to_builder().half_close(false).build();
    let (client, server) = pair(&config.expect("valid"));
    let stream = client.open().await.expect("open");
    let (mut near, tcp) = tcp_pair().await;
    let carried = Carried::default();
    let ending = Ending {
        half_close: HalfClose::CloseAfter(Duration::from_millis(100)),
        idle: Duration::from_secs(60),
    };
    let user = async {
        near.write_all(b"question").await?;
        near.shutdown().await?;
        let mut answer = Vec::new();
        let read = near.read_to_end(&mut answer).await;
        Ok::<_, std::io::Error>((answer, read))
    };
    let target = async {
        let mut stream = server.accept().await.expect("a stream");
        stream.write_all(b"half of it").await.expect("open");
        // Kept open: the other half may still come.
        stream
    };
    let (carried, user, _stream) =
        within(async { tokio::join!(pump::carry(tcp, stream, ending, &carried), user, target) })
            .await;
    assert_eq!(
        carried.expect_err("not everything").kind(),
        ErrorKind::TimedOut
    );
    let (answer, read) = user.expect("connected");
    assert_eq!(answer, b"half of it");
    assert_eq!(
        read.expect_err("a reset").kind(),
        ErrorKind::ConnectionReset
    );
}
