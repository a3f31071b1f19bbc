//! Servers that serve only clients that know a token.

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::cli::{Cli, Command};
use crate::clients::{Certificates, args, assert_no_session};
use crate::closing::nowhere;
use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::tls;
use crate::token::Token;
use crate::transports::end_in_turn;

const RIGHT: &str = "correct horse battery staple";
const WRONG: &str = "correct horse battery stapler";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_the_right_token_is_served() {
    let files = Certificates::new(&["server"]);
    // An editor's line end is no part of it.
    let ours = files.file("ours", RIGHT);
    let theirs = files.file("theirs", &format!("{RIGHT}\n"));
    let server = files.server(&["--token-file", &ours]);
    let client = files.client(&["--token-file", &theirs]);
    let tunnel = Tunnel::start(&args(&client), &args(&server)).await;
    let (mut near, mut far) = within(tunnel.connect()).await;
    end_in_turn(&mut near, &mut far, 1).await;
    for end in [&tunnel.client, &tunnel.server] {
        assert!(end.logged("horse").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_wrong_token_or_none_is_turned_away() {
    let files = Certificates::new(&["server"]);
    let server = files.server(&["--token-file", &files.file("right", RIGHT)]);
    let wrong = files.client(&["--token-file", &files.file("wrong", WRONG)]);
    assert_no_session(&server, &wrong, "wrong token").await;
    assert_no_session(&server, &files.client(&[]), "no token").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_token_says_that_a_client_sent_one() {
    let files = Certificates::new(&["server"]);
    let client = files.client(&["--token-file", &files.file("token", RIGHT)]);
    assert_no_session(&files.server(&[]), &client, "--token-file").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_shows_no_token_in_time_is_dropped() {
    let files = Certificates::new(&["server"]);
    let token = files.file("token", RIGHT);
    let limit = ["--token-file", &token, "--first-frame-timeout", "0.3"];
    let server = files.server(&limit);
    let server = End::server("127.0.0.1:0", nowhere().await, &args(&server)).await;
    for sent in [&b""[..], b"stoken1\n", b"stoken1\nand a part"] {
        let mut tls = connect(&files, &server).await;
        tls.write_all(sent).await.expect("connected");
        tls.flush().await.expect("connected");
        let mut rest = Vec::new();
        let _ = within(tls.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"");
    }
    let line = server.logs("client got no session").await;
    assert!(line.contains("no frame in time"), "{line}");
    assert_eq!(server.logged("client got no session").len(), 1);
}

/// The proof of one connection, which a false server may have got.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_of_no_use_in_another_connection() {
    let files = Certificates::new(&["server"]);
    let path = files.file("token", RIGHT);
    let token = Token::load(path.as_ref()).expect("long enough");
    let server = files.server(&["--token-file", &path]);
    let mine = ["tunnel", "server", "--listen", "x", "--target", "x"];
    let mine = [&mine[..], &args(&server)].concat();
    let Command::Server(mine) = Cli::try_parse_from(mine).expect("arguments").command else {
        panic!("it is a server's");
    };
    let acceptor = tls::acceptor(&mine).expect("a certificate");
    let server = End::server("127.0.0.1:0", nowhere().await, &args(&server)).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let seen = async {
        let (tcp, _) = listener.accept().await.expect("it listens");
        let mut tls = acceptor.accept(tcp).await.expect("TLS");
        let mut seen = [0; 40];
        tls.read_exact(&mut seen).await.expect("a proof");
        seen
    };
    let shown = async {
        let mut tls = connect_to(&files, address).await;
        token.show(&mut tls).await.expect("connected");
        tls
    };
    let (seen, _open) = within(async { tokio::join!(seen, shown) }).await;

    let mut tls = connect(&files, &server).await;
    tls.write_all(&seen).await.expect("connected");
    tls.write_all(&[2, 3, 0, 0, 0, 0, 0, 0])
        .await
        .expect("connected");
    let mut rest = Vec::new();
    let _ = within(tls.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    let line = server.logs("client got no session").await;
    assert!(line.contains("wrong token"), "{line}");
    assert_eq!(server.statistics.totals().sessions, 0);
}

#[tokio::test]
async fn a_token_that_would_be_sent_in_the_open_or_guessed_is_refused() {
    let files = Certificates::new(&["server"]);
    let token = files.file("token", RIGHT);
    for transport in ["tcp", "kcp"] {
        let open = ["--transport", transport, "--token-file", &token];
        for why in [
            End::refused_client(&open).await,
            End::refused_server(&open).await,
        ] {
            assert!(why.contains("--transport tls"), "{why}");
        }
    }
    for short in ["", "   \n", "fifteen bytes..\n"] {
        let short = files.file("short", short);
        let why = End::refused_client(&args(&files.client(&["--token-file", &short]))).await;
        assert!(why.contains("fewer than 16 bytes"), "{why}");
        let why = End::refused_server(&args(&files.server(&["--token-file", &short]))).await;
        assert!(why.contains("fewer than 16 bytes"), "{why}");
    }
}

async fn connect(files: &Certificates, server: &End) -> TlsStream<TcpStream> {
    connect_to(files, server.address).await
}

async fn connect_to(files: &Certificates, address: std::net::SocketAddr) -> TlsStream<TcpStream> {
    let mine = [
        "tunnel",
        "client",
        "--listen",
        "x",
        "--server",
        "localhost:1",
    ];
    let client = files.client(&[]);
    let mine = [&mine[..], &args(&client)].concat();
    let Command::Client(mine) = Cli::try_parse_from(mine).expect("arguments").command else {
        panic!("it is a client's");
    };
    let (connector, name) = tls::connector(&mine).expect("a certificate");
    let tcp = TcpStream::connect(address).await.expect("it listens");
    within(connector.connect(name, tcp)).await.expect("TLS")
}
