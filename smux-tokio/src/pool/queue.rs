//! A call that waits for room on any session of a pool.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::link::Link;
use crate::{Session, Stream};

/// A place in the queue of each session.
pub(super) struct Queue(Vec<(Arc<Link>, Session)>);

impl Queue {
    /// The session with the fewest streams is asked first.
    pub(super) fn new(links: &[Arc<Link>]) -> Self {
        let usable = links.iter().filter(|link| link.is_usable());
        let mut places: Vec<_> = usable
            .map(|link| (Arc::clone(link), link.session.clone()))
            .collect();
        places.sort_by_cached_key(|(link, _)| link.session.stream_count());
        Self(places)
    }

    /// Pending also if no session opens any more.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Stream> {
        let mut opened = None;
        self.0.retain_mut(|(link, session)| {
            if opened.is_some() {
                return true;
            }
            match link.poll_open(session, cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    opened = Some(stream);
                    true
                }
                Poll::Ready(Err(_)) => false,
            }
        });
        opened.map_or(Poll::Pending, Poll::Ready)
    }
}
