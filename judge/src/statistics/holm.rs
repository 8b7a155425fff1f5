//! Many comparisons at once.

/// Holm's step-down adjustment (Scandinavian Journal of Statistics 6, 1979): p-values such that all
/// below α together are wrong in at most a share α of experiments. In the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut highest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        highest = highest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = highest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn p_values_are_adjusted_as_r_does() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (mine, theirs) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((mine - theirs).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
