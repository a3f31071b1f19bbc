//! Tasks that wait to open or accept: first come, first served.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use smux_proto::{
    CloseReason, Command, Config, OpenError,
    poll::{Driver, SessionHandle, StreamHandle},
};

use crate::wire::{Count, Wire, now, run, server};

/// A task that waits for a stream, and how often it was woken.
struct Waiting {
    future: Pin<Box<dyn Future<Output = Option<StreamHandle>>>>,
    wakes: Arc<Count>,
    waker: Waker,
    polls: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Open,
    Accept,
}

const KINDS: [Kind; 2] = [Kind::Open, Kind::Accept];

impl Waiting {
    fn start(kind: Kind, session: &SessionHandle) -> Self {
        let session = session.clone();
        let (wakes, waker) = Count::waker();
        let mut waiting = Self {
            future: match kind {
                Kind::Open => Box::pin(async move { session.open().await.ok() }),
                Kind::Accept => Box::pin(async move { session.accept().await.ok() }),
            },
            wakes,
            waker,
            polls: 0,
        };
        assert!(waiting.poll().is_pending());
        waiting
    }

    fn poll(&mut self) -> Poll<Option<StreamHandle>> {
        self.polls += 1;
        let mut cx = Context::from_waker(&self.waker);
        self.future.as_mut().poll(&mut cx)
    }

    /// Polls only if woken.
    fn go_on(&mut self) -> Option<StreamHandle> {
        if self.wakes.take() == 0 {
            return None;
        }
        match self.poll() {
            Poll::Ready(stream) => Some(stream.expect("the session goes on")),
            Poll::Pending => None,
        }
    }
}

/// A session that gives streams one at a time, of either kind.
struct Source {
    session: SessionHandle,
    driver: Driver<Wire>,
    wire: Wire,
    taken: Option<StreamHandle>,
    next_id: u32,
}

impl Source {
    fn new(kind: Kind) -> Self {
        let config = Config::builder().max_outbound_streams(1).build();
        let (session, mut driver, wire) = server(config.expect("valid"));
        let taken = match kind {
            Kind::Open => Some(now(session.open()).expect("open")),
            Kind::Accept => None,
        };
        assert!(run(&mut driver, Waker::noop()).is_pending());
        Self {
            session,
            driver,
            wire,
            taken,
            next_id: 3,
        }
    }

    fn give(&mut self, kind: Kind) {
        match kind {
            Kind::Open => drop(self.taken.take()),
            Kind::Accept => {
                self.wire.receive(Command::Syn, self.next_id, b"");
                self.next_id += 2;
            }
        }
        assert!(run(&mut self.driver, Waker::noop()).is_pending());
    }
}

#[test]
fn waiting_tasks_are_served_in_order_with_one_wake_up_each() {
    for kind in KINDS {
        let mut source = Source::new(kind);
        let mut waiting: Vec<_> = (0..100)
            .map(|_| Waiting::start(kind, &source.session))
            .collect();
        for turn in 0..waiting.len() {
            source.give(kind);
            // Polled from the last to the first: the order of polls does not matter.
            for (place, task) in waiting.iter_mut().enumerate().rev() {
                let stream = task.go_on();
                assert_eq!(stream.is_some(), place == turn, "{kind:?}: turn {turn}");
                source.taken = stream.or_else(|| source.taken.take());
            }
        }
        for task in &waiting {
            assert_eq!(task.polls, 2, "{kind:?}");
        }
    }
}

#[test]
fn a_newcomer_does_not_overtake_waiting_tasks() {
    for kind in KINDS {
        let mut source = Source::new(kind);
        let mut first = Waiting::start(kind, &source.session);
        source.give(kind);
        let mut newcomer = Waiting::start(kind, &source.session);
        assert!(newcomer.go_on().is_none());
        source.taken = first.go_on();
        assert!(source.taken.is_some(), "{kind:?}");
        source.give(kind);
        assert!(newcomer.go_on().is_some(), "{kind:?}");
    }
}

/// Before and after its turn comes, and at every place in the queue.
#[test]
fn a_cancelled_waiter_passes_its_turn_on() {
    for kind in KINDS {
        for cancelled in 0..3 {
            for is_called in [true, false] {
                let mut source = Source::new(kind);
                let mut waiting: Vec<_> = (0..3)
                    .map(|_| Waiting::start(kind, &source.session))
                    .collect();
                if is_called {
                    source.give(kind);
                }
                drop(waiting.remove(cancelled));
                if !is_called {
                    source.give(kind);
                }
                for task in &mut waiting {
                    source.taken = task.go_on();
                    let case = format!("{kind:?} {cancelled} {is_called}");
                    assert!(source.taken.is_some(), "{case}");
                    source.give(kind);
                }
            }
        }
    }
}

#[test]
fn the_end_reaches_waiting_and_later_tasks() {
    for kind in KINDS {
        let source = Source::new(kind);
        let mut parked = Waiting::start(kind, &source.session);
        let mut others: Vec<_> = (0..10)
            .map(|_| Waiting::start(kind, &source.session))
            .collect();
        source.session.abort();
        for task in &mut others {
            assert_eq!(task.wakes.take(), 1);
            assert!(matches!(task.poll(), Poll::Ready(None)), "{kind:?}");
        }
        let closed = CloseReason::Aborted;
        let opened = now(source.session.open()).map(|stream| stream.id());
        assert_eq!(opened, Err(OpenError::Closed(closed.clone())));
        let accepted = now(source.session.accept()).map(|stream| stream.id());
        assert_eq!(accepted, Err(closed));
        assert!(matches!(parked.poll(), Poll::Ready(None)));
    }
}

/// Draining ends opening one task after the other.
#[test]
fn a_drain_reaches_all_tasks_that_wait_to_open() {
    let source = Source::new(Kind::Open);
    let mut waiting: Vec<_> = (0..10)
        .map(|_| Waiting::start(Kind::Open, &source.session))
        .collect();
    source
        .session
        .start_drain(std::time::Duration::from_secs(1));
    for task in &mut waiting {
        assert!(task.wakes.take() > 0);
        assert!(matches!(task.poll(), Poll::Ready(None)));
    }
}
