//! Peers that break the rules: harmless faults are ignored, others end the session with a typed
//! reason.

use std::io::{self, Read, Write};

use fastrand::Rng;
use smux_proto::{CloseReason, Command, ProtocolError, StreamError, Version};

use crate::{
    frame::{fin, nop, psh, syn, upd},
    suite::{
        case::{Case, built, expect_eof, failure, read_all, read_exactly, reason, stream_error},
        host::{Host, HostSession, HostStream},
    },
};

/// The session ends with this error; what had arrived before can be read.
fn ends_with<H: Host>(case: &Case<H>, bytes: &[u8], expected: &ProtocolError) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "before")]);
    let mut stream = ours.accept().expect("accepted");
    peer.send_bytes(bytes).expect("the session reads");
    let why = CloseReason::Protocol(expected.clone());
    assert_eq!(ours.closed(), why);
    assert_eq!(read_exactly(&mut stream, 6), b"before");
    let error = failure(stream.read(&mut [0; 16]));
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(reason(Err::<(), _>(error)), why);
    assert_eq!(reason(stream.write(b"late")), why);
    assert_eq!(reason(ours.open()), why);
    assert!(ours.is_closed());
}

/// A frame of the other version; the error names both.
pub fn other_version<H: Host>(case: &Case<H>) {
    let (other, expected) = match case.version {
        Version::V1 => (Version::V2, Some(Version::V1)),
        Version::V2 => (Version::V1, Some(Version::V2)),
    };
    let got = other as u8;
    let error = ProtocolError::Version { expected, got };
    let text = error.to_string();
    assert!(text.contains('1') && text.contains('2'), "{text}");
    ends_with(case, &nop().encode(other), &error);
}

/// A version that does not exist.
pub fn unknown_version<H: Host>(case: &Case<H>) {
    let expected = Some(case.version);
    let error = ProtocolError::Version { expected, got: 0 };
    ends_with(case, &[0, 3, 1, 0, 0, 0, 0, 0], &error);
}

/// Commands that do not exist.
pub fn unknown_command<H: Host>(case: &Case<H>) {
    for command in [5, 0xff] {
        let bytes = [case.version as u8, command, 0, 0, 3, 0, 0, 0];
        ends_with(case, &bytes, &ProtocolError::UnknownCommand(command));
    }
}

/// Lengths that a command cannot have.
pub fn wrong_length<H: Host>(case: &Case<H>) {
    let lengths = [
        (Command::Syn, 1),
        (Command::Fin, 8),
        (Command::Nop, 65_535_u16),
    ];
    let updates = [(Command::Upd, 7), (Command::Upd, 9)];
    let updates = updates.iter().filter(|_| case.version == Version::V2);
    for &(command, length) in lengths.iter().chain(updates) {
        let mut bytes = vec![case.version as u8, command as u8];
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 4]);
        ends_with(case, &bytes, &ProtocolError::Length { command, length });
    }
}

/// Version 1 has no window updates.
pub fn update_in_version_1<H: Host>(case: &Case<H>) {
    let bytes = upd(3, 0, 1000).encode(case.version);
    ends_with(case, &bytes, &ProtocolError::UpdateInV1);
}

/// Two sessions of different versions end with the typed error at one end at least, and both end.
pub fn two_versions_meet<H: Host>(case: &Case<H>) {
    let other = match case.version {
        Version::V1 => Version::V2,
        Version::V2 => Version::V1,
    };
    let (ours, theirs) = case.pair_with(case.plain(), built(case.config().version(other)));
    let mut stream = ours.open().expect("opened");
    // The SYN is enough for the other end to give up, so this may come too late.
    let _ = stream.write_all(b"hello");
    let theirs_says = theirs.closed();
    let expected = ProtocolError::Version {
        expected: Some(other),
        got: case.version as u8,
    };
    assert_eq!(theirs_says, CloseReason::Protocol(expected));
    ours.closed();
    failure(stream.read(&mut [0; 16]));
}

/// Random bytes end the session or leave it waiting for more; no call hangs or panics.
pub fn random_bytes<H: Host>(case: &Case<H>) {
    for seed in 0..20 {
        let (ours, mut peer) = case.peer(case.plain());
        let mut rng = Rng::with_seed(seed);
        let mut bytes = vec![0; 1000];
        rng.fill(&mut bytes);
        // The session may end in the middle.
        let _ = peer.send_bytes(&bytes);
        drop(peer);
        let why = ours.closed();
        assert!(
            matches!(why, CloseReason::Protocol(ProtocolError::Version { .. })),
            "{why:?}"
        );
        assert_eq!(reason(ours.accept()), why);
    }
}

