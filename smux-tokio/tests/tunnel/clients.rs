//! Servers that serve only clients with a certificate.

use tokio::io::AsyncReadExt;

use crate::closing::nowhere;
use crate::common::within;
use crate::ends::{End, Tunnel};
use crate::folder::Folder;
use crate::transports::end_in_turn;

/// Certificates that several ends know, each with a key.
pub(crate) struct Certificates(Folder);

impl Certificates {
    pub(crate) fn new(names: &[&str]) -> Self {
        let made = Self(Folder::new());
        for name in names {
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let signed = rcgen::generate_simple_self_signed(names).expect("a certificate");
            let key = signed.signing_key.serialize_pem();
            std::fs::write(made.cert(name), signed.cert.pem()).expect("written");
            std::fs::write(made.key(name), key).expect("written");
        }
        made
    }

    pub(crate) fn cert(&self, name: &str) -> String {
        self.0.file(&format!("{name}.cert"))
    }

    pub(crate) fn key(&self, name: &str) -> String {
        self.0.file(&format!("{name}.key"))
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.file(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    /// Arguments of a server that shows the certificate `server`.
    pub(crate) fn server(&self, more: &[&str]) -> Vec<String> {
        let (cert, key) = (self.cert("server"), self.key("server"));
        let own = ["--transport", "tls", "--tls-cert", &cert, "--tls-key", &key];
        own.iter().chain(more).map(|&arg| arg.to_owned()).collect()
    }

    /// Arguments of a client that trusts it.
    pub(crate) fn client(&self, more: &[&str]) -> Vec<String> {
        let cert = self.cert("server");
        let own = ["--transport", "tls", "--tls-ca", &cert];
        own.iter().chain(more).map(|&arg| arg.to_owned()).collect()
    }
}

pub(crate) fn args(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Ends that do not fit: none has a session, and both say so.
pub(crate) async fn assert_no_session(server: &[String], client: &[String], what: &str) {
    let server = End::server("127.0.0.1:0", nowhere().await, &args(server)).await;
    let client = [args(client), vec!["--connect-timeout", "5"]].concat();
    let client = End::client(server.address, &client).await;
    let mut near = client.connect().await;
    let line = server.logs("client got no session").await;
    assert!(line.contains(what), "{line}");
    let line = client.logs("cannot reach the server").await;
    assert!(line.contains("turned away"), "{line}");
    let read = within(near.read_u8()).await;
    let kind = read.expect_err("it must fail").kind();
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
    assert!(client.logged("session began").is_empty());
    assert!(server.logged("session began").is_empty());
    // It tries again and again, and every time is one too many for the log.
    assert_eq!(server.logged("client got no session").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_the_right_certificate_is_served() {
    let files = Certificates::new(&["server", "client"]);
    let (cert, key) = (files.cert("client"), files.key("client"));
    let server = files.server(&["--tls-client-ca", &cert]);
    let client = files.client(&["--tls-cert", &cert, "--tls-key", &key]);
    let tunnel = Tunnel::start(&args(&client), &args(&server)).await;
    let (mut near, mut far) = within(tunnel.connect()).await;
    end_in_turn(&mut near, &mut far, 1).await;
}

/// What it generates is fit for a server's list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_generates_its_certificate() {
    let files = Certificates::new(&["server"]);
    let (cert, key) = (files.cert("made"), files.key("made"));
    let own = ["--tls-cert", &cert, "--tls-key", &key, "--tls-generate"];
    let client = files.client(&own);
    drop(End::client(nowhere().await, &args(&client)).await);
    let server = files.server(&["--tls-client-ca", &cert]);
    let tunnel = Tunnel::start(&args(&client), &args(&server)).await;
    let (mut near, mut far) = within(tunnel.connect()).await;
    end_in_turn(&mut near, &mut far, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_is_turned_away() {
    let files = Certificates::new(&["server", "client"]);
    let server = files.server(&["--tls-client-ca", &files.cert("client")]);
    assert_no_session(&server, &files.client(&[]), "certificate").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_certificate_of_others_is_turned_away() {
    let files = Certificates::new(&["server", "client", "stranger"]);
    let server = files.server(&["--tls-client-ca", &files.cert("client")]);
    let (cert, key) = (files.cert("stranger"), files.key("stranger"));
    let client = files.client(&["--tls-cert", &cert, "--tls-key", &key]);
    assert_no_session(&server, &client, "certificate").await;
}
