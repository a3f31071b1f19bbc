//! Ctrl-C: the first asks for an orderly end, the second for one at once.

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

/// Requests the shutdown at the first signal, and returns at the second.
pub(crate) async fn on_signals(shutdown: &CancellationToken) -> Result<()> {
    let mut signals = Signals::new().context("cannot wait for signals")?;
    signals.next().await;
    tracing::info!("stopping: waiting for open connections; interrupt again to cut them");
    shutdown.cancel();
    signals.next().await;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
