//! Clients that have sent no frame yet. They are counted separately, and take no session's place.

use std::collections::VecDeque;
use std::future;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::{AbortHandle, JoinSet};

use crate::throttle::Throttle;
use crate::transport::{Arrival, Visitor};

/// The most of them at a time. One more drops the one that has waited longest: a real client soon
/// sends a frame.
const MOST: usize = 256;

pub(crate) struct Arrivals {
    limit: Duration,
    greetings: JoinSet<Result<Visitor>>,
    /// In the order of their arrival.
    order: VecDeque<AbortHandle>,
    crowded: Throttle,
    failed: Throttle,
}

impl Arrivals {
    /// Each has so long for its first frame.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            greetings: JoinSet::new(),
            order: VecDeque::new(),
            crowded: Throttle::new(),
            failed: Throttle::new(),
        }
    }

    pub(crate) fn push(&mut self, arrival: Arrival) {
        self.order.retain(|greeting| !greeting.is_finished());
        if self.order.len() >= MOST {
            if let Some(oldest) = self.order.pop_front() {
                oldest.abort();
            }
            if let Some(more) = self.crowded.pass() {
                tracing::warn!(
                    most = MOST,
                    more,
                    "the oldest silent client was dropped: too many have sent no frame"
                );
            }
        }
        let limit = self.limit;
        self.order.push_back(self.greetings.spawn(async move {
            let peer = arrival.peer;
            let greeted = tokio::time::timeout(limit, arrival.greet()).await;
            let greeted = greeted
                .context("no frame in time (--first-frame-timeout)")
                .and_then(|greeted| greeted);
            greeted.with_context(|| format!("client {peer}"))
        }));
    }

    /// The next that has sent a frame. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Visitor {
        while let Some(greeted) = self.greetings.join_next().await {
            match greeted {
                Ok(Ok(visitor)) => return visitor,
                Ok(Err(error)) => {
                    if let Some(more) = self.failed.pass() {
                        tracing::warn!(
                            error = format_args!("{error:#}"),
                            more,
                            "client got no session"
                        );
                    }
                }
                // Dropped as above.
                Err(_) => {}
            }
        }
        future::pending().await
    }
}
