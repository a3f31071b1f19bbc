//! Letting the open streams end and no new ones begin.

use std::{task::Poll, time::Duration};

use smux_conformance::frame::{fin, psh, syn};
use smux_proto::{CloseReason, OpenError, Version};

use crate::{server, server_with_stream};

#[test]
fn a_draining_session_refuses_new_streams_and_ends_with_the_last() {
    let (mut peer, id) = server_with_stream(Version::V1);
    peer.session.drain(Duration::ZERO, Duration::from_secs(60));
    assert_eq!(peer.session.open(), Poll::Ready(Err(OpenError::Draining)));
    peer.send([syn(5)]);
    peer.expect_only([fin(5), fin(5)]);
    peer.write(id, b"goes on");
    peer.send([psh(3, "so does this")]);
    assert_eq!(peer.read(id), b"so does this");
    peer.expect_only([psh(3, "goes on")]);
    assert!(!peer.session.is_closed());
    peer.send([fin(3)]);
    peer.close(id);
    peer.expect_only([fin(3)]);
    assert_eq!(peer.reason(), CloseReason::Local);
}

#[test]
fn a_draining_session_ends_at_its_limit() {
    let (mut peer, _) = server_with_stream(Version::V1);
    peer.session.drain(Duration::ZERO, Duration::from_secs(60));
    peer.advance(Duration::from_millis(59_999));
    assert!(!peer.session.is_closed());
    peer.advance(Duration::from_millis(1));
    assert_eq!(peer.reason(), CloseReason::Local);
}

#[test]
fn draining_without_streams_is_closing() {
    let mut peer = server(Version::V1);
    peer.session.drain(Duration::ZERO, Duration::from_secs(60));
    peer.pump();
    assert_eq!(peer.reason(), CloseReason::Local);
}
