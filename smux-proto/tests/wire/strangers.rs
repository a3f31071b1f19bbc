//! Peers that do not speak smux.

use smux_conformance::{
    frame::{nop, syn},
    harness::Harness,
};
use smux_proto::{CloseReason, Config, OtherProtocol, ProtocolError, Version};

fn servers() -> [Harness; 3] {
    [
        Config::builder(),
        Config::builder().version(Version::V2),
        Config::builder().detect_version(true),
    ]
    .map(|config| Harness::server(config.build().expect("valid")))
}

/// The session gets a single byte, or everything that one read returns.
#[test]
fn another_protocol_is_recognized_by_its_first_byte() {
    let strangers: [(&[u8], OtherProtocol, &str); 8] = [
        (b"GET / HTTP/1.1\r\n", OtherProtocol::Http, "HTTP"),
        (b"POST /x HTTP/1.1\r\n", OtherProtocol::Http, "HTTP"),
        (b"CONNECT host:1 HTTP/1.1", OtherProtocol::Http, "HTTP"),
        (b"PRI * HTTP/2.0\r\n", OtherProtocol::Http, "HTTP"),
        (b"HTTP/1.1 400 Bad Request", OtherProtocol::Http, "HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", OtherProtocol::Ssh, "SSH"),
        (&[0x16, 3, 1, 2, 0, 1, 0, 1, 252], OtherProtocol::Tls, "TLS"),
        (&[0x16, 3, 3, 0, 0x7a, 2, 0, 0], OtherProtocol::Tls, "TLS"),
    ];
    for (bytes, protocol, name) in strangers {
        for length in 1..=bytes.len() {
            for mut harness in servers() {
                let error = harness
                    .peer_sends_bytes(&bytes[..length])
                    .expect_err("not smux");
                assert_eq!(error, ProtocolError::NotSmux(protocol), "{length} bytes");
                assert!(error.to_string().contains(name), "{error}");
                assert_eq!(harness.reason(), CloseReason::Protocol(error));
            }
        }
    }
    let mut harness = servers().into_iter().next().expect("three");
    let error = harness
        .peer_sends_bytes(b"HEAD / HTTP/1.1")
        .expect_err("not smux");
    assert_eq!(error, ProtocolError::NotSmux(OtherProtocol::Http));
}

#[test]
fn any_other_first_byte_is_an_error_at_once() {
    for mut harness in servers() {
        let expected = harness.session.version();
        let error = harness.peer_sends_bytes(&[0xff]).expect_err("not smux");
        assert_eq!(
            error,
            ProtocolError::Version {
                expected,
                got: 0xff
            }
        );
        assert!(error.to_string().contains("255"), "{error}");
    }
}

#[test]
fn the_other_version_is_an_error_at_its_first_byte() {
    for (ours, theirs) in [(Version::V1, Version::V2), (Version::V2, Version::V1)] {
        let config = Config::builder().version(ours).build().expect("valid");
        let mut harness = Harness::server(config);
        let error = harness
            .peer_sends_bytes(&[theirs as u8])
            .expect_err("the other version");
        let text = error.to_string();
        assert!(
            text.contains("version 1") && text.contains("version 2"),
            "{text}"
        );
    }
}

/// Later, the same bytes are no greeting: the peer or the connection has lost some bytes.
#[test]
fn bytes_after_a_frame_are_not_taken_for_another_protocol() {
    let mut harness = Harness::server(Config::default());
    harness.peer_sends([nop(), syn(3)]);
    let error = harness.peer_sends_bytes(b"G").expect_err("no frame");
    let expected = Some(Version::V1);
    assert_eq!(
        error,
        ProtocolError::Version {
            expected,
            got: b'G'
        }
    );
}

#[test]
fn closing_before_the_first_byte_has_its_own_reason() {
    let mut silent = Harness::server(Config::default());
    silent.peer_ends();
    assert_eq!(silent.reason(), CloseReason::PeerNeverSpoke);
    let mut spoke = Harness::server(Config::default());
    spoke.peer_sends([nop()]);
    spoke.peer_ends();
    assert_eq!(spoke.reason(), CloseReason::PeerClosed);
    let mut cut_off = Harness::server(Config::default());
    assert_eq!(cut_off.peer_sends_bytes(&[1]), Ok(1));
    cut_off.peer_ends();
    assert_eq!(cut_off.reason(), CloseReason::Truncated);
}
