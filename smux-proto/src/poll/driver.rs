//! One future that moves a session over a transport.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use super::{
    input::Delivery,
    output::Step,
    pacing::ROUNDS,
    pumps::Pumps,
    session_handle::SessionHandle,
    shared::Shared,
    state::DriverWaker,
    timer_pump::{Deadline, TimerPump, handle_due},
    transport::{Clock, Transport},
    write_pump::WritePump,
};
use crate::{CloseReason, Config, Side};

/// Starts a session over `transport`: a handle for the application, and the driver that moves it.
pub fn connect<T: Transport>(
    side: Side,
    config: Config,
    clock: Clock,
    transport: T,
) -> (SessionHandle, Driver<T>) {
    let (handle, pumps) = Pumps::new(side, config, clock);
    (handle, Driver::new(pumps, transport))
}

/// As [`connect`], with a seed as of [`Pumps::with_seed`].
pub fn connect_with_seed<T: Transport>(
    side: Side,
    config: Config,
    seed: u64,
    clock: Clock,
    transport: T,
) -> (SessionHandle, Driver<T>) {
    let (handle, pumps) = Pumps::with_seed(side, config, seed, clock);
    (handle, Driver::new(pumps, transport))
}

/// Moves a session's bytes and keeps its deadlines until it has ended; then drops the transport and
/// resolves.
///
/// Dropping it before then aborts the session: waiting calls return [`CloseReason::Aborted`].
#[must_use = "a session does nothing unless its driver is polled: spawn it"]
pub struct Driver<T> {
    running: Result<Running<T>, CloseReason>,
}

/// The order matters: the transport is dropped first, and only then do the pumps report the end.
struct Running<T> {
    transport: T,
    pumps: Pumps,
    shared: Arc<Shared>,
    /// A clone to place under the lock when others have taken the last one, to wake the driver.
    waker: Option<Waker>,
}

impl<T> Driver<T> {
    fn new(pumps: Pumps, transport: T) -> Self {
        Self {
            running: Ok(Running {
                shared: Arc::clone(&pumps.read.input.pump.shared),
                transport,
                pumps,
                waker: None,
            }),
        }
    }
}

impl<T: Transport + Unpin> Future for Driver<T> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let running = &mut self.get_mut().running;
        let reason = match running {
            Ok(running) => ready!(running.poll(cx)),
            Err(reason) => reason.clone(),
        };
        *running = Err(reason.clone());
        Poll::Ready(reason)
    }
}

impl<T: Transport> Running<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.pumps.begin();
        let poll = self.rounds(cx);
        self.pumps.read.rest();
        self.pumps.write.rest();
        poll
    }

    /// Goes on until neither the transport nor the session has more to do, or others should run.
    fn rounds(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut input = self.pumps.read.fetch(cx, &mut self.transport);
        let mut output = Turn::Ready;
        for _ in 0..ROUNDS {
            let mut round = self.round(cx, input, output);
            let Self {
                transport,
                pumps,
                shared,
                ..
            } = self;
            let Pumps { read, write, timer } = pumps;
            let mut moved = false;
            match round.step {
                Poll::Ready(None) => {
                    cx.waker().wake_by_ref();
                    output = Turn::MadeWay;
                }
                Poll::Ready(Some(Step::Write)) if output == Turn::Blocked => {}
                Poll::Ready(Some(step)) => {
                    moved = write.take(cx, transport, step).is_ready();
                    output = if moved { Turn::Ready } else { Turn::Blocked };
                }
                Poll::Pending => {}
            }
            if write.makes_way(cx, transport) {
                output = Turn::MadeWay;
            }
            if moved
                && output == Turn::Ready
                && write.has_written_all()
                && let Some(deadline) = settle_write(shared, write, timer)
            {
                moved = false;
                round.deadline = deadline;
            }
            if let Some(delivery) = round.delivery {
                input = read.input.delivered(cx, delivery);
                if input.is_ready() {
                    input = read.fetch(cx, transport);
                }
            }
            if moved || input.is_ready() {
                continue;
            }
            match round.deadline {
                Deadline::Ended => return Poll::Ready(timer.end()),
                Deadline::Never => return Poll::Pending,
                Deadline::At(until) => ready!(timer.sleep(transport.poll_sleep(cx, until))),
            }
            // It may be later than when the poll began.
            pumps.begin();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// All that the pumps have to do with the session, under one lock. Input comes first and then a
    /// deadline, so that what they cause to be sent leaves in the same round.
    fn round(&mut self, cx: &Context<'_>, input: Poll<()>, output: Turn) -> Round {
        let Self {
            pumps,
            shared,
            waker,
            ..
        } = self;
        let Pumps { read, write, timer } = pumps;
        if !waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        let now = write.output.pump.now();
        shared.act_on_streams(|state| {
            // Nothing that happens in here need wake the driver.
            let placed = state.pumps.driver.take().map(|driver| driver.waker);
            let delivery = input.is_ready().then(|| read.deliver_to(state, now));
            if state.pumps.armed.is_some_and(|at| at <= now) {
                // A write under way is not stuck if it has made progress.
                write.note_to(state, now);
                handle_due(state, now);
            }
            let step = if output == Turn::MadeWay {
                write.note_to(state, now);
                Poll::Pending
            } else {
                write.next_of(state, now)
            };
            let deadline = timer.next_of(state, now);
            let mine = placed
                .as_ref()
                .is_some_and(|placed| placed.will_wake(cx.waker()));
            let (waker, gone) = if mine {
                (placed, None)
            } else {
                (waker.take(), placed)
            };
            state.pumps.driver = waker.map(|waker| DriverWaker {
                waker,
                room: read.input.is_stalled(),
                output: step.is_pending() && output != Turn::MadeWay && !write.output.pump.done,
                flush: step == Poll::Ready(Some(Step::Write)),
            });
            Round {
                delivery,
                step,
                deadline,
                _gone: gone,
            }
        })
    }
}

/// Tells the session that all is written and flushed. Returns until when to sleep if there is no
/// more to do before.
///
/// After a single message that is so most of the time, and takes a third of another round.
fn settle_write(shared: &Shared, write: &mut WritePump, timer: &mut TimerPump) -> Option<Deadline> {
    let now = write.output.pump.now();
    shared.note_written(|state| {
        write.note_to(state, now);
        let rests = state.rests_after_write();
        rests.then(|| timer.upcoming(state, now)).flatten()
    })
}

/// Whether the write pump may go on in this poll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Ready,
    /// The transport takes no bytes.
    Blocked,
    /// Others have their turn.
    MadeWay,
}

/// What one look at the session has found to do without the lock.
struct Round {
    delivery: Option<Delivery>,
    /// `None`: others have their turn first.
    step: Poll<Option<Step>>,
    deadline: Deadline,
    /// Dropped without the lock.
    _gone: Option<Waker>,
}

impl<T> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
