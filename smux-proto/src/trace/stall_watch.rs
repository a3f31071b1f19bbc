//! Which stalls last, and which of them were told.

use alloc::{collections::BTreeMap, vec::Vec};
use core::{mem, time::Duration};

use tracing::Level;

use super::{Obstacle, Stall, enabled::Trace, message::may_be_heard};
use crate::wire::StreamId;

/// How long nothing moves before that is told.
const LASTS: Duration = Duration::from_secs(5);
/// From one look to the next.
const LOOK: Duration = Duration::from_secs(1);
/// From one warning of a session to the next, however many of its streams are stalled.
const PAUSE: Duration = Duration::from_secs(10);

/// Looks now and then, which costs the streams nothing while they move.
#[derive(Debug)]
pub(crate) struct StallWatch {
    looked: Duration,
    warned: Option<Duration>,
    known: BTreeMap<(Obstacle, Option<StreamId>), Known>,
}

/// A stall that was seen at the last look.
#[derive(Debug)]
struct Known {
    progress: u64,
    since: Duration,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Not,
    /// A warning was about it, so its end is told too.
    Named,
    /// Another's warning counted it.
    Counted,
}

impl StallWatch {
    #[cfg(feature = "poll")]
    pub(crate) const IS_ON: bool = true;

    pub(crate) const fn new(now: Duration) -> Self {
        Self {
            looked: now,
            warned: None,
            known: BTreeMap::new(),
        }
    }

    /// When to look next; `may_stall`: there is data that could be held up.
    pub(crate) fn next_look(&self, may_stall: bool) -> Option<Duration> {
        let is_needed = may_stall || !self.known.is_empty();
        (is_needed && may_be_heard(Level::WARN)).then(|| self.looked.saturating_add(LOOK))
    }

    pub(crate) fn is_due(&self, may_stall: bool, now: Duration) -> bool {
        self.next_look(may_stall).is_some_and(|at| now >= at)
    }

    /// Compares the stalls that there are with those of the last look.
    pub(crate) fn look(&mut self, now: Duration, stalls: Vec<Stall>, trace: &mut Trace) {
        self.looked = now;
        let mut before = mem::take(&mut self.known);
        for stall in stalls {
            let place = (stall.obstacle, stall.stream);
            let same = match before.remove(&place) {
                Some(known) if known.progress == stall.progress => Some(known),
                Some(other) => {
                    other.end(place, now, trace);
                    None
                }
                None => None,
            };
            let known = same.unwrap_or(Known {
                progress: stall.progress,
                since: stall.since,
                told: Told::Not,
            });
            self.known.insert(place, known);
        }
        for (place, gone) in before {
            gone.end(place, now, trace);
        }
        self.warn(now, trace);
    }

    /// All of them end with the session.
    pub(crate) fn end(&mut self, now: Duration, trace: &mut Trace) {
        for (place, known) in mem::take(&mut self.known) {
            known.end(place, now, trace);
        }
    }

    /// Warns of the stall that has lasted longest of those that were not told, and counts the
    /// others. A stalled link explains all others, so they wait until it is told.
    fn warn(&mut self, now: Duration, trace: &mut Trace) {
        if self.warned.is_some_and(|before| now < before + PAUSE) {
            return;
        }
        let link = self.known.get(&(Obstacle::Link, None));
        let link = link.map(|link| (link.told, now.saturating_sub(link.since)));
        if link.is_some_and(|(told, age)| told == Told::Not && (LOOK..LASTS).contains(&age)) {
            return;
        }
        let new = self.known.iter_mut().filter(|(_, known)| {
            known.told == Told::Not && now.saturating_sub(known.since) >= LASTS
        });
        let mut new: Vec<_> = new.collect();
        new.sort_by_key(|(place, known)| (place.0 != Obstacle::Link, known.since));
        let more = new.len().saturating_sub(1);
        for (_, known) in new.iter_mut().skip(1) {
            known.told = Told::Counted;
        }
        if let Some((place, oldest)) = new.into_iter().next() {
            oldest.told = Told::Named;
            self.warned = Some(now);
            trace.stall_lasts(place.0, place.1, now.saturating_sub(oldest.since), more);
        }
    }
}

impl Known {
    fn end(&self, place: (Obstacle, Option<StreamId>), now: Duration, trace: &mut Trace) {
        if self.told == Told::Named {
            trace.stall_ended(place.0, place.1, now.saturating_sub(self.since));
        }
    }
}
