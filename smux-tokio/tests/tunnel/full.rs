//! Servers without room for a session, and servers that answer nothing.

use smux_tokio::{Config, Session};
use tokio::net::TcpListener;

use crate::clients::{Certificates, args};
use crate::common::within;
use crate::ends::{End, connect};
use crate::target::{check_echo, start_echo};
use crate::transports::end_in_turn;

/// Its users wait for the place, instead of losing their connections with a session that is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_full_server_takes_connections_once_there_is_a_place() {
    let files = Certificates::new(&["server"]);
    let one = ["--max-sessions", "1"];
    for tls in [false, true] {
        let (server, client) = match tls {
            true => (files.server(&one), files.client(&[])),
            false => (one.map(str::to_owned).to_vec(), Vec::new()),
        };
        let patient = ["--max-backoff", "0.2", "--connect-timeout", "60"];
        let client = [args(&client), patient.to_vec()].concat();
        let server = End::server("127.0.0.1:0", start_echo().await, &args(&server)).await;
        let first = End::client(server.address, &client).await;
        first.logs("session began").await;
        let second = End::client(server.address, &client).await;
        let waiting = tokio::spawn(check_echo(second.address, 1, 100_000));
        let line = second.logs("cannot reach the server").await;
        assert!(line.contains("--max-sessions"), "{line}");
        assert!(second.logged("session began").is_empty());
        first.request_shutdown();
        first.ended().await;
        let echoed = within(waiting).await.expect("no panic");
        echoed.expect("it was carried in the end");
    }
}

/// Servers of other kinds send their first frame when they have one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_nothing_is_used_all_the_same() {
    let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let silent = Config::v2().to_builder().keep_alive_disabled();
    let silent = silent.build().expect("valid");
    let to = target.local_addr().expect("bound");
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("it listens");
        let session = Session::server_tcp(tcp, silent).expect("connected");
        while let Ok(mut stream) = session.accept().await {
            let mut tcp = tokio::net::TcpStream::connect(to).await.expect("a target");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut tcp).await });
        }
    });
    // Less time than a server may take for its answer.
    let client = End::client(address, &["--connect-timeout", "0.8"]).await;
    client.logs("session began").await;
    let (mut near, mut far) = within(connect(&client, &target)).await;
    end_in_turn(&mut near, &mut far, 1).await;
}
