//! A child process whose output is collected, and which does not outlive its handle.

use std::{
    error::Error,
    fmt,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// An error of a Go peer or its build, with the process's output. `Debug` prints the same text as
/// `Display`, so that a failed `unwrap` is readable.
#[derive(Clone)]
pub struct GoError(String);

impl GoError {
    pub(super) fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Display for GoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for GoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for GoError {}

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    what: String,
    child: Child,
    /// Lines of standard output; disconnected when the process has closed it, which it does at its
    /// end.
    lines: Receiver<String>,
    stdout: String,
    stderr: Option<JoinHandle<String>>,
}

impl Process {
    /// `what` names the process in errors.
    pub(super) fn spawn(what: String, command: &mut Command) -> Result<Self, GoError> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| GoError::new(format_args!("{what}: {error}")))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stderr = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // An error message may hold part of the output.
                let _ = stderr.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self {
            what,
            child,
            lines,
            stdout: String::new(),
            stderr,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output. If none comes, the process is ended.
    pub(super) fn line(&mut self, limit: Duration) -> Result<String, GoError> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => {
                self.keep(&line);
                Ok(line)
            }
            Err(RecvTimeoutError::Timeout) => {
                Err(self.fail(format_args!("wrote nothing within {limit:?}")))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(self.fail("ended before its next line of output"))
            }
        }
    }

    /// Waits for the end and returns standard output, if that was a success. Otherwise, or if it
    /// does not end within the limit, the process is ended and the error tells what it has written.
    pub(super) fn wait(mut self, limit: Duration) -> Result<String, GoError> {
        let start = Instant::now();
        loop {
            match self
                .lines
                .recv_timeout(limit.saturating_sub(start.elapsed()))
            {
                Ok(line) => self.keep(&line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.fail(format_args!("was still running after {limit:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(std::mem::take(&mut self.stdout)),
            Ok(status) => Err(self.fail(format_args!("ended with {status}"))),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Ends the process and says what it has written.
    pub(super) fn fail(&mut self, why: impl fmt::Display) -> GoError {
        self.end();
        while let Ok(line) = self.lines.recv() {
            self.keep(&line);
        }
        let stderr = self
            .stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        let Self { what, stdout, .. } = self;
        GoError::new(format_args!(
            "{what}: {why}\n--- stdout ---\n{stdout}--- stderr ---\n{stderr}"
        ))
    }

    fn keep(&mut self, line: &str) {
        self.stdout.push_str(line);
        self.stdout.push('\n');
    }

    fn end(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
