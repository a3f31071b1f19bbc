//! Counters of several sessions, added up.

use std::time::Duration;

use smux_proto::SessionStats;

/// Counters with a value in each group.
fn some_stats(factor: u64) -> SessionStats {
    let mut stats = SessionStats::default();
    stats.frames_received.syn = factor;
    stats.frames_sent.upd = 2 * factor;
    stats.payload_sent = 3 * factor;
    stats.ignored.stale_upd = 4 * factor;
    stats.stream_queue_stall_time = Duration::from_secs(5 * factor);
    stats.transport_time = Duration::from_secs(6 * factor);
    stats.streams_opened = 7 * factor;
    stats.glitches = u32::try_from(8 * factor).expect("small");
    stats
}

#[test]
fn sums_are_those_of_each_counter() {
    let mut sum = SessionStats::default();
    sum += &some_stats(1);
    assert_eq!(sum, some_stats(1));
    sum += &some_stats(10);
    assert_eq!(sum, some_stats(11));
}

#[test]
fn a_sum_has_the_shortest_round_trip() {
    let mut sum = SessionStats::default();
    for (round_trip, shortest) in [
        (None, None),
        (Some(3), Some(3)),
        (None, Some(3)),
        (Some(2), Some(2)),
        (Some(9), Some(2)),
    ] {
        let mut stats = SessionStats::default();
        stats.round_trip = round_trip.map(Duration::from_millis);
        sum += &stats;
        assert_eq!(sum.round_trip, shortest.map(Duration::from_millis));
    }
}

#[test]
fn a_sum_of_times_does_not_overflow() {
    let mut stats = SessionStats::default();
    stats.transport_time = Duration::MAX;
    stats.glitches = u32::MAX;
    let mut sum = stats.clone();
    sum += &stats;
    assert_eq!(sum, stats);
}
