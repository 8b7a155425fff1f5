//! How much a plan may have, and so how much a record may tell of: whoever plans and whoever reads
//! holds to the same.

/// Contenders times conditions of a plan, at most: the largest built-in scenario has 78.
pub const CELLS_MAX: usize = 1_000;

/// Measurements of a plan, at most: cells times rounds. Each leaves four histograms of 254 kB in
/// memory, 4 GB in all; the largest built-in plan has 936.
pub const MEASUREMENTS_MAX: usize = 4_000;

/// Measurements of a record, at most: those of a plan, and the three in ten that may be taken
/// again.
pub const RECORDED_MAX: usize = 5_200;
