//! Where we differ from the reference by decision.

use smux_conformance::{
    frame::{Frame, fin, psh, syn, upd},
    trace::{Direction, Trace},
};
use smux_proto::Version;

use crate::Expected;

pub(crate) const SECOND_FIN: &str =
    "a close before the peer's FIN adds a second FIN: reading has stopped";
const NO_LATE_UPDATE: &str = "after the peer's FIN a window update is of no use";
const FIN_WAS_NOT_A_STOP: &str =
    "1.5.28 to 1.5.53 stop writing at the peer's FIN; it ends the other direction only";
const NOTHING_AFTER_FIN: &str =
    "FIN stands behind all data that was written before it; the reference sends data after it";
const CONTROL_FIRST: &str =
    "control frames go before data across streams, writes waiting on one stream share a frame";
const WHOLE_HALVES: &str = "whole halves of the window are acknowledged; the reference acknowledges all, from half of it on";
const NO_BORROWED_BUFFERS: &str =
    "a write takes a copy; the reference sends the caller's buffer as it is later";

/// The decided differences: why, and what we send instead.
pub(crate) fn decided(trace: &Trace) -> Option<(&'static str, Vec<Expected<'_>>)> {
    let stops_at_fin = trace.implementation.ends_with("1.5.53");
    let keeps_unread_data = trace.implementation.ends_with("1.5.58");
    let difference = match (&*trace.scenario, trace.version()) {
        ("client_open_write5_close" | "server_open_write5_close" | "empty_write", _)
        | ("client_write_100000" | "client_write_65536_frame65535", _)
        | ("unread_data_then_local_close" | "echo_small" | "v2_initial_window_and_updates", _) => {
            (SECOND_FIN, fins_doubled(trace))
        }
        ("peer_fin_then_write", _) if stops_at_fin => (
            FIN_WAS_NOT_A_STOP,
            peer_then(trace, [psh(3, "response"), fin(3)]),
        ),
        ("upd_first_read_and_thresholds", _) => {
            // How many frames of 10 000 bytes were read, and the update that follows.
            let halves = [(1, 10_000), (5, 42_768), (8, 75_536), (11, 108_304)];
            (WHOLE_HALVES, with_updates(trace, &halves, 65_536))
        }
        ("upd_small_reads", _) => {
            let halves = [3, 11, 19, 27].map(|consumed| (1, consumed));
            (WHOLE_HALVES, with_updates(trace, &halves, 16))
        }
        ("peer_fin_then_write", Version::V2) => (NO_LATE_UPDATE, without_updates(trace)),
        // Older ones discard the data, so they have no update to send.
        ("closewrite_data_and_fin_together_loses_data", Version::V2) if keeps_unread_data => {
            (NO_LATE_UPDATE, without_updates(trace))
        }
        ("close_during_multi_frame_write", _) => {
            let data = ["aaaa", "bbbb", "cccc", "dddd"].map(|four| psh(3, four));
            (
                NOTHING_AFTER_FIN,
                peer_then(trace, data.into_iter().chain([fin(3), fin(3)])),
            )
        }
        ("shaper_order_v2", _) => {
            let control = [psh(3, "0"), upd(5, 4, 65_536), syn(2)];
            let data = [psh(3, "abc"), fin(3), psh(5, "m"), psh(7, "x")];
            (
                CONTROL_FIRST,
                peer_then(trace, control.into_iter().chain(data)),
            )
        }
        ("timed_out_write_is_still_sent", _) => (
            NO_BORROWED_BUFFERS,
            peer_then(trace, [psh(3, "AAAA"), psh(3, "BBBB")]),
        ),
        _ => return None,
    };
    Some(difference)
}

/// As recorded, but each FIN of ours that is before the peer's is sent twice.
fn fins_doubled(trace: &Trace) -> Vec<Expected<'_>> {
    let mut expected = Vec::new();
    for frame in &trace.frames {
        expected.push(Expected::Recorded(frame));
        let second = fin(frame.stream_id());
        let ours = matches!(frame.direction, Direction::Out | Direction::ClientToServer);
        if ours && frame.matches(&second, trace.version()) {
            expected.push(Expected::Ours(frame.direction, second));
        }
    }
    expected
}

fn without_updates(trace: &Trace) -> Vec<Expected<'_>> {
    let kept = trace
        .frames
        .iter()
        .filter(|frame| !frame.is_window_update());
    kept.map(Expected::Recorded).collect()
}

/// As recorded, but with other updates of stream 3: each behind so many frames of the peer's data.
fn with_updates<'t>(trace: &'t Trace, updates: &[(usize, u32)], window: u32) -> Vec<Expected<'t>> {
    let mut expected = without_updates(trace);
    for &(frames, consumed) in updates.iter().rev() {
        // The SYN is before the data.
        let place = (1 + frames).min(expected.len());
        expected.insert(
            place,
            Expected::Ours(Direction::Out, upd(3, consumed, window)),
        );
    }
    expected
}

/// The peer's frames as recorded, and then ours.
fn peer_then(trace: &Trace, ours: impl IntoIterator<Item = Frame>) -> Vec<Expected<'_>> {
    let peer = trace
        .frames
        .iter()
        .filter(|frame| frame.direction == Direction::In);
    let ours = ours
        .into_iter()
        .map(|frame| Expected::Ours(Direction::Out, frame));
    peer.map(Expected::Recorded).chain(ours).collect()
}
