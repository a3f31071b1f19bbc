//! Frames byte by byte: the bytes that are sent, and the bytes that are accepted in any pieces.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, fin, nop, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{
    CloseReason, Command, Config, FrameClass, Header, ProtocolError, StreamError, StreamId,
    Version, WindowUpdate,
};

fn config(version: Version) -> Config {
    Config::builder().version(version).build().expect("valid")
}

#[test]
fn a_header_is_eight_bytes_with_little_endian_numbers() {
    let header = Header {
        version: Version::V2,
        command: Command::Psh,
        length: 0x1234,
        stream_id: StreamId::new(0x89ab_cdef),
    };
    let bytes = [2, 2, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89];
    assert_eq!(header.encode(), bytes);
    assert_eq!(Header::decode(bytes), Ok(header));
}

#[test]
fn a_window_update_is_two_little_endian_numbers() {
    let update = WindowUpdate {
        consumed: 196_609,
        window: 65_536,
    };
    let bytes = [1, 0, 3, 0, 0, 0, 1, 0];
    assert_eq!(update.encode(), bytes);
    assert_eq!(WindowUpdate::decode(bytes), update);
}

#[test]
fn unknown_version_and_command_bytes_are_errors() {
    for byte in 0..=255 {
        let version = Header::decode([byte, 3, 0, 0, 0, 0, 0, 0]);
        let unknown = ProtocolError::Version {
            expected: None,
            got: byte,
        };
        assert_eq!(version.err(), (!matches!(byte, 1 | 2)).then_some(unknown));
        let command = Header::decode([1, byte, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            command.err(),
            (byte > 4).then_some(ProtocolError::UnknownCommand(byte))
        );
    }
}

#[test]
fn syn_nop_and_upd_are_control_psh_and_fin_are_data() {
    for command in [Command::Syn, Command::Nop, Command::Upd] {
        assert_eq!(command.class(), FrameClass::Control, "{command:?}");
    }
    for command in [Command::Psh, Command::Fin] {
        assert_eq!(command.class(), FrameClass::Data, "{command:?}");
    }
}

#[test]
fn input_may_arrive_byte_by_byte() {
    for version in [Version::V1, Version::V2] {
        let mut harness = Harness::server(config(version));
        let mut frames = vec![
            syn(3),
            nop(),
            psh(3, "hello"),
            syn(5),
            fin(3),
            psh(5, counting(300)),
        ];
        if version == Version::V2 {
            frames.push(upd(3, 0, 7));
        }
        for byte in frames.iter().flat_map(|frame| frame.encode(version)) {
            assert_eq!(harness.peer_sends_bytes(&[byte]), Ok(1));
        }
        let (three, five) = (harness.accept(), harness.accept());
        assert_eq!(harness.read(three), b"hello");
        assert_eq!(harness.read_end(three), Poll::Ready(Ok(0)));
        assert_eq!(harness.read(five), counting(300));
    }
}

#[test]
fn bytes_of_an_incomplete_frame_can_be_read() {
    let mut harness = Harness::server(config(Version::V1));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    let frame = psh(3, "hello").encode(Version::V1);
    assert_eq!(harness.peer_sends_bytes(&frame[..11]), Ok(11));
    assert_eq!(harness.read(id), b"hel");
    assert_eq!(harness.peer_sends_bytes(&frame[11..]), Ok(2));
    assert_eq!(harness.read(id), b"lo");
}

/// Go counts a frame as sent once all of it is: an earlier acknowledgement is an error there.
#[test]
fn bytes_of_an_incomplete_frame_are_not_acknowledged() {
    let mut harness = Harness::server(config(Version::V2));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    let frame = psh(3, counting(60_000)).encode(Version::V2);
    let (start, rest) = frame.split_at(50_008);
    assert_eq!(harness.peer_sends_bytes(start), Ok(start.len()));
    assert_eq!(harness.read(id).len(), 50_000);
    harness.expect_nothing();
    assert_eq!(harness.peer_sends_bytes(rest), Ok(rest.len()));
    harness.expect_only([upd(3, 50_000, 65_536)]);
}

#[test]
fn the_largest_frame_is_accepted_whatever_our_frame_size() {
    let config = Config::builder().max_frame_size(1).build().expect("valid");
    let mut harness = Harness::server(config);
    harness.peer_sends([syn(3), psh(3, counting(65_535))]);
    let id = harness.accept();
    assert_eq!(harness.read(id), counting(65_535));
    harness.write(id, b"ab");
    harness.expect_only([psh(3, "a"), psh(3, "b")]);
}

#[test]
fn data_is_cut_into_frames_of_the_configured_size() {
    for (size, lengths) in [
        (32_768, vec![32_768, 32_768, 1]),
        (65_535, vec![65_535, 2]),
        (65_000, vec![65_000, 537]),
    ] {
        let config = Config::builder()
            .max_frame_size(size)
            .build()
            .expect("valid");
        let mut harness = Harness::client(config);
        let id = harness.open();
        harness.expect([syn(3)]);
        harness.write(id, &counting(65_537));
        let frames = harness.take_frames();
        assert_eq!(
            frames
                .iter()
                .map(|frame| frame.payload.len())
                .collect::<Vec<_>>(),
            lengths
        );
        assert_eq!(
            frames
                .iter()
                .flat_map(|frame| frame.payload.clone())
                .collect::<Vec<_>>(),
            counting(65_537)
        );
    }
}

#[test]
fn queued_writes_share_a_frame() {
    let mut harness = Harness::client(config(Version::V1));
    let id = harness.open();
    for word in ["a", "bc", "", "def"] {
        harness.write(id, word.as_bytes());
    }
    harness.expect_only([syn(3), psh(3, "abcdef")]);
}

#[test]
fn empty_data_frames_are_only_counted() {
    let mut harness = Harness::server(config(Version::V1));
    harness.peer_sends([syn(3)]);
    let id = harness.accept();
    harness.events();
    harness.peer_sends((0..100).map(|_| psh(3, "")));
    assert_eq!(harness.read_end(id), Poll::Pending);
    assert_eq!(harness.events(), []);
    assert_eq!(harness.session.stats().ignored.empty_psh, 100);
}

#[test]
fn any_input_after_an_error_is_discarded() {
    let mut harness = Harness::server(config(Version::V1));
    harness.peer_sends([syn(3), psh(3, "kept")]);
    let id = harness.accept();
    let mut bytes = vec![1, 77, 0, 0, 0, 0, 0, 0];
    bytes.extend(psh(3, "lost").encode(Version::V1));
    assert_eq!(
        harness.peer_sends_bytes(&bytes),
        Err(ProtocolError::UnknownCommand(77))
    );
    assert_eq!(harness.peer_sends_bytes(b"whatever"), Ok(8));
    assert_eq!(harness.read(id), b"kept");
    let reason = CloseReason::Protocol(ProtocolError::UnknownCommand(77));
    assert_eq!(
        harness.read_end(id),
        Poll::Ready(Err(StreamError::Closed(reason)))
    );
}

#[test]
fn the_first_fault_of_a_frame_is_reported() {
    let fresh = |version| Harness::server(config(version));
    for (version, bytes, expected) in [
        (
            Version::V1,
            [2, 9, 1, 0, 0, 0, 0, 0],
            ProtocolError::Version {
                expected: Some(Version::V1),
                got: 2,
            },
        ),
        (
            Version::V2,
            [1, 0, 0, 0, 3, 0, 0, 0],
            ProtocolError::Version {
                expected: Some(Version::V2),
                got: 1,
            },
        ),
        (
            Version::V1,
            [1, 4, 3, 0, 0, 0, 0, 0],
            ProtocolError::UpdateInV1,
        ),
        (
            Version::V2,
            [2, 4, 9, 0, 0, 0, 0, 0],
            ProtocolError::Length {
                command: Command::Upd,
                length: 9,
            },
        ),
        (
            Version::V2,
            [2, 0, 0, 1, 3, 0, 0, 0],
            ProtocolError::Length {
                command: Command::Syn,
                length: 256,
            },
        ),
        (
            Version::V1,
            [1, 1, 1, 0, 3, 0, 0, 0],
            ProtocolError::Length {
                command: Command::Fin,
                length: 1,
            },
        ),
        (
            Version::V1,
            [1, 3, 8, 0, 0, 0, 0, 0],
            ProtocolError::Length {
                command: Command::Nop,
                length: 8,
            },
        ),
        (
            Version::V2,
            [2, 5, 0, 0, 0, 0, 0, 0],
            ProtocolError::UnknownCommand(5),
        ),
    ] {
        let mut harness = fresh(version);
        assert_eq!(
            harness.peer_sends_bytes(&bytes),
            Err(expected.clone()),
            "{bytes:?}"
        );
        assert_eq!(harness.reason(), CloseReason::Protocol(expected));
    }
}
