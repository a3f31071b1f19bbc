//! Packet traces of Go sessions, replayed with ours: the bytes must be the same.
//!
//! Each scenario repeats on our session what was done to the Go session. [`decided::decided`] lists
//! the deliberate differences, with the reason and the frames expected instead. An entry that makes
//! no difference any more fails.

mod decided;
mod scenarios;

use std::{collections::VecDeque, task::Poll, time::Duration};

use decided::{SECOND_FIN, decided};
use smux_conformance::{
    frame::{Frame, counting, decode_all},
    harness::Harness,
    trace::{Direction, Trace, TraceFrame, traces},
};
use smux_proto::{Config, StreamId, Version};

#[test]
fn our_bytes_are_those_of_the_reference_or_the_difference_is_decided() {
    let traces = traces();
    assert_eq!(traces.len(), 70, "all files are there");
    for (name, trace) in &traces {
        let actual = replay(trace, config(trace));
        match decided(trace) {
            None => assert_same(name, &actual, &recorded(trace), trace.version()),
            Some((why, expected)) => {
                assert_same(
                    &format!("{name} ({why})"),
                    &actual,
                    &expected,
                    trace.version(),
                );
                let differs =
                    first_difference(&actual, &recorded(trace), trace.version()).is_some();
                assert!(differs, "{name} is listed as different ({why}) and is not");
            }
        }
    }
}

/// The most frequent difference disappears with `half_close(false)`.
#[test]
fn without_half_close_a_close_is_one_fin_as_in_the_reference() {
    let with_second_fin = |trace: &Trace| decided(trace).is_some_and(|(why, _)| why == SECOND_FIN);
    let traces = traces();
    let chosen: Vec<_> = traces
        .iter()
        .filter(|(_, trace)| with_second_fin(trace))
        .collect();
    assert!(chosen.len() > 20, "only {} traces", chosen.len());
    for (name, trace) in chosen {
        let config = config(trace)
            .to_builder()
            .half_close(false)
            .build()
            .expect("valid");
        assert_same(
            name,
            &replay(trace, config),
            &recorded(trace),
            trace.version(),
        );
    }
}

// ------------------------------------------------------------------ comparing

#[derive(Debug)]
enum Expected<'t> {
    Recorded(&'t TraceFrame),
    Ours(Direction, Frame),
}

type Line = (Direction, Frame);

fn recorded(trace: &Trace) -> Vec<Expected<'_>> {
    trace.frames.iter().map(Expected::Recorded).collect()
}

fn first_difference(actual: &[Line], expected: &[Expected<'_>], version: Version) -> Option<usize> {
    let same = |(direction, frame): &Line, expected: &Expected<'_>| match expected {
        Expected::Recorded(recorded) => {
            recorded.direction == *direction && recorded.matches(frame, version)
        }
        Expected::Ours(way, ours) => way == direction && ours == frame,
    };
    let common = actual
        .iter()
        .zip(expected)
        .position(|(actual, expected)| !same(actual, expected));
    common.or_else(|| (actual.len() != expected.len()).then(|| actual.len().min(expected.len())))
}

fn assert_same(name: &str, actual: &[Line], expected: &[Expected<'_>], version: Version) {
    if let Some(at) = first_difference(actual, expected, version) {
        panic!("{name}: frame {at} differs\nactual: {actual:#?}\nexpected: {expected:#?}");
    }
}

// ------------------------------------------------------------------ replaying

/// Our session in the place of the Go session of a trace.
struct Replay<'t> {
    trace: &'t Trace,
    harness: Harness,
    incoming: VecDeque<&'t TraceFrame>,
    log: Vec<Line>,
}

impl Replay<'_> {
    /// Notes what our session has sent up to now.
    fn note(&mut self) {
        let sent = self.harness.take_frames();
        self.log
            .extend(sent.into_iter().map(|frame| (Direction::Out, frame)));
    }

    /// The peer sends its next `count` frames.
    fn feed(&mut self, count: usize) {
        for _ in 0..count {
            self.note();
            let recorded = self
                .incoming
                .pop_front()
                .expect("the peer has another frame");
            let bytes = recorded.bytes(&counting(recorded.payload_len()));
            assert_eq!(self.harness.peer_sends_bytes(&bytes), Ok(bytes.len()));
            self.log.extend(
                decode_all(&bytes)
                    .into_iter()
                    .map(|frame| (Direction::In, frame)),
            );
        }
    }

    /// Writes what the session takes now, and removes it from `data`.
    fn write_some(&mut self, id: StreamId, data: &mut &[u8]) {
        while let Poll::Ready(Ok(count @ 1..)) = self.harness.try_write(id, data) {
            *data = &data[count..];
            self.note();
        }
    }
}

/// The configuration that the trace names.
fn config(trace: &Trace) -> Config {
    let mut config = Config::builder().version(trace.version());
    for part in trace.config.split(", ") {
        config = match part.split_once('=').unwrap_or((part, "")) {
            ("DefaultConfig", "") => config,
            ("KeepAliveDisabled", "true") => config.keep_alive_disabled(),
            ("KeepAliveInterval", "50ms") => config.keep_alive_interval(Duration::from_millis(50)),
            ("KeepAliveTimeout", "10s") => config.keep_alive_timeout(Duration::from_secs(10)),
            ("MaxFrameSize", bytes) => config.max_frame_size(bytes.parse().expect("a number")),
            ("MaxStreamBuffer", bytes) => {
                config.max_stream_buffer(bytes.parse().expect("a number"))
            }
            other => panic!("configuration {other:?}"),
        };
    }
    config.build().expect("valid")
}

fn replay(trace: &Trace, config: Config) -> Vec<Line> {
    if trace.scenario == "echo_small" {
        return scenarios::echo_small(config);
    }
    let harness = match trace.roles.starts_with("Go client") {
        true => Harness::client(config),
        false => Harness::server(config),
    };
    let incoming = trace
        .frames
        .iter()
        .filter(|frame| frame.direction == Direction::In)
        .collect();
    let mut replay = Replay {
        trace,
        harness,
        incoming,
        log: Vec::new(),
    };
    scenarios::perform(&mut replay);
    replay.note();
    assert!(
        replay.incoming.is_empty(),
        "{}: the peer's frames were all sent",
        trace.scenario
    );
    replay.log
}
