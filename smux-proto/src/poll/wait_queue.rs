//! Tasks that wait for the same thing, first come first served.

use std::task::Waker;

use slab::Slab;

use super::wakers::Spare;

/// A queue of places, each of one task until it leaves. Only data: nothing here wakes.
///
/// A task is *called* when it is its turn: then it is woken, and may act ahead of the waiting
/// tasks.
#[derive(Default)]
pub(super) struct WaitQueue {
    places: Slab<Place>,
    first: Option<Link>,
    last: Option<Link>,
}

struct Place {
    waker: Option<Waker>,
    called: bool,
    before: Option<Link>,
    behind: Option<Link>,
}

/// A key of the slab, in half of its size: a session has three queues, and most are empty.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u32);

impl Link {
    /// `None`: so many tasks fit in no memory.
    fn to(key: usize) -> Option<Self> {
        u32::try_from(key).ok().map(Self)
    }
}

impl WaitQueue {
    /// Whether a task may act now: it is first, it was called, or no task waits.
    pub(super) fn is_turn_of(&self, place: Option<usize>) -> bool {
        match place.and_then(|place| Some((place, self.places.get(place)?))) {
            Some((key, place)) => place.called || self.first == Link::to(key),
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

    fn at(&mut self, link: Link) -> Option<&mut Place> {
        self.places.get_mut(link.0 as usize)
    }

    fn push_back(&mut self, waker: Option<Waker>) -> usize {
        // In most sessions one task waits.
        if self.places.capacity() == 0 {
            self.places.reserve_exact(1);
        }
        let key = self.places.insert(Place {
            waker,
            called: false,
            before: self.last,
            behind: None,
        });
        let link = Link::to(key);
        match self.last.and_then(|last| self.at(last)) {
            Some(last) => last.behind = link,
            None => self.first = link,
        }
        self.last = link;
        key
    }

    /// Gives up a place. Drop what is returned without the lock.
    #[must_use]
    pub(super) fn leave(&mut self, place: usize) -> Option<Waker> {
        let place = self.places.try_remove(place)?;
        match place.before.and_then(|before| self.at(before)) {
            Some(before) => before.behind = place.behind,
            None => self.first = place.behind,
        }
        match place.behind.and_then(|behind| self.at(behind)) {
            Some(behind) => behind.before = place.before,
            None => self.last = place.before,
        }
        place.waker
    }

    /// Calls the first task that is not called yet.
    pub(super) fn call_next(&mut self) -> Option<Waker> {
        let mut next = self.first;
        while let Some(place) = next.and_then(|next| self.at(next)) {
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
