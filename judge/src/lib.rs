//! The judgement: from the rounds of a record to figures with intervals, verdicts, comparisons,
//! break-even points and maps. Pure: no sockets, no files, no clock; the same rounds are judged the
//! same.

pub mod acts;
pub mod capacity;
pub mod compare;
mod comparison;
mod finding;
mod map;
pub mod matrix;
mod paired;
pub mod statistics;
mod sweep;
mod verdict;

use record::Record;
use scenarios::Scenario;

pub use comparison::{aa_pairs, comparisons};
pub use finding::{finding, percent, ratio_in_words};
pub use statistics::{
    ROUNDS_FOR_A_VERDICT, holm, mean, mean_with_interval, paired_ratio, ratio_of_rounds, ratio_of_runs,
    ratio_to_value, slope, slope_uncertainty, tells,
};
pub use verdict::apply;

/// Judges everything that a scenario asks of a record, from its rounds: what was judged before is
/// replaced.
pub fn judge_all(record: &mut Record, scenario: &Scenario) {
    record.verdicts = scenario.claims.iter().map(|claim| verdict::judge(record, scenario, claim)).collect();
    verdict::turn(&mut record.verdicts);
    record.break_evens =
        scenario.break_evens.iter().map(|sought| sweep::break_even(record, scenario, sought)).collect();
    record.map = scenario.map.as_ref().map(|map| map::map_part(record, scenario, map));
    record.aa = aa_pairs(record);
    record.comparisons = comparisons(record);
}
