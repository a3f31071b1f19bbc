//! The two ends of a tunnel, as a test starts and ends them.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::common::within;
use crate::server::Server;
use crate::statistics::Statistics;

/// One end, on a runtime of its own.
pub(crate) struct End {
    pub(crate) address: SocketAddr,
    pub(crate) statistics: Statistics,
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
        let server = server.to_string();
        let own = ["client", "--listen", "127.0.0.1:0", "--server", &server];
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
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let statistics = Statistics::default();
        let shutdown = CancellationToken::new();
        let started = runtime.spawn(start(cli.command, statistics.clone(), shutdown.clone()));
        let (address, task) = match started.await.expect("no panic") {
            Ok(started) => started,
            Err(error) => {
                // Dropping it would block.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        Ok(Self {
            address,
            statistics,
            shutdown,
            task,
            runtime: Some(runtime),
        })
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

    /// As if the process was killed: nothing is closed in order.
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
) -> Result<(SocketAddr, JoinHandle<Result<()>>)> {
    Ok(match command {
        Command::Server(args) => {
            let server = Server::bind(&args, &statistics, &shutdown).await?;
            (server.local_addr()?, tokio::spawn(server.run()))
        }
        Command::Client(args) => {
            let client = Client::bind(&args, &statistics).await?;
            let address = client.local_addr()?;
            (
                address,
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
