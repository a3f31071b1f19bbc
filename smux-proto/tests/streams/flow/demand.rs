//! Windows follow demand: one stream's share of a long link, alone and beside others.

use std::{collections::BTreeMap, time::Duration};

use smux_conformance::long_link::{End, GoLike, LongLink, Node};
use smux_proto::{Config, StreamStats, WindowLimit};

/// Bytes a second: 1 Gbit/s.
const RATE: f64 = 125e6;
const SECOND: Duration = Duration::from_secs(1);
/// No case takes this long.
const LIMIT: Duration = Duration::from_secs(60);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn link(config: &Config, round_trip: u64) -> LongLink<Node, Node> {
    let (sender, receiver) = (Node::client(config.clone()), Node::server(config.clone()));
    LongLink::new(sender, receiver, RATE, ms(round_trip))
}

/// Bytes ÷ rate + round trip, as a share of the time that the transfer takes.
fn alone(config: &Config, round_trip: u64, bytes: u64) -> f64 {
    let mut link = link(config, round_trip);
    link.sender.send(bytes);
    let time = link.run_until(LIMIT, |link| link.receiver.total_read() == bytes);
    let best = bytes as f64 / RATE + ms(round_trip).as_secs_f64();
    best / time.as_secs_f64()
}

/// The share of the link that is read in the next half second.
fn share_from_now<A: End>(link: &mut LongLink<A, Node>) -> f64 {
    let before = link.receiver.total_read();
    link.advance(SECOND / 2);
    (link.receiver.total_read() - before) as f64 / (RATE / 2.0)
}

#[test]
fn one_stream_fills_a_long_link_untuned() {
    for (round_trip, goal) in [(10, 0.9), (50, 0.85), (100, 0.75), (200, 0.5)] {
        let share = alone(&Config::v2(), round_trip, 500_000_000);
        assert!(share >= goal, "{round_trip} ms: {share:.3}");
    }
}

#[test]
fn a_larger_receive_buffer_alone_fills_a_longer_link() {
    let config = Config::v2().to_builder().max_receive_buffer(128 << 20);
    let share = alone(&config.build().expect("valid"), 200, 500_000_000);
    assert!(share >= 0.65, "{share:.3}");
}

#[test]
fn idle_streams_cost_a_busy_one_nothing() {
    for idle in [10, 100, 1_000, 10_000] {
        let mut link = link(&Config::v2(), 50);
        // The backlog is shorter than some of these crowds.
        for opened in 0..idle {
            link.sender.send(100);
            if opened % 1_000 == 999 {
                link.advance(ms(60));
            }
        }
        link.advance(SECOND);
        assert_eq!(link.receiver.total_read(), 100 * idle);
        link.sender.send(u64::MAX);
        link.advance(3 * SECOND / 2);
        let share = share_from_now(&mut link);
        assert!(share >= 0.9, "beside {idle}: {share:.3}");
    }
}

/// Its window is as small as those of the idle ones, and the round trip is not known yet.
#[test]
fn a_stream_that_wakes_beside_idle_ones_gets_the_link() {
    let mut link = link(&Config::v2(), 50);
    let ids: Vec<_> = (0..1_000).map(|_| link.sender.send(100)).collect();
    link.advance(SECOND);
    for (index, bytes, goal) in [(10, 1_000_000, 0.5), (20, 100_000_000, 2.0)] {
        let before = (link.now(), link.receiver.total_read());
        link.sender.more(ids[index], bytes);
        let end = link.run_until(LIMIT, |link| link.receiver.total_read() == before.1 + bytes);
        let time = (end - before.0).as_secs_f64();
        assert!(time <= goal, "{bytes} bytes in {time:.3} s");
    }
}

