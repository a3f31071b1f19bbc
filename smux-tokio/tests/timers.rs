//! Deadlines: on a clock and a timer that the application brings, and on tokio's.

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use smux_tokio::{Clock, CloseReason, Config, Session, Timer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::mpsc::unbounded_channel,
    time::{Instant, advance, sleep, timeout},
};

/// Time that the test moves. It has no waker: the test polls.
#[derive(Clone, Default)]
struct ManualTimer(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    now: Duration,
    sleeps_until: Option<Duration>,
}

impl ManualTimer {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().expect("no panic")
    }

    /// Moves on to when the session wants to be polled, and returns that time.
    fn skip(&self) -> Duration {
        let mut times = self.times();
        times.now = times.sleeps_until.take().expect("it waits for a deadline");
        times.now
    }
}

impl Timer for ManualTimer {
    fn clock(&self) -> Clock {
        let timer = self.clone();
        Clock::new(move || timer.times().now)
    }

    fn poll_sleep(&mut self, _: &mut Context<'_>, until: Duration) -> Poll<()> {
        let mut times = self.times();
        times.sleeps_until = Some(until);
        if times.now < until {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

#[test]
fn a_session_on_a_given_timer_keeps_deadlines_without_a_runtime() {
    let (near, far) = duplex(64 * 1024);
    let timers = [ManualTimer::default(), ManualTimer::default()];
    let config = Config::builder().keep_alive_required(true);
    let config = config.build().expect("valid");
    let [ours, theirs] = timers.clone();
    let (client, mut driver) = Session::client_with_timer(near, config.clone(), 1, ours);
    let (server, mut server_driver) = Session::server_with_timer(far, config, 2, theirs);
    let mut cx = Context::from_waker(Waker::noop());

    let Ok(Some(mut stream)) = client.try_open() else {
        panic!("there is room for a stream");
    };
    assert!(pin!(stream.write_all(b"hello")).poll(&mut cx).is_ready());
    assert!(Pin::new(&mut driver).poll(&mut cx).is_pending());
    assert!(Pin::new(&mut server_driver).poll(&mut cx).is_pending());
    let Poll::Ready(Ok(mut accepted)) = pin!(server.accept()).poll(&mut cx) else {
        panic!("the stream has arrived");
    };
    let mut text = [0; 5];
    assert!(
        pin!(accepted.read_exact(&mut text))
            .poll(&mut cx)
            .is_ready()
    );
    assert_eq!(&text, b"hello");

    // The server is not driven any more: the client has to notice by its timer.
    let ended = loop {
        let now = timers[0].skip();
        if let Poll::Ready(reason) = Pin::new(&mut driver).poll(&mut cx) {
            break (reason, now);
        }
    };
    assert_eq!(
        ended,
        (CloseReason::KeepAliveTimeout, Duration::from_secs(30))
    );
}

/// Counts how often its task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_wakes_the_task_that_polled_the_driver_last() {
    let (near, _far) = duplex(64 * 1024);
    let (_session, mut driver) = Session::client_with_driver(near, Config::v2());
    let wakes = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
    let [first, second] = wakes.clone().map(Waker::from);
    let counts = || wakes.each_ref().map(|wakes| wakes.0.load(Relaxed));

    // The deadline is the same each time, and twice also the task.
    for waker in [&first, &first, &second, &second] {
        let poll = Pin::new(&mut driver).poll(&mut Context::from_waker(waker));
        assert!(poll.is_pending());
    }
    assert_eq!(counts(), [0, 0]);
    advance(Duration::from_secs(11)).await;
    assert_eq!(counts(), [0, 1]);
}

/// For a thread that keeps many sessions alive, falling asleep and waking up costs most.
#[tokio::test(start_paused = true)]
async fn keep_alives_share_wake_ups_in_small_groups() {
    const SESSIONS: u32 = 1000;
    let interval = Duration::from_secs(10);
    let slack = interval / 256;
    let (sender, mut sent) = unbounded_channel();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let (near, mut far) = duplex(1024);
        sessions.push(Session::client(near, Config::v2()));
        let sender = sender.clone();
        tokio::spawn(async move {
            let mut last = Instant::now();
            while far.read_exact(&mut [0; 8]).await.is_ok() {
                let taken = last.elapsed();
                last = Instant::now();
                sender.send((taken, last)).expect("all are awaited");
            }
        });
        sleep(interval / SESSIONS).await;
    }
    let mut groups = HashMap::new();
    while let Ok(Some((taken, at))) = timeout(2 * interval, sent.recv()).await
        && groups.values().sum::<u32>() < 3 * SESSIONS
    {
        // A timer of tokio is late by up to a millisecond.
        let most = interval + slack + Duration::from_millis(2);
        assert!((interval..=most).contains(&taken), "{taken:?}");
        *groups.entry(at).or_default() += 1;
    }
    assert_eq!(groups.values().sum::<u32>(), 3 * SESSIONS);
    assert!(groups.len() <= 1000, "{} groups", groups.len());
    assert!(groups.values().all(|&group| group <= SESSIONS / 128));
}
