//! A budget with more sessions than it has room for.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    vec::Vec,
};

use crate::poll::shared_budget::{SharedBudget, Sharer};

/// What stands in for a session: it wants a hundred bytes.
struct Member {
    budget: SharedBudget,
    reserved: AtomicUsize,
    served: AtomicUsize,
}

impl Member {
    const GOAL: usize = 100;

    fn new(budget: &SharedBudget) -> Arc<Self> {
        budget.join();
        Arc::new(Self {
            budget: budget.clone(),
            reserved: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
        })
    }
}

impl Sharer for Member {
    fn on_budget_freed(&self) {
        self.served.fetch_add(1, SeqCst);
        let reserved = self.budget.reserve(0, Self::GOAL);
        self.reserved.store(reserved, SeqCst);
    }
}

/// Not all of them, which would take turns in vain.
#[test]
fn room_for_a_few_is_offered_to_a_few_and_to_those_that_came_first() {
    shuttle::check_random(
        || {
            let budget = SharedBudget::new(25_600);
            let waiting: Vec<_> = (0..2_000).map(|_| Member::new(&budget)).collect();
            // Others take half of what is left, again and again.
            let mut taken = 0;
            while budget.allowed(0) >= Member::GOAL {
                taken = budget.reserve(0, budget.limit());
            }
            for member in &waiting {
                let session: Weak<Member> = Arc::downgrade(member);
                let session: Weak<dyn Sharer> = session;
                budget.wait(&mut None, 0, Member::GOAL, &session);
            }
            assert!(taken > Member::GOAL && budget.release(taken));
            budget.serve_waiting();
            let served = |member: &&Arc<Member>| member.served.load(SeqCst) > 0;
            let count = waiting.iter().filter(served).count();
            assert!((1..4).contains(&count), "{count}");
            for member in &waiting[..count] {
                assert_eq!(member.served.load(SeqCst), 1);
                assert_eq!(member.reserved.load(SeqCst), Member::GOAL);
            }
        },
        1,
    );
}
