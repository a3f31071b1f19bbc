//! The pool of sessions, in paused time.

mod common;

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use smux_tokio::{Config, Pool, PoolBuilder, PoolClosed, PoolEvent, Session, Stream, WeakSession};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::{JoinHandle, yield_now},
    time::{Instant, sleep, timeout},
};

use crate::common::within_a_day;

const SECOND: Duration = Duration::from_secs(1);

/// A peer in this process. Clones are the same one.
#[derive(Clone, Default)]
struct Peer(Arc<PeerState>);

#[derive(Default)]
struct PeerState {
    is_down: AtomicBool,
    attempts: AtomicUsize,
    /// Its ends of all sessions, in order.
    sessions: Mutex<Vec<Session>>,
    /// The pool's ends.
    ours: Mutex<Vec<WeakSession>>,
    events: Mutex<Vec<Event>>,
}

/// A [`PoolEvent`] to keep.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Connected,
    Failed(Duration),
    Lost,
    Replaced,
    Idle,
}

impl Peer {
    /// A pool of sessions that may have so many streams each.
    fn pool(&self, builder: PoolBuilder, streams: usize) -> Pool {
        let config = Config::v2().to_builder().max_outbound_streams(streams);
        let config = config.build().expect("valid");
        let (peer, told) = (self.clone(), self.clone());
        builder
            .on_event(move |event| told.note(event))
            .start(move || {
                let connected = peer.connect(&config);
                async { connected }
            })
    }

