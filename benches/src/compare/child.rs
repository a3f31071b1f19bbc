//! One run in a process of its own.

use std::{
    env,
    io::Read,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use wait_timeout::ChildExt;

use crate::{
    go::{self, Input},
    peers::Peer,
    runtime::Shape,
    work::{Figures, Workload},
};

const LONGEST_ERROR: usize = 200;

/// Starts the runs.
pub(super) struct Runner {
    /// Or why there is no Go program.
    go: Result<(), String>,
}

impl Runner {
    /// Builds the Go program, if any of `peers` needs it.
    pub(super) fn new(peers: &[&Peer]) -> Self {
        let go = if peers.iter().any(|peer| peer.needs_go()) {
            go::build().map_err(|error| format!("{error:#}"))
        } else {
            Ok(())
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
        if let (true, Err(error)) = (peer.needs_go(), &self.go) {
            return Err(anyhow!("no Go program: {error}"));
        }
        let shape = shape
            .to_possible_value()
            .context("a shape without a name")?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["child", "--peer", peer.name, "--workload", workload.name])
            .args(["--shape", shape.get_name()])
            .args(["--seconds", &time.as_secs_f64().to_string()])
            .env("RUST_BACKTRACE", "0")
            .env("ASYNC_STD_THREAD_COUNT", "2");
        finish(&mut command, Input::Nothing, workload.work.limit(time))
    }
}

/// Runs `command` for at most `limit`; it prints its figures.
pub(crate) fn finish(command: &mut Command, input: Input, limit: Duration) -> Result<Figures> {
    let mut child = command
        .stdin(input)
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
