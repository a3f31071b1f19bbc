//! The program of the peers in Go.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    compare::finish,
    ends,
    work::{self, Figures, Work},
};

/// Beside this program.
fn program() -> Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name("smux-benches-go"))
}

pub(crate) fn build() -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(program()?)
        .arg(".")
        .current_dir(source);
    let output = build.output().context("starting `go build`")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// A run with both ends in Go. The link between them, if the work has one, is in this process.
pub(crate) fn run(peer: &str, work: Work, time: Duration) -> Result<Figures> {
    let listener = ends::listen(work::options(work))?;
    let address = work::route(work, listener.local_addr()?)?;
    let mut command = command(peer, "both", work, time)?;
    command.args(["-dial", &address.to_string()]);
    finish(&mut command, Input::Listener(listener), work.limit(time))
}

/// A run with the client in Go, which connects to `address`.
pub(crate) fn client(
    peer: &str,
    work: Work,
    time: Duration,
    address: SocketAddr,
) -> Result<Figures> {
    let mut command = command(peer, "client", work, time)?;
    command.args(["-dial", &address.to_string()]);
    finish(&mut command, Input::Nothing, work.limit(time))
}

/// Starts a server in Go, which answers what one client asks until that is gone.
pub(crate) fn serve(peer: &str, listener: TcpListener) -> Result<()> {
    let mut command = Command::new(program()?);
    command
        .args(["-peer", peer, "-end", "server"])
        .stdin(Input::Listener(listener))
        // What is ours is a pipe, which would stay open.
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().context("starting the server in Go")?;
    Ok(())
}

fn command(peer: &str, end: &str, work: Work, time: Duration) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .args(["-peer", peer, "-end", end])
        .args(["-work", &serde_json::to_string(&work)?])
        .args(["-seconds", &time.as_secs_f64().to_string()]);
    Ok(command)
}

/// What a child gets as its standard input.
pub(crate) enum Input {
    Nothing,
    /// The Go program accepts from it.
    Listener(TcpListener),
}

impl From<Input> for Stdio {
    fn from(input: Input) -> Self {
        match input {
            Input::Nothing => Self::null(),
            Input::Listener(listener) => OwnedFd::from(listener).into(),
        }
    }
}
