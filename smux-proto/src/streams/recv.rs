//! The receiving half of a stream: what has arrived, how far it was read, what the peer was told.
//!
//! The peer is told in whole halves of the window, counted from the first read, which is told exactly. So the peer stops,
//! when it has to, at a point where it is told of all that was read. The reference tells of all that was read as soon as that
//! is half a window: if reads do not end at the mark, up to a half is read and not told whenever the peer stops, and missing from
//! every round trip. More updates than two a window would gain little on long links, and let the peer run further ahead on short ones,
//! out of the processor's cache.

use crate::{buffer::segments::Queue, config::INITIAL_WINDOW, wire::WindowUpdate};

/// Counters run in 64 bits; on the wire they are modulo 2^32.
#[derive(Debug)]
pub(crate) struct Recv {
    pub(crate) queue: Queue,
    /// Bytes that arrived.
    pub(crate) received: u64,
    /// Bytes that the application has read.
    pub(crate) read: u64,
    /// What the last update said was consumed.
    announced: u64,
    /// Version 2: how far the peer was ever allowed to send.
    edge: u64,
    /// Version 2: the window the peer has or assumes. 0 once it sends no more.
    window: u32,
    /// Version 2: what of the budget is this stream's: its window, or more, while more than that is unread.
    share: u32,
    /// The first read is announced at once, since the peer's first window is not of our choosing.
    first_announced: bool,
}

impl Recv {
    pub(crate) const fn new() -> Self {
        Self {
            queue: Queue::new(),
            received: 0,
            read: 0,
            announced: 0,
            edge: INITIAL_WINDOW as u64,
            window: 0,
            share: 0,
            first_announced: false,
        }
    }

    pub(crate) const fn window(&self) -> u32 {
        self.window
    }

    pub(crate) const fn share(&self) -> u32 {
        self.share
    }

    /// Grants a window, effective with the next update, and the same share of the budget.
    pub(crate) const fn grant(&mut self, window: u32) {
        self.window = window;
        self.share = window;
    }

    /// Changes the share, which is never less than the window.
    pub(crate) fn set_share(&mut self, share: u32) {
        self.share = share.max(self.window);
    }

    /// Bytes beyond all that the peer was ever allowed to send.
    pub(crate) const fn overrun(&self) -> u64 {
        self.received.saturating_sub(self.edge)
    }

    /// Whether the peer should be told of what was read: at the first read, then at half a window.
    ///
    /// `partial` is how much has arrived of a frame that is not complete: bytes that can be read but not
    /// yet acknowledged, because senders count a frame as sent once all of it has left.
    pub(crate) fn update_due(&self, partial: u64) -> bool {
        self.due(partial) > self.announced
    }

    /// The update to send now.
    pub(crate) fn announce(&mut self, partial: u64) -> WindowUpdate {
        self.announced = self.due(partial);
        self.first_announced |= self.announced > 0;
        self.edge = self.edge.max(self.announced + u64::from(self.window));
        WindowUpdate {
            consumed: wire(self.announced),
            window: self.window,
        }
    }

    /// How much the peer should know to be consumed.
    fn due(&self, partial: u64) -> u64 {
        let consumed = self.read.min(self.received - partial.min(self.received));
        let since = consumed - self.announced;
        let half = u64::from(self.window / 2).max(1);
        match self.first_announced {
            true => consumed - since % half,
            false => consumed,
        }
    }
}

/// A counter as it stands on the wire: modulo 2^32.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const fn wire(counter: u64) -> u32 {
    counter as u32
}
