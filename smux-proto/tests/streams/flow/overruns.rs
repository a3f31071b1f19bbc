//! Peers that send more than their window.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{StreamError, Version};

use super::{INITIAL, buffered, build, config, data_frames, server};

/// Go overruns windows when several of its goroutines write to one stream.
#[test]
fn an_overrun_is_charged_and_counted_but_is_no_error() {
    let (mut harness, id) = server(config(Version::V2));
    harness.peer_sends(data_frames(3, 2 * INITIAL));
    assert_eq!(buffered(&harness), 2 * INITIAL);
    assert!(harness.session.stats().window_overruns > 0);
    assert_eq!(harness.session.stats().streams_evicted, 0);
    assert_eq!(harness.read(id).len(), 2 * INITIAL);
    assert_eq!(buffered(&harness), 0);
}

#[test]
fn the_worst_stream_is_evicted_only_when_the_budget_is_used_up() {
    let mut harness = Harness::server(build(config(Version::V2)));
    harness.peer_sends([syn(3), syn(5), syn(7)]);
    let [honest, worse, worst] = [(); 3].map(|()| harness.accept());
    harness.peer_sends(data_frames(3, 200_000));
    harness.peer_sends(data_frames(5, 400_000));
    let mut sent = 0;
    while harness.session.stats().streams_evicted == 0 {
        assert!(
            sent <= 4_300_000,
            "no stream was evicted after {sent} bytes"
        );
        harness.peer_sends([psh(7, counting(32_768))]);
        sent += 32_768;
    }
    assert!(harness.session.wants_input(), "and the session goes on");
    assert_eq!(harness.read(honest).len(), 200_000);
    assert_eq!(harness.read(worse).len(), 400_000);
    assert_eq!(
        harness.try_write(worst, b"x"),
        Poll::Ready(Err(StreamError::Evicted))
    );
    harness.read(worst);
    assert_eq!(
        harness.read_end(worst),
        Poll::Ready(Err(StreamError::Evicted))
    );
    let to_worst: Vec<_> = harness
        .take_frames()
        .into_iter()
        .filter(|frame| frame.id == 7)
        .collect();
    assert_eq!(to_worst, [fin(7), fin(7)]);
    harness.peer_sends([psh(7, counting(60_000))]);
    assert_eq!(buffered(&harness), 0);
}

/// Without the written data, the peer's reader would take the FIN for the end of it.
#[test]
fn an_evicted_stream_sends_what_was_written_before_its_fin() {
    let config = config(Version::V2)
        .max_receive_buffer(300_000)
        .max_stream_buffer(65_536);
    let mut harness = Harness::server(config.build().expect("valid"));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.discard_output();
    harness.set_transport_room(0);
    harness.write(id, &counting(100_000));
    while harness.session.stats().streams_evicted == 0 {
        harness.peer_sends([psh(3, counting(30_000))]);
    }
    let error = harness.try_write(id, b"more");
    assert_eq!(error, Poll::Ready(Err(StreamError::Evicted)));
    harness.set_transport_room(None);
    let frames = harness.take_frames();
    let sent: Vec<u8> = frames.iter().flat_map(|f| f.payload.clone()).collect();
    assert!(sent == counting(100_000), "{} bytes", sent.len());
    assert_eq!(frames[frames.len() - 2..], [fin(3), fin(3)]);
    let mut stream = harness.session.stream(id).expect("open");
    assert!(matches!(stream.poll_sent(), Poll::Ready(Ok(_))));
}

/// However many streams overrun, each frame checks a bounded number of them.
#[test]
fn thousands_of_overrunning_streams_do_not_stall_the_session() {
    const STREAMS: u32 = 2_000;
    let config = config(Version::V2)
        .max_receive_buffer(4 << 20)
        .max_inbound_streams(3_000);
    let mut harness = Harness::server(build(config));
    harness.peer_sends([syn(3), psh(3, "honest")]);
    let honest = harness.accept();
    let mut open = 0;
    for id in (5..).step_by(2).take(STREAMS as usize) {
        harness.peer_sends([syn(id)]);
        harness.peer_sends(data_frames(id, INITIAL + 10));
        open += 1;
        assert!(harness.session.wants_input(), "after {open} streams");
    }
    let stats = harness.session.stats();
    assert!(
        stats.streams_evicted >= u64::from(STREAMS) - 20,
        "{stats:?}"
    );
    assert!(stats.receive_buffered <= 4 << 20, "{stats:?}");
    assert_eq!(harness.read(honest), b"honest");
}