    fn connect(&self, config: &Config) -> io::Result<Session> {
        self.0.attempts.fetch_add(1, SeqCst);
        if self.0.is_down.load(SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.sessions().push(Session::server(far, Config::v2()));
        let session = Session::client(near, config.clone());
        lock(&self.0.ours).push(session.downgrade());
        Ok(session)
    }

    fn note(&self, event: &PoolEvent<'_>) {
        let event = match event {
            PoolEvent::Connected { .. } => Event::Connected,
            PoolEvent::ConnectFailed { pause, .. } => Event::Failed(*pause),
            PoolEvent::Lost { .. } => Event::Lost,
            PoolEvent::Replaced { .. } => Event::Replaced,
            PoolEvent::Idle { .. } => Event::Idle,
            other => panic!("unknown: {other:?}"),
        };
        lock(&self.0.events).push(event);
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        lock(&self.0.sessions)
    }

    fn session(&self, number: usize) -> Session {
        self.sessions()[number].clone()
    }

    fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, SeqCst);
    }

    fn attempts(&self) -> usize {
        self.0.attempts.load(SeqCst)
    }

    fn count(&self, event: &Event) -> usize {
        let events = lock(&self.0.events);
        events.iter().filter(|known| *known == event).count()
    }

    fn pauses(&self) -> Vec<Duration> {
        let events = lock(&self.0.events);
        let pauses = events.iter().filter_map(|event| match event {
            Event::Failed(pause) => Some(*pause),
            _ => None,
        });
        pauses.collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits in paused time.
async fn until(condition: impl Fn() -> bool) {
    within_a_day(async {
        while !condition() {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

/// Lets all tasks do what they can without time passing.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

async fn open(pool: &Pool) -> Stream {
    within_a_day(pool.open()).await.expect("not closed")
}

/// Opens `count` streams in tasks of their own.
fn open_later(pool: &Pool, count: usize) -> Vec<JoinHandle<Stream>> {
    let open_one = |_| {
        let pool = pool.clone();
        tokio::spawn(async move { open(&pool).await })
    };
    (0..count).map(open_one).collect()
}

#[tokio::test(start_paused = true)]
async fn streams_go_to_the_least_loaded_session() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().sessions(4), 1_000);
    until(|| pool.stats().sessions == 4).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(open(&pool).await);
    }
    settle().await;
    for session in &*peer.sessions() {
        assert_eq!(session.stream_count(), 5);
    }
    // Those of one session end: the next ones go there.
    let first = peer.session(0);
    for _ in 0..5 {
        drop(first.accept().await.expect("not closed"));
    }
    let mut number = 0;
    streams.retain(|_| {
        number += 1;
        number % 4 != 1
    });
    settle().await;
    assert_eq!(first.stream_count(), 0);
    for _ in 0..5 {
        streams.push(open(&pool).await);
    }
    settle().await;
    assert_eq!(first.stream_count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_connected_again() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder(), 1_000);
    for lost in 0..5 {
        let mut stream = open(&pool).await;
        stream.write_all(b"hello").await.expect("connected");
        peer.session(lost).abort();
        let mut rest = Vec::new();
        let read = within_a_day(stream.read_to_end(&mut rest)).await;
        assert!(read.is_err(), "a stream ends with its session");
    }
    open(&pool).await;
    assert_eq!(peer.count(&Event::Lost), 5);
    let stats = pool.stats();
    assert_eq!(stats.sessions_lost, 5);
    assert_eq!(stats.sessions_connected, 6);
    assert_eq!(stats.totals.streams_opened, 6);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_their_limit_and_differ() {
    let mut firsts = HashSet::new();
    for _ in 0..10 {
        let peer = Peer::default();
        peer.set_down(true);
        let builder = Pool::builder().pauses(SECOND, SECOND * 20);
        let pool = peer.pool(builder, 1);
        let start = Instant::now();
        until(|| peer.pauses().len() >= 8).await;
        let pauses = peer.pauses();
        let longest = [1, 2, 4, 8, 16, 20, 20, 20].map(|factor| SECOND * factor);
        for (pause, longest) in pauses.iter().zip(longest) {
            assert!(*pause <= longest && *pause >= longest / 2, "{pauses:?}");
        }
        let waited: Duration = pauses[..7].iter().sum();
        assert!(start.elapsed() >= waited);
        firsts.insert(pauses[0]);
        peer.set_down(false);
        open(&pool).await;
    }
    assert!(firsts.len() >= 9, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_longest_pause_of_zero_still_pauses() {
    let peer = Peer::default();
    peer.set_down(true);
    let _pool = peer.pool(Pool::builder().pauses(SECOND, Duration::ZERO), 1);
    until(|| peer.pauses().len() >= 10).await;
    assert!(peer.pauses().iter().all(|pause| *pause >= SECOND / 2));
    let _hasty = peer.pool(Pool::builder().pauses(Duration::ZERO, Duration::ZERO), 1);
    sleep(SECOND / 10).await;
    assert!(peer.pauses().len() <= 250);
}

/// A session that ends at once shows no more than one that cannot be connected.
#[tokio::test(start_paused = true)]
async fn pauses_begin_anew_after_a_session_that_has_lasted() {
    let peer = Peer::default();
    let builder = Pool::builder().pauses(SECOND, SECOND * 1_000);
    let pool = peer.pool(builder, 1);
    let mut last = Duration::ZERO;
    for lost in 0..10 {
        open(&pool).await;
        peer.session(lost).abort();
        let start = Instant::now();
        until(|| peer.count(&Event::Connected) == lost + 2).await;
        last = start.elapsed();
    }
    assert!(last >= SECOND * 256, "{last:?}");
    sleep(SECOND * 11).await;
    peer.session(10).abort();
    let start = Instant::now();
    until(|| peer.count(&Event::Connected) == 12).await;
    assert!(start.elapsed() <= SECOND * 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_or_panics_is_a_failure() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let pool = Pool::builder().connect_timeout(SECOND * 5).start({
        let attempts = Arc::clone(&attempts);
        move || {
            let attempt = attempts.fetch_add(1, SeqCst);
            async move {
                match attempt {
                    0 => std::future::pending().await,
                    1 => panic!("a connector that panics"),
                    _ => {}
                }
                let (near, far) = tokio::io::duplex(64);
                let server = Session::server(far, Config::v2());
                tokio::spawn(async move { server.closed().await });
                Ok::<_, io::Error>(Session::client(near, Config::v2()))
            }
        }
    });
    let start = Instant::now();
    open(&pool).await;
    assert!(start.elapsed() >= SECOND * 5);
    assert_eq!(attempts.load(SeqCst), 3);
    assert_eq!(pool.stats().connects_failed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_past_its_lifetime_is_replaced_and_its_streams_go_on() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().lifetime(SECOND * 100), 1_000);
    let mut old = open(&pool).await;
    old.write_all(b"first").await.expect("connected");
    until(|| peer.count(&Event::Replaced) == 1).await;
    let first = peer.session(0);
    let mut served = within_a_day(first.accept()).await.expect("not lost");
    // The new session takes what is opened, the old one carries what it has.
    open(&pool).await;
    assert_eq!(pool.stats().draining, 1);
    old.write_all(b" and last").await.expect("not lost");
    old.shutdown().await.expect("not lost");
    let mut text = String::new();
    within_a_day(served.read_to_string(&mut text))
        .await
        .expect("not lost");
    assert_eq!(text, "first and last");
    assert!(!first.is_closed());
    drop((old, served));
    within_a_day(first.closed()).await;
    until(|| pool.stats().draining == 0).await;
    assert_eq!(peer.count(&Event::Lost), 0);
}

#[tokio::test(start_paused = true)]
async fn lifetimes_of_sessions_that_began_together_differ() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().sessions(10).lifetime(SECOND * 1_000), 1);
    until(|| pool.stats().sessions == 10).await;
    let start = Instant::now();
    let mut ends = HashSet::new();
    for replaced in 1..=10 {
        until(|| peer.count(&Event::Replaced) >= replaced).await;
        let elapsed = start.elapsed();
        assert!(elapsed >= SECOND * 900 && elapsed <= SECOND * 1_001);
        ends.insert(elapsed.as_secs());
    }
    assert!(ends.len() > 3, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_past_its_lifetime_serves_while_the_peer_is_out_of_reach() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().lifetime(SECOND * 100), 1_000);
    open(&pool).await;
    peer.set_down(true);
    until(|| pool.stats().connects_failed >= 3).await;
    for _ in 0..10 {
        let opened = timeout(SECOND / 100, pool.open()).await;
        opened.expect("no wait").expect("not closed");
    }
    peer.set_down(false);
    until(|| peer.count(&Event::Replaced) == 1).await;
    open(&pool).await;
    settle().await;
    assert_eq!(peer.session(1).stats().frames_received.syn, 1);
    assert_eq!(pool.stats().sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_opened_its_streams_is_replaced() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().max_opened(3), 1_000);
    let mut streams = Vec::new();
    for _ in 0..30 {
        streams.push(open(&pool).await);
    }
    settle().await;
    assert_eq!(peer.sessions().len(), 11);
    for session in &peer.sessions()[..10] {
        assert_eq!(session.stream_count(), 3);
        assert!(!session.is_closed());
    }
    let stats = pool.stats();
    assert_eq!((stats.draining, stats.open_streams), (10, 30));
    assert_eq!(stats.sessions_replaced, 10);
    assert_eq!(stats.totals.streams_opened, 30);
}

/// More ids than a test can use up: a session that drains is in the same case.
#[tokio::test(start_paused = true)]
async fn a_session_that_opens_no_more_is_replaced_and_its_streams_go_on() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder(), 1_000);
    let mut stream = open(&pool).await;
    let worn = lock(&peer.0.ours)[0].upgrade().expect("in use");
    worn.start_drain(Duration::MAX);
    let _next = open(&pool).await;
    assert_eq!(worn.stats().streams_opened, 1);
    assert_eq!(peer.count(&Event::Replaced), 1);
    assert_eq!(peer.count(&Event::Lost), 0);
    stream.write_all(b"hello").await.expect("not lost");
    let mut served = peer.session(0).accept().await.expect("not closed");
    let mut text = [0; 5];
    within_a_day(served.read_exact(&mut text))
        .await
        .expect("not lost");
    assert_eq!(&text, b"hello");
}

/// Fifty streams at once, ten a session: neither fewer sessions nor more.
#[tokio::test(start_paused = true)]
async fn as_many_sessions_are_connected_as_are_needed() {
    let peer = Peer::default();
    let builder = Pool::builder().min_sessions(0).max_sessions(100);
    let pool = peer.pool(builder, 10);
    settle().await;
    assert_eq!(peer.attempts(), 0, "nothing is needed yet");
    let mut streams = Vec::new();
    for opening in open_later(&pool, 50) {
        streams.push(opening.await.expect("no panic"));
    }
    assert_eq!(peer.attempts(), 5);
    assert_eq!(pool.stats().sessions, 5);
    streams.push(open(&pool).await);
    assert_eq!(pool.stats().sessions, 6);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_all_limits_wait_and_are_served_in_order() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().max_sessions(2), 5);
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(&pool).await);
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..100 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            let stream = open(&pool).await;
            lock(&order).push(number);
            drop(stream);
        });
        settle().await;
    }
    assert_eq!(pool.stats().waiting, 100);
    assert_eq!(peer.attempts(), 2);
    // The peer's ends are dropped at once, so that streams end when ours do.
    for session in peer.sessions().iter() {
        session.stop_accepting();
    }
    streams.clear();
    until(|| lock(&order).len() == 100).await;
    let order = lock(&order).clone();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(pool.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_takes_nothing() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder(), 1);
    let stream = open(&pool).await;
    for _ in 0..10 {
        assert!(timeout(SECOND, pool.open()).await.is_err());
    }
    assert_eq!(pool.stats().waiting, 0);
    peer.session(0).stop_accepting();
    drop(stream);
    open(&pool).await;
    assert_eq!(pool.stats().totals.streams_opened, 2);
}

