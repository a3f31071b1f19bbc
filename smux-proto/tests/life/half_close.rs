//! Streams of which one direction has ended.

use std::task::Poll;

use smux_conformance::{
    frame::{fin, psh, syn, upd},
    script::Script,
};
use smux_proto::{StreamError, Version};

use crate::{BOTH, client, config, server_with_stream};

#[test]
fn after_our_fin_reading_goes_on() {
    for version in BOTH {
        let mut peer = client(version);
        let id = peer.open();
        peer.write(id, b"request");
        peer.finish(id);
        peer.finish(id);
        peer.expect_only([syn(3), psh(3, "request"), fin(3)]);
        peer.send([psh(3, "one"), psh(3, "two")]);
        assert_eq!(peer.read(id), b"onetwo");
        peer.expect_only((version == Version::V2).then(|| upd(3, 6, 65_536)));
        peer.send([psh(3, "three"), fin(3)]);
        assert_eq!(peer.read(id), b"three");
        assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
        peer.close(id);
        peer.expect_nothing();
        assert_eq!(peer.session.streams(), 0);
    }
}

#[test]
fn after_our_fin_writing_is_an_error() {
    let (mut peer, id) = server_with_stream(Version::V1);
    peer.finish(id);
    assert_eq!(
        peer.try_write(id, b"more"),
        Poll::Ready(Err(StreamError::Finished))
    );
    peer.expect_only([fin(3)]);
}

#[test]
fn after_the_peers_fin_writing_goes_on() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.send([psh(3, "request"), fin(3)]);
        assert_eq!(peer.read(id), b"request");
        assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
        peer.write(id, b"answer");
        peer.write(id, b", long");
        peer.expect_only([psh(3, "answer, long")]);
        peer.close(id);
        peer.expect_only([fin(3)]);
    }
}

/// The reference throws unread data away when the second of both FINs has passed.
#[test]
fn data_is_there_after_both_fins() {
    for version in BOTH {
        let (mut peer, id) = server_with_stream(version);
        peer.send([psh(3, "kept"), fin(3)]);
        peer.finish(id);
        peer.expect_only([fin(3)]);
        assert_eq!(peer.read(id), b"kept");
        assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
    }
}

#[test]
fn data_behind_the_peers_fin_is_never_delivered() {
    let (mut peer, id) = server_with_stream(Version::V1);
    peer.send([psh(3, "before"), fin(3), psh(3, "after")]);
    assert_eq!(peer.read(id), b"before");
    assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
    assert_eq!(peer.session.stats().ignored.after_fin, 1);
    assert_eq!(peer.session.stats().receive_buffered, 0);
}

#[test]
fn without_half_close_our_fin_waits_for_the_peers() {
    let config = config(Version::V1)
        .half_close(false)
        .build()
        .expect("valid");
    let mut peer = Script::client(config);
    let id = peer.open();
    peer.write(id, b"request");
    peer.finish(id);
    peer.expect_only([syn(3), psh(3, "request")]);
    assert_eq!(
        peer.try_write(id, b"more"),
        Poll::Ready(Err(StreamError::Finished))
    );
    peer.send([psh(3, "answer"), fin(3)]);
    peer.expect_only([fin(3)]);
    assert_eq!(peer.read(id), b"answer");
    assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
}

#[test]
fn without_half_close_a_close_is_one_fin() {
    let config = config(Version::V1)
        .half_close(false)
        .build()
        .expect("valid");
    let mut peer = Script::client(config);
    let id = peer.open();
    peer.finish(id);
    peer.expect_only([syn(3)]);
    peer.close(id);
    peer.expect_only([fin(3)]);
}

/// It is not closed here, but neither counted nor in the way of others.
#[test]
fn a_stream_that_both_ends_finished_and_that_is_read_is_not_counted() {
    for version in BOTH {
        for our_fin_first in [true, false] {
            let limited = config(version).max_outbound_streams(1).build();
            let mut peer = Script::client(limited.expect("valid"));
            let id = peer.open();
            if our_fin_first {
                peer.finish(id);
                peer.expect_only([syn(3), fin(3)]);
                peer.send([psh(3, "answer"), fin(3)]);
            } else {
                peer.expect_only([syn(3)]);
                peer.send([psh(3, "answer"), fin(3)]);
                peer.finish(id);
                peer.expect_only([fin(3)]);
            }
            assert_eq!(peer.session.streams(), 1, "not read yet");
            assert!(peer.session.open().is_pending());
            assert_eq!(peer.read(id), b"answer");
            assert_eq!(peer.session.streams(), 0);
            let next = peer.open();
            assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
            peer.close(id);
            assert_eq!(peer.session.streams(), 1);
            peer.close(next);
            peer.expect_only([syn(5), fin(5), fin(5)]);
            assert_eq!(peer.session.streams(), 0);
        }
    }
}
