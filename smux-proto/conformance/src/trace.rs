//! Recordings of sessions of the Go implementation.
//!
//! The files in `traces/` were recorded with real Go sessions of the releases in their names;
//! 1.5.58 has files only where it differs from 1.5.57, which `go/record` checks. A packet trace has
//! the steps that were taken and every frame in both directions; the input vectors have malformed
//! and unusual input and how each call ended.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use smux_proto::Version;

use crate::frame::Frame;

/// A recorded session.
#[derive(Clone, Debug, Deserialize)]
pub struct Trace {
    /// The name of the scenario.
    pub scenario: String,
    /// The implementation, as `xtaci/smux 1.5.57`.
    pub implementation: String,
    protocol_version: u8,
    /// The configuration, in words.
    pub config: String,
    /// The roles of client and server, in words.
    pub roles: String,
    /// The steps, in words.
    pub script: Vec<String>,
    /// Every frame, in the order seen.
    pub frames: Vec<TraceFrame>,
}

impl Trace {
    /// The version of the protocol.
    pub fn version(&self) -> Version {
        version(self.protocol_version)
    }
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Direction {
    /// From the session under test.
    #[serde(rename = "go->peer")]
    Out,
    /// From the scripted peer.
    #[serde(rename = "peer->go")]
    In,
    /// From the client, where both ends are under test.
    #[serde(rename = "client->server")]
    ClientToServer,
    /// From the server, where both ends are under test.
    #[serde(rename = "server->client")]
    ServerToClient,
}

/// A recorded frame. Long payloads were recorded as their SHA-256 only.
#[derive(Clone, Deserialize)]
pub struct TraceFrame {
    /// Which way it went.
    #[serde(rename = "dir")]
    pub direction: Direction,
    #[serde(with = "hex")]
    header: [u8; 8],
    cmd: String,
    stream_id: u32,
    payload_len: usize,
    #[serde(default, with = "hex")]
    payload: Vec<u8>,
    #[serde(default, with = "hex")]
    payload_sha256: Vec<u8>,
}

impl TraceFrame {
    /// Whether `frame` is, byte for byte, what was recorded.
    pub fn matches(&self, frame: &Frame, version: Version) -> bool {
        let bytes = frame.encode(version);
        let (header, payload) = bytes.split_at(self.header.len());
        header == self.header && self.has_payload(payload)
    }

    fn has_payload(&self, payload: &[u8]) -> bool {
        match &*self.payload_sha256 {
            [] => payload == self.payload,
            digest => payload.len() == self.payload_len && *digest == *Sha256::digest(payload),
        }
    }

    /// The stream's number.
    pub fn stream_id(&self) -> u32 {
        self.stream_id
    }

    /// Whether this is an UPD.
    pub fn is_window_update(&self) -> bool {
        self.cmd == "UPD"
    }

    /// Bytes of payload.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// The frame's bytes. `candidate` is taken for the payload where only a digest was recorded.
    ///
    /// # Panics
    ///
    /// If the digest is not the candidate's.
    pub fn bytes(&self, candidate: &[u8]) -> Vec<u8> {
        let payload = if self.payload_sha256.is_empty() {
            &self.payload
        } else {
            candidate
        };
        assert!(
            self.has_payload(payload),
            "{self:?} is not of these {} bytes",
            payload.len()
        );
        [&self.header, payload].concat()
    }
}

impl fmt::Debug for TraceFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}({}, {} bytes)",
            self.direction, self.cmd, self.stream_id, self.payload_len
        )
    }
}

/// An input and what became of it.
///
/// The session is a client with stream 3 open, one read of it blocked, and keep-alive off. The
/// input arrives, then, unless the peer ended the transport, a SYN of stream 1000.
#[derive(Clone, Debug, Deserialize)]
pub struct InputVector {
    /// Its name.
    pub name: String,
    protocol_version: u8,
    /// The bytes.
    #[serde(with = "hex")]
    pub input: Vec<u8>,
    /// Whether the end of the transport follows.
    #[serde(rename = "then_peer_closes_its_sending_side")]
    pub eof: bool,
    /// The result of each call, by call, by Go release: `pending`, `ok:N` (a stream's number or a
    /// count of bytes), or an error.
    pub observed: BTreeMap<String, BTreeMap<String, String>>,
}

impl InputVector {
    /// The version of the protocol.
    pub fn version(&self) -> Version {
        version(self.protocol_version)
    }
}

/// Every packet trace, by the name of its file.
pub fn traces() -> BTreeMap<String, Trace> {
    let files = fs::read_dir(folder()).expect("the folder of traces");
    files
        .map(|file| {
            file.expect("a trace")
                .file_name()
                .into_string()
                .expect("a plain file name")
        })
        .filter(|name| name.ends_with(".json") && name != INPUT_VECTORS)
        .map(|name| (name.clone(), load(&name)))
        .collect()
}

/// Every input vector.
pub fn input_vectors() -> Vec<InputVector> {
    #[derive(Deserialize)]
    struct File {
        vectors: Vec<InputVector>,
    }
    load::<File>(INPUT_VECTORS).vectors
}

const INPUT_VECTORS: &str = "input_vectors.json";

fn load<T: DeserializeOwned>(name: &str) -> T {
    let text =
        fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("traces")
}

fn version(byte: u8) -> Version {
    match byte {
        1 => Version::V1,
        2 => Version::V2,
        other => panic!("version {other}"),
    }
}
