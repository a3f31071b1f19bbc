//! Attacks 1 to 8: malformed frames, and frames in odd pieces.

use std::{task::Poll, time::Duration};

use smux_conformance::{
    frame::{counting, fin, nop, psh, syn, upd},
    fuzz,
    harness::Harness,
};
use smux_proto::{
    CloseReason, Command, Config, Event, OpenError, OtherProtocol, ProtocolError, Session,
    StreamError, StreamId, Version,
};

use crate::{BOTH, MAX_FRAME, config, measure, server, server_with_stream, stats, wire};

/// Every call fails with this reason, and data that had arrived is still readable.
fn assert_ended(harness: &mut Harness, id: StreamId, arrived: &[u8], reason: &CloseReason) {
    assert_eq!(harness.session.close_reason(), Some(reason));
    assert_eq!(harness.events().last(), Some(&Event::Closed));
    assert_eq!(harness.read(id), arrived);
    let closed = StreamError::Closed(reason.clone());
    assert_eq!(harness.read_end(id), Poll::Ready(Err(closed.clone())));
    assert_eq!(harness.try_write(id, b"x"), Poll::Ready(Err(closed)));
    assert_eq!(harness.session.accept(), Poll::Ready(Err(reason.clone())));
    let closed = OpenError::Closed(reason.clone());
    assert_eq!(harness.session.open(), Poll::Ready(Err(closed)));
    harness.expect_nothing();
}

fn protocol(error: ProtocolError) -> CloseReason {
    CloseReason::Protocol(error)
}

/// A client's session, stream 3 open, on which "early" has arrived; then these bytes.
fn after(version: Version, bytes: &[u8]) -> (Harness, StreamId, Result<usize, ProtocolError>) {
    let (mut harness, id) = server_with_stream(config(version));
    harness.peer_sends([psh(3, "early")]);
    let result = harness.peer_sends_bytes(bytes);
    (harness, id, result)
}

#[test]
fn attack_01_the_transport_ends_inside_a_frame() {
    for version in BOTH {
        let frame = psh(3, "four").encode(version);
        for cut in 1..frame.len() {
            let (mut harness, id, taken) = after(version, &frame[..cut]);
            assert_eq!(taken, Ok(cut));
            harness.peer_ends();
            let arrived = ["early", &"four"[..cut.saturating_sub(8)]].concat();
            assert_ended(
                &mut harness,
                id,
                arrived.as_bytes(),
                &CloseReason::Truncated,
            );
        }
    }
}

#[test]
fn attack_02_the_version_is_wrong_or_changes() {
    for version in BOTH {
        for got in (0..=255).filter(|&byte| byte != version as u8) {
            let (mut harness, id, result) = after(version, &[got, 3, 0, 0, 0, 0, 0, 0]);
            let expected = Some(version);
            let error = ProtocolError::Version { expected, got };
            assert_eq!(result, Err(error.clone()));
            assert_ended(&mut harness, id, b"early", &protocol(error));
        }
    }
}

/// A side that detects the version takes that of the first frame, and keeps to it.
#[test]
fn attack_02_only_the_first_frame_decides_a_detected_version() {
    for version in BOTH {
        let detecting = Config::builder().detect_version(true);
        let mut harness = server(detecting).speaking(version);
        harness.peer_sends([syn(3)]);
        assert_eq!(harness.session.version(), Some(version));
        let other = BOTH
            .into_iter()
            .find(|&other| other != version)
            .expect("two");
        let error = harness.peer_sends_bytes(&nop().encode(other));
        let expected = ProtocolError::Version {
            expected: Some(version),
            got: other as u8,
        };
        assert_eq!(error, Err(expected));
    }
    let mut harness = server(Config::builder().detect_version(true));
    let expected = ProtocolError::NotSmux(OtherProtocol::Http);
    assert_eq!(
        harness.peer_sends_bytes(b"GET / HTTP/1.1\r\n"),
        Err(expected)
    );
}

#[test]
fn attack_03_the_command_is_unknown() {
    for version in BOTH {
        for command in 5..=255 {
            let header = [version as u8, command, 0, 0, 3, 0, 0, 0];
            let (mut harness, id, result) = after(version, &header);
            let error = ProtocolError::UnknownCommand(command);
            assert_eq!(result, Err(error.clone()));
            assert_ended(&mut harness, id, b"early", &protocol(error));
        }
    }
}

