//! Seed inputs for fuzzers.

use std::collections::BTreeMap;

use fastrand::Rng;
use smux_proto::Version;

use crate::{
    frame::counting,
    trace::{Direction, Trace, input_vectors, traces},
};

/// Inputs above this size teach a fuzzer little, slowly.
const LARGEST: usize = 4_096;

/// Seed inputs by target and name. For raw bytes they are the input of the recorded Go sessions and
/// the input vectors. Other targets decode their input, so their seeds are random.
pub fn seeds() -> BTreeMap<&'static str, BTreeMap<String, Vec<u8>>> {
    BTreeMap::from([
        ("raw_bytes", recorded()),
        ("operations", random(20, 1)),
        ("frames", random(20, 2)),
    ])
}

fn recorded() -> BTreeMap<String, Vec<u8>> {
    let mut seeds = BTreeMap::new();
    for vector in input_vectors() {
        let name = format!("vector {} {:?}", vector.name, vector.version());
        let mut input = header(vector.version(), false);
        input.extend(&vector.input);
        seeds.insert(file_name(&name), input);
    }
    for (name, trace) in traces() {
        for (direction, to_server) in [
            (Direction::In, false),
            (Direction::In, true),
            (Direction::ClientToServer, true),
        ] {
            let mut input = header(trace.version(), to_server);
            input.extend(bytes(&trace, direction));
            if input.len() > super::RAW_BYTES_HEADER && input.len() <= LARGEST {
                let role = if to_server { "server" } else { "client" };
                seeds.insert(
                    file_name(&format!("{role} {}", name.trim_end_matches(".json"))),
                    input,
                );
            }
        }
    }
    dedup(seeds)
}

/// Several releases received the same input.
fn dedup(seeds: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let unique: BTreeMap<Vec<u8>, String> = seeds
        .into_iter()
        .map(|(name, input)| (input, name))
        .collect();
    unique
        .into_iter()
        .map(|(input, name)| (name, input))
        .collect()
}

/// The first bytes of a raw input, which choose the session, its limits and the cuts.
fn header(version: Version, server: bool) -> Vec<u8> {
    let role = u8::from(version == Version::V2) | u8::from(server) << 1;
    vec![role, 0, 0, 6]
}

/// The bytes of one direction. Long payloads were recorded as digests and are known patterns.
fn bytes(trace: &Trace, direction: Direction) -> Vec<u8> {
    let frames = trace
        .frames
        .iter()
        .filter(|frame| frame.direction == direction);
    frames
        .flat_map(|frame| frame.bytes(&counting(frame.payload_len())))
        .collect()
}

fn random(count: u64, seed: u64) -> BTreeMap<String, Vec<u8>> {
    let seed = |number| {
        let mut rng = Rng::with_seed(seed << 32 | number);
        let length = rng.usize(50..2_000);
        let bytes = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
        (format!("random_{number:02}"), bytes)
    };
    (0..count).map(seed).collect()
}

fn file_name(text: &str) -> String {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(word).collect()
}
