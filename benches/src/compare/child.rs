//! One run in a process of its own.

use std::{
    env,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use wait_timeout::ChildExt;

use crate::{
    peers::Peer,
    runtime::Shape,
    work::{Figures, Work, Workload},
};

/// What runs may take beyond three times what they measure.
pub(crate) struct Limits;

impl Limits {
    pub(crate) const GRACE: Duration = Duration::from_secs(10);
    /// Opening many streams takes its own time.
    const IDLE_GRACE: Duration = Duration::from_secs(60);
}

const LONGEST_ERROR: usize = 200;

/// Starts the runs, in this program or in Go's.
pub(super) struct Runner {
    /// Or why there is none.
    go: Result<PathBuf, String>,
}

impl Runner {
    /// Builds the Go program, if any of `peers` needs it.
    pub(super) fn new(peers: &[&Peer]) -> Self {
        let go = if peers.iter().any(|peer| peer.is_go()) {
            build_go().map_err(|error| format!("{error:#}"))
        } else {
            Err("not asked for".to_owned())
        };
        Self { go }
    }

    pub(super) fn run(
        &self,
        peer: &Peer,
        workload: &Workload,
        shape: Shape,
        time: Duration,
    ) -> Result<Figures> {
        let mut command = if peer.is_go() {
            let program = self
                .go
                .as_ref()
                .map_err(|error| anyhow::anyhow!("no Go program: {error}"))?;
            let mut command = Command::new(program);
            command.args([
                "-peer",
                peer.name,
                "-work",
                &serde_json::to_string(&workload.work)?,
            ]);
            command.args(["-seconds", &time.as_secs_f64().to_string()]);
            command
        } else {
            let shape = shape
                .to_possible_value()
                .context("a shape without a name")?;
            let mut command = Command::new(env::current_exe()?);
            command.args(["child", "--peer", peer.name, "--workload", workload.name]);
            command.args(["--shape", shape.get_name()]);
            command.args(["--seconds", &time.as_secs_f64().to_string()]);
            command
        };
        command
            .env("RUST_BACKTRACE", "0")
            .env("ASYNC_STD_THREAD_COUNT", "2");
        let idle = matches!(workload.work, Work::Idle { .. });
        finish(
            &mut command,
            3 * time
                + if idle {
                    Limits::IDLE_GRACE
                } else {
                    Limits::GRACE
                },
        )
    }
}

/// Runs `command` for at most `limit`; it prints its figures.
pub(crate) fn finish(command: &mut Command, limit: Duration) -> Result<Figures> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting a child")?;
    let stdout = collect(child.stdout.take().context("no stdout")?);
    let stderr = collect(child.stderr.take().context("no stderr")?);
    let Some(status) = child.wait_timeout(limit)? else {
        child.kill()?;
        child.wait()?;
        bail!("not done after {} s, and ended", limit.as_secs());
    };
    if !status.success() {
        let text = stderr.join().unwrap_or_default();
        let words: Vec<_> = text.split_whitespace().collect();
        let start: String = words.join(" ").chars().take(LONGEST_ERROR).collect();
        bail!("{start}");
    }
    let text = stdout.join().unwrap_or_default();
    serde_json::from_str(&text).with_context(|| format!("not a result: {text}"))
}

/// Reads beside the child, which would otherwise wait when the pipe is full.
fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        // What could be read is good enough: an incomplete result does not parse.
        let _ = pipe.read_to_string(&mut text);
        text
    })
}

/// Puts it beside this program.
fn build_go() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let program = env::current_exe()?.with_file_name("smux-benches-go");
    let mut build = Command::new("go");
    build
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(".")
        .current_dir(source);
    let output = build.output().context("starting `go build`")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(program)
}
