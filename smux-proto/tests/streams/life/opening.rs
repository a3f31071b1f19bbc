//! Opening and accepting, and the events they raise.

use std::task::Poll;

use smux_conformance::{
    frame::{fin, psh, syn},
    harness::Harness,
};
use smux_proto::{Event, StreamId, Version};

use super::{BOTH, client, config, server, server_with_stream};

#[test]
fn a_stream_can_be_used_before_its_syn_has_left() {
    for version in BOTH {
        let mut harness = client(version);
        let id = harness.open();
        harness.write(id, b"early");
        harness.peer_sends([psh(3, "very early"), fin(3)]);
        assert_eq!(harness.read(id), b"very early");
        harness.expect_only([syn(3), psh(3, "early")]);
    }
}

#[test]
fn streams_are_accepted_in_the_order_of_their_syns() {
    let mut harness = server(Version::V1);
    assert_eq!(harness.session.accept(), Poll::Pending);
    harness.peer_sends([syn(9), syn(3), syn(5)]);
    assert_eq!([(); 3].map(|()| harness.accept().get()), [9, 3, 5]);
    assert_eq!(harness.session.accept(), Poll::Pending);
    harness.expect_nothing();
}

#[test]
fn a_stream_raises_no_event_before_it_is_accepted() {
    let mut harness = server(Version::V1);
    harness.peer_sends([syn(3), psh(3, "data"), fin(3)]);
    assert_eq!(harness.events(), [Event::Acceptable]);
    assert!(harness.session.stream(StreamId::new(3)).is_none());
    let id = harness.accept();
    assert_eq!(harness.read(id), b"data");
    assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
}

#[test]
fn data_and_ends_raise_one_event_each() {
    let (mut harness, id) = server_with_stream(Version::V1);
    assert_eq!(harness.read_end(id), Poll::Pending);
    harness.peer_sends([psh(3, "a"), psh(3, "b")]);
    assert_eq!(harness.events(), [Event::Readable(id)]);
    harness.peer_sends([fin(3)]);
    assert_eq!(harness.events(), [Event::Finished(id)]);
    harness.peer_sends([fin(3)]);
    assert_eq!(harness.events(), [Event::Stopped(id)]);
    assert_eq!(harness.read(id), b"ab");
}

#[test]
fn beyond_the_limit_opening_waits_for_a_stream_to_end() {
    let config = config(Version::V1)
        .max_outbound_streams(2)
        .build()
        .expect("valid");
    let mut harness = Harness::client(config);
    let first = harness.open();
    harness.open();
    assert_eq!(harness.session.open(), Poll::Pending);
    harness.close(first);
    harness.take_frames();
    assert_eq!(harness.events(), [Event::Openable]);
    assert_eq!(harness.open().get(), 7);
}
