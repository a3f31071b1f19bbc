//! The receiver's estimate of the round trip.

/// How long a minimum counts for itself, in microseconds. After as much again it is forgotten.
const BUCKET: u64 = 60_000_000;

/// The least round trip lately, from samples that are never too short if the peer keeps to its
/// windows, and often too long.
///
/// Senders exist that let several writers use the same credit. What they send too early gives a
/// sample that is too short, so a sample counts for no less than the one before it: one such sample
/// has no effect. Minima of two periods are kept, so the estimate follows a change of route within
/// two of them. Without samples the last estimate stays.
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    last: Option<u32>,
    least: Option<u32>,
    least_before: Option<u32>,
    /// When the present period began, in microseconds.
    since: u64,
}

impl RoundTrip {
    /// Returns the estimate in microseconds.
    pub(crate) fn estimate(&self) -> Option<u32> {
        let known = self.least.into_iter().chain(self.least_before).min();
        known.or(self.last)
    }

    /// Takes a sample of so many microseconds into account.
    pub(crate) fn sample(&mut self, now: u64, trip: u32) {
        let Some(last) = self.last.replace(trip) else {
            return;
        };
        if now - self.since > BUCKET {
            self.since = now;
            self.least_before = self.least.take();
        }
        let trip = trip.max(last);
        self.least = Some(self.least.map_or(trip, |least| least.min(trip)));
    }
}

#[cfg(test)]
mod tests {
    use super::RoundTrip;

    const SECOND: u64 = 1_000_000;

    fn after(samples: &[u32]) -> Option<u32> {
        let mut trip = RoundTrip::default();
        for (second, sample) in (0..).zip(samples) {
            trip.sample(second * SECOND, *sample);
        }
        trip.estimate()
    }

    #[test]
    fn the_estimate_is_the_least_sample_that_another_confirms() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[50]), Some(50));
        assert_eq!(after(&[50, 70, 60, 90]), Some(70));
        assert_eq!(after(&[50, 50, 90, 90]), Some(50));
    }

    #[test]
    fn a_single_short_sample_has_no_effect() {
        assert_eq!(after(&[1, 50, 60]), Some(50));
        assert_eq!(after(&[50, 50, 1, 50]), Some(50));
    }

    #[test]
    fn a_longer_route_is_noticed_within_two_periods() {
        let mut trip = RoundTrip::default();
        for second in 0..10 {
            trip.sample(second * SECOND, 50);
        }
        for second in 10..100 {
            trip.sample(second * SECOND, 200);
        }
        assert_eq!(trip.estimate(), Some(50));
        for second in 100..140 {
            trip.sample(second * SECOND, 200);
        }
        assert_eq!(trip.estimate(), Some(200));
    }

    #[test]
    fn without_samples_the_estimate_stays() {
        let mut trip = RoundTrip::default();
        trip.sample(0, 50);
        trip.sample(1, 50);
        trip.sample(3_600 * SECOND, 80);
        assert_eq!(trip.estimate(), Some(50));
    }
}