/// After well-formed frames in any order, on any stream, the session still ends cleanly.
pub fn random_frames<H: Host>(case: &Case<H>) {
    for seed in 0..20 {
        let (ours, mut peer) = case.peer(case.plain());
        let mut rng = Rng::with_seed(seed);
        for _ in 0..100 {
            let id = rng.u32(0..8);
            let frame = match rng.u32(0..if case.version == Version::V2 { 5 } else { 4 }) {
                0 => syn(id),
                1 => fin(id),
                2 => psh(id, vec![0; rng.usize(0..100)]),
                3 => nop(),
                _ => upd(id, rng.u32(..), rng.u32(..)),
            };
            peer.send([frame]);
        }
        peer.finish();
        assert_eq!(ours.closed(), CloseReason::PeerClosed);
        // What is in the backlog can be taken, and read to its end.
        while let Ok(mut stream) = ours.accept() {
            let mut buffer = [0; 1000];
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
        }
    }
}

/// A hundred SYNs with one id open one stream.
pub fn duplicate_syn<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "one ")]);
    peer.send((0..100).map(|_| syn(id)));
    peer.send([psh(id, "stream"), fin(id)]);
    let mut stream = ours.accept().expect("accepted");
    assert_eq!(read_all(&mut stream), b"one stream");
    assert_eq!(ours.stream_count(), 1);
    peer.expect_nothing(&ours);
    assert_eq!(ours.stats().ignored.duplicate_syn, 100);
}

/// A SYN with an id that only this side may use is ignored, whether the stream exists or not.
pub fn syn_with_our_parity<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = case.our_id(0);
    peer.send([syn(id)]);
    peer.expect_nothing(&ours);
    let mut stream = ours.open().expect("opened");
    assert_eq!(stream.id().get(), id);
    peer.expect([syn(id)]);
    peer.send([syn(id), psh(id, "ours"), fin(id)]);
    assert_eq!(read_all(&mut stream), b"ours");
    assert_eq!(ours.stats().ignored.own_parity_syn, 2);
    peer.expect_nothing(&ours);
}

/// Frames for streams that never existed, or do not any more, are ignored.
pub fn frames_for_unknown_streams<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([psh(id, "to no stream"), fin(id), fin(id)]);
    if case.version == Version::V2 {
        peer.send([upd(id, 0, 1000)]);
    }
    peer.expect_nothing(&ours);
    assert_eq!(ours.stream_count(), 0);
    assert_eq!(ours.stats().receive_buffered, 0);
}

/// A second FIN means that the peer has stopped reading; a third has no effect. None loses data.
pub fn repeated_fin<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "data"), fin(id)]);
    let mut stream = ours.accept().expect("accepted");
    stream
        .write_all(b"half-closed")
        .expect("one FIN does not stop us");
    peer.expect([psh(id, "half-closed")]);
    peer.send([fin(id), fin(id)]);
    peer.expect_nothing(&ours);
    assert_eq!(
        stream_error(stream.write(b"not read")),
        StreamError::Stopped
    );
    assert_eq!(read_all(&mut stream), b"data");
    drop(stream);
    peer.expect([fin(id)]);
    peer.expect_nothing(&ours);
}

/// Data behind the peer's FIN is ignored: the stream has ended.
pub fn data_behind_fin<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, "before"), fin(id), psh(id, "behind")]);
    let mut stream = ours.accept().expect("accepted");
    peer.expect_nothing(&ours);
    assert_eq!(read_all(&mut stream), b"before");
    expect_eof(&mut stream);
    assert_eq!(ours.stats().ignored.after_fin, 1);
}

/// Frames without data have no effect.
pub fn empty_frames<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id), psh(id, ""), psh(id, "data"), psh(id, ""), fin(id)]);
    let mut stream = ours.accept().expect("accepted");
    assert_eq!(read_all(&mut stream), b"data");
    assert_eq!(ours.stats().ignored.empty_psh, 2);
    assert!(ours.stats().glitches > 0);
}

/// The id of a stream that has ended may be used again, for a new stream.
pub fn id_is_used_again<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    for round in ["first", "second", "third"] {
        peer.send([syn(id), psh(id, round), fin(id)]);
        let mut stream = ours.accept().expect("accepted");
        assert_eq!(read_all(&mut stream), round.as_bytes());
        stream.write_all(b"answer").expect("written");
        drop(stream);
        peer.expect([psh(id, "answer"), fin(id)]);
    }
}

/// A peer that goes on sending while the session closes is read to its end, and gets all that was
/// written before.
pub fn frames_after_close<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let mut stream = ours.open().expect("opened");
    stream.write_all(b"the last").expect("written");
    let id = case.our_id(0);
    case.both(
        || assert_eq!(ours.close(), CloseReason::Local),
        || {
            peer.expect([syn(id), psh(id, "the last")]);
            peer.expect_end();
            for _ in 0..100 {
                peer.send([psh(id, vec![0; 10_000])]);
            }
            peer.finish();
        },
    );
}

/// Useless frames without end close the session.
pub fn endless_useless_frames<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(built(case.config().max_glitches(1000)));
    let id = peer.fresh_id();
    peer.send([syn(id)]);
    while peer.send_bytes(&syn(id).encode(case.version)).is_ok() {}
    assert_eq!(
        ours.closed(),
        CloseReason::Protocol(ProtocolError::TooManyGlitches)
    );
}
