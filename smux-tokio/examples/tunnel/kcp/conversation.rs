//! One KCP conversation: its state, and the task that moves it on in time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use kcp::Kcp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::datagram::{self, Packet};
use super::sender::{Output, Sender};
use crate::cli::{KcpArgs, KcpMode};

/// With nothing to send again, KCP has to acknowledge and to tell its window at most. After so long
/// without any of that its timer stops.
const AWAKE: Duration = Duration::from_secs(1);
/// Datagrams from a stranger that may be held: the fewest that KCP can be told.
const FEWEST: u16 = 128;

pub(super) struct Conversation {
    pub(super) id: u32,
    state: Mutex<State>,
    /// Its deadline may have changed, or it has ended.
    changed: Notify,
    sender: Arc<Sender>,
}

pub(super) struct State {
    pub(super) kcp: Kcp<Output>,
    /// What was too much for the buffer of the last read, from `read` on.
    pub(super) left: Vec<u8>,
    pub(super) read: usize,
    pub(super) end: Option<End>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) closer: Option<Waker>,
    started: Instant,
    /// When something last happened.
    active: Instant,
    /// The task waits to be told that something has happened.
    dormant: bool,
    /// The peer has sent something.
    heard: bool,
}

/// Why nothing comes any more.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Ended here.
    Closed,
    Failed(io::ErrorKind),
}

impl Conversation {
    pub(super) fn new(id: u32, args: &KcpArgs, sender: Arc<Sender>) -> io::Result<Arc<Self>> {
        let frame = datagram::frame(args.crypt);
        let output = Output::new(Arc::clone(&sender), args.crypt);
        let mut kcp = Kcp::new_stream(id, output);
        kcp.set_mtu(usize::from(args.mtu) - frame)?;
        // In kcptun's modes; congestion control is off in all of them.
        let (nodelay, interval) = match args.mode {
            KcpMode::Normal => (false, 40),
            KcpMode::Fast => (false, 30),
            KcpMode::Fast2 => (true, 20),
            KcpMode::Fast3 => (true, 10),
        };
        kcp.set_nodelay(nodelay, interval, 2, true);
        kcp.set_wndsize(args.send_window, FEWEST);
        kcp.update(0)?;
        let now = Instant::now();
        let conversation = Arc::new(Self {
            id,
            state: Mutex::new(State {
                kcp,
                left: Vec::new(),
                read: 0,
                end: None,
                reader: None,
                writer: None,
                closer: None,
                started: now,
                active: now,
                dormant: false,
                heard: false,
            }),
            changed: Notify::new(),
            sender,
        });
        tokio::spawn(Arc::clone(&conversation).run());
        Ok(conversation)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has happened after which KCP may have something to do.
    pub(super) fn touch(&self, state: &mut State) {
        state.active = Instant::now();
        if std::mem::take(&mut state.dormant) || self.sender.has_waiting() {
            self.changed.notify_one();
        }
    }

    /// Takes what the peer has sent.
    pub(super) fn input(&self, packet: Packet<'_>) {
        let mut state = self.lock();
        // It was checked; what KCP does not take is a datagram that was lost.
        let _ = state.kcp.input(packet.bytes);
        state.heard = true;
        self.touch(&mut state);
        let due = state.due();
        drop(state);
        wake(due);
    }

    /// As [`end`](Self::end), if nothing was ever heard of the peer.
    pub(super) fn end_if_unheard(&self, end: End) {
        let heard = self.lock().heard;
        if !heard {
            self.end(end);
        }
    }

    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        let all = [
            state.reader.take(),
            state.writer.take(),
            state.closer.take(),
        ];
        drop(state);
        wake(all);
        self.changed.notify_one();
    }

    /// Sends again, acknowledges and probes in time, until the end.
    async fn run(self: Arc<Self>) {
        while let Some(pause) = self.update() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.changed.notified() => {}
                () = self.sender.send_waiting() => {}
            }
        }
    }

    /// Returns when to come again, if ever.
    fn update(&self) -> Option<Duration> {
        let mut state = self.lock();
        if state.end.is_some() {
            return None;
        }
        if state.kcp.wait_snd() == 0 && state.active.elapsed() > AWAKE {
            state.dormant = true;
            return Some(Duration::MAX);
        }
        let now = state.now();
        let _ = state.kcp.update(now);
        // KCP has nothing to do before its next interval, even if it says 0.
        let pause = state.kcp.check(now).max(1);
        let due = state.due();
        drop(state);
        wake(due);
        Some(Duration::from_millis(pause.into()))
    }
}

impl State {
    /// Milliseconds, which may wrap.
    #[allow(clippy::cast_possible_truncation, reason = "KCP's clock wraps")]
    fn now(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    pub(super) fn has_room(&self) -> bool {
        self.kcp.wait_snd() < usize::from(self.kcp.snd_wnd())
    }

    /// Takes the wakers of those that need not wait any more. Wake them without the lock.
    fn due(&mut self) -> [Option<Waker>; 3] {
        let acknowledged = self.kcp.wait_snd() == 0;
        [
            self.kcp
                .peeksize()
                .is_ok()
                .then(|| self.reader.take())
                .flatten(),
            self.has_room().then(|| self.writer.take()).flatten(),
            acknowledged.then(|| self.closer.take()).flatten(),
        ]
    }
}

fn wake(wakers: [Option<Waker>; 3]) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}
