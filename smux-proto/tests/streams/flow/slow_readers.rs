//! Version 1: the effect of an unread stream on the others.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{Kind, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{Config, SlowReaderPolicy, StreamError, StreamId, Version};

const BUDGET: usize = 1 << 20;
const SHARE: usize = 65_536;
const GRACE: Duration = Duration::from_secs(5);
const EVICT: SlowReaderPolicy = SlowReaderPolicy::Evict {
    share: SHARE,
    grace: GRACE,
};

fn server(policy: SlowReaderPolicy) -> Harness {
    let config = Config::builder()
        .max_receive_buffer(BUDGET)
        .slow_readers(policy)
        .keep_alive_disabled();
    Harness::server(config.build().expect("valid"))
}

/// Bytes that differ from stream to stream and from place to place.
fn data(id: u32, from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|n| u8::try_from(n % 251).unwrap_or(0) ^ id.to_le_bytes()[0])
        .collect()
}

/// A stream of the peer, with the number of bytes sent and read.
struct Sender {
    id: StreamId,
    sent: usize,
    read: usize,
}

impl Sender {
    fn open(harness: &mut Harness, id: u32) -> Self {
        harness.peer_sends([syn(id)]);
        Self {
            id: harness.accept(),
            sent: 0,
            read: 0,
        }
    }

    /// Sends a frame, if the session takes it.
    fn send(&mut self, harness: &mut Harness, len: usize) -> bool {
        let id = self.id.get();
        let frame = psh(id, data(id, self.sent, len)).encode(Version::V1);
        let taken = harness.session.wants_input();
        if taken {
            assert_eq!(harness.peer_sends_bytes(&frame), Ok(frame.len()));
            self.sent += len;
        }
        taken
    }

    fn read(&mut self, harness: &mut Harness) -> usize {
        let got = harness.read(self.id);
        assert!(got == data(self.id.get(), self.read, got.len()), "intact");
        self.read += got.len();
        got.len()
    }
}

/// One stream that is not read until the buffer is full, and 99 others that are.
fn crowd(policy: SlowReaderPolicy) -> (Harness, Sender, Vec<Sender>) {
    let mut harness = server(policy);
    let mut unread = Sender::open(&mut harness, 3);
    let mut others: Vec<Sender> = (0..99)
        .map(|n| Sender::open(&mut harness, 5 + 2 * n))
        .collect();
    harness.discard_output();
    while unread.send(&mut harness, 30_000) {
        for other in &mut others {
            if other.send(&mut harness, 100) {
                other.read(&mut harness);
            }
        }
    }
    (harness, unread, others)
}

fn is_stalled(harness: &mut Harness, others: &mut [Sender]) -> bool {
    !others.iter_mut().any(|other| {
        let sent = other.send(harness, 1_000);
        other.read(harness);
        sent
    })
}

#[test]
fn all_streams_wait_for_the_slowest_reader_by_default() {
    let (mut harness, mut unread, mut others) = crowd(SlowReaderPolicy::Stall);
    harness.advance(Duration::from_secs(3_600));
    assert!(is_stalled(&mut harness, &mut others));
    assert_eq!(unread.read(&mut harness), unread.sent);
    assert!(!is_stalled(&mut harness, &mut others));
    assert_eq!(harness.session.stats().streams_evicted, 0);
}

#[test]
fn other_streams_go_on_after_the_grace_period() {
    let (mut harness, mut unread, mut others) = crowd(EVICT);
    harness.write(unread.id, b"accepted before");
    harness.discard_output();
    harness.write(unread.id, b", and this");
    harness.set_transport_room(0);
    assert_eq!(harness.session.poll_timeout(), Some(GRACE));
    harness.advance(GRACE - Duration::from_millis(1));
    assert!(is_stalled(&mut harness, &mut others));
    harness.advance(Duration::from_millis(1));
    assert!(!is_stalled(&mut harness, &mut others));
    assert_eq!(harness.session.stats().streams_evicted, 1);
    assert_eq!(harness.session.poll_timeout(), None);
    // The writer fails at once; the data it had written leaves.
    let error = Poll::Ready(Err(StreamError::Evicted));
    assert_eq!(harness.try_write(unread.id, b"x"), error);
    harness.set_transport_room(None);
    assert_eq!(
        harness.take_frames(),
        [psh(3, ", and this"), fin(3), fin(3)]
    );
    // Further data from the peer on that stream is skipped; the others are served.
    let late = psh(3, vec![0; 60_000]).encode(Version::V1);
    for _ in 0..100 {
        assert_eq!(harness.peer_sends_bytes(&late), Ok(late.len()));
        for other in &mut others {
            assert!(other.send(&mut harness, 1_000));
            other.read(&mut harness);
        }
    }
    assert!(others.iter().all(|other| other.read == other.sent));
    // The reader gets the data that had arrived, and then an error.
    assert_eq!(unread.read(&mut harness), unread.sent);
    assert_eq!(harness.read_end(unread.id), error);
    harness.close(unread.id);
    assert_eq!(harness.session.stats().receive_buffered, 0);
}

