//! Coarse buckets of times, each power of two cut into as many equal parts: found without a
//! logarithm.

/// The bucket of a value, where each power of two has 2^`steps` of them.
pub fn bucket(value: u64, steps: u32) -> usize {
    let value = value.max(1);
    let power = value.ilog2();
    // The digits behind the first one.
    let behind = (value << (63 - power) << 1) >> (64 - steps);
    ((u64::from(power) << steps) | behind) as usize
}

/// The middle of a bucket.
pub fn middle(bucket: usize, steps: u32) -> f64 {
    let (power, behind) = (bucket >> steps, bucket & ((1 << steps) - 1));
    2_f64.powf(power as f64) * (1.0 + (behind as f64 + 0.5) / f64::from(1_u32 << steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_near_the_middle_of_its_bucket() {
        for steps in [3, 5] {
            let mut before = 0;
            for value in (1..3_000).chain([1 << 20, 600_000_000_000, (1 << 40) + 12_345]) {
                let bucket = bucket(value, steps);
                assert!(bucket >= before, "{value}");
                before = bucket;
                let off = (middle(bucket, steps) / value as f64 - 1.0).abs();
                let allowed = if value < 1 << steps { 0.6 } else { 1.0 / f64::from(1_u32 << steps) };
                assert!(off <= allowed, "{value}: {off}");
            }
        }
    }
}
