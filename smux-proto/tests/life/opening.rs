//! Opening and accepting, and what is told about it.

use std::task::Poll;

use smux_conformance::{
    frame::{fin, psh, syn},
    script::Script,
};
use smux_proto::{Event, StreamId, Version};

use crate::{BOTH, client, config, server, server_with_stream};

#[test]
fn a_stream_can_be_used_before_its_syn_has_left() {
    for version in BOTH {
        let mut peer = client(version);
        let id = peer.open();
        peer.write(id, b"early");
        peer.send([psh(3, "very early"), fin(3)]);
        assert_eq!(peer.read(id), b"very early");
        peer.expect_only([syn(3), psh(3, "early")]);
    }
}

#[test]
fn streams_are_accepted_in_the_order_of_their_syns() {
    let mut peer = server(Version::V1);
    assert_eq!(peer.session.accept(), Poll::Pending);
    peer.send([syn(9), syn(3), syn(5)]);
    assert_eq!([(); 3].map(|()| peer.accept().get()), [9, 3, 5]);
    assert_eq!(peer.session.accept(), Poll::Pending);
    peer.expect_nothing();
}

#[test]
fn nothing_is_said_about_a_stream_before_it_is_accepted() {
    let mut peer = server(Version::V1);
    peer.send([syn(3), psh(3, "data"), fin(3)]);
    assert_eq!(peer.events(), [Event::Acceptable]);
    assert!(peer.session.stream(StreamId::new(3)).is_none());
    let id = peer.accept();
    assert_eq!(peer.read(id), b"data");
    assert_eq!(peer.read_end(id), Poll::Ready(Ok(0)));
}

#[test]
fn events_tell_of_data_and_ends_once() {
    let (mut peer, id) = server_with_stream(Version::V1);
    assert_eq!(peer.read_end(id), Poll::Pending);
    peer.send([psh(3, "a"), psh(3, "b")]);
    assert_eq!(peer.events(), [Event::Readable(id)]);
    peer.send([fin(3)]);
    assert_eq!(peer.events(), [Event::Finished(id)]);
    peer.send([fin(3)]);
    assert_eq!(peer.events(), [Event::Stopped(id)]);
    assert_eq!(peer.read(id), b"ab");
}

#[test]
fn beyond_the_limit_opening_waits_for_a_stream_to_end() {
    let config = config(Version::V1)
        .max_outbound_streams(2)
        .build()
        .expect("valid");
    let mut peer = Script::client(config);
    let first = peer.open();
    peer.open();
    assert_eq!(peer.session.open(), Poll::Pending);
    peer.close(first);
    peer.take_frames();
    assert_eq!(peer.events(), [Event::Openable]);
    assert_eq!(peer.open().get(), 7);
}