/// Strict with every peer: older Go releases that sent such frames misread them as well.
#[test]
fn attack_04_a_control_frame_has_a_payload() {
    for version in BOTH {
        for command in [Command::Syn, Command::Fin, Command::Nop] {
            for length in [1, 8, 255, 256, u16::MAX] {
                let [l0, l1] = length.to_le_bytes();
                let header = [version as u8, command as u8, l0, l1, 5, 0, 0, 0];
                let (mut harness, id, result) = after(version, &header);
                let error = ProtocolError::Length { command, length };
                assert_eq!(result, Err(error.clone()));
                assert_eq!(
                    harness.session.stream_count(),
                    1,
                    "checked before it has an effect"
                );
                assert_ended(&mut harness, id, b"early", &protocol(error));
            }
        }
    }
}

#[test]
fn attack_05_a_window_update_in_version_1_or_of_another_length() {
    let header = |version, length: u16| {
        let [l0, l1] = length.to_le_bytes();
        [version as u8, 4, l0, l1, 3, 0, 0, 0]
    };
    for length in [0, 1, 7, 8, 9, 12, u16::MAX] {
        let (mut harness, id, result) = after(Version::V1, &header(Version::V1, length));
        assert_eq!(result, Err(ProtocolError::UpdateInV1));
        assert_ended(
            &mut harness,
            id,
            b"early",
            &protocol(ProtocolError::UpdateInV1),
        );
        let (mut harness, id, result) = after(Version::V2, &header(Version::V2, length));
        let command = Command::Upd;
        if length == 8 {
            assert_eq!(result, Ok(8));
            continue;
        }
        let error = ProtocolError::Length { command, length };
        assert_eq!(result, Err(error.clone()));
        assert_ended(&mut harness, id, b"early", &protocol(error));
    }
}

#[test]
fn attack_06_an_announced_large_frame_never_arrives() {
    let announced = psh(3, counting(MAX_FRAME)).encode(Version::V1);
    let config = Config::builder().keep_alive_required(true);
    let mut harness = Harness::server(config.build().expect("valid"));
    harness.peer_sends([syn(3)]);
    let header = measure(|| assert_eq!(harness.peer_sends_bytes(&announced[..8]), Ok(8)));
    assert_eq!(header.count_total, 0, "{header:?}");
    let some = measure(|| assert_eq!(harness.peer_sends_bytes(&announced[8..108]), Ok(100)));
    assert!(some.bytes_max <= 1_024, "for 100 bytes: {some:?}");
    harness.advance(Duration::from_secs(29));
    assert!(!harness.session.is_closed());
    harness.advance(Duration::from_secs(1));
    assert_eq!(harness.reason(), CloseReason::KeepAliveTimeout);
    let id = harness.accept();
    assert_eq!(harness.read(id), counting(100));
}

/// Tries every single cut of one conversation; the fuzzers compare random ones.
#[test]
fn attack_07_the_bytes_arrive_in_any_pieces() {
    for version in BOTH {
        let mut frames = vec![
            syn(3),
            psh(3, "one"),
            nop(),
            syn(5),
            psh(5, counting(300)),
            fin(3),
        ];
        frames.extend([
            psh(9, "nobody's"),
            psh(5, ""),
            syn(5),
            fin(5),
            psh(5, "late"),
            syn(2),
        ]);
        if version == Version::V2 {
            frames.extend([upd(3, 0, 70_000), upd(3, 9, 70_000), upd(7, 1, 1)]);
        }
        frames.push(syn(7));
        let bytes = wire(version, frames);
        let valid = config(version).build().expect("valid");
        let session = &|| Session::server(valid.clone(), 7, Duration::ZERO);
        for piece in 1..=bytes.len() {
            fuzz::same_in_pieces(session, &bytes, &[piece]);
        }
        for cut in 1..bytes.len() {
            let pieces = [cut, bytes.len() - cut];
            fuzz::same_in_pieces(session, &bytes, &pieces);
        }
    }
}

/// Nothing is parsed or copied twice: byte by byte costs the same allocations as in one piece.
#[test]
fn attack_08_the_bytes_arrive_one_at_a_time() {
    for version in BOTH {
        let frames = (0..200).flat_map(|_| [nop(), psh(3, counting(100))]);
        let bytes = wire(version, frames);
        let cost = |piece: usize| {
            let (mut harness, id) = server_with_stream(config(version));
            let memory = measure(|| {
                for piece in bytes.chunks(piece) {
                    assert_eq!(harness.peer_sends_bytes(piece), Ok(piece.len()));
                }
            });
            assert_eq!(harness.read(id), counting(100).repeat(200));
            assert_eq!(stats(&harness).bytes_received, 8 + bytes.len() as u64);
            memory
        };
        let (whole, bytewise) = (cost(bytes.len()), cost(1));
        // Pieces of other sizes fill segments of other sizes.
        assert!(
            bytewise.bytes_max <= whole.bytes_max + whole.bytes_max / 8,
            "{bytewise:?}, {whole:?}"
        );
        assert!(
            bytewise.count_total <= whole.count_total + 16,
            "{bytewise:?}, {whole:?}"
        );
    }
}
