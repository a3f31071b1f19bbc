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
use smux_blocking::{CloseReason, Config, Parts, Session, Stream};

#[test]
fn sessions_have_two_threads_each_and_share_one_that_end_with_them() {
    within(|| {
        // Also while they last, since their peers never answer.
        silent_peers_are_found_by_the_shared_thread();
        no_threads_left();

        let (client, server) = pair(&Config::v2());
        let streams: Vec<_> = (0..100).map(|_| stream(&client, &server)).collect();
        assert_eq!(tasks::of_sessions().len(), 2 * 2 + 1);
        idle_sessions_do_nothing(&client);
        messages_go_there_and_back(&streams[0]);
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

        // The same, with a transport that panics when it is shut down.
        let (near, _unread) = common::tcp_pair();
        let socket = near.try_clone().expect("clone");
        let parts = Parts::new(socket, near.try_clone().expect("clone"), move |how| {
            near.shutdown(how).expect("shutdown");
            panic!("a broken transport, on purpose")
        });
        let client = Session::client(parts, Config::default()).expect("client");
        let mut ours = client.open().expect("open");
        let timeout = Some(Duration::from_millis(100));
        ours.set_write_timeout(timeout).expect("not zero");
        while ours.write(&[0; 100_000]).is_ok() {}
        client.abort();
        assert_eq!(client.closed(), CloseReason::Aborted);
        drop((client, ours));
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

/// All of them start at the same moment.
fn silent_peers_are_found_by_the_shared_thread() {
    const COUNT: usize = 100;
    let config = Config::builder()
        .keep_alive_interval(Duration::from_millis(500))
        .keep_alive_timeout(Duration::from_millis(2_500))
        .keep_alive_required(true);
    let config = config.build().expect("valid");
    let (near, mut far): (Vec<_>, Vec<_>) = (0..COUNT).map(|_| common::tcp_pair()).unzip();
    let client = |tcp| Session::client(tcp, config.clone()).expect("client");
    let mut sessions: Vec<_> = near.into_iter().map(client).collect();
    // Threads name themselves, once they run.
    until("their threads have begun", || {
        tasks::of_sessions().len() == 2 * COUNT + 1
    });
    for peer in &mut far {
        let mut nop = [0; 8];
        peer.read_exact(&mut nop).expect("read");
        assert_eq!(nop, [1, 3, 0, 0, 0, 0, 0, 0]);
    }
    let closed = sessions.split_off(COUNT / 2);
    for session in closed {
        session.abort();
        assert_eq!(session.closed(), CloseReason::Aborted);
    }
    until("their threads have ended", || {
        tasks::of_sessions().len() <= COUNT + 1
    });
    for session in sessions {
        assert_eq!(session.closed(), CloseReason::KeepAliveTimeout);
    }
}

/// Threads end a moment after their session.
fn no_threads_left() {
    until("all threads have ended", || tasks::of_sessions().is_empty());
}

/// Threads that wait for data read themselves; the session's reader takes over from the last.
fn messages_go_there_and_back((ours, theirs): &(Stream, Stream)) {
    const COUNT: usize = 1_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..COUNT {
                (&mut &*theirs).read_exact(&mut [0; 8]).expect("read");
                (&mut &*theirs).write_all(&[0; 8]).expect("write");
            }
        });
        for _ in 0..COUNT {
            (&mut &*ours).write_all(&[0; 8]).expect("write");
            (&mut &*ours).read_exact(&mut [0; 8]).expect("read");
        }
    });
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
