//! What flows came to: each one's part of a measurement, and of a cell's rounds together.

use proto::flow::BLOCK_BYTES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One flow of a contender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowPart {
    /// What it is, in words.
    pub flow: String,
    /// Blocks of 1 200 bytes that the sender's socket took in the measured time.
    pub sent_blocks: u64,
    /// Those of them that came.
    pub received_blocks: u64,
    /// Bits of blocks that came a second of the measured time.
    pub goodput_bits_per_s: f64,
    /// The share of the measured time in which the sender had a block and its socket took none.
    pub blocked_share: f64,
    /// The most bytes, of those that came, that the sender's socket had taken and nobody had read
    /// yet.
    pub held_bytes_max: u64,
    /// Goodput by when it came, in bits a second, in slices of 100 ms; of single rounds it is left
    /// out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub course_bits_per_s: Vec<f64>,
}

/// What the way from servers to clients did to packets, the router says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueuePart {
    /// Packets that were sent onto it.
    pub packets: u64,
    /// Those that found the queue full.
    pub dropped: u64,
    /// How long a packet waited in the queue on average, in µs.
    pub wait_mean_us: f64,
}

/// Jain's index of fairness (Jain, Chiu, Hawe 1984): 1 where all have the same, 1/n where one has
/// all; `None` where nobody has anything, or there is but one.
pub fn jain(flows: &[FlowPart]) -> Option<f64> {
    let sum: f64 = flows.iter().map(|flow| flow.goodput_bits_per_s).sum();
    let squares: f64 = flows.iter().map(|flow| flow.goodput_bits_per_s.powi(2)).sum();
    (flows.len() > 1 && squares > 0.0).then(|| sum * sum / (flows.len() as f64 * squares))
}

/// The share of all goodput that the n-th flow has, from 1.
pub(super) fn share(flows: &[FlowPart], nth: usize) -> Option<f64> {
    let sum: f64 = flows.iter().map(|flow| flow.goodput_bits_per_s).sum();
    let flow = flows.get(nth.checked_sub(1)?)?;
    (sum > 0.0).then(|| flow.goodput_bits_per_s / sum)
}

impl FlowPart {
    /// Bits that the sender's socket took a second.
    pub fn sent_bits_per_s(&self, seconds: f64) -> f64 {
        self.sent_blocks as f64 * BLOCK_BYTES as f64 * 8.0 / seconds
    }

    /// The share of what its socket took that never came.
    pub fn lost_share(&self) -> f64 {
        1.0 - self.received_blocks as f64 / self.sent_blocks.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(goodput_bits_per_s: f64) -> FlowPart {
        FlowPart {
            flow: "tcp cubic".to_owned(),
            sent_blocks: 100,
            received_blocks: 25,
            goodput_bits_per_s,
            blocked_share: 0.0,
            held_bytes_max: 0,
            course_bits_per_s: Vec::new(),
        }
    }

    #[test]
    fn jains_index_is_one_of_equals_and_one_nth_where_one_has_all() {
        assert_eq!(jain(&[flow(5.0), flow(5.0)]), Some(1.0));
        assert_eq!(jain(&[flow(5.0), flow(0.0)]), Some(0.5));
        assert!((jain(&[flow(3.0), flow(1.0)]).unwrap() - 0.8).abs() < 1e-12);
        assert_eq!(jain(&[flow(5.0)]), None);
        assert_eq!(jain(&[flow(0.0), flow(0.0)]), None);
        assert_eq!(share(&[flow(3.0), flow(1.0)], 2), Some(0.25));
        assert_eq!(share(&[flow(3.0)], 0), None);
        assert_eq!(flow(1.0).lost_share(), 0.75);
    }
}
