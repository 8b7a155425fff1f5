//! The list of the market's replicas, as whoever keeps it has it: who is absent when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time in which a market is not on the list; times are since the clock's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Which, from 0.
    pub market: usize,
    /// Its beginning.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// A round begins: have these markets be absent from the list at their times, in place of those
/// before, and let whoever remembers an older list forget it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetAbsences(pub Vec<Absence>);

/// The list, shared by all that read it.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<Vec<Absence>>>);

impl Registry {
    /// Has these be absent, in place of those before.
    pub fn set(&self, absences: Vec<Absence>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = absences;
    }

    /// Whether a market is on the list at this time.
    pub fn lists(&self, market: usize, at: Duration) -> bool {
        let absences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !absences.iter().any(|absence| absence.market == market && (absence.from..absence.to).contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_absent_is_not_on_the_list_at_that_time() {
        let (registry, s) = (Registry::default(), Duration::from_secs);
        registry.set(vec![Absence { market: 1, from: s(5), to: s(7) }]);
        let listed: Vec<bool> = [4, 5, 6, 7].map(|at| registry.lists(1, s(at))).to_vec();
        assert_eq!(listed, [true, false, false, true]);
        assert!(registry.lists(0, s(6)));
        registry.set(Vec::new());
        assert!(registry.lists(1, s(6)));
    }
}
