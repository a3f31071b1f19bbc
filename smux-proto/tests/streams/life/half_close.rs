//! Streams of which one direction has ended.

use std::task::Poll;

use smux_conformance::{
    frame::{fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{StreamError, Version};

use super::{BOTH, client, config, server_with_stream};

#[test]
fn after_our_fin_reading_goes_on() {
    for version in BOTH {
        let mut harness = client(version);
        let id = harness.open();
        harness.write(id, b"request");
        harness.finish(id);
        harness.finish(id);
        harness.expect_only([syn(3), psh(3, "request"), fin(3)]);
        harness.peer_sends([psh(3, "one"), psh(3, "two")]);
        assert_eq!(harness.read(id), b"onetwo");
        harness.expect_only((version == Version::V2).then(|| upd(3, 6, 65_536)));
        harness.peer_sends([psh(3, "three"), fin(3)]);
        assert_eq!(harness.read(id), b"three");
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
        harness.close(id);
        harness.expect_nothing();
        assert_eq!(harness.session.stream_count(), 0);
    }
}

#[test]
fn after_our_fin_writing_is_an_error() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness.finish(id);
    assert_eq!(
        harness.try_write(id, b"more"),
        Poll::Ready(Err(StreamError::Finished))
    );
    harness.expect_only([fin(3)]);
}

#[test]
fn after_the_peers_fin_writing_goes_on() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.peer_sends([psh(3, "request"), fin(3)]);
        assert_eq!(harness.read(id), b"request");
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
        harness.write(id, b"answer");
        harness.write(id, b", long");
        harness.expect_only([psh(3, "answer, long")]);
        harness.close(id);
        harness.expect_only([fin(3)]);
    }
}

/// Go to 1.5.57 discards unread data once both FINs have passed.
#[test]
fn data_stays_readable_after_both_fins() {
    for version in BOTH {
        let (mut harness, id) = server_with_stream(version);
        harness.peer_sends([psh(3, "kept"), fin(3)]);
        harness.finish(id);
        harness.expect_only([fin(3)]);
        assert_eq!(harness.read(id), b"kept");
        assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
    }
}

#[test]
fn data_behind_the_peers_fin_is_never_delivered() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness.peer_sends([psh(3, "before"), fin(3), psh(3, "after")]);
    assert_eq!(harness.read(id), b"before");
    assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
    assert_eq!(harness.session.stats().ignored.after_fin, 1);
    assert_eq!(harness.session.stats().receive_buffered, 0);
}

#[test]
fn without_half_close_our_fin_waits_for_the_peers() {
    let config = config(Version::V1)
        .half_close(false)
        .build()
        .expect("valid");
    let mut harness = Harness::client(config);
    let id = harness.open();
    harness.write(id, b"request");
    harness.finish(id);
    harness.expect_only([syn(3), psh(3, "request")]);
    assert_eq!(
        harness.try_write(id, b"more"),
        Poll::Ready(Err(StreamError::Finished))
    );
    harness.peer_sends([psh(3, "answer"), fin(3)]);
    harness.expect_only([fin(3)]);
    assert_eq!(harness.read(id), b"answer");
    assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
}

#[test]
fn without_half_close_a_close_is_one_fin() {
    let config = config(Version::V1)
        .half_close(false)
        .build()
        .expect("valid");
    let mut harness = Harness::client(config);
    let id = harness.open();
    harness.finish(id);
    harness.expect_only([syn(3)]);
    harness.close(id);
    harness.expect_only([fin(3)]);
}

/// Although it is not closed here, it takes no place of other streams.
#[test]
fn a_stream_finished_by_both_ends_and_read_is_not_counted() {
    for version in BOTH {
        for our_fin_first in [true, false] {
            let limited = config(version).max_outbound_streams(1).build();
            let mut harness = Harness::client(limited.expect("valid"));
            let id = harness.open();
            if our_fin_first {
                harness.finish(id);
                harness.expect_only([syn(3), fin(3)]);
                harness.peer_sends([psh(3, "answer"), fin(3)]);
            } else {
                harness.expect_only([syn(3)]);
                harness.peer_sends([psh(3, "answer"), fin(3)]);
                harness.finish(id);
                harness.expect_only([fin(3)]);
            }
            assert_eq!(harness.session.stream_count(), 1, "not read yet");
            assert!(harness.session.open().is_pending());
            assert_eq!(harness.read(id), b"answer");
            assert_eq!(harness.session.stream_count(), 0);
            let next = harness.open();
            assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
            harness.close(id);
            assert_eq!(harness.session.stream_count(), 1);
            harness.close(next);
            harness.expect_only([syn(5), fin(5), fin(5)]);
            assert_eq!(harness.session.stream_count(), 0);
        }
    }
}
