//! How many sessions end together.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    Session,
    race::{Either, race},
};

/// What happens to the sessions of a pool or a listener. The later ones prevail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// The owner is gone: sessions end with their streams.
    Dropped,
    Draining(Duration),
    Closing,
}

/// Enters a phase that prevails over the one there is.
pub(crate) fn enter(current: &watch::Sender<Phase>, phase: Phase) {
    current.send_if_modified(|current| {
        let prevails = phase > *current;
        if prevails {
            *current = phase;
        }
        prevails
    });
}

/// Closes what is still open when it is dropped: the task that kept it open has panicked, or its
/// runtime has ended.
pub(crate) struct CloseOnDrop(pub(crate) Arc<watch::Sender<Phase>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.send_if_modified(|current| {
            let is_open = *current == Phase::Open;
            if is_open {
                *current = Phase::Closing;
            }
            is_open
        });
    }
}

/// Waits for a phase other than the first.
pub(crate) async fn ended(phase: &mut watch::Receiver<Phase>) {
    // An error is an end too: the sender is gone.
    let _ = phase.wait_for(|phase| *phase != Phase::Open).await;
}

/// Ends a session as the phase says, in the first one within `limit`, and waits for its end.
/// Returns the session unless its handle was given up.
pub(crate) async fn wind_up(
    session: Session,
    limit: Duration,
    mut phase: watch::Receiver<Phase>,
) -> Option<Session> {
    let mut closed = pin!(session.on_closed());
    loop {
        let now = *phase.borrow_and_update();
        match now {
            Phase::Open => session.start_drain(limit),
            Phase::Dropped => {
                drop(session);
                closed.await;
                return None;
            }
            Phase::Draining(limit) => session.start_drain(limit),
            Phase::Closing => session.start_close(),
        }
        match race(closed.as_mut(), phase.changed()).await {
            Either::Second(Ok(())) => {}
            Either::First(_) => return Some(session),
            Either::Second(Err(_)) => {
                closed.await;
                return Some(session);
            }
        }
    }
}
