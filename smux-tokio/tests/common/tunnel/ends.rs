//! The two ends of a tunnel, which a test starts and ends.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use clap::Parser;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::common::within;
use crate::server::Server;
use crate::statistics::Statistics;

/// What an end logs, at the level that `--log` says.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<u8>>, Notify)>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Log {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let written = self.lock().write(entry);
        self.0.1.notify_waiters();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes all threads of a runtime log there.
fn log_to(log: &Log, level: LevelFilter) -> impl Fn() + Send + Sync + 'static {
    let log = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || log.clone())
        .finish();
    let dispatch = tracing::Dispatch::new(subscriber);
    move || std::mem::forget(dispatch.clone().set_default())
}

/// One end, on a runtime of its own.
pub(crate) struct End {
    pub(crate) address: SocketAddr,
    /// Where it serves its counters.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) statistics: Statistics,
    log: Log,
    shutdown: CancellationToken,
    task: JoinHandle<Result<()>>,
    runtime: Option<Runtime>,
}

impl End {
    pub(crate) async fn server(listen: &str, target: SocketAddr, more: &[&str]) -> Self {
        let target = target.to_string();
        let own = ["server", "--listen", listen, "--target", &target];
        Self::start(&own, more).await
    }

    pub(crate) async fn client(server: SocketAddr, more: &[&str]) -> Self {
        Self::client_of(&server.to_string(), more).await
    }

    /// As [`client`](Self::client), for a server that has a name.
    pub(crate) async fn client_of(server: &str, more: &[&str]) -> Self {
        let own = ["client", "--listen", "127.0.0.1:0", "--server", server];
        Self::start(&own, more).await
    }

    async fn start(own: &[&str], more: &[&str]) -> Self {
        Self::try_start(own, more).await.expect("a start")
    }

    /// Why the arguments do not make a client.
    pub(crate) async fn refused_client(more: &[&str]) -> String {
        let own = [
            "client",
            "--listen",
            "127.0.0.1:0",
            "--server",
            "127.0.0.1:1",
        ];
        Self::refused(&own, more).await
    }

    /// Why the arguments do not make a server.
    pub(crate) async fn refused_server(more: &[&str]) -> String {
        let own = [
            "server",
            "--listen",
            "127.0.0.1:0",
            "--target",
            "127.0.0.1:1",
        ];
        Self::refused(&own, more).await
    }

    async fn refused(own: &[&str], more: &[&str]) -> String {
        match Self::try_start(own, more).await {
            Ok(_) => panic!("accepted: {own:?} {more:?}"),
            Err(error) => format!("{error:#}"),
        }
    }

    async fn try_start(own: &[&str], more: &[&str]) -> Result<Self> {
        let arguments = ["tunnel"].iter().chain(own).chain(more);
        let cli = Cli::try_parse_from(arguments)?;
        let log = Log::default();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(log_to(&log, cli.log))
            .enable_all()
            .build()
            .expect("a runtime");
        let statistics = Statistics::default();
        let shutdown = CancellationToken::new();
        let started = runtime.spawn(start(cli.command, statistics.clone(), shutdown.clone()));
        let (address, metrics, task) = match started.await.expect("no panic") {
            Ok(started) => started,
            Err(error) => {
                // Dropping it would block.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        Ok(Self {
            address,
            metrics,
            statistics,
            log,
            shutdown,
            task,
            runtime: Some(runtime),
        })
    }

    /// The lines that it has logged and that have `what` in them.
    pub(crate) fn logged(&self, what: &str) -> Vec<String> {
        let log = self.log.lock();
        let log = String::from_utf8_lossy(&log);
        let lines = log.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    }

    /// Waits until it has logged `what`.
    pub(crate) async fn logs(&self, what: &str) -> String {
        within(async {
            loop {
                // Before the look: what is logged during it counts.
                let written = self.log.0.1.notified();
                if let Some(line) = self.logged(what).pop() {
                    return line;
                }
                written.await;
            }
        })
        .await
    }

    /// Tasks of its runtime.
    pub(crate) fn tasks(&self) -> usize {
        let runtime = self.runtime.as_ref().expect("not stopped");
        runtime.metrics().num_alive_tasks()
    }

    /// A connection into the tunnel.
    pub(crate) async fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).await.expect("it listens");
        tcp.set_nodelay(true).expect("connected");
        tcp
    }

    /// As the first Ctrl-C.
    pub(crate) fn request_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Waits for the end that was requested.
    pub(crate) async fn ended(mut self) {
        let ended = within(&mut self.task).await;
        ended.expect("no panic").expect("an orderly end");
    }

    /// As if the process was killed: nothing is closed properly.
    pub(crate) async fn kill(mut self) {
        self.stop();
        let killed = within(&mut self.task).await;
        assert!(killed.is_err_and(|error| error.is_cancelled()));
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn start(
    command: Command,
    statistics: Statistics,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, Option<SocketAddr>, JoinHandle<Result<()>>)> {
    Ok(match command {
        Command::Server(args) => {
            let server = Server::bind(&args, &statistics, &shutdown).await?;
            let address = server.local_addr()?;
            (address, server.metrics, tokio::spawn(server.run()))
        }
        Command::Client(args) => {
            let client = Client::bind(&args, &statistics).await?;
            let address = client.local_addr()?;
            (
                address,
                client.metrics,
                tokio::spawn(async move { client.run(&shutdown).await }),
            )
        }
    })
}

/// A client and a server, and the target's listener.
pub(crate) struct Tunnel {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) target: TcpListener,
}

impl Tunnel {
    pub(crate) async fn start(client: &[&str], server: &[&str]) -> Self {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = target.local_addr().expect("bound");
        let server = End::server("127.0.0.1:0", address, server).await;
        let client = End::client(server.address, client).await;
        Self {
            client,
            server,
            target,
        }
    }

    /// A connection through the tunnel, both its ends: that of the user and that of the target.
    pub(crate) async fn connect(&self) -> (TcpStream, TcpStream) {
        connect(&self.client, &self.target).await
    }
}

/// As [`Tunnel::connect`], for one that is taken apart.
pub(crate) async fn connect(client: &End, target: &TcpListener) -> (TcpStream, TcpStream) {
    let near = client.connect().await;
    let (far, _) = within(target.accept()).await.expect("it listens");
    (near, far)
}
