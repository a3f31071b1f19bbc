//! Faults that the attack tests, the simulation and the fuzzers found: one minimal test for each.

use std::{
    collections::{BTreeMap, VecDeque},
    task::Poll,
    time::Duration,
};

use bytes::Buf;
use smux_conformance::{
    frame::{Frame, counting, fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{Config, ConfigBuilder, Event, Session, StreamError, StreamId, Transmit, Version};

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

fn server(config: ConfigBuilder) -> Harness {
    Harness::server(config.build().expect("valid"))
}

/// The peer opens and ends a stream, the application takes and closes it.
fn open_and_close(harness: &mut Harness, id: u32) {
    harness.peer_sends([syn(id), fin(id)]);
    let stream = harness.accept();
    harness.close(stream);
    harness.events();
    harness.discard_output();
}

/// The window that the session's pending output announces for a stream.
fn told_window(harness: &mut Harness, id: u32) -> Option<u32> {
    let frames = harness.take_frames();
    let told = frames.iter().find(|frame| frame.id == id)?;
    told.window_update().map(|(_, window)| window)
}

/// The update came while another stream filled the session's send queue. The queue drained later,
/// but the wait of this writer was forgotten.
#[test]
fn an_update_during_a_full_session_queue_still_wakes_the_writer() {
    let queues = config(Version::V2).max_stream_send_queue(100);
    let mut harness = server(queues.max_session_send_queue(100));
    harness.peer_sends([syn(3), syn(5), upd(3, 0, 10)]);
    let [waits, fills] = [(); 2].map(|()| harness.accept());
    harness.write(waits, &counting(10));
    harness.take_frames();
    assert_eq!(harness.try_write(waits, b"x"), Poll::Pending);
    harness.write(fills, &counting(100));
    harness.events();
    harness.peer_sends([upd(3, 10, 10)]);
    harness.take_frames();
    assert!(harness.events().contains(&Event::Writable(waits)));
}

/// A SYN leaves by the control lane, which did not look for waiting tasks.
#[test]
fn a_flush_wakes_when_the_syn_of_an_unwritten_stream_has_left() {
    let mut harness = Harness::client(config(Version::V1).build().expect("valid"));
    let id = harness.open();
    assert_eq!(
        harness.session.stream(id).expect("open").poll_sent(),
        Poll::Pending
    );
    harness.expect_only([syn(3)]);
    assert_eq!(harness.events(), [Event::Writable(id)]);
}

/// Streams that were gone counted as already searched. So a new stream found no window to shrink
/// and got a window of 0, which its peer could never leave.
#[test]
fn a_new_stream_gets_at_least_the_floor_after_many_have_gone() {
    let mut harness = server(config(Version::V2));
    for id in (3..).step_by(2).take(40) {
        open_and_close(&mut harness, id);
    }
    for id in (1_003..).step_by(2).take(16) {
        harness.peer_sends([syn(id)]);
    }
    harness.expect_nothing();
    harness.peer_sends([syn(5_001)]);
    let window = std::iter::from_fn(|| {
        match harness.session.accept() {
            Poll::Ready(Ok(id)) => harness.session.stream(id),
            _ => None,
        }
        .map(|stream| stream.stats().receive_window)
    })
    .last();
    assert!(window >= Some(64), "{window:?}");
}

/// A FIN gave the stream's window to others although its data still filled the receive buffer.
#[test]
fn an_unread_finished_stream_keeps_its_share_of_the_budget() {
    let mut harness = server(config(Version::V2));
    let mut window = 262_144;
    for id in (3..).step_by(2).take(30) {
        harness.peer_sends([syn(id)]);
        for frame in harness.take_frames().iter().filter(|frame| frame.id == id) {
            window = frame
                .window_update()
                .map_or(window, |(_, window)| window as usize);
        }
        let data = counting(window.min(200_000));
        harness.peer_sends(data.chunks(50_000).map(|piece| psh(id, piece)));
        harness.peer_sends([fin(id)]);
    }
    assert_eq!(harness.session.stats().receive_stalls, 0);
}

/// Queues kept an entry for each life of a reused id if they were swept while it was alive. The
/// peer controls both.
#[test]
fn a_reused_id_leaves_no_queue_entries() {
    let mut harness = server(config(Version::V2));
    harness.peer_sends([syn(5)]);
    let mut live = harness.accept();
    // Entries in a queue and how many of them are stale: a sweep is due when these are many.
    let (mut entries, mut stale, mut of_third) = (1, 0, 0);
    let sweep_is_due = |entries, stale| stale > 32 + entries / 2;
    let memory = allocation_counter::measure(|| {
        for _ in 0..100_000 {
            if sweep_is_due(entries, stale + 1) {
                open_and_close(&mut harness, 3);
                (entries, stale, of_third) = (entries + 1, stale + 1, of_third + 1);
                if sweep_is_due(entries, stale) {
                    (entries, stale, of_third) = (entries - of_third, 0, 0);
                }
            } else {
                harness.peer_sends([fin(5)]);
                harness.close(live);
                harness.discard_output();
                harness.peer_sends([syn(5)]);
                live = harness.accept();
                harness.events();
                (entries, stale) = (entries + 1, stale + 1);
            }
        }
    });
    assert!(
        memory.bytes_current < 16_384,
        "{} bytes are left",
        memory.bytes_current
    );
}

/// The entry that the id's previous stream left in the round became a second entry of the new one.
#[test]
fn a_reused_id_gets_one_turn_in_a_round() {
    let mut harness = server(config(Version::V1).max_frame_size(1_000));
    harness.peer_sends([syn(5), syn(3)]);
    let [other, first] = [(); 2].map(|()| harness.accept());
    harness.finish(first);
    harness.expect_only([fin(3)]);
    harness.peer_sends([fin(3)]);
    harness.close(first);
    harness.peer_sends([syn(3)]);
    let again = harness.accept();
    assert_eq!(again, StreamId::new(3));
    for id in [again, other] {
        harness.write(id, &counting(100_000));
    }
    let turns: Vec<u32> = harness
        .take_frames()
        .iter()
        .take(20)
        .map(|frame| frame.id)
        .collect();
    let own = turns.iter().filter(|&&id| id == 3).count();
    assert_eq!(own, 10, "{turns:?}");
}

/// Two tasks share the stream: one may finish it while the other waits to write.
#[test]
fn finishing_a_stream_wakes_its_waiting_writer() {
    let mut harness = server(config(Version::V2));
    harness.peer_sends([syn(3), upd(3, 0, 0)]);
    let id = harness.accept();
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    harness.events();
    harness.finish(id);
    assert_eq!(harness.events(), [Event::Writable(id)]);
    assert_eq!(
        harness.try_write(id, b"x"),
        Poll::Ready(Err(StreamError::Finished))
    );
}

/// The session's end was reported before the flush began. Then the data that the flush waited for
/// was dropped.
#[test]
fn dropping_queued_data_of_a_closing_session_wakes_its_flush() {
    let mut harness = server(config(Version::V1));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.set_transport_room(0);
    harness.write(id, b"stuck");
    harness.close_session();
    assert!(harness.events().contains(&Event::Closed));
    assert_eq!(
        harness.session.stream(id).expect("open").poll_sent(),
        Poll::Pending
    );
    harness.advance(Duration::from_secs(5));
    assert!(harness.session.is_terminated());
    assert_eq!(harness.events(), [Event::Writable(id)]);
}

/// Data of one stream, in frames.
fn data(id: u32, length: usize) -> Vec<Frame> {
    let data = counting(length);
    data.chunks(50_000).map(|piece| psh(id, piece)).collect()
}

/// The received data of an evicted stream was dropped. The peer's FIN then made the stream look
/// complete.
#[test]
fn an_evicted_stream_does_not_end_cleanly() {
    let mut harness = server(config(Version::V2).max_receive_buffer(300_000));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.peer_sends(data(3, 350_000));
    assert_eq!(harness.session.stats().streams_evicted, 1);
    harness.peer_sends([fin(3)]);
    let end = harness.read_end(id);
    assert_eq!(end, Poll::Ready(Err(StreamError::Evicted)));
}

/// A stream that was read after overrunning its window was never checked again.
#[test]
fn a_stream_that_overruns_a_second_time_is_evicted() {
    let mut harness = server(config(Version::V2).max_receive_buffer(600_000));
    harness.peer_sends([syn(3)]);
    let first = harness.accept();
    harness.peer_sends(data(3, 300_000));
    harness.read_exact(first, 300_000);
    harness.peer_sends([syn(5)]);
    harness.accept();
    harness.peer_sends(data(5, 650_000));
    assert_eq!(harness.session.stats().streams_evicted, 1);
    harness.peer_sends(data(3, 900_000));
    assert_eq!(harness.session.stats().streams_evicted, 2);
    assert!(harness.session.wants_input());
}

/// Windows were cut below what was unread, as if that memory were free.
#[test]
fn memory_of_unread_data_is_not_granted_to_new_streams() {
    let config = Config::v2()
        .to_builder()
        .max_receive_buffer(64 * 262_144)
        .keep_alive_disabled();
    let mut harness = server(config);
    for id in (3..).step_by(2).take(64) {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data(id, 262_144));
    }
    harness.take_frames();
    harness.peer_sends([syn(1_001)]);
    let window = told_window(&mut harness, 1_001);
    assert_eq!(window, Some(0), "the receive buffer is full of unread data");
    let reader = harness.accept();
    harness.read_exact(reader, 262_144);
    let window = told_window(&mut harness, 1_001);
    assert!(window > Some(0), "there is room now");
}

/// Nothing could be sent any more, yet finishing and flushing succeeded.
#[test]
fn finishing_after_the_session_ended_fails() {
    let mut harness = server(config(Version::V1));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.session.abort();
    harness.finish(id);
    let sent = harness.session.stream(id).expect("open").poll_sent();
    assert!(
        matches!(sent, Poll::Ready(Err(StreamError::Closed(_)))),
        "{sent:?}"
    );
}

/// When several streams fill the session's send queue, a stream that had just sent took the freed
/// room before the waiting ones. A stream with little to send never got any.
#[test]
fn a_full_session_queue_is_shared() {
    const BULK: usize = 70;
    let mut session = Session::client(Config::default(), 1, Duration::ZERO);
    let mut open = || match session.open() {
        Poll::Ready(Ok(id)) => id,
        other => panic!("{other:?}"),
    };
    let small = open();
    let mut ready: VecDeque<StreamId> = (0..BULK).map(|_| open()).collect();
    ready.push_back(small);
    let mut written = BTreeMap::new();
    let mut batch = Transmit::new();
    for _ in 0..20_000 {
        while let Some(id) = ready.pop_front() {
            let mut stream = session.stream(id).expect("open");
            if id == small {
                if let Poll::Ready(Ok(count)) = stream.write(&[0; 64]) {
                    *written.entry(id).or_insert(0) += count;
                    assert_eq!(stream.poll_sent(), Poll::Pending);
                }
            } else {
                while let Poll::Ready(Ok(count)) = stream.write(&[0; 65_536]) {
                    *written.entry(id).or_insert(0) += count;
                }
            }
        }
        session.poll_transmit(Duration::ZERO, &mut batch);
        batch.advance(batch.remaining());
        while let Some(event) = session.poll_event() {
            if let Event::Writable(id) = event {
                ready.push_back(id);
            }
        }
    }
    assert!(written[&small] > 64 * 100, "{} bytes", written[&small]);
    written.remove(&small);
    let (least, most) = (written.values().min(), written.values().max());
    assert!(
        2 * least.expect("some") > *most.expect("some"),
        "{least:?} {most:?}"
    );
}

/// A loop that polls only if there is something to send never reported that a batch had left.
#[test]
fn a_written_batch_counts_as_output_until_it_is_reported() {
    let mut session = Session::client(Config::default(), 1, Duration::ZERO);
    assert!(session.open().is_ready());
    let mut batch = Transmit::new();
    assert!(session.poll_transmit(Duration::ZERO, &mut batch));
    batch.advance(batch.remaining());
    assert!(session.wants_transmit());
    assert!(!session.poll_transmit(Duration::ZERO, &mut batch));
    assert!(!session.wants_transmit());
}
