//! Tasks that wait for the same thing, first come first served.

use std::task::Waker;

use slab::Slab;

use super::wakers::Spare;

/// A queue of places, each of one task until it leaves. Only data: nothing here wakes.
///
/// A task is *called* when it is its turn: then it is woken, and may act ahead of those who wait.
#[derive(Default)]
pub(super) struct WaitQueue {
    places: Slab<Place>,
    first: Option<usize>,
    last: Option<usize>,
}

struct Place {
    waker: Option<Waker>,
    called: bool,
    before: Option<usize>,
    behind: Option<usize>,
}

impl WaitQueue {
    /// Whether a task may act now: it is first, it was called, or no task waits.
    pub(super) fn is_turn_of(&self, place: Option<usize>) -> bool {
        match place.and_then(|place| Some((place, self.places.get(place)?))) {
            Some((key, place)) => place.called || self.first == Some(key),
            None => self.first.is_none(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Waits in `place`, which is taken at the first call.
    pub(super) fn register(&mut self, place: &mut Option<usize>, waker: &mut Spare<'_>) {
        if let Some(place) = place.and_then(|place| self.places.get_mut(place)) {
            waker.place(&mut place.waker);
            place.called = false;
            return;
        }
        let mut slot = None;
        waker.place(&mut slot);
        if slot.is_some() {
            *place = Some(self.push_back(slot));
        }
    }

    fn push_back(&mut self, waker: Option<Waker>) -> usize {
        let key = self.places.insert(Place {
            waker,
            called: false,
            before: self.last,
            behind: None,
        });
        match self.last.and_then(|last| self.places.get_mut(last)) {
            Some(last) => last.behind = Some(key),
            None => self.first = Some(key),
        }
        self.last = Some(key);
        key
    }

    /// Gives up a place. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn leave(&mut self, place: usize) -> Option<Waker> {
        let place = self.places.try_remove(place)?;
        match place.before.and_then(|before| self.places.get_mut(before)) {
            Some(before) => before.behind = place.behind,
            None => self.first = place.behind,
        }
        match place.behind.and_then(|behind| self.places.get_mut(behind)) {
            Some(behind) => behind.before = place.before,
            None => self.last = place.before,
        }
        place.waker
    }

    /// Calls the first task that is not called yet.
    pub(super) fn call_next(&mut self) -> Option<Waker> {
        let mut next = self.first;
        while let Some(place) = next.and_then(|next| self.places.get_mut(next)) {
            if !place.called {
                place.called = true;
                return place.waker.take();
            }
            next = place.behind;
        }
        None
    }

    /// Calls all tasks. Their places stay taken.
    pub(super) fn call_all(&mut self) -> impl Iterator<Item = Waker> {
        self.places.iter_mut().filter_map(|(_, place)| {
            place.called = true;
            place.waker.take()
        })
    }
}
