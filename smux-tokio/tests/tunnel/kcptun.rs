//! kcptun at one end, with encryption, error correction and compression off.
//!
//! `kcptun-client` and `kcptun-server` are Debian's package `kcptun`. Without them these tests are
//! skipped, unless `SMUX_REQUIRE_KCPTUN` is set. `SMUX_KCPTUN_BYTES` and `SMUX_KCPTUN_CONNECTIONS`
//! make them longer.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::ends::End;
use crate::target::{check_echo, start_echo};

/// Options with which our end matches kcptun.
const OURS: [&str; 5] = [
    "--transport",
    "kcp",
    "--kcp-crypt",
    "none",
    "--no-half-close",
];
/// At a time, of the short ones.
const CONCURRENT: u32 = 16;
/// Generous: nothing waits for it.
const LIMIT: Duration = Duration::from_secs(300);

/// Killed when dropped.
struct Kcptun(Child);

impl Kcptun {
    /// `None` if it is not installed and need not be.
    fn start(program: &str, version: &str, addresses: [&str; 4]) -> Option<Self> {
        let child = Command::new(program)
            .args(addresses)
            .args(["--crypt", "none", "--nocomp", "--ds", "0", "--ps", "0"])
            .args(["--smuxver", version, "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Some(Self(child)),
            Err(error) if std::env::var_os("SMUX_REQUIRE_KCPTUN").is_some() => {
                panic!("{program}: {error}")
            }
            Err(error) => {
                eprintln!("skipped: {program}: {error}");
                None
            }
        }
    }
}

impl Drop for Kcptun {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One long connection, and many short ones, all of them checked.
async fn check(user: SocketAddr) {
    let bytes = number("SMUX_KCPTUN_BYTES", 4 << 20);
    let connections = u32::try_from(number("SMUX_KCPTUN_CONNECTIONS", 50)).expect("so many");
    check_echo(user, 0, bytes).await.expect("the long one");
    let mut users = JoinSet::<io::Result<()>>::new();
    for seed in 1..=connections {
        if seed > CONCURRENT {
            let checked = users.join_next().await.expect("one runs");
            checked.expect("no panic").expect("a short one");
        }
        users.spawn(check_echo(user, seed, u64::from(seed % 10) * 1000 + 1));
    }
    while let Some(checked) = users.join_next().await {
        checked.expect("no panic").expect("a short one");
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number"))
    })
}

/// For a program that cannot pick a port itself. Not an ephemeral port: the system might assign
/// that to the socket that connects to the program, which would then talk to itself.
fn free_address() -> SocketAddr {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(fastrand::u16(10_000..20_000)));
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], NEXT.fetch_add(1, Relaxed)));
        if std::net::TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

async fn our_client_at_its_server(version: &str) {
    let target = start_echo().await.to_string();
    let address = free_address();
    // The server need not be ready: KCP retransmits.
    let listen = address.to_string();
    let server = Kcptun::start("kcptun-server", version, ["-l", &listen, "-t", &target]);
    let Some(_server) = server else { return };
    let version = ["--smux-version", version];
    let client = End::client(address, &[OURS.as_slice(), &version].concat()).await;
    let checked = tokio::time::timeout(LIMIT, check(client.address)).await;
    checked.expect("it hangs");
    client.request_shutdown();
    client.ended().await;
}

async fn its_client_at_our_server(version: &str) {
    let target = start_echo().await;
    let ours = [OURS.as_slice(), &["--drain", "5"]].concat();
    let server = End::server("127.0.0.1:0", target, &ours).await;
    let address = free_address();
    let (listen, remote) = (address.to_string(), server.address.to_string());
    let client = Kcptun::start("kcptun-client", version, ["-l", &listen, "-r", &remote]);
    let Some(_client) = client else { return };
    let checked = tokio::time::timeout(LIMIT, async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        check(address).await;
    });
    checked.await.expect("it hangs");
    server.request_shutdown();
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_at_kcptun_server_v1() {
    our_client_at_its_server("1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_at_kcptun_server_v2() {
    our_client_at_its_server("2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcptun_client_at_our_server_v1() {
    its_client_at_our_server("1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcptun_client_at_our_server_v2() {
    its_client_at_our_server("2").await;
}
