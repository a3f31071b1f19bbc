//! A session stalls only if data beyond the windows exceeds the part of the receive buffer that the
//! windows leave free. Seen from outside, with the updates as they were written:
//!
//! ```text
//! T = Σ (max(told, read) − read)               data that windows hold or still allow
//! X = Σ max(0, received − max(told, read))     data beyond windows: sent too early, or an overrun
//! stalled only if X > max_receive_buffer − T
//! ```

use std::{collections::BTreeMap, task::Poll};

use fastrand::Rng;
use smux_conformance::{
    frame::{Kind, counting, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{StreamId, Version};

use super::{INITIAL, build, config, data_frames};

/// One stream, as seen by the peer and the application.
#[derive(Clone, Debug, Default)]
struct Peer {
    sent: usize,
    read: usize,
    /// The offset up to which the last written update lets the peer send.
    told: usize,
    /// The offset up to which the peer may send by the updates it has received, and the updates in
    /// flight with the step at which each arrives.
    heard: usize,
    on_the_way: Vec<(usize, usize)>,
    reads: bool,
}

/// A session, and peers that keep to the windows they have received.
struct World {
    harness: Harness,
    peers: BTreeMap<u32, Peer>,
    budget: usize,
    rng: Rng,
    step: usize,
    /// Steps that updates take, at most.
    delay: usize,
    next_id: u32,
    payload: Vec<u8>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let budget = [300_000, 600_000, 1_000_000][rng.usize(..3)];
        let config = config(Version::V2)
            .max_receive_buffer(budget)
            .max_stream_buffer(budget / rng.usize(1..4))
            .window_floor([1, 64, 10_000][rng.usize(..3)])
            .max_inbound_streams(60);
        Self {
            harness: Harness::server(build(config)),
            peers: BTreeMap::new(),
            budget,
            delay: [0, 0, 3, 30][rng.usize(..4)],
            rng,
            step: 0,
            next_id: 3,
            payload: counting(65_535),
        }
    }

    fn pick(&mut self) -> Option<u32> {
        let count = self.peers.len();
        (count > 0).then(|| self.peers.keys().nth(self.rng.usize(..count)).copied())?
    }

    /// Opens a stream, sends, reads, ends or lets time pass. False: the session is stalled.
    fn act(&mut self) -> bool {
        match self.rng.u8(..20) {
            0 | 1 if self.peers.len() < 60 => {
                let id = self.next_id;
                self.next_id += 2;
                self.harness.peer_sends([syn(id)]);
                if self.harness.session.accept().is_pending() {
                    return true; // refused: the floor leaves no room
                }
                let peer = Peer {
                    told: INITIAL,
                    heard: INITIAL,
                    reads: self.rng.u8(..3) > 0,
                    ..Peer::default()
                };
                self.peers.insert(id, peer);
            }
            2 => self.end_one(),
            3 => {
                let time = self.rng.u64(1..200);
                self.harness.advance(std::time::Duration::from_millis(time));
            }
            4..12 => self.send_some(),
            _ => self.read_some(),
        }
        self.harness.session.wants_input()
    }

    fn end_one(&mut self) {
        let Some(id) = self.pick() else { return };
        self.peers.remove(&id);
        if self.rng.bool() {
            self.harness.peer_sends([fin(id)]);
        }
        self.harness.close(StreamId::new(id));
    }

    /// A peer uses all of its window, or a part.
    fn send_some(&mut self) {
        let Some(id) = self.pick() else { return };
        let peer = self.peers.get_mut(&id).expect("picked");
        let mut left = peer.heard.saturating_sub(peer.sent);
        if self.rng.u8(..3) == 0 {
            left = self.rng.usize(..=left);
        }
        while left > 0 && self.harness.session.wants_input() {
            let size = left.min(65_535);
            let bytes = psh(id, &self.payload[..size]).encode(Version::V2);
            assert_eq!(self.harness.peer_sends_bytes(&bytes), Ok(bytes.len()));
            peer.sent += size;
            left -= size;
        }
    }

    fn read_some(&mut self) {
        let Some(id) = self.pick() else { return };
        let peer = self.peers.get_mut(&id).expect("picked");
        if self.rng.u8(..30) == 0 {
            peer.reads = !peer.reads;
        }
        let unread = peer.sent - peer.read;
        if peer.reads && unread > 0 {
            let size = self.rng.usize(1..=unread);
            self.harness.read_exact(StreamId::new(id), size);
            peer.read += size;
        }
    }

    /// Updates leave, and those that are due arrive.
    fn exchange(&mut self) {
        self.step += 1;
        for frame in self.harness.take_frames() {
            let Some(peer) = self.peers.get_mut(&frame.id) else {
                continue;
            };
            if let (Kind::Upd, Some((consumed, window))) = (frame.kind, frame.window_update()) {
                peer.told = consumed as usize + window as usize;
                let last = peer.on_the_way.last().map_or(0, |(step, _)| *step);
                let heard_at = last.max(self.step + self.rng.usize(..=self.delay));
                peer.on_the_way.push((heard_at, peer.told));
            }
        }
        for peer in self.peers.values_mut() {
            peer.on_the_way.retain(|(step, told)| {
                let due = *step <= self.step;
                if due {
                    peer.heard = *told;
                }
                !due
            });
        }
    }

    /// T and X of the head of this file.
    fn sums(&self) -> (usize, usize) {
        self.peers.values().fold((0, 0), |(granted, beyond), peer| {
            let edge = peer.told.max(peer.read);
            (
                granted + edge - peer.read,
                beyond + peer.sent.saturating_sub(edge),
            )
        })
    }

    fn check(&self) {
        let stats = self.harness.session.stats();
        let (granted, beyond) = self.sums();
        assert_eq!(
            (stats.windows_granted, stats.windows_exceeded),
            (granted, beyond),
            "the sums are exact"
        );
        assert!(granted <= self.budget, "{granted} of {}", self.budget);
        assert!(stats.receive_buffered <= granted + beyond);
        if !self.harness.session.wants_input() {
            assert!(beyond > self.budget - granted, "{beyond} beyond {granted}");
        }
    }
}

/// Random streams, peers that receive updates some steps late, readers that pause.
#[test]
fn a_session_stalls_only_for_what_exceeds_its_windows() {
    let mut stalls = [0; 2];
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..1_000 {
            let stalled = !world.act();
            // A stalled session takes no input, but still sends.
            world.exchange();
            world.check();
            if stalled {
                stalls[usize::from(world.delay > 0)] += 1;
                break;
            }
        }
    }
    assert_eq!(stalls[0], 0, "no stall if updates arrive at once");
    assert!(
        stalls[1] > 0,
        "late updates cause stalls, as the formula says"
    );
}

