//! The threads of sessions, counted by the kernel. One test, so that no other's sessions are
//! counted.
#![cfg(target_os = "linux")]

mod common;

use std::{
    io::{Read, Write},
    thread,
    time::Duration,
};

use common::{client_with_valve, pair, stream, tasks, until, within};
use smux_blocking::{CloseReason, Config, Session};

#[test]
fn a_session_has_three_threads_that_sleep_and_end_with_it() {
    within(|| {
        let (client, server) = pair(&Config::v2());
        let streams: Vec<_> = (0..100).map(|_| stream(&client, &server)).collect();
        assert_eq!(tasks::of_sessions().len(), 2 * 3);
        idle_sessions_do_nothing(&client);
        drop(streams);
        assert_eq!(client.close(), CloseReason::Local);
        assert_eq!(server.closed(), CloseReason::PeerClosed);
        no_threads_left();

        // Ended by a handle that is dropped, with data on its way.
        let (client, server) = pair(&Config::v2());
        let (mut ours, _theirs) = stream(&client, &server);
        ours.write_all(&[0; 100_000]).expect("write");
        drop((ours, client));
        assert_eq!(server.closed(), CloseReason::PeerClosed);
        no_threads_left();

        // Aborted while its writer is blocked in the transport.
        let (near, _unread) = common::tcp_pair();
        let (client, valve) = client_with_valve(near, &Config::default());
        valve.fill(&client.open().expect("open"));
        client.abort();
        assert_eq!(client.closed(), CloseReason::Aborted);
        no_threads_left();

        // Aborted while its reader waits for room.
        let (client, server) = pair(&Config::default());
        let mut ours = client.open().expect("open");
        let writer = thread::spawn(move || while ours.write(&[0; 10_000]).is_ok() {});
        let room = server.config().max_receive_buffer();
        until("no room is left", || {
            server.stats().receive_buffered >= room
        });
        server.abort();
        assert_eq!(server.closed(), CloseReason::Aborted);
        writer.join().expect("no panic");
        drop(client);
        no_threads_left();
    });
}

/// Threads end a moment after their session.
fn no_threads_left() {
    until("all threads have ended", || tasks::of_sessions().is_empty());
}

fn idle_sessions_do_nothing(session: &Session) {
    let settled = || {
        let tasks = tasks::of_sessions();
        let switches: u64 = tasks.iter().map(|task| tasks::switches(task)).sum();
        let ticks: u64 = tasks.iter().map(|task| tasks::ticks(task)).sum();
        (switches, ticks)
    };
    let clock = session.open().expect("open");
    (&clock).write_all(b"open").expect("write");
    (&clock).flush().expect("flush");
    let wait = |millis| {
        let timeout = Some(Duration::from_millis(millis));
        clock.set_read_timeout(timeout).expect("not zero");
        common::assert_elapsed(&(&clock).read(&mut [0]).expect_err("nothing there"));
    };
    // What is on its way arrives.
    wait(100);
    let (switches, ticks) = settled();
    wait(500);
    let (switches, ticks) = (settled().0 - switches, settled().1 - ticks);
    assert!(
        switches <= 12 && ticks <= 2,
        "{switches} switches, {ticks} ticks"
    );
}
