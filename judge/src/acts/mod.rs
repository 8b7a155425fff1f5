//! What acts came to, from their raw trials: means with intervals, slopes, shares.

mod hold;
mod restart;
mod scale_out;

pub use hold::memory_part;
pub use restart::{mean_part, restart_part};
pub use scale_out::scale_out_part;