/// All streams send at full speed; after a while this many of them are no longer read.
fn some_stop(streams: usize, stopped: usize) -> f64 {
    let mut link = link(&Config::v2(), 50);
    let ids: Vec<_> = (0..streams).map(|_| link.sender.send(u64::MAX)).collect();
    link.advance(3 * SECOND / 2);
    for id in &ids[..stopped] {
        link.receiver.pause(*id);
    }
    link.advance(SECOND / 2);
    let share = share_from_now(&mut link);
    let stats = link.receiver.session.stats();
    assert_eq!(stats.receive_stalls, 0, "{stats:?}");
    assert!(stats.receive_buffered <= 32 << 20, "{stats:?}");
    share
}

#[test]
fn an_unread_stream_costs_others_no_throughput() {
    let share = some_stop(2, 1);
    assert!(share >= 0.95, "{share:.3}");
    let share = some_stop(4, 3);
    assert!(share >= 0.3, "{share:.3}");
}

/// As the guide has it: each unread stream that grew halves what the next one gets.
#[test]
fn each_unread_stream_that_grew_halves_the_next_ones_window() {
    let mut link = link(&Config::v2(), 50);
    for least in [0.95, 0.95, 0.5, 0.2, 0.1] {
        let id = link.sender.send(u64::MAX);
        link.advance(SECOND);
        let share = share_from_now(&mut link);
        let stats = link.receiver.session.stats();
        assert!(share >= least, "{share:.3}, goal {least}: {stats:?}");
        assert_eq!((stats.receive_stalls, stats.starvations), (0, 0));
        link.receiver.pause(id);
        link.advance(SECOND / 2);
    }
}

#[test]
fn concurrent_go_writers_fill_a_long_link() {
    for (streams, writers) in [(1, 4), (4, 1), (4, 4)] {
        for write in [32_768, 1 << 20] {
            let sender = GoLike::new(streams, writers, write);
            let receiver = Node::server(Config::v2());
            let mut link = LongLink::new(sender, receiver, RATE, ms(50));
            link.advance(SECOND);
            let share = share_from_now(&mut link);
            let stats = link.receiver.session.stats();
            assert!(
                share >= 0.85,
                "{streams} × {writers} × {write}: {share:.3}, {stats:?}"
            );
        }
    }
}

/// Jain's index.
fn fairness(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (squares * shares.len() as f64)
}

#[test]
fn streams_that_start_together_share_the_link_equally() {
    for streams in [10, 100] {
        let mut link = link(&Config::v2(), 50);
        for _ in 0..streams {
            link.sender.send(u64::MAX);
        }
        link.advance(3 * SECOND / 2);
        let read = |link: &LongLink<Node, Node>| -> BTreeMap<_, _> {
            let streams = link.receiver.session.streams();
            streams.map(|(id, stats)| (id, stats.bytes_read)).collect()
        };
        let before = read(&link);
        let share = share_from_now(&mut link);
        let bytes: Vec<_> = read(&link)
            .iter()
            .map(|(id, read)| (read - before[id]) as f64)
            .collect();
        let index = fairness(&bytes);
        assert!(
            share >= 0.9 && index >= 0.95,
            "{streams}: {share:.3}, {index:.3}"
        );
    }
}

#[test]
fn a_slow_reader_keeps_a_small_window() {
    for (rate, most) in [(1_000_000, 1 << 20), (20_000_000, 4 << 20)] {
        let mut link = link(&Config::v2(), 50);
        let id = link.sender.send(u64::MAX);
        link.advance(ms(26));
        link.receiver.pause(id);
        let now = link.now();
        link.receiver.read(id, Some(rate), now);
        link.advance(5 * SECOND);
        let share = share_from_now(&mut link) * RATE / rate as f64;
        let window = link
            .receiver
            .session
            .stream(id)
            .expect("open")
            .stats()
            .receive_window;
        assert!(
            share >= 0.95 && window <= most,
            "{rate}: {share:.3}, {window}"
        );
    }
}

