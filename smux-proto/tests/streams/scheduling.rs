//! Which frame leaves next: control frames first, then data in fair shares, with many streams too.

use std::{collections::BTreeMap, task::Poll};

use bytes::Buf;
use smux_conformance::{
    frame::{Frame, Kind, counting, decode_all, fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{Config, ConfigBuilder, Event, Priority, StreamId, Transmit, Version};

fn config() -> ConfigBuilder {
    Config::builder().keep_alive_disabled()
}

/// A client with streams that are open, whose SYNs have left.
fn client(config: ConfigBuilder, streams: usize) -> (Harness, Vec<StreamId>) {
    let mut harness = Harness::client(config.build().expect("valid"));
    let ids = (0..streams).map(|_| harness.open()).collect();
    harness.take_frames();
    (harness, ids)
}

/// Keeps the writers of `streams` busy, each with pieces of its size, until `total` bytes have
/// left. Returns how much each stream sent.
fn compete(
    harness: &mut Harness,
    streams: &[(StreamId, usize)],
    total: usize,
) -> BTreeMap<u32, usize> {
    let (mut batch, mut sent) = (Transmit::new(), 0);
    let mut shares = BTreeMap::<u32, usize>::new();
    while sent < total {
        for &(id, size) in streams {
            let data = counting(size);
            while let Poll::Ready(Ok(1..)) = harness.try_write(id, &data) {}
        }
        assert!(harness.session.poll_transmit(harness.now(), &mut batch));
        let bytes = batch.copy_to_bytes(batch.remaining());
        sent += bytes.len();
        for frame in decode_all(&bytes) {
            *shares.entry(frame.id).or_default() += frame.payload.len();
        }
    }
    shares
}

#[test]
fn streams_take_turns() {
    let config = config().max_frame_size(5);
    let (mut harness, ids) = client(config, 3);
    for id in &ids {
        harness.write(*id, &[b'x'; 25]);
    }
    let turns: Vec<u32> = harness.take_frames().iter().map(|frame| frame.id).collect();
    assert_eq!(turns, [3, 5, 7].repeat(5));
}

#[test]
fn long_turns_are_half_of_a_batch() {
    let (mut harness, ids) = client(config().max_frame_size(1_000), 3);
    let mut batch = Transmit::new();
    batch.set_batch_size(6_000);
    batch.set_long_turns(true);
    let mut next = |harness: &mut Harness| -> Vec<u32> {
        assert!(harness.session.poll_transmit(harness.now(), &mut batch));
        let bytes = batch.copy_to_bytes(batch.remaining());
        decode_all(&bytes).iter().map(|frame| frame.id).collect()
    };
    for id in &ids[..2] {
        harness.write(*id, &counting(20_000));
    }
    // Both are new to the round: a frame each.
    assert_eq!(next(&mut harness), [3, 5, 3, 3, 3, 5]);
    assert_eq!(next(&mut harness), [5, 5, 3, 3, 3, 5]);
    harness.write(ids[2], &counting(5_000));
    assert_eq!(next(&mut harness), [7, 5, 5, 3, 3, 3]);
    assert_eq!(next(&mut harness), [5, 5, 5, 7, 7, 7]);
    // Weights are exact: streams that differ take turns of a frame.
    prioritize(&mut harness, ids[1], Priority::NORMAL.with_weight(32));
    let ranked = next(&mut harness);
    assert!(
        ranked.windows(3).any(|turn| turn == [3, 5, 5]),
        "{ranked:?}"
    );
}

/// Keeps the streams' queues full: with each call one batch leaves, and writers with room refill
/// their queues.
struct Bulk {
    piece: Vec<u8>,
    batch: Transmit,
    sent: BTreeMap<u32, usize>,
}

impl Bulk {
    fn new(harness: &mut Harness, streams: &[StreamId], piece: usize) -> Self {
        let bulk = Self {
            piece: counting(piece),
            batch: Transmit::new(),
            sent: BTreeMap::new(),
        };
        for &id in streams {
            bulk.fill(harness, id);
        }
        bulk
    }

    fn fill(&self, harness: &mut Harness, id: StreamId) {
        while harness.try_write(id, &self.piece).is_ready() {}
    }

    /// Returns how many bytes left.
    fn round(&mut self, harness: &mut Harness, small: Option<StreamId>) -> usize {
        assert!(
            harness
                .session
                .poll_transmit(harness.now(), &mut self.batch)
        );
        let bytes = self.batch.copy_to_bytes(self.batch.remaining());
        for frame in decode_all(&bytes) {
            *self.sent.entry(frame.id).or_default() += frame.payload.len();
        }
        for event in harness.events() {
            if let Event::Writable(id) = event
                && Some(id) != small
            {
                self.fill(harness, id);
            }
        }
        bytes.len()
    }
}

/// Jain's index: 1 if all have the same, 1/n if one has everything.
fn fairness(shares: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = shares.clone().count() as f64;
    let sum: f64 = shares.clone().sum();
    sum * sum / (count * shares.map(|share| share * share).sum::<f64>())
}

/// A message on an idle stream waits only for the batch under way and one frame, however much
/// others have to send.
#[test]
fn a_small_message_does_not_wait_for_bulk_data() {
    for bulk in [1, 10, 100, 1_000] {
        let (mut harness, ids) = client(config(), bulk + 1);
        let (&small, streams) = ids.split_first().expect("some");
        let mut writers = Bulk::new(&mut harness, streams, 65_536);
        for _ in 0..1_000 {
            writers.round(&mut harness, Some(small));
        }
        for _ in 0..20 {
            let written = harness.try_write(small, b"0123456789");
            assert_eq!(written, Poll::Ready(Ok(10)), "beside {bulk}");
            let mut before = 0;
            while harness.session.stream(small).expect("open").unsent() > 0 {
                before += writers.round(&mut harness, Some(small));
            }
            assert!(before <= 128 << 10, "{before} bytes beside {bulk} streams");
            for _ in 0..2 * bulk {
                writers.round(&mut harness, Some(small));
            }
        }
    }
}

#[test]
fn bulk_streams_have_equal_shares() {
    for (bulk, piece) in [(10, 65_536), (100, 65_536), (1_000, 65_536), (100, 512)] {
        let (mut harness, streams) = client(config(), bulk);
        let mut writers = Bulk::new(&mut harness, &streams, piece);
        // The first writers have filled their queues as if they were alone.
        for _ in 0..2 {
            writers.sent.clear();
            let mut sent = 0;
            while sent < bulk << 18 {
                sent += writers.round(&mut harness, None);
            }
        }
        let shares = streams
            .iter()
            .map(|id| writers.sent.get(&id.get()).copied().unwrap_or(0) as f64);
        let index = fairness(shares);
        assert!(
            index >= 0.99,
            "{index} among {bulk} that write {piece} bytes"
        );
    }
}

/// The first to write fill their queues as if they were alone. Counted from the first byte, shares
/// are equal all the same after 16 frames a stream.
#[test]
fn shares_are_equal_soon_after_the_first_writers_filled_the_queue() {
    for bulk in [10, 100] {
        let (mut harness, streams) = client(config(), bulk);
        let mut writers = Bulk::new(&mut harness, &streams, 65_536);
        let mut sent = 0;
        while sent < 16 * bulk * 32_768 {
            sent += writers.round(&mut harness, None);
        }
        let shares = streams
            .iter()
            .map(|id| writers.sent.get(&id.get()).copied().unwrap_or(0) as f64);
        let index = fairness(shares);
        assert!(index >= 0.99, "{index} among {bulk}");
    }
}

/// However many streams share the session's queue, each fills frames: small ones would cost more.
#[test]
fn frames_are_large_among_many_bulk_streams() {
    for bulk in [10, 100, 1_000] {
        let (mut harness, streams) = client(config(), bulk);
        let mut writers = Bulk::new(&mut harness, &streams, 65_536);
        let mut sent = 0;
        while sent < bulk << 16 {
            sent += writers.round(&mut harness, None);
        }
        let frames = harness.session.stats().frames_sent.psh;
        let mean = sent as u64 / frames;
        assert!(mean > 16_384, "{mean} bytes beside {bulk} streams");
    }
}

/// A writer that tries again and again, without being told of room, takes no other's turn.
#[test]
fn a_pushing_writer_gets_no_more_than_those_in_line() {
    let (mut harness, streams) = client(config(), 50);
    let (&pushing, patient) = streams.split_first().expect("some");
    let mut writers = Bulk::new(&mut harness, patient, 65_536);
    let mut sent = 0;
    while sent < 64 << 20 {
        writers.fill(&mut harness, pushing);
        sent += writers.round(&mut harness, Some(pushing));
    }
    let fair = sent / streams.len();
    let pushed = writers.sent[&pushing.get()];
    assert!(
        pushed < fair + (1 << 20),
        "{pushed} bytes, where {fair} are fair"
    );
}

/// A writer whose peer's window is used up is told when that is renewed, and not before. Its place
/// in line goes to others.
#[test]
fn a_writer_without_a_window_takes_no_turn() {
    let (mut harness, streams) = client(config().version(Version::V2), 40);
    let (open, shut) = streams.split_at(20);
    harness.peer_sends(open.iter().map(|id| upd(id.get(), 0, 1 << 30)));
    let mut writers = Bulk::new(&mut harness, &streams, 65_536);
    let window = shut.len() * 262_144;
    let mut sent = 0;
    while sent < 2 * streams.len() * 262_144 {
        sent += writers.round(&mut harness, None);
    }
    let stuck: usize = shut.iter().map(|id| writers.sent[&id.get()]).sum();
    assert_eq!(stuck, window);
    for _ in 0..1_000 {
        assert!(
            harness
                .session
                .poll_transmit(harness.now(), &mut writers.batch)
        );
        writers.batch.advance(writers.batch.remaining());
        for event in harness.events() {
            let Event::Writable(id) = event else { continue };
            assert!(
                open.contains(&id),
                "{id} is told of room that it does not have"
            );
            writers.fill(&mut harness, id);
        }
    }
}

/// The queue runs empty without a batch, since the peer reads what fills it no more. Writers that
/// stand in line for it go on.
#[test]
fn those_in_line_go_on_when_the_queue_is_dropped() {
    let (mut harness, streams) = client(config(), 40);
    harness.set_transport_room(0);
    let writers = Bulk::new(&mut harness, &streams, 65_536);
    let (full, waiting): (Vec<StreamId>, Vec<StreamId>) = streams.iter().partition(|&&id| {
        let stream = harness.session.stream(id).expect("open");
        stream.unsent() > 4_096
    });
    assert!(!full.is_empty() && waiting.len() > 20);
    harness.events();
    let stops = full.iter().flat_map(|id| [fin(id.get()), fin(id.get())]);
    harness.peer_sends(stops);
    harness.set_transport_room(None);
    let mut called = 0;
    while called < waiting.len() {
        harness.discard_output();
        let events = harness.events();
        let told = events.iter().filter_map(|event| match event {
            Event::Writable(id) if waiting.contains(id) => Some(*id),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        assert!(!told.is_empty(), "{called} of {} went on", waiting.len());
        called += told.len();
        for id in told {
            assert!(harness.try_write(id, &writers.piece).is_ready());
        }
    }
}

/// Streams opened for one frame each go first, but others still get their turns.
#[test]
fn newcomers_do_not_starve_the_others() {
    let (mut harness, ids) = client(config().max_outbound_streams(1_000_000), 1);
    let old = ids[0];
    let mut writers = Bulk::new(&mut harness, &ids, 65_536);
    for _ in 0..100 {
        for _ in 0..3 {
            let new = harness.open();
            assert!(harness.try_write(new, &counting(32_768)).is_ready());
            harness.close(new);
        }
        writers.round(&mut harness, None);
    }
    let left = writers.sent.values().sum::<usize>();
    let share = writers.sent[&old.get()];
    assert!(share >= left / 40, "{share} of {left}");
}

// ------------------------------------------------------------------ priorities

fn prioritize(harness: &mut Harness, id: StreamId, priority: Priority) {
    let mut stream = harness.session.stream(id).expect("open");
    stream.set_priority(priority);
    assert_eq!(stream.priority(), priority);
}

#[test]
fn streams_share_by_weight() {
    let weights = [1, 8, 16, 48, 255];
    let (mut harness, streams) = client(config(), weights.len());
    for (&id, weight) in streams.iter().zip(weights) {
        prioritize(&mut harness, id, Priority::NORMAL.with_weight(weight));
    }
    let mut writers = Bulk::new(&mut harness, &streams, 65_536);
    let mut sent = 0;
    while sent < 64 << 20 {
        sent += writers.round(&mut harness, None);
    }
    let index = fairness(
        streams
            .iter()
            .zip(weights)
            .map(|(id, weight)| writers.sent[&id.get()] as f64 / f64::from(weight)),
    );
    assert!(index >= 0.98, "{index}: {:?}", writers.sent);
}

#[test]
fn a_higher_level_goes_first() {
    let (mut harness, ids) = client(config(), 3);
    harness.set_transport_room(0);
    for &id in &ids {
        harness.write(id, &counting(100_000));
    }
    prioritize(&mut harness, ids[0], Priority::LOW);
    prioritize(&mut harness, ids[2], Priority::HIGH);
    harness.set_transport_room(None);
    let order: Vec<u32> = harness.take_frames().iter().map(|frame| frame.id).collect();
    assert_eq!(order, [[7; 4], [5; 4], [3; 4]].concat());
}

/// However often a stream with queued data changes its level, it keeps one place and all data.
#[test]
fn a_stream_keeps_its_data_when_its_priority_changes() {
    let (mut harness, ids) = client(config().max_frame_size(1_000), 4);
    harness.set_transport_room(1_500);
    let levels = [Priority::HIGH, Priority::LOW, Priority::NORMAL];
    for &id in &ids {
        harness.write(id, &counting(50_000));
    }
    for step in 0..60_usize {
        let weight = u8::try_from(step % 5 * 10).expect("at most 40");
        let priority = levels[step % 3].with_weight(weight);
        prioritize(&mut harness, ids[step % 4], priority);
        harness.set_transport_room(1_500);
        harness.pump();
    }
    for &id in &ids {
        harness.close(id);
    }
    harness.set_transport_room(None);
    let frames = harness.take_frames();
    for id in ids {
        let of_stream = frames.iter().filter(|frame| frame.id == id.get());
        let data: Vec<u8> = of_stream.flat_map(|frame| frame.payload.clone()).collect();
        assert!(data == counting(50_000), "{} bytes", data.len());
    }
    assert_eq!(harness.session.stream_count(), 0);
    assert!(!harness.session.wants_transmit());
}

#[test]
fn shares_are_fair_in_bytes() {
    let (mut harness, ids) = client(config(), 10);
    let mut streams: Vec<_> = ids.iter().map(|id| (*id, 512)).collect();
    streams[0].1 = 65_536;
    let shares = compete(&mut harness, &streams, 20 << 20);
    let (least, most) = (shares.values().min(), shares.values().max());
    let ratio = *least.expect("ten") as f64 / *most.expect("ten") as f64;
    assert!(ratio > 0.9, "{shares:?}");
}

// ------------------------------------------------------------------ control

#[test]
fn control_frames_do_not_wait_for_data() {
    let (mut harness, ids) = client(config().version(Version::V2), 2);
    harness.peer_sends([psh(3, "unread")]);
    for id in &ids {
        harness.write(*id, &counting(100_000));
    }
    assert_eq!(harness.read(ids[0]), b"unread");
    let third = harness.open();
    harness.expect([upd(3, 6, 65_536), syn(third.get())]);
}

#[test]
fn any_number_of_control_frames_leaves_data_its_turn() {
    let config = config().version(Version::V2).max_frame_size(1_000);
    let mut harness = Harness::server(config.build().expect("valid"));
    let count = 10_000_u32;
    let ids = || (0..count).map(|n| 3 + 2 * n);
    for id in ids() {
        harness.peer_sends([syn(id)]);
        if id % 4_000 == 3 {
            harness.discard_output();
        }
        harness.accept();
    }
    harness.discard_output();
    let first = StreamId::new(3);
    harness.write(first, b"data");
    for id in ids() {
        harness.peer_sends([psh(id, "x")]);
        harness.read(StreamId::new(id));
    }
    let frames = harness.take_frames();
    let updates = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Upd)
        .count();
    assert_eq!(updates, ids().count());
    let data: usize = frames
        .iter()
        .take_while(|frame| **frame != psh(3, "data"))
        .map(wire_len)
        .sum();
    assert!(data <= 65_536, "{data} bytes of control before the data");
}

fn wire_len(frame: &Frame) -> usize {
    8 + frame.payload.len()
}

#[test]
fn syns_and_data_of_several_streams_leave_in_one_write() {
    let mut harness = Harness::client(config().build().expect("valid"));
    for _ in 0..5 {
        let id = harness.open();
        harness.write(id, b"hello");
    }
    let mut batch = Transmit::new();
    assert!(harness.session.poll_transmit(harness.now(), &mut batch));
    assert_eq!(batch.remaining(), 5 * (8 + 8 + 5));
    assert_eq!(batch.chunk().len(), batch.remaining(), "as one piece");
}

#[test]
fn a_syn_precedes_its_data_behind_many_control_frames() {
    let (mut harness, _) = client(config(), 0);
    for _ in 0..10_000 {
        let id = harness.open();
        harness.write(id, b"x");
    }
    let mut seen = BTreeMap::new();
    for frame in harness.take_frames() {
        let before = seen.insert(frame.id, frame.kind);
        let expected = match frame.kind {
            Kind::Syn => None,
            _ => Some(Kind::Syn),
        };
        assert_eq!(before, expected, "{frame:?}");
    }
    assert_eq!(seen.len(), 10_000);
}

// ------------------------------------------------------------------ many streams

#[test]
fn no_fin_is_lost_when_all_streams_are_closed_at_once() {
    let count = 60_000;
    let (mut harness, ids) = client(config(), count);
    for id in &ids {
        harness.close(*id);
    }
    let expected: Vec<Frame> = ids
        .iter()
        .flat_map(|id| [fin(id.get()), fin(id.get())])
        .collect();
    assert!(harness.take_frames() == expected, "two for each");
    assert_eq!(harness.session.stream_count(), 0);
}

#[test]
fn a_busy_stream_among_idle_ones_gets_the_whole_transport() {
    let (mut harness, ids) = client(config(), 10_000);
    let busy = ids[5_000];
    let shares = compete(&mut harness, &[(busy, 65_536)], 4 << 20);
    assert_eq!(shares.len(), 1);
}

// ------------------------------------------------------------------ a transport that is stuck

#[test]
fn reading_goes_on_while_nothing_can_be_sent() {
    let (mut harness, ids) = client(config().version(Version::V2), 1);
    harness.set_transport_room(0);
    harness.write(ids[0], &counting(100_000));
    harness.pump();
    for _ in 0..1_000 {
        harness.peer_sends([psh(3, counting(10_000))]);
        assert_eq!(harness.read(ids[0]).len(), 10_000);
        harness.pump();
    }
    harness.set_transport_room(None);
    let updates: Vec<_> = harness
        .take_frames()
        .iter()
        .filter_map(Frame::window_update)
        .collect();
    assert_eq!(updates, [(10_000_000, 65_536)], "one update for all of it");
}

/// However small a batch is, both lanes make progress in it.
#[test]
fn control_frames_do_not_starve_data_in_the_smallest_batches() {
    let config = config().accept_backlog(1);
    let mut harness = Harness::server(config.build().expect("valid"));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.peer_sends((5..2_005).step_by(2).map(syn));
    harness.write(id, b"data");
    let mut batch = Transmit::new();
    batch.set_batch_size(0);
    assert!(harness.session.poll_transmit(harness.now(), &mut batch));
    assert_eq!(harness.session.stats().payload_sent, 4);
    let fins = harness.session.stats().frames_sent.fin;
    assert!((1..100).contains(&fins), "{fins} of 1998 refusals");
}
