//! Who waits for room in a shared budget, and who goes on first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What sessions may reserve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) limit: usize,
    /// What each session may reserve whatever the others have.
    pub(super) least: usize,
}

impl Rules {
    /// Returns what may be lent beyond the least of each session.
    const fn lendable(self) -> usize {
        self.limit - self.limit / 4
    }

    /// Returns the most that a session may have that has so much, of `all` that is reserved.
    pub(super) fn allowed(self, reserved: usize, all: usize) -> usize {
        let others = all.saturating_sub(reserved);
        let lent = self.lendable().saturating_sub(others) / 2;
        let least = self.least.min(self.limit - others);
        lent.max(least)
    }

    /// Returns the sum of reservations below which a session is allowed its goal; 0 if none is.
    fn due_below(self, reserved: usize, goal: usize) -> usize {
        let others = match goal <= self.least {
            true => self.limit.checked_sub(goal),
            false => self.lendable().checked_sub(2 * goal),
        };
        others.map_or(0, |others| others + reserved + 1)
    }
}

/// Sessions that wait until they are allowed their goals. Those that need the least room are served
/// first, and among equals those that came first. Every step takes O(log n).
pub(super) struct BudgetQueue<S> {
    next: u64,
    waiting: BTreeMap<u64, Waiting<S>>,
    /// All of them: when each is due, and its place.
    by_room: BTreeSet<(usize, Reverse<u64>)>,
    /// Those that waited for more than the least when last looked at: their goals and places.
    by_goal: BTreeSet<(usize, u64)>,
}

struct Waiting<S> {
    reserved: usize,
    goal: usize,
    /// It is due once less than this is reserved in all.
    due_below: usize,
    session: S,
}

impl<S> BudgetQueue<S> {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            by_room: BTreeSet::new(),
            by_goal: BTreeSet::new(),
        }
    }

    /// Has a session wait, which has reserved so much and needs `goal` in all. It keeps its place
    /// if it has one.
    pub(super) fn wait(
        &mut self,
        place: &mut Option<u64>,
        reserved: usize,
        goal: usize,
        session: S,
        rules: Rules,
    ) {
        let place = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.leave(place);
        let waiting = Waiting {
            reserved,
            goal,
            due_below: 0,
            session,
        };
        self.insert(place, waiting, rules);
    }

    fn insert(&mut self, place: u64, mut waiting: Waiting<S>, rules: Rules) {
        waiting.due_below = rules.due_below(waiting.reserved, waiting.goal);
        self.by_room.insert((waiting.due_below, Reverse(place)));
        if waiting.goal > rules.least {
            self.by_goal.insert((waiting.goal, place));
        }
        self.waiting.insert(place, waiting);
    }

    /// Gives up a place.
    pub(super) fn leave(&mut self, place: u64) {
        drop(self.remove(place));
    }

    fn remove(&mut self, place: u64) -> Option<Waiting<S>> {
        let waiting = self.waiting.remove(&place)?;
        self.by_room.remove(&(waiting.due_below, Reverse(place)));
        self.by_goal.remove(&(waiting.goal, place));
        Some(waiting)
    }

    /// Notes that the least has grown, which some of the waiting sessions may be allowed now.
    pub(super) fn on_least_grown(&mut self, rules: Rules) {
        while let Some(&(goal, place)) = self.by_goal.first()
            && goal <= rules.least
            && let Some(waiting) = self.remove(place)
        {
            self.insert(place, waiting, rules);
        }
    }

    /// Takes the next session that is allowed its goal while `all` is reserved.
    pub(super) fn take_due(&mut self, all: usize, rules: Rules) -> Option<S> {
        while self.due_below() > all {
            let &(_, Reverse(place)) = self.by_room.last()?;
            let waiting = self.remove(place)?;
            if rules.allowed(waiting.reserved, all) >= waiting.goal {
                return Some(waiting.session);
            }
            // The least has fallen since it came.
            self.insert(place, waiting, rules);
        }
        None
    }

    /// Returns the sum of reservations below which a session may be due.
    pub(super) fn due_below(&self) -> usize {
        self.by_room.last().map_or(0, |&(due_below, _)| due_below)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use std::vec::Vec;

    use super::*;

    const LIMIT: usize = 400;

    #[derive(Clone, Debug)]
    enum Step {
        Wait { reserved: usize, goal: usize },
        Leave(usize),
        Least(usize),
        Take { all: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..50_usize, 1..200_usize).prop_map(|(reserved, goal)| Step::Wait {
                reserved,
                goal: reserved + goal,
            }),
            1 => any::<usize>().prop_map(Step::Leave),
            1 => (0..=LIMIT / 4).prop_map(Step::Least),
            3 => (50..=LIMIT).prop_map(|all| Step::Take { all }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Beside a list that is searched from end to end.
        #[test]
        fn exactly_the_sessions_that_are_allowed_their_goals_are_due(steps in vec(step(), 1..80)) {
            let mut rules = Rules { limit: LIMIT, least: LIMIT / 4 };
            let mut queue = BudgetQueue::new();
            let mut waiting: Vec<(u64, usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Wait { reserved, goal } => {
                        let mut place = None;
                        queue.wait(&mut place, reserved, goal, (reserved, goal), rules);
                        waiting.push((place.expect("taken"), reserved, goal));
                    }
                    Step::Leave(any) if !waiting.is_empty() => {
                        let (place, ..) = waiting.swap_remove(any % waiting.len());
                        queue.leave(place);
                    }
                    Step::Leave(_) => {}
                    Step::Least(least) => {
                        let grown = least > rules.least;
                        rules.least = least;
                        if grown {
                            queue.on_least_grown(rules);
                        }
                    }
                    Step::Take { all } => {
                        let due = |&(_, reserved, goal): &(u64, usize, usize)| {
                            rules.allowed(reserved, all) >= goal
                        };
                        prop_assert!(!waiting.iter().any(due) || queue.due_below() > all);
                        while let Some((reserved, goal)) = queue.take_due(all, rules) {
                            let found = waiting
                                .iter()
                                .position(|&(_, r, g)| (r, g) == (reserved, goal));
                            waiting.remove(found.expect("it waits"));
                            prop_assert!(rules.allowed(reserved, all) >= goal);
                        }
                        prop_assert!(!waiting.iter().any(due));
                    }
                }
            }
        }
    }

    #[test]
    fn equals_are_served_in_the_order_they_came_and_keep_their_places() {
        let rules = Rules {
            limit: LIMIT,
            least: 10,
        };
        let mut queue = BudgetQueue::new();
        let mut places = [None; 3];
        for (name, place) in places.iter_mut().enumerate() {
            queue.wait(place, 0, 20, name, rules);
        }
        queue.wait(&mut places[0], 0, 20, 0, rules);
        assert_eq!(queue.take_due(LIMIT, rules), None);
        let served: Vec<_> = std::iter::from_fn(|| queue.take_due(0, rules)).collect();
        assert_eq!(served, [0, 1, 2]);
    }
}
