//! A server that takes the version of the first frame.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{nop, psh, syn},
    harness::Harness,
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
            let mut harness = Harness::server(detecting()).speaking(version);
            assert_eq!(harness.session.version(), None);
            harness.peer_sends([first]);
            assert_eq!(harness.session.version(), Some(version));
        }
    }
}

#[test]
fn all_output_has_the_detected_version() {
    for version in [Version::V1, Version::V2] {
        let mut harness = Harness::server(detecting()).speaking(version);
        harness.peer_sends([syn(3)]);
        let id = harness.accept();
        harness.write(id, b"hello");
        assert_eq!(harness.open().get(), 2);
        harness.expect_only([syn(2), psh(3, "hello")]);
    }
}

#[test]
fn nothing_is_sent_before() {
    let mut harness = Harness::server(detecting());
    harness.advance(Duration::from_secs(29));
    harness.expect_nothing();
    assert_eq!(harness.session.open(), Poll::Pending);
    harness.expect_nothing();
}

#[test]
fn opening_waits_for_the_version() {
    let mut harness = Harness::server(detecting()).speaking(Version::V2);
    assert_eq!(harness.session.open(), Poll::Pending);
    assert_eq!(harness.events(), []);
    harness.peer_sends([nop()]);
    assert_eq!(harness.events(), [Event::Openable]);
    assert_eq!(harness.open().get(), 2);
    harness.expect_only([syn(2)]);
}

#[test]
fn an_unknown_version_is_reported() {
    let mut harness = Harness::server(detecting());
    let error = ProtocolError::Version {
        expected: None,
        got: 9,
    };
    assert_eq!(
        harness.peer_sends_bytes(&[9, 3, 0, 0, 0, 0, 0, 0]),
        Err(error.clone())
    );
    assert_eq!(harness.reason(), CloseReason::Protocol(error.clone()));
    assert!(error.to_string().contains('9'), "{error}");
}

#[test]
fn a_later_change_of_version_is_an_error() {
    let mut harness = Harness::server(detecting()).speaking(Version::V2);
    harness.peer_sends([nop(), syn(3)]);
    let error = harness
        .peer_sends_bytes(&nop().encode(Version::V1))
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
fn a_client_has_its_version_from_the_start() {
    let mut harness = Harness::client(detecting());
    assert_eq!(harness.session.version(), Some(Version::V1));
    assert_eq!(harness.open().get(), 3);
    harness.expect_only([syn(3)]);
}

#[test]
fn a_peer_that_never_sends_is_declared_dead() {
    let config = detecting().to_builder().keep_alive_required(true);
    let mut harness = Harness::server(config.build().expect("valid"));
    harness.advance(Duration::from_secs(30));
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
}
