//! `accept` without a descriptor.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use smux_tokio::{Config, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::within;
use crate::protocol::{Carries, Request};
use crate::{echo, listen};

const CHILD: &str = "SMUX_FEW_DESCRIPTORS";

/// Whether this is the process with few descriptors. Otherwise runs that process and expects it to
/// succeed.
fn has_few_descriptors(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let run = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let output = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
    // It ran out of descriptors and logged that.
    assert!(output.contains("cannot accept"), "{output}");
    false
}

/// Lets a server on this thread accept without descriptors for longer than its pause.
async fn exhaust(server: SocketAddr) {
    let waiting = std::net::TcpStream::connect(server).expect("it listens");
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop((files, waiting));
}

#[tokio::test]
async fn the_quickstart_survives_running_out_of_descriptors() {
    if !has_few_descriptors("descriptors::the_quickstart_survives_running_out_of_descriptors") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let serving = tokio::spawn(listen::run(listener, false));
    exhaust(address).await;
    let mut tcp = within(TcpStream::connect(address))
        .await
        .expect("it listens");
    let served = async {
        Carries::OneStream.write(&mut tcp).await?;
        Request::Echo.write(&mut tcp).await?;
        tcp.write_all(b"hello").await?;
        let mut answer = [0; 5];
        tcp.read_exact(&mut answer).await?;
        anyhow::Ok(answer)
    };
    assert_eq!(&within(served).await.expect("an echo"), b"hello");
    assert!(!serving.is_finished());
}

#[tokio::test]
async fn the_echo_survives_running_out_of_descriptors() {
    if !has_few_descriptors("descriptors::the_echo_survives_running_out_of_descriptors") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(echo::serve(listener));
    exhaust(address).await;
    let session = within(Session::connect(address, Config::v2()))
        .await
        .expect("it listens");
    let mut stream = session.open().await.expect("open");
    stream.write_all(b"hello").await.expect("open");
    let mut answer = [0; 5];
    within(stream.read_exact(&mut answer))
        .await
        .expect("an echo");
    assert_eq!(&answer, b"hello");
}