#[tokio::test(start_paused = true)]
async fn sessions_without_streams_are_closed_down_to_the_smallest_number() {
    let peer = Peer::default();
    let builder = Pool::builder().max_sessions(8).idle_timeout(SECOND * 30);
    let pool = peer.pool(builder, 1);
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(open(&pool).await);
    }
    sleep(SECOND * 1_000).await;
    assert_eq!(pool.stats().sessions, 8, "none is idle");
    for session in peer.sessions().iter() {
        session.stop_accepting();
    }
    drop(streams);
    let start = Instant::now();
    until(|| pool.stats().sessions == 1).await;
    assert!(start.elapsed() <= SECOND * 61);
    assert_eq!(peer.count(&Event::Idle), 7);
    sleep(SECOND * 1_000).await;
    let stats = pool.stats();
    assert_eq!((stats.sessions, stats.draining), (1, 0));
    open(&pool).await;
}

/// The peer is gone for good: what was only connected for calls that have given up does not go on.
#[tokio::test(start_paused = true)]
async fn no_session_is_connected_for_calls_that_have_given_up() {
    let peer = Peer::default();
    peer.set_down(true);
    let pool = peer.pool(Pool::builder().min_sessions(0), 1);
    assert!(timeout(SECOND * 100, pool.open()).await.is_err());
    until(|| pool.stats().connecting == 0).await;
    let attempts = peer.attempts();
    assert!(attempts > 3);
    sleep(SECOND * 1_000).await;
    assert_eq!(peer.attempts(), attempts);
    peer.set_down(false);
    open(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn connected_resolves_with_the_first_session() {
    let peer = Peer::default();
    peer.set_down(true);
    let pool = peer.pool(Pool::builder().min_sessions(0), 1);
    assert!(timeout(SECOND * 10, pool.connected()).await.is_err());
    peer.set_down(false);
    within_a_day(pool.connected()).await.expect("not closed");
    assert_eq!(pool.stats().sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn counters_are_summed_over_sessions_that_are_and_were() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().sessions(2).max_opened(2), 1_000);
    let mut written = 0;
    for bytes in (1..=20).map(|n| n * 1_000) {
        let mut stream = open(&pool).await;
        stream.write_all(&vec![7; bytes]).await.expect("connected");
        stream.shutdown().await.expect("connected");
        written += bytes as u64;
    }
    let received = |peer: &Peer| {
        let sessions = peer.sessions();
        let bytes = |session: &Session| session.stats().payload_received;
        sessions.iter().map(bytes).sum::<u64>()
    };
    until(|| received(&peer) == written).await;
    assert_eq!(pool.stats().totals.payload_sent, written);
    pool.close().await;
    let stats = pool.stats();
    assert_eq!(stats.totals.payload_sent, written);
    assert_eq!(stats.totals.streams_opened, 20);
    assert_eq!(
        (stats.sessions, stats.draining, stats.open_streams),
        (0, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_is_queued_and_fails_what_waits() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder(), 1);
    let mut stream = open(&pool).await;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.open().await.map(drop) }
    });
    settle().await;
    stream
        .write_all(b"the last words")
        .await
        .expect("connected");
    let session = peer.session(0);
    let serving = tokio::spawn(async move {
        let mut text = [0; 14];
        let mut served = session.accept().await.expect("a stream");
        served.read_exact(&mut text).await.expect("all of it");
        text
    });
    within_a_day(pool.close()).await;
    assert_eq!(&serving.await.expect("no panic"), b"the last words");
    assert_eq!(waiting.await.expect("no panic"), Err(PoolClosed));
    assert_eq!(pool.open().await.map(drop), Err(PoolClosed));
    assert_eq!(pool.connected().await, Err(PoolClosed));
    assert!(pool.is_closed() && peer.session(0).is_closed());
    sleep(SECOND * 1_000).await;
    assert_eq!(peer.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_streams_up_to_its_limit() {
    for is_in_time in [true, false] {
        let peer = Peer::default();
        let pool = peer.pool(Pool::builder().max_opened(1), 10);
        // One on a session that was replaced, one on the new one.
        let streams = [open(&pool).await, open(&pool).await];
        for session in peer.sessions().iter() {
            session.stop_accepting();
        }
        let start = Instant::now();
        pool.start_drain(SECOND * 100);
        assert_eq!(pool.open().await.map(drop), Err(PoolClosed));
        sleep(SECOND * 50).await;
        assert_eq!(pool.stats().open_streams, 2);
        let kept = (!is_in_time).then_some(streams);
        within_a_day(pool.drain(SECOND * 100)).await;
        assert_eq!(start.elapsed() < SECOND * 60, is_in_time);
        assert!(start.elapsed() <= SECOND * 110);
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_leaves_open_streams() {
    let peer = Peer::default();
    let pool = peer.pool(Pool::builder().sessions(2), 1_000);
    until(|| pool.stats().sessions == 2).await;
    let mut stream = open(&pool).await;
    stream.write_all(b"one").await.expect("connected");
    drop(pool.clone());
    sleep(SECOND * 100).await;
    assert!(!pool.is_closed());
    drop(pool);
    sleep(SECOND * 100).await;
    let open = |session: &&Session| !session.is_closed();
    assert_eq!(peer.sessions().iter().filter(open).count(), 1);
    stream.write_all(b" and two").await.expect("not lost");
    stream.shutdown().await.expect("not lost");
    let sessions = peer.sessions().clone();
    let session = sessions.iter().find(open).expect("one is open");
    let mut text = String::new();
    let mut served = session.accept().await.expect("a stream");
    served.read_to_string(&mut text).await.expect("all of it");
    assert_eq!(text, "one and two");
    drop((stream, served));
    within_a_day(session.closed()).await;
    assert_eq!(peer.attempts(), 2);
}

#[test]
fn a_pool_whose_runtime_ends_is_closed() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    };
    let (own, other) = (runtime(), runtime());
    let peer = Peer::default();
    let pool = {
        let _entered = own.enter();
        peer.pool(Pool::builder(), 1)
    };
    let _stream = own.block_on(pool.open()).expect("not closed");
    let waiting = {
        let pool = pool.clone();
        other.spawn(async move { pool.open().await.map(drop) })
    };
    other.block_on(yield_now());
    drop(own);
    let waited = other.block_on(waiting).expect("no panic");
    assert_eq!(waited, Err(PoolClosed));
    assert_eq!(other.block_on(pool.open()).map(drop), Err(PoolClosed));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_event_function_closes_the_pool() {
    let pool = Pool::builder()
        .on_event(|_| panic!("an owner that panics"))
        .start(|| async { Err::<Session, _>(io::Error::from(io::ErrorKind::NotFound)) });
    let opened = within_a_day(pool.open()).await;
    assert_eq!(opened.map(drop), Err(PoolClosed));
}
