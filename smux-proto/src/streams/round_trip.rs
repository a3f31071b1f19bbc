//! The receiver's estimate of the round trip.

/// So many samples in a row that are all far above the estimate replace it.
const CONVINCING: u8 = 4;

/// The least sample, as long as others confirm that it was not too short.
///
/// Samples are never too short if the peer keeps to its windows, and too long if data queued on its
/// way. Senders exist that let several writers use the same credit: what they send too early gives
/// samples that are too short. So an estimate that several samples in a row exceed twofold gives
/// way to the least of these. That is also how a longer route is noticed.
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    least: Option<u32>,
    /// Samples in a row that were more than twice as long,
    longer: u8,
    /// and the least of them.
    least_longer: u32,
}

impl RoundTrip {
    /// Returns the estimate in microseconds.
    pub(crate) const fn estimate(&self) -> Option<u32> {
        self.least
    }

    /// Takes a sample of so many microseconds into account.
    pub(crate) fn sample(&mut self, trip: u32) {
        match self.least {
            Some(least) if trip / 2 > least => {
                self.least_longer = match self.longer {
                    0 => trip,
                    _ => trip.min(self.least_longer),
                };
                self.longer += 1;
                if self.longer == CONVINCING {
                    self.least = Some(self.least_longer);
                    self.longer = 0;
                }
            }
            least => {
                self.least = Some(least.map_or(trip, |least| least.min(trip)));
                self.longer = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RoundTrip;

    fn after(samples: &[u32]) -> Option<u32> {
        let mut trip = RoundTrip::default();
        for sample in samples {
            trip.sample(*sample);
        }
        trip.estimate()
    }

    #[test]
    fn the_estimate_is_the_least_sample() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[70]), Some(70));
        assert_eq!(after(&[70, 50, 60, 99]), Some(50));
    }

    #[test]
    fn too_short_a_sample_is_corrected() {
        assert_eq!(after(&[1, 60, 50, 70]), Some(1));
        assert_eq!(after(&[1, 60, 50, 70, 80]), Some(50));
    }

    #[test]
    fn a_longer_route_is_noticed() {
        assert_eq!(after(&[50, 50, 200, 210, 205, 220]), Some(200));
    }

    #[test]
    fn passing_queues_do_not_change_the_estimate() {
        assert_eq!(after(&[50, 200, 210, 205, 60, 200, 210, 205, 99]), Some(50));
    }
}
