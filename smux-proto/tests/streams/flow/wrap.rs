//! More than 4 GiB on one stream, more than 71 minutes: both are counted modulo 2^32.

use std::{task::Poll, time::Duration};

use smux_conformance::frame::{counting, psh, upd};
use smux_proto::Version;

use super::{INITIAL, config, server};

/// Bytes until the counters on the wire wrap.
const WRAP: u64 = 1 << 32;

fn wire(count: u64) -> u32 {
    u32::try_from(count % WRAP).expect("less than 2^32")
}

#[test]
fn a_receiver_counts_past_four_gigabytes() {
    let config = config(Version::V2).max_stream_buffer(32_768);
    let (mut harness, id) = server(config);
    let frame = psh(3, counting(32_768)).encode(Version::V2);
    let (mut total, mut last) = (0, None);
    while total < WRAP + 3 * 32_768 {
        assert_eq!(harness.peer_sends_bytes(&frame), Ok(frame.len()));
        let mut stream = harness.session.stream(id).expect("there");
        while let Poll::Ready(Ok(bytes)) = stream.peek() {
            let count = bytes.len();
            stream.consume(count);
        }
        total += 32_768;
        let sent = harness.take_frames();
        assert_eq!(sent, [upd(3, wire(total), 32_768)], "after {total} bytes");
        last = sent.into_iter().next();
    }
    assert_eq!(last, Some(upd(3, 3 * 32_768, 32_768)));
}

#[test]
fn a_sender_counts_past_four_gigabytes() {
    let (mut harness, id) = server(
        config(Version::V2)
            .max_stream_send_queue(1 << 20)
            .max_frame_size(65_535),
    );
    let data = vec![7; INITIAL];
    let mut total: u64 = 0;
    while total < WRAP + 4 * INITIAL as u64 {
        assert_eq!(
            harness.try_write(id, &data),
            Poll::Ready(Ok(INITIAL)),
            "after {total} bytes"
        );
        assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
        harness.discard_output();
        total += INITIAL as u64;
        harness.peer_sends([upd(3, wire(total), 262_144)]);
    }
    assert_eq!(harness.session.stats().ignored.stale_upd, 0);
}

/// All windows that a stream is told whose peer uses them up in each round trip, from `start` on.
fn windows_from(start: Duration) -> Vec<u32> {
    let config = config(Version::V2).max_receive_buffer(2 << 20);
    let (mut harness, id) = server(config.max_stream_buffer(1 << 20));
    harness.skip(start);
    let (mut sent, mut allowed, mut told) = (0, INITIAL as u64, Vec::new());
    for _ in 0..8 {
        while sent < allowed {
            let count = (allowed - sent).min(32_768);
            let count = usize::try_from(count).expect("a frame");
            harness.peer_sends([psh(3, counting(count))]);
            assert_eq!(harness.read(id).len(), count);
            sent += count as u64;
        }
        for update in harness.take_frames() {
            let (consumed, window) = update.window_update().expect("only updates");
            allowed = allowed.max(u64::from(consumed) + u64::from(window));
            told.push(window);
        }
        harness.advance(Duration::from_millis(50));
    }
    told
}

#[test]
fn windows_grow_alike_when_the_clock_of_microseconds_begins_again() {
    let usual = windows_from(Duration::from_secs(10));
    assert!(usual.last() > usual.first(), "{usual:?}");
    let wrap = Duration::from_micros(WRAP);
    for before in [75, 225] {
        let start = wrap - Duration::from_millis(before);
        assert_eq!(windows_from(start), usual, "{before} ms before");
    }
}
