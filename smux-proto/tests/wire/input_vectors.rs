//! Malformed and unusual input: its effect on Go sessions, and on ours.
//!
//! Go keeps a session after broken input: `open` and `write` go on succeeding. Ours ends, and every
//! call returns the reason. Apart from that, [`ROWS`] names the Go releases that agree with us.

use std::{collections::BTreeMap, task::Poll};

use smux_conformance::{
    frame::syn,
    harness::Harness,
    trace::{InputVector, input_vectors},
};
use smux_proto::{
    CloseReason, Command, Config, OpenError, ProtocolError, StreamError, StreamId, Version,
};

/// The Go releases that treat an input as we do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Like {
    /// 1.5.57 and 1.5.16 did the same, and so do we.
    Both,
    /// As 1.5.57. 1.5.16 lost its place in the input, or took what version 1 does not have.
    Newest,
    /// As neither, because of this.
    Neither(&'static str),
}
use Like::{Both, Neither, Newest};

struct Row {
    name: &'static str,
    v1: Like,
    v2: Like,
    /// Why the session ended, if it did.
    end: fn(Version) -> Option<CloseReason>,
}

const fn row(
    name: &'static str,
    v1: Like,
    v2: Like,
    end: fn(Version) -> Option<CloseReason>,
) -> Row {
    Row { name, v1, v2, end }
}

const OWN_ID: Like = Neither("an id of our own parity could later collide with a stream of ours");
const CUT_PAYLOAD: Like = Neither("a frame without its payload is truncated, wherever the cut is");

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("NOP sid=77 len0", Both, Both, |_| None),
    row("NOP len=8 payload=valid SYN sid 100", Newest, Newest, |_| length(Command::Nop, 8)),
    row("NOP len=4 payload=zeros", Newest, Newest, |_| length(Command::Nop, 4)),
    row("SYN len=1", Newest, Newest, |_| length(Command::Syn, 1)),
    row("SYN len=8, payload = SYN 101", Newest, Newest, |_| length(Command::Syn, 8)),
    row("FIN len=8 on open stream, payload=NOP", Newest, Newest, |_| length(Command::Fin, 8)),
    row("PSH len=0 on open stream", Both, Both, |_| None),
    row("PSH unknown stream", Both, Both, |_| None),
    row("FIN unknown stream", Both, Both, |_| None),
    row("UPD len=8 unknown stream", Newest, Both, |version| update(version, None)),
    row("UPD len=8 open stream", Newest, Both, |version| update(version, None)),
    row("UPD len=4 (4 bytes)", Newest, Newest, |version| update(version, length(Command::Upd, 4))),
    row("UPD len=0 followed by 8 bytes", Newest, Newest, |version| update(version, length(Command::Upd, 0))),
    row("UPD len=12", Newest, Newest, |version| update(version, length(Command::Upd, 12))),
    row("CMD 5", Both, Both, |_| protocol(ProtocolError::UnknownCommand(5))),
    row("CMD 255", Both, Both, |_| protocol(ProtocolError::UnknownCommand(255))),
    row("wrong version (3-v)", Both, Both, |version| wrong_version(version, 3 - version as u8)),
    row("version 0", Both, Both, |version| wrong_version(version, 0)),
    row("SYN sid=0", Both, Both, |_| None),
    row("SYN own parity sid=5 (session is client)", OWN_ID, OWN_ID, |_| None),
    row("SYN dup of locally opened sid=3", Both, Both, |_| None),
    row("SYN sid=0xFFFFFFFF", OWN_ID, OWN_ID, |_| None),
    row("EOF at frame boundary", Both, Both, |_| Some(CloseReason::PeerNeverSpoke)),
    row("EOF inside header (3 bytes)", Both, Both, |_| Some(CloseReason::Truncated)),
    row("EOF between header and payload", CUT_PAYLOAD, CUT_PAYLOAD, |_| Some(CloseReason::Truncated)),
    row("EOF inside payload", Both, Both, |_| Some(CloseReason::Truncated)),
];

fn protocol(error: ProtocolError) -> Option<CloseReason> {
    Some(CloseReason::Protocol(error))
}

fn length(command: Command, length: u16) -> Option<CloseReason> {
    protocol(ProtocolError::Length { command, length })
}

/// Version 1 has no UPD, whatever its length.
fn update(version: Version, in_v2: Option<CloseReason>) -> Option<CloseReason> {
    match version {
        Version::V1 => protocol(ProtocolError::UpdateInV1),
        Version::V2 => in_v2,
    }
}

fn wrong_version(expected: Version, got: u8) -> Option<CloseReason> {
    protocol(ProtocolError::Version {
        expected: Some(expected),
        got,
    })
}

