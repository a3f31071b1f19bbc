//! Which tasks an event wakes.
//!
//! | what happened | woken |
//! |---|---|
//! | a stream can be accepted, opened | the first task that waits for it; when it has its stream, the next |
//! | a stream has something to read, or its peer finished | the stream's reader |
//! | a stream has room to write, has sent all, or is flushed | its writer |
//! | the peer stopped a stream | its writer, and the task that waits for the stop |
//! | flushing has ended | the writers of all streams that wait for a flush |
//! | the session, or its last pump, has ended | every task |
//! | output where there was none, the write side to be shut | the write pump |
//! | a flush of what the transport has taken | the write pump, also while a write is blocked |
//! | room to read where there was none | the read pump |
//! | a deadline earlier than the armed one | the timer pump |

use std::{mem::take, task::Waker, time::Duration};

use super::{
    state::{DriverWaker, Queue, State},
    wakers::{Aftermath, Interest},
};
use crate::{Event, streams::table::Key, trace::StallWatch};

impl State {
    /// Whether [`collect`](Self::collect) may find anything.
    pub(super) fn has_aftermath(&mut self) -> bool {
        (self.deadline_moved && (self.pumps.timer.is_some() || self.pumps.driver.is_some()))
            || self.wake_everyone
            || self.session.has_events()
            || !self.waiting.called.is_empty()
            || !self.session.released().is_empty()
            || self.session.trace().has_untold()
            || self.flushes.is_due()
            || match &self.pumps.driver {
                Some(driver) => self.is_due(driver),
                None => {
                    (self.pumps.read.is_some() && self.input_is_due())
                        || (self.pumps.write.is_some() && self.output_is_due())
                        || (self.pumps.blocked_write.is_some() && self.flushes.is_wanted())
                }
            }
    }

    /// All but its deadlines.
    fn is_due(&self, driver: &DriverWaker) -> bool {
        (driver.output && self.output_is_due())
            || (driver.room && self.input_is_due())
            || (driver.flush && self.flushes.is_wanted())
    }

    /// Whether a pump waits for output.
    #[inline(always)]
    pub(super) fn awaits_output(&self) -> bool {
        let driver = self.pumps.driver.as_ref();
        driver.is_some_and(|driver| driver.output) || self.pumps.write.is_some()
    }

    /// The waker of the pump that [waits for output](Self::awaits_output), if there is some.
    // Apart, as most writes come while a driver has been woken already.
    #[inline(never)]
    pub(super) fn call_for_output(&mut self) -> Option<Waker> {
        if !self.output_is_due() {
            return None;
        }
        let driver = self.pumps.driver.take().map(|driver| driver.waker);
        driver.or_else(|| self.pumps.write.take())
    }

    /// Whether a driver that has written all output can wait until the next deadline as things are.
    /// Then it is woken for output from now on, and no longer for a flush.
    pub(super) fn rests_after_write(&mut self) -> bool {
        if StallWatch::IS_ON
            || self.has_aftermath()
            || self.output_is_due()
            || self.flushes.is_wanted()
        {
            return false;
        }
        // A driver that waits for room may have got some, and one without a waker was woken.
        let Some(driver) = self.pumps.driver.as_mut().filter(|driver| !driver.room) else {
            return false;
        };
        driver.output = true;
        driver.flush = false;
        true
    }

    fn input_is_due(&self) -> bool {
        self.session.is_terminated() || self.session.wants_input()
    }

    fn output_is_due(&self) -> bool {
        self.session.is_terminated()
            || self.session.wants_transmit()
            || self.session.wants_shutdown()
    }

    fn deadline_is_due(&self) -> bool {
        self.session.is_terminated() || is_earlier(self.session.poll_timeout(), self.pumps.armed)
    }

    /// Takes what is due. True: there may be more.
    pub(super) fn collect(&mut self, aftermath: &mut Aftermath) -> bool {
        aftermath.release(self.session.released());
        aftermath.tell(self.session.trace().untold());
        while aftermath.has_room()
            && let Some((event, key)) = self.session.poll_event_at()
        {
            self.streams_woken += 1;
            self.dispatch(event, key, aftermath);
        }
        while aftermath.has_room()
            && let Some(key) = self.flushes.pop()
        {
            aftermath.extend(self.blocked.take(key, Interest::Write));
        }
        while aftermath.has_room()
            && let Some(waker) = self.waiting.called.pop()
        {
            aftermath.push(waker);
        }
        let more = !aftermath.has_room();
        if take(&mut self.wake_everyone) {
            self.broadcast(aftermath);
        }
        self.collect_pumps(aftermath);
        more
    }

    fn dispatch(&mut self, event: Event, key: Option<Key>, aftermath: &mut Aftermath) {
        let mut wake = |interest| {
            aftermath.extend(key.and_then(|key| self.blocked.take(key, interest)));
        };
        match event {
            Event::Readable(_) | Event::Finished(_) => wake(Interest::Read),
            Event::Writable(_) => wake(Interest::Write),
            Event::Stopped(_) => {
                wake(Interest::Write);
                wake(Interest::Stop);
            }
            Event::Acceptable => aftermath.extend(self.waiting.queue(Queue::Accept).call_next()),
            Event::Openable => aftermath.extend(self.waiting.queue(Queue::Open).call_next()),
            Event::Closed => self.wake_everyone = true,
        }
    }

    fn broadcast(&mut self, aftermath: &mut Aftermath) {
        // Writes fail from now on.
        self.take_in_outboxes();
        for queue in [Queue::Accept, Queue::Open, Queue::End] {
            aftermath.extend(self.waiting.queue(queue).call_all());
        }
        aftermath.extend(self.blocked.take_all());
    }

    fn collect_pumps(&mut self, aftermath: &mut Aftermath) {
        let deadline_moved = take(&mut self.deadline_moved);
        if let Some(driver) = &self.pumps.driver {
            if self.is_due(driver) || (deadline_moved && self.deadline_is_due()) {
                aftermath.extend(self.pumps.driver.take().map(|driver| driver.waker));
            }
            return;
        }
        if self.pumps.read.is_some() && self.input_is_due() {
            aftermath.extend(self.pumps.read.take());
        }
        if self.pumps.write.is_some() && self.output_is_due() {
            aftermath.extend(self.pumps.write.take());
        }
        // Output cannot concern a write pump whose transport takes none, but a flush can.
        if self.pumps.blocked_write.is_some() && self.flushes.is_wanted() {
            aftermath.extend(self.pumps.blocked_write.take());
        }
        if self.pumps.timer.is_some() && deadline_moved && self.deadline_is_due() {
            aftermath.extend(self.pumps.timer.take());
        }
    }
}

fn is_earlier(deadline: Option<Duration>, armed: Option<Duration>) -> bool {
    match (deadline, armed) {
        (Some(deadline), Some(armed)) => deadline < armed,
        (deadline, None) => deadline.is_some(),
        (None, Some(_)) => false,
    }
}
