//! A session that a pool opens streams on.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use tokio::sync::Notify;

use crate::{OpenError, Session, Stream};

#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: Session,
    /// Streams at the same time.
    pub(super) max_streams: usize,
    /// Streams to open in all.
    max_opened: u64,
    opened: AtomicU64,
    is_spent: AtomicBool,
    spent: Notify,
}

impl Link {
    pub(super) fn new(session: Session, max_opened: u64) -> Self {
        Self {
            max_streams: session.config().max_outbound_streams(),
            session,
            max_opened,
            opened: AtomicU64::new(0),
            is_spent: AtomicBool::new(false),
            spent: Notify::new(),
        }
    }

    /// Whether streams can be opened on it, now or once others have ended.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_spent.load(Relaxed) && !self.session.is_closed()
    }

    /// How many streams can be opened now.
    pub(super) fn room(&self) -> usize {
        self.max_streams.saturating_sub(self.session.stream_count())
    }

    /// Streams opened so far.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Waits until it opens no more, for one task.
    pub(super) async fn spent(&self) {
        self.spent.notified().await;
    }

    pub(super) fn try_open(&self) -> Result<Option<Stream>, OpenError> {
        let opened = self.session.try_open();
        match &opened {
            Ok(Some(_)) => self.count(),
            Ok(None) => {}
            Err(error) => self.check(error),
        }
        opened
    }

    /// `session` is a handle of the waiting task, which keeps its place.
    pub(super) fn poll_open(
        &self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, OpenError>> {
        let opened = ready!(session.poll_open(cx));
        match &opened {
            Ok(_) => self.count(),
            Err(error) => self.check(error),
        }
        Poll::Ready(opened)
    }

    fn count(&self) {
        if self.opened.fetch_add(1, Relaxed) + 1 >= self.max_opened {
            self.spend();
        }
    }

    fn check(&self, error: &OpenError) {
        if !matches!(error, OpenError::Closed(_)) {
            self.spend();
        }
    }

    fn spend(&self) {
        if !self.is_spent.swap(true, Relaxed) {
            self.spent.notify_one();
        }
    }
}