/// The calls that tell what became of the input, as the recording names them.
const ABOUT_INPUT: [&str; 4] = [
    "accept_1",
    "accept_2",
    "accept_after_later_syn_1000",
    "blocked_read",
];

#[test]
fn every_input_has_its_decided_result() {
    let vectors = input_vectors();
    assert_eq!(vectors.len(), 2 * ROWS.len(), "every row in both versions");
    for vector in &vectors {
        let what = format!("{:?}, {}", vector.version(), vector.name);
        let row = ROWS
            .iter()
            .find(|row| row.name == vector.name)
            .expect(&what);
        let (results, reason) = perform(vector);
        assert_eq!(
            reason,
            (row.end)(vector.version()),
            "{what}: why the session ended"
        );
        let same = |release| {
            ABOUT_INPUT.map(|call| results[call] == vector.observed[release][call]) == [true; 4]
        };
        let like = match vector.version() {
            Version::V1 => row.v1,
            Version::V2 => row.v2,
        };
        let expected = match like {
            Both => (true, true),
            Newest => (true, false),
            Neither(_) => (false, false),
        };
        assert_eq!(
            (same("1.5.57"), same("1.5.16")),
            expected,
            "{what}: {like:?}, but {results:#?}"
        );
        assert_rest(&results, reason.as_ref(), &what);
    }
}

/// The calls in which an ended session of ours differs from Go's, which knows no end.
fn assert_rest(results: &BTreeMap<&str, String>, reason: Option<&CloseReason>, what: &str) {
    let expected = match reason {
        None => ["ok:5".to_owned(), "ok:5".to_owned(), "false".to_owned()],
        Some(reason) => [word(reason), word(reason), "true".to_owned()],
    };
    let actual = ["open", "write5", "session_closed"].map(|call| results[call].clone());
    assert_eq!(actual, expected, "{what}: open, write5, session_closed");
}

/// Does with our session what was done with the Go session, and gives the results in its words.
fn perform(vector: &InputVector) -> (BTreeMap<&'static str, String>, Option<CloseReason>) {
    let config = Config::builder()
        .version(vector.version())
        .keep_alive_disabled();
    let mut harness = Harness::client(config.build().expect("valid"));
    let id = harness.open();
    assert_eq!(harness.read_end(id), Poll::Pending);
    let mut results = BTreeMap::new();
    // A protocol error is not lost: it is the reason that every call below gives.
    let _ = harness.peer_sends_bytes(&vector.input);
    if vector.eof {
        harness.peer_ends();
    }
    let mut buffer = [0; 16];
    let mut read = harness.try_read(id, &mut buffer);
    if matches!(read, Poll::Ready(Ok(1..))) {
        // The part of a payload that arrived before its frame was cut; Go hands out whole frames
        // only.
        read = harness.try_read(id, &mut buffer);
    }
    results.insert("blocked_read", stream_result(read));
    results.insert("accept_1", accept(&mut harness));
    results.insert("accept_2", accept(&mut harness));
    if !vector.eof {
        let later = syn(1000).encode(vector.version());
        assert_eq!(
            harness.peer_sends_bytes(&later),
            Ok(later.len()),
            "an ended session discards its input"
        );
    }
    results.insert("accept_after_later_syn_1000", accept(&mut harness));
    results.insert(
        "open",
        describe(
            harness.session.open().map_ok(StreamId::get),
            |error| match error {
                OpenError::Closed(reason) => word(&reason),
                other => other.to_string(),
            },
        ),
    );
    results.insert("write5", stream_result(harness.try_write(id, b"12345")));
    results.insert("session_closed", harness.session.is_closed().to_string());
    (results, harness.session.close_reason().cloned())
}

fn accept(harness: &mut Harness) -> String {
    describe(harness.session.accept().map_ok(StreamId::get), |reason| {
        word(&reason)
    })
}

fn stream_result(result: Poll<Result<usize, StreamError>>) -> String {
    describe(result, |error| match error {
        StreamError::Closed(reason) => word(&reason),
        other => other.to_string(),
    })
}

fn describe<T: ToString, E>(result: Poll<Result<T, E>>, error: impl Fn(E) -> String) -> String {
    match result {
        Poll::Pending => "pending".to_owned(),
        Poll::Ready(Ok(value)) => format!("ok:{}", value.to_string()),
        Poll::Ready(Err(reason)) => error(reason),
    }
}

/// A close reason in the words of the recording.
fn word(reason: &CloseReason) -> String {
    match reason {
        CloseReason::Protocol(_) => "invalid_protocol".to_owned(),
        CloseReason::PeerClosed | CloseReason::PeerNeverSpoke => "eof".to_owned(),
        CloseReason::Truncated => "unexpected_eof".to_owned(),
        other => panic!("no input ends a session with {other}"),
    }
}