/// A link that half of the budget covers is filled, with one writer or several. The stream may
/// begin with its bulk, or with a small request that puts the bulk out of step with the updates.
#[test]
fn a_link_is_filled_if_half_of_the_budget_covers_it() {
    for budget in [4 << 20, 32 << 20] {
        let config = Config::v2().to_builder().max_receive_buffer(budget);
        let config = config.build().expect("valid");
        for rate in [5e6, 20e6] {
            for round_trip in [10, 50, 150] {
                let on_the_way = rate * ms(round_trip).as_secs_f64();
                let most = (budget as f64 * 15.0 / 32.0) / (on_the_way + 524_288.0);
                let server = || Node::server(config.clone());
                for first in [0, 5_000] {
                    let sender = Node::client(config.clone());
                    let mut link = LongLink::new(sender, server(), rate, ms(round_trip));
                    let id = link.sender.send(first);
                    link.advance(ms(round_trip / 2));
                    link.sender.more(id, u64::MAX);
                    let share = settled(&mut link, round_trip, rate);
                    let case = (budget, rate, round_trip, first);
                    assert!(
                        share >= 0.8 * most.min(1.0),
                        "{case:?}: {share:.3} of {most:.3}"
                    );
                }
                for (writers, write) in [(4, 32_768), (2, 1 << 20)] {
                    let sender = GoLike::new(1, writers, write);
                    let mut link = LongLink::new(sender, server(), rate, ms(round_trip));
                    let share = settled(&mut link, round_trip, rate);
                    let case = (budget, rate, round_trip, writers, write);
                    assert!(
                        share >= 0.8 * most.min(1.0),
                        "{case:?}: {share:.3} of {most:.3}"
                    );
                }
            }
        }
    }
}

/// What is read in half a second or more after the first 15 round trips, as a share of the link.
fn settled<A: End>(link: &mut LongLink<A, Node>, round_trip: u64, rate: f64) -> f64 {
    link.advance(ms(15 * round_trip));
    let before = link.receiver.total_read();
    let time = ms(5 * round_trip).max(SECOND / 2);
    link.advance(time);
    (link.receiver.total_read() - before) as f64 / rate / time.as_secs_f64()
}

/// The receiver's statistics of the only stream.
fn only_stream(link: &LongLink<Node, Node>) -> StreamStats {
    let mut streams = link.receiver.session.streams();
    let (_, stats) = streams.next().expect("a stream");
    assert!(streams.next().is_none());
    stats
}

#[test]
fn statistics_show_the_round_trip_and_what_limits_a_window() {
    let mut link = link(&Config::v2(), 50);
    link.sender.send(u64::MAX);
    assert_eq!(link.receiver.session.stats().round_trip, None);
    link.advance(SECOND / 2);
    let round_trip = link.receiver.session.stats().round_trip;
    let round_trip = round_trip.expect("the peer has waited");
    assert!(
        round_trip >= ms(50) && round_trip < ms(55),
        "{round_trip:?}"
    );
    // Doubling would lead to 16 MiB, but one stream gets less than half of the budget.
    let stats = only_stream(&link);
    assert_eq!(stats.window_limit, WindowLimit::ReceiveBuffer, "{stats:?}");
    assert!(stats.receive_window >= 15 << 20, "{stats:?}");

    let small = Config::v2().to_builder().max_stream_buffer(1 << 20);
    let mut small = self::link(&small.build().expect("valid"), 50);
    small.sender.send(u64::MAX);
    small.advance(SECOND / 2);
    let stats = only_stream(&small);
    assert_eq!(stats.window_limit, WindowLimit::StreamBuffer, "{stats:?}");
    assert_eq!(stats.receive_window, 1 << 20);

    let mut short = self::link(&Config::v2(), 5);
    short.sender.send(u64::MAX);
    short.advance(SECOND / 2);
    let stats = only_stream(&short);
    assert_eq!(stats.window_limit, WindowLimit::Demand, "{stats:?}");
    assert!(
        (2 << 20..=4 << 20).contains(&stats.receive_window),
        "{stats:?}"
    );
}
