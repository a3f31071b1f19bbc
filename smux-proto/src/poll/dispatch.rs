//! Who is woken by what.

use std::{mem::take, time::Duration};

use super::{
    state::State,
    wakers::{Interest, WakeList},
};
use crate::{Event, streams::table::Key};

impl State {
    /// Whether [`collect`](Self::collect) may have any task to wake.
    pub(super) fn has_wakeups(&self) -> bool {
        (self.deadline_moved && self.pumps.timer.is_some())
            || self.wake_everyone
            || self.session.has_events()
            || self.flushes.is_due()
            || self.read_pump_is_due()
            || self.write_pump_is_due()
    }

    fn read_pump_is_due(&self) -> bool {
        self.pumps.read.is_some() && (self.session.is_terminated() || self.session.wants_input())
    }

    fn write_pump_is_due(&self) -> bool {
        self.pumps.write.is_some()
            && (self.session.is_terminated()
                || self.session.wants_transmit()
                || self.session.wants_shutdown())
    }

    fn timer_pump_is_due(&self) -> bool {
        self.pumps.timer.is_some()
            && (self.session.is_terminated()
                || is_earlier(self.session.poll_timeout(), self.pumps.armed))
    }

    /// Takes the wakers that are due. True: there may be more.
    pub(super) fn collect(&mut self, wakes: &mut WakeList) -> bool {
        while wakes.has_room()
            && let Some((event, key)) = self.session.poll_event_at()
        {
            self.streams_woken += 1;
            self.dispatch(event, key, wakes);
        }
        while wakes.has_room()
            && let Some(key) = self.flushes.pop()
        {
            wakes.extend(self.blocked.take(key, Interest::Write));
        }
        let more = !wakes.has_room();
        if take(&mut self.wake_everyone) {
            self.broadcast(wakes);
        }
        self.collect_pumps(wakes);
        more
    }

    fn dispatch(&mut self, event: Event, key: Option<Key>, wakes: &mut WakeList) {
        let interests: &[_] = match event {
            Event::Acceptable => return wakes.extend(self.waiting.accept.take_all()),
            Event::Openable => return wakes.extend(self.waiting.open.take_all()),
            Event::Closed => return self.wake_everyone = true,
            Event::Readable(_) | Event::Finished(_) => &[Interest::Read],
            Event::Writable(_) => &[Interest::Write],
            Event::Stopped(_) => &[Interest::Write, Interest::Stop],
        };
        for &interest in interests {
            wakes.extend(key.and_then(|key| self.blocked.take(key, interest)));
        }
    }

    fn broadcast(&mut self, wakes: &mut WakeList) {
        wakes.extend(self.waiting.accept.take_all());
        wakes.extend(self.waiting.open.take_all());
        wakes.extend(self.waiting.finished.take_all());
        wakes.extend(self.blocked.take_all());
        self.flushes.clear();
    }

    fn collect_pumps(&mut self, wakes: &mut WakeList) {
        if self.read_pump_is_due() {
            wakes.extend(self.pumps.read.take());
        }
        if self.write_pump_is_due() {
            wakes.extend(self.pumps.write.take());
        }
        if take(&mut self.deadline_moved) && self.timer_pump_is_due() {
            wakes.extend(self.pumps.timer.take());
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
