//! A server that takes the version of the first frame.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{nop, psh, syn},
    script::Script,
};
use smux_proto::{CloseReason, Config, Event, ProtocolError, Version};

fn detecting() -> Config {
    Config::builder()
        .detect_version(true)
        .build()
        .expect("valid")
}

#[test]
fn the_first_frame_decides() {
    for version in [Version::V1, Version::V2] {
        for first in [nop(), syn(3)] {
            let mut peer = Script::server(detecting()).speaking(version);
            assert_eq!(peer.session.version(), None);
            peer.send([first]);
            assert_eq!(peer.session.version(), Some(version));
        }
    }
}

#[test]
fn everything_sent_has_the_version_that_was_found() {
    for version in [Version::V1, Version::V2] {
        let mut peer = Script::server(detecting()).speaking(version);
        peer.send([syn(3)]);
        let id = peer.accept();
        peer.write(id, b"hello");
        assert_eq!(peer.open().get(), 2);
        peer.expect_only([syn(2), psh(3, "hello")]);
    }
}

#[test]
fn nothing_is_sent_before() {
    let mut peer = Script::server(detecting());
    peer.advance(Duration::from_secs(29));
    peer.expect_nothing();
    assert_eq!(peer.session.open(), Poll::Pending);
    peer.expect_nothing();
}

#[test]
fn opening_waits_for_the_version() {
    let mut peer = Script::server(detecting()).speaking(Version::V2);
    assert_eq!(peer.session.open(), Poll::Pending);
    assert_eq!(peer.events(), []);
    peer.send([nop()]);
    assert_eq!(peer.events(), [Event::Openable]);
    assert_eq!(peer.open().get(), 2);
    peer.expect_only([syn(2)]);
}

#[test]
fn a_version_that_does_not_exist_is_named() {
    let mut peer = Script::server(detecting());
    let error = ProtocolError::Version {
        expected: None,
        got: 9,
    };
    assert_eq!(
        peer.send_bytes(&[9, 3, 0, 0, 0, 0, 0, 0]),
        Err(error.clone())
    );
    assert_eq!(peer.reason(), CloseReason::Protocol(error.clone()));
    assert!(error.to_string().contains('9'), "{error}");
}

#[test]
fn a_change_later_is_an_error_that_names_both() {
    let mut peer = Script::server(detecting()).speaking(Version::V2);
    peer.send([nop(), syn(3)]);
    let error = peer
        .send_bytes(&nop().encode(Version::V1))
        .expect_err("version 1 after 2");
    let both = ProtocolError::Version {
        expected: Some(Version::V2),
        got: 1,
    };
    assert_eq!(error, both);
    let message = error.to_string();
    assert!(message.contains('1') && message.contains('2'), "{message}");
}

#[test]
fn a_client_speaks_first_and_so_has_its_version() {
    let mut peer = Script::client(detecting());
    assert_eq!(peer.session.version(), Some(Version::V1));
    assert_eq!(peer.open().get(), 3);
    peer.expect_only([syn(3)]);
}

#[test]
fn a_peer_that_never_says_anything_is_given_up() {
    let mut peer = Script::server(detecting());
    peer.advance(Duration::from_secs(30));
    assert_eq!(peer.reason(), CloseReason::KeepAliveTimeout);
}
