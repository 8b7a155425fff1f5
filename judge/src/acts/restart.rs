//! What the restarts of a contender's server came to.

use record::{MeanPart, RestartPart, RestartTrial};

use crate::statistics::{mean, mean_with_interval};

/// The mean of several values, with its interval.
pub fn mean_part(values: &[f64]) -> MeanPart {
    let uncertainty = mean_with_interval(values).map(|(_, half)| half);
    MeanPart { mean: mean(values), uncertainty, n: values.len() }
}

/// What the restarts under so many subscribers came to; `None` where there was none.
pub fn restart_part(contender: &str, connections: usize, trials: &[RestartTrial]) -> Option<RestartPart> {
    if trials.is_empty() {
        return None;
    }
    let subscribers = connections as f64;
    let mean = |of: &dyn Fn(&RestartTrial) -> f64| mean_part(&trials.iter().map(of).collect::<Vec<_>>());
    Some(RestartPart {
        contender: contender.to_owned(),
        connections,
        down_ms: mean(&|trial| trial.down_ms),
        most_ms: mean(&|trial| trial.most_ms),
        storm_ms: mean(&|trial| trial.storm_ms),
        attempts_per_subscriber: mean(&|trial| trial.attempts as f64 / subscribers),
        attempts_per_s_max: mean(&|trial| trial.attempts_per_s_max),
        client_cpu_us_per_subscriber: mean(&|trial| trial.client_cpu_us / subscribers),
        server_cpu_us_per_subscriber: mean(&|trial| trial.server_cpu_us / subscribers),
        dropped: trials.iter().map(|trial| trial.dropped).sum(),
        trials: trials.to_vec(),
    })
}
