//! What a run came to so far.

use record::Record;
use record::matrix::MatrixRecord;

/// What a run came to so far.
#[derive(Debug, Default)]
pub struct Done {
    /// Scenarios that were measured, in their order.
    pub records: Vec<Record>,
    /// Matrices that were filled.
    pub matrices: Vec<MatrixRecord>,
    /// Those that could not be, and why.
    pub refused: Vec<(String, String)>,
}