/// Exact to the byte: the windows use up the budget, and one stream has sent beyond its own.
#[test]
fn one_byte_more_than_the_promise_stalls_the_session() {
    let config = config(Version::V2).max_receive_buffer(4 * INITIAL);
    let mut harness = Harness::server(build(config));
    for id in [3, 5, 7, 9] {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data_frames(id, INITIAL));
    }
    // The fifth gets no window, and its peer does not know that yet.
    harness.peer_sends([syn(11)]);
    let stats = harness.session.stats();
    assert_eq!(
        (stats.windows_granted, stats.windows_exceeded),
        (4 * INITIAL, 0)
    );
    assert!(harness.session.wants_input());
    harness.peer_sends([psh(11, "x")]);
    let stats = harness.session.stats();
    assert_eq!(
        (stats.windows_granted, stats.windows_exceeded),
        (4 * INITIAL, 1)
    );
    assert!(!harness.session.wants_input());
    assert_eq!(stats.receive_stalls, 1);
    // Whatever is read, the session goes on, and so does the stream.
    let first = harness.accept();
    harness.read_exact(first, 1);
    assert!(harness.session.wants_input());
    let accepted = std::iter::from_fn(|| match harness.session.accept() {
        Poll::Ready(Ok(id)) => Some(id),
        _ => None,
    });
    assert_eq!(accepted.count(), 4);
}
