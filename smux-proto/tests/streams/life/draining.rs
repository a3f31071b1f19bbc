//! Draining: open streams may end, new ones are refused.

use std::{task::Poll, time::Duration};

use smux_conformance::frame::{fin, psh, syn};
use smux_proto::{CloseReason, OpenError, Version};

use super::{server, server_with_stream};

#[test]
fn a_draining_session_refuses_new_streams_and_ends_with_the_last() {
    let (mut harness, id) = server_with_stream(Version::V1);
    harness
        .session
        .drain(Duration::ZERO, Duration::from_secs(60));
    assert_eq!(
        harness.session.open(),
        Poll::Ready(Err(OpenError::Draining))
    );
    harness.peer_sends([syn(5)]);
    harness.expect_only([fin(5), fin(5)]);
    harness.write(id, b"goes on");
    harness.peer_sends([psh(3, "so does this")]);
    assert_eq!(harness.read(id), b"so does this");
    harness.expect_only([psh(3, "goes on")]);
    assert!(!harness.session.is_closed());
    harness.peer_sends([fin(3)]);
    harness.close(id);
    harness.expect_only([fin(3)]);
    assert_eq!(harness.reason(), CloseReason::Local);
}

#[test]
fn a_draining_session_ends_at_its_limit() {
    let (mut harness, _) = server_with_stream(Version::V1);
    harness
        .session
        .drain(Duration::ZERO, Duration::from_secs(60));
    harness.advance(Duration::from_millis(59_999));
    assert!(!harness.session.is_closed());
    harness.advance(Duration::from_millis(1));
    assert_eq!(harness.reason(), CloseReason::Local);
}

#[test]
fn draining_without_streams_is_closing() {
    let mut harness = server(Version::V1);
    harness
        .session
        .drain(Duration::ZERO, Duration::from_secs(60));
    harness.pump();
    assert_eq!(harness.reason(), CloseReason::Local);
}
