//! The tasks of a pool: each keeps one session up.

use std::{
    future::{self, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    backoff::{Backoff, shortened},
    connect::BoxError,
    event::PoolEvent,
    link::Link,
    shared::Shared,
};
use crate::{
    CloseReason, Session,
    phase::{self, Phase, ended},
    race::{Either, race},
};

/// A session that has lived so long shows that the peer is reached: the next pause is short again.
const LASTING: Duration = Duration::from_secs(10);

/// By which part lifetimes differ, so that sessions which began together do not end together.
const LIFETIMES: f64 = 0.1;

/// Starts a task for one more session. The shared state has counted it already.
pub(super) fn start(shared: &Arc<Shared>, runtime: &Handle) {
    let keeper = Keeper {
        shared: Arc::clone(shared),
        phase: shared.phase.subscribe(),
        runtime: runtime.clone(),
        backoff: Backoff::new(shared.options.first_pause, shared.options.max_pause),
        old: None,
        is_counted: true,
        is_connecting: true,
    };
    runtime.spawn(keeper.run());
}

struct Keeper {
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    runtime: Handle,
    backoff: Backoff,
    /// The session to be replaced. As far as it opens streams, it does so until then.
    old: Option<Arc<Link>>,
    is_counted: bool,
    is_connecting: bool,
}

/// What became of a session in use.
enum Served {
    Lost(CloseReason),
    /// It opens no more, or has reached its lifetime.
    Worn,
    Idle,
    PoolEnded,
}

impl Keeper {
    async fn run(mut self) {
        while let Some(session) = self.connect().await {
            let started = Instant::now();
            let lifetime = self.shared.options.lifetime;
            let expiry = lifetime.and_then(|time| started.checked_add(shortened(time, LIFETIMES)));
            let link = Arc::new(Link::new(session, self.shared.options.max_opened));
            self.publish(&link);
            loop {
                match self.serve(&link, expiry).await {
                    Served::Lost(reason) => {
                        self.lose(&link, &reason);
                        if started.elapsed() >= LASTING {
                            self.backoff.reset();
                        }
                        let pause = self.backoff.pause();
                        if self.is_spared() || self.wait(pause).await.is_none() {
                            return self.finish();
                        }
                        break;
                    }
                    Served::Worn => {
                        self.set_connecting(true);
                        self.backoff.reset();
                        self.old = Some(link);
                        break;
                    }
                    Served::Idle if self.is_spared() => {
                        self.shared.withdraw(&link);
                        let session = &link.session;
                        self.shared.tell(&PoolEvent::Idle { session });
                        self.wind_up(&link);
                        return self.finish();
                    }
                    Served::Idle => {}
                    Served::PoolEnded => {
                        self.wind_up(&link);
                        return self.finish();
                    }
                }
            }
        }
        self.finish();
    }

    /// A session; `None` if none is needed any more.
    async fn connect(&mut self) -> Option<Session> {
        loop {
            let attempt = attempt(Arc::clone(&self.shared));
            let error = match race(ended(&mut self.phase), attempt).await {
                Either::First(()) => return None,
                Either::Second(Ok(session)) => return Some(session),
                Either::Second(Err(error)) => error,
            };
            self.shared.count_failure();
            let pause = self.backoff.pause();
            let error = &*error;
            self.shared.tell(&PoolEvent::ConnectFailed { error, pause });
            if self.old.is_none() && self.is_spared() {
                return None;
            }
            self.wait(pause).await?;
        }
    }

    /// Offers a session, instead of the old one if there is one.
    fn publish(&mut self, link: &Arc<Link>) {
        self.set_connecting(false);
        let old = self.old.take();
        self.shared.publish(link, old.as_ref());
        let session = &link.session;
        self.shared.tell(&PoolEvent::Connected { session });
        if let Some(old) = old {
            let session = &old.session;
            self.shared.tell(&PoolEvent::Replaced { session });
            self.wind_up(&old);
        }
    }

    fn lose(&mut self, link: &Arc<Link>, reason: &CloseReason) {
        self.shared.withdraw(link);
        self.shared.settle(&link.session);
        self.shared.count_lost();
        self.set_connecting(true);
        let session = &link.session;
        self.shared.tell(&PoolEvent::Lost { session, reason });
    }

    /// Waits until the session cannot be used any more, or need not.
    async fn serve(&mut self, link: &Link, expiry: Option<Instant>) -> Served {
        let options = &self.shared.options;
        let mut lost = pin!(link.session.on_closed());
        let mut spent = pin!(link.spent());
        let mut expired = pin!(passed(expiry));
        let mut idle = pin!(idle(link, options.idle_timeout));
        let mut pool_ended = pin!(ended(&mut self.phase));
        let may_end = options.min_sessions < options.max_sessions;
        poll_fn(|cx| {
            if pool_ended.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Served::PoolEnded);
            }
            if let Poll::Ready(reason) = lost.as_mut().poll(cx) {
                return Poll::Ready(Served::Lost(reason));
            }
            if spent.as_mut().poll(cx).is_ready() || expired.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Served::Worn);
            }
            if may_end && idle.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Served::Idle);
            }
            Poll::Pending
        })
        .await
    }

    /// Lets the streams of a session end that opens no more.
    fn wind_up(&self, link: &Link) {
        let session = link.session.clone();
        let shared = Arc::clone(&self.shared);
        let phase = self.phase.clone();
        self.runtime.spawn(wind_up(shared, session, phase));
    }

    /// `None` if the pool ended before.
    async fn wait(&mut self, pause: Duration) -> Option<()> {
        match race(ended(&mut self.phase), sleep(pause)).await {
            Either::First(()) => None,
            Either::Second(()) => Some(()),
        }
    }

    fn is_spared(&mut self) -> bool {
        let is_spared = self.shared.spare_keeper();
        self.is_counted &= !is_spared;
        is_spared
    }

    fn set_connecting(&mut self, is_connecting: bool) {
        if self.is_connecting != is_connecting {
            self.is_connecting = is_connecting;
            if is_connecting {
                self.shared.start_connecting();
            } else {
                self.shared.stop_connecting();
            }
        }
    }

    /// Ends in order: the session, if there is one, is taken care of.
    fn finish(&mut self) {
        if let Some(old) = self.old.take() {
            self.shared.withdraw(&old);
            self.wind_up(&old);
        }
        if self.is_counted {
            self.is_counted = false;
            self.shared.remove_keeper();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.set_connecting(false);
        // Its runtime ends, or the owner's function panicked: nothing keeps the pool up any more.
        if self.is_counted {
            self.shared.remove_keeper();
            self.shared.end(Phase::Closing);
        }
    }
}

/// One attempt, in a task of its own: a panic of the connector is an error like others.
async fn attempt(shared: Arc<Shared>) -> Result<Session, BoxError> {
    let mut connecting = JoinSet::new();
    connecting.spawn(shared.connector.connect());
    let Ok(connected) = timeout(shared.options.connect_timeout, connecting.join_next()).await
    else {
        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
    };
    connected.ok_or("no attempt")??
}

/// Waits until the session was without streams for all of `timeout`.
async fn idle(link: &Link, timeout: Duration) {
    loop {
        let before = link.opened();
        sleep(timeout).await;
        if link.session.stream_count() == 0 && link.opened() == before {
            return;
        }
    }
}

async fn passed(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}

/// Lets the streams of a session end, for as long as the pool's phase allows.
async fn wind_up(shared: Arc<Shared>, session: Session, phase: watch::Receiver<Phase>) {
    let limit = shared.options.drain_limit;
    if let Some(session) = phase::wind_up(session, limit, phase).await {
        shared.settle(&session);
    }
}
