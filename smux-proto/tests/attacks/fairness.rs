//! Attacks 41 to 43: many streams, big streams.

use std::task::Poll;

use smux_conformance::frame::{Kind, counting, psh, syn};
use smux_proto::{Event, ThreadBuffers};

use crate::{BOTH, accept, assert_serves, client, config, ids, measure, server, stats, wire};

/// Idle streams cost the busy one no allocation, no event and no frame.
#[test]
fn attack_41_one_stream_is_busy_among_ten_thousand_idle() {
    for version in BOTH {
        let cost = |idle: usize| {
            let mut harness = server(
                config(version)
                    .accept_backlog(20_000)
                    .max_receive_buffer(64 << 20),
            );
            harness.session.set_buffer_source(ThreadBuffers::shared());
            harness.peer_sends(ids(idle).map(syn));
            for _ in 0..idle {
                harness.accept();
            }
            let busy = accept(&mut harness, 60_001);
            let frame = psh(60_001, counting(10_000)).encode(version);
            let round = |harness: &mut smux_conformance::harness::Harness| {
                assert_eq!(harness.peer_sends_bytes(&frame), Ok(frame.len()));
                assert_eq!(harness.session.poll_event(), Some(Event::Readable(busy)));
                assert_eq!(harness.session.poll_event(), None);
                let mut buffer = [0; 10_000];
                assert_eq!(harness.try_read(busy, &mut buffer), Poll::Ready(Ok(10_000)));
                harness.write(busy, &buffer[..10]);
                harness.discard_output();
            };
            (0..100).for_each(|_| round(&mut harness));
            let memory = measure(|| (0..100).for_each(|_| round(&mut harness)));
            (memory.count_total, stats(&harness).frames_sent)
        };
        let (alone, crowded) = (cost(0), cost(10_000));
        assert_eq!(alone.0, 0);
        assert_eq!(crowded.0, 0);
        // Apart from early updates of the idle streams, the output is the same.
        assert_eq!(crowded.1.psh, alone.1.psh);
    }
}

/// Control frames never wait behind data. A stream with little to send waits for the batch under
/// way, but for no other stream's turn.
#[test]
fn attack_42_bulk_does_not_delay_others() {
    for version in BOTH {
        let mut harness = client(config(version).max_stream_send_queue(1 << 20));
        let bulk = harness.open();
        harness.write(bulk, &vec![7; 262_144]);
        harness.set_transport_room(1_000);
        harness.pump();
        let small = harness.open();
        harness.write(small, b"small");
        harness.finish(small);
        harness.open();
        harness.set_transport_room(None);
        let frames = harness.take_frames();
        let position = |kind, id: u32| {
            let before = frames
                .iter()
                .take_while(|frame| (frame.kind, frame.id) != (kind, id));
            before.map(|frame| frame.payload.len()).sum::<usize>()
        };
        // The batch that was on its way when they came holds two frames of bulk.
        let on_its_way = 2 * 32_768;
        assert!(position(Kind::Syn, 7) <= on_its_way);
        assert!(position(Kind::Psh, small.get()) <= on_its_way + 32_768);
        assert!(position(Kind::Fin, small.get()) <= on_its_way + 32_768 + 5);
    }
}

/// Backlogged streams get the same share, whatever sizes they write.
#[test]
fn attack_42_shares_are_equal_in_bytes() {
    for version in BOTH {
        let mut harness = client(config(version));
        let streams: Vec<_> = (0..10).map(|_| harness.open()).collect();
        for (index, &id) in streams.iter().enumerate() {
            let piece = if index == 0 { 65_536 } else { 512 };
            for data in counting(131_072).chunks(piece) {
                harness.write(id, data);
            }
        }
        harness.set_transport_room(655_360);
        let bytes = harness.take_bytes();
        let mut shares = [0; 10];
        let mut rest = bytes.as_slice();
        while let Some((_, frame, behind)) = smux_conformance::frame::decode(rest) {
            if let Some(index) = streams.iter().position(|id| id.get() == frame.id) {
                shares[index] += frame.payload.len();
            }
            rest = behind;
        }
        let (least, most) = (shares.iter().min(), shares.iter().max());
        assert!(
            most.zip(least)
                .is_some_and(|(most, least)| most - least <= 32_768),
            "{shares:?}"
        );
    }
}

/// Thousands of frames in one read are one wake-up for each stream; what leaves comes in batches of
/// bounded size.
#[test]
fn attack_43_frames_for_thousands_of_streams_in_one_read() {
    const STREAMS: usize = 4_000;
    for version in BOTH {
        let mut harness = server(config(version).max_receive_buffer(64 << 20));
        harness.peer_sends(ids(STREAMS).map(syn));
        let streams: Vec<_> = (0..STREAMS).map(|_| harness.accept()).collect();
        harness.events();
        harness.discard_output();
        let round = wire(version, ids(STREAMS).map(|id| psh(id, "ping")));
        let burst = round.repeat(5);
        assert_eq!(harness.peer_sends_bytes(&burst), Ok(burst.len()));
        let events = harness.events();
        assert_eq!(
            events,
            streams
                .iter()
                .map(|&id| Event::Readable(id))
                .collect::<Vec<_>>()
        );
        for &id in &streams {
            assert_eq!(harness.read(id).len(), 20);
            harness.write(id, b"pong");
        }
        let mut batch = smux_proto::Transmit::new();
        let mut batches = 0;
        while harness.session.poll_transmit(harness.now(), &mut batch) {
            let size = bytes::Buf::remaining(&batch);
            assert!(
                size < batch.batch_size() + 32_768 + 8,
                "{size} bytes in a batch"
            );
            bytes::Buf::advance(&mut batch, size);
            batches += 1;
        }
        assert!(batches <= 5, "{batches} batches for {STREAMS} small frames");
        assert_serves(&mut harness, streams[0]);
    }
}
