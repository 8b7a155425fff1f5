//! Void measurements that are taken again: bounded, since a run must end on a noisy machine too.

use scenarios::Plan;

/// In shares of all that are planned.
const SHARE_MAX: f64 = 0.3;
/// Of one cell, in shares of its rounds: who is disturbed again and again does not take the repeats
/// of its neighbours.
const SHARE_OF_CELL_MAX: f64 = 2.0 * SHARE_MAX;

/// What is left of them.
#[derive(Debug)]
pub(super) struct Repeats {
    all: usize,
    /// Cell by cell.
    cells: Vec<usize>,
}

impl Repeats {
    pub(super) fn of(plan: &Plan) -> Repeats {
        let share = |share: f64, of: usize| (share * of as f64) as usize;
        let of_cell = share(SHARE_OF_CELL_MAX, plan.rounds.len());
        Repeats { all: share(SHARE_MAX, plan.measurements()), cells: vec![of_cell; plan.cells.len()] }
    }

    /// Takes one for a cell; `false` where there is none left.
    pub(super) fn take(&mut self, cell: usize) -> bool {
        let is_left = self.all > 0 && self.cells[cell] > 0;
        if is_left {
            self.all -= 1;
            self.cells[cell] -= 1;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use scenarios::{PlanOptions, Scenario};
    use terms::Extent;

    use super::*;

    #[test]
    fn a_cell_takes_no_more_than_its_share_and_all_no_more_than_theirs() {
        let scenario = Scenario::find("ny-london", &[]).unwrap();
        let plan = Plan::make(&scenario, &PlanOptions::of(Extent::Quick)).unwrap();
        let (cells, rounds) = (plan.cells.len(), plan.rounds.len());
        assert_eq!((cells, rounds), (10, 10));
        let mut repeats = Repeats::of(&plan);
        let mut taken = |cell| (0..rounds).filter(|_| repeats.take(cell)).count();
        assert_eq!([taken(0), taken(0), taken(3)], [6, 0, 6]);
        assert_eq!((0..cells).map(taken).sum::<usize>(), 30 - 12);
    }
}