#[test]
fn a_full_buffer_evicts_a_stream_that_was_slow_before_at_once() {
    let mut harness = server(EVICT);
    let mut slow = Sender::open(&mut harness, 3);
    let mut other = Sender::open(&mut harness, 5);
    assert!(slow.send(&mut harness, 60_000) && slow.send(&mut harness, 10_000));
    harness.advance(Duration::from_secs(60));
    assert_eq!(
        harness.session.stats().streams_evicted,
        0,
        "the buffer is not full"
    );
    while other.send(&mut harness, 60_000) && other.sent < 2 * BUDGET {}
    // With the buffer full, the rest of the transport's input is still taken.
    let frame = psh(5, data(5, other.sent, 1_000)).encode(Version::V1);
    assert_eq!(harness.peer_sends_bytes(&frame), Ok(frame.len()));
    other.sent += 1_000;
    assert_eq!(harness.session.stats().streams_evicted, 1);
    assert_eq!(slow.read(&mut harness), 70_000);
    let error = Poll::Ready(Err(StreamError::Evicted));
    assert_eq!(harness.read_end(slow.id), error);
    assert_eq!(other.read(&mut harness), other.sent);
}

/// Reading down to the share restarts the grace period.
#[test]
fn a_reader_that_catches_up_is_not_slow() {
    let (mut harness, mut unread, mut others) = crowd(EVICT);
    for _ in 0..10 {
        harness.advance(GRACE - Duration::from_millis(1));
        assert_eq!(harness.session.stats().streams_evicted, 0);
        unread.read(&mut harness);
        assert!(!is_stalled(&mut harness, &mut others));
        while unread.send(&mut harness, 30_000) {}
    }
}

#[test]
fn a_stream_whose_data_is_complete_loses_nothing() {
    let mut harness = server(EVICT);
    let mut whole = Sender::open(&mut harness, 3);
    while whole.sent < BUDGET - 60_000 {
        assert!(whole.send(&mut harness, 30_000));
    }
    harness.peer_sends([fin(3)]);
    let mut other = Sender::open(&mut harness, 5);
    while other.send(&mut harness, 30_000) {}
    harness.advance(GRACE);
    assert!(harness.session.wants_input());
    harness.write(whole.id, b"thanks");
    assert_eq!(whole.read(&mut harness), whole.sent);
    assert_eq!(harness.read_end(whole.id), Poll::Ready(Ok(0)));
    let frames = harness.take_frames();
    assert!(frames.contains(&psh(3, "thanks")), "{frames:?}");
}

/// The memory of evicted streams is bounded, however many streams a peer fills.
#[test]
fn evicted_streams_hold_at_most_another_budget() {
    let mut harness = server(EVICT);
    let mut senders = Vec::new();
    for n in 0..20 {
        let mut sender = Sender::open(&mut harness, 3 + 2 * n);
        while sender.send(&mut harness, 60_000) {}
        harness.advance(GRACE);
        senders.push(sender);
    }
    let kept: usize = senders
        .iter()
        .map(|sender| {
            let stream = harness.session.stream(sender.id).expect("open");
            stream.unread()
        })
        .sum();
    assert!(kept <= 2 * BUDGET + 65_535, "{kept}");
    assert_eq!(harness.session.stats().streams_evicted, 20);
    for sender in &mut senders {
        let got = sender.read(&mut harness);
        assert!(got == sender.sent || got == 0);
        let error = Poll::Ready(Err(StreamError::Evicted));
        assert_eq!(harness.read_end(sender.id), error);
        harness.close(sender.id);
    }
    assert_eq!(harness.session.stats().receive_buffered, 0);
    let fins = harness.take_frames();
    assert!(fins.iter().filter(|frame| frame.kind == Kind::Fin).count() >= 40);
}

#[test]
fn version_2_has_no_need_of_the_slow_reader_policy() {
    let config = Config::v2().to_builder().slow_readers(EVICT);
    let mut harness = Harness::server(config.build().expect("valid"));
    harness.peer_sends([syn(3)]);
    harness.peer_sends((0..4).map(|_| psh(3, vec![7; 60_000])));
    harness.advance(GRACE);
    assert_eq!(harness.session.stats().streams_evicted, 0);
}

#[test]
fn an_impossible_share_is_refused() {
    for share in [0, BUDGET + 1] {
        let config =
            Config::builder()
                .max_receive_buffer(BUDGET)
                .slow_readers(SlowReaderPolicy::Evict {
                    share,
                    grace: GRACE,
                });
        let error = config.build().expect_err("wrong");
        assert_eq!(error.setting(), "slow_readers.share");
    }
}
