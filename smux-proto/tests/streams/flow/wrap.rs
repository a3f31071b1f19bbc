//! More than 4 GiB on one stream: counters on the wire are modulo 2^32.

use std::task::Poll;

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
