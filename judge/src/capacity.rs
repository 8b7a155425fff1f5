//! The search for capacity: the highest rate at which an objective is met. Doubling until it is
//! not, then halving the bracket until that is within 5 %.
//!
//! A rate is decided by two trials that agree, of three at the most: one slow moment decides
//! nothing. A trial in which the load engine itself was late, or its core saturated, says nothing
//! about the server; where that stops the search, the result is *client-limited*, and a lower
//! bound.

use std::time::Duration;

use record::{Capacity, Trial};
use terms::{Distribution, Expression, FAILED_SHARE_MAX, Figure, Outcome, Point, Quantiles, Value};

/// The share of its core from which on a client is saturated: then it is late for reasons of its
/// own.
pub const SATURATED_SHARE: f64 = 0.9;
/// Width of the bracket, relative to its lower end, at which the search ends.
const BRACKET_SHARE: f64 = 0.05;
/// The share of the objective's bound that lag may take at p99 where a rate misses it: past that
/// the client was late, and nothing is known of the server.
const LAG_SHARE_MAX: f64 = 0.2;
/// Values that must lie beyond a percentile that is judged.
const CALLS_BEYOND: f64 = 20.0;
/// The longest trial: a rate that needs more for its calls is too low to be searched.
pub const TRIAL_TIME_MAX: Duration = Duration::from_secs(60);
/// Rates, at most: from 1 000/s on, more than any machine reaches by doubling.
const RATES_MAX: usize = 40;

/// Judges what a stretch of load came to.
pub fn trial(outcome: &Outcome, rate_per_s: f64, objective: &Expression, client_share: f64) -> Trial {
    let histograms = &outcome.histograms;
    let (response, lag) = (Quantiles::of(&histograms.response), Quantiles::of(&histograms.lag));
    let failed_share = outcome.failures() as f64 / outcome.arrivals.max(1) as f64;
    let held = match objective.figure {
        Figure::Time(Distribution::Service, point) => point.of(&Quantiles::of(&histograms.service)),
        Figure::Time(_, point) => point.of(&response),
        _ => f64::INFINITY,
    };
    let is_a_failure = match objective.figure {
        Figure::Time(_, point) => point.is_a_failure(failed_share),
        _ => false,
    };
    let bound_us = match objective.value {
        Value::Absolute(us) => us,
        Value::Change(_) => f64::INFINITY,
    };
    let kept = objective.is_true_of(held) && !is_a_failure && failed_share <= FAILED_SHARE_MAX;
    // Lag is in the response times: a rate that is met is met in spite of it.
    let on_time = lag.p99 <= LAG_SHARE_MAX * bound_us || kept;
    let client_kept_up = on_time && client_share <= SATURATED_SHARE;
    Trial {
        rate_per_s,
        held_us: held,
        client_share,
        client_kept_up,
        ok_per_s: outcome.ok as f64 / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        arrivals: outcome.arrivals,
        failed_share,
        response_p50_us: response.p50,
        response_p99_us: response.p99,
        lag_p99_us: lag.p99,
        met: kept && client_kept_up,
    }
}

/// The time that a rate takes for enough calls to judge an objective: twenty beyond its percentile.
pub fn calls_take(objective: &Expression, rate_per_s: f64) -> Duration {
    let beyond = match objective.figure {
        Figure::Time(_, Point::Percentile(share)) => 1.0 - share,
        _ => 0.01,
    };
    Duration::try_from_secs_f64(CALLS_BEYOND / beyond / rate_per_s).unwrap_or(Duration::MAX)
}

/// Searches from a rate on; `attempt` loads at a rate and says what came of it.
///
/// # Errors
/// What `attempt` fails with.
pub fn search<E>(
    objective: &Expression,
    start_per_s: f64,
    mut attempt: impl FnMut(f64) -> Result<Trial, E>,
) -> Result<Capacity, E> {
    let mut trials = Vec::new();
    let (mut low, mut high) = (0.0_f64, None::<f64>);
    let mut client_limited = None;
    for _ in 0..RATES_MAX {
        let rate = match high {
            None if low == 0.0 => start_per_s,
            None => low * 2.0,
            Some(high) if high - low <= BRACKET_SHARE * low => break,
            Some(high) if low == 0.0 && calls_take(objective, high / 2.0) > TRIAL_TIME_MAX => break,
            Some(high) if low == 0.0 => high / 2.0,
            Some(high) => f64::midpoint(low, high),
        };
        let (mut met, mut missed) = (0, 0);
        while met < 2 && missed < 2 {
            let trial = attempt(rate)?;
            trials.push(trial);
            if trial.met { met += 1 } else { missed += 1 }
        }
        if met == 2 {
            low = rate;
            continue;
        }
        high = Some(rate);
        let here = trials.iter().rev().take(met + missed).filter(|trial| !trial.met);
        client_limited = here.into_iter().all(|trial| !trial.client_kept_up).then(|| {
            let share = trials.last().map_or(0.0, |trial| trial.client_share * 100.0);
            format!(
                "at {rate:.0}/s the load engine could not keep up itself (its cores {share:.0} % busy): the server can do at \
                 least {low:.0}/s"
            )
        });
    }
    let missed_at_per_s = if client_limited.is_some() { None } else { high };
    Ok(Capacity {
        objective: objective.text.clone(),
        met_at_per_s: low,
        missed_at_per_s,
        client_limited,
        trials,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use terms::parse_objective;

    use super::*;

    /// A server that meets the objective up to a rate, and a client that keeps time up to another.
    fn found(server_per_s: f64, client_per_s: f64, mut flaky: impl FnMut(usize) -> bool) -> Capacity {
        let objective = parse_objective("response.p99 < 5ms").unwrap();
        let mut nth = 0;
        search(&objective, 1_000.0, |rate_per_s| {
            nth += 1;
            let client_kept_up = rate_per_s <= client_per_s;
            Ok::<_, Infallible>(Trial {
                rate_per_s,
                held_us: 1_000.0,
                ok_per_s: rate_per_s,
                arrivals: 2_000,
                failed_share: 0.0,
                response_p50_us: 100.0,
                response_p99_us: 1_000.0,
                lag_p99_us: 10.0,
                client_share: 0.5,
                client_kept_up,
                met: client_kept_up && rate_per_s <= server_per_s && !flaky(nth),
            })
        })
        .unwrap()
    }

    #[test]
    fn the_bracket_holds_the_knee_and_is_within_five_percent() {
        for knee in [333.0, 1_000.0, 23_456.0] {
            let capacity = found(knee, f64::INFINITY, |_| false);
            let missed = capacity.missed_at_per_s.unwrap();
            assert!((capacity.met_at_per_s..missed).contains(&knee), "{capacity:?}");
            assert!(missed - capacity.met_at_per_s <= 0.05 * capacity.met_at_per_s, "{capacity:?}");
        }
    }

    #[test]
    fn one_slow_moment_decides_nothing() {
        let capacity = found(23_456.0, f64::INFINITY, |nth| nth % 5 == 0);
        assert!(
            (capacity.met_at_per_s..capacity.missed_at_per_s.unwrap()).contains(&23_456.0),
            "{capacity:?}"
        );
    }

    #[test]
    fn a_client_that_gives_out_first_is_no_result_about_the_server() {
        let capacity = found(1e9, 40_000.0, |_| false);
        assert!(capacity.client_limited.is_some() && capacity.missed_at_per_s.is_none(), "{capacity:?}");
        assert!((38_000.0..=40_000.0).contains(&capacity.met_at_per_s), "{capacity:?}");
        assert!(capacity.in_words().contains("client-limited, ≥"), "{}", capacity.in_words());
    }

    /// Within minutes, although each halving of the rate doubles the time of a trial.
    #[test]
    fn an_objective_that_no_rate_meets_ends_the_search() {
        let capacity = found(0.0, f64::INFINITY, |_| false);
        let objective = parse_objective("response.p99 < 5ms").unwrap();
        let time: Duration =
            capacity.trials.iter().map(|trial| calls_take(&objective, trial.rate_per_s)).sum();
        assert!(time < Duration::from_secs(300), "{time:?}");
        assert!(
            capacity.met_at_per_s == 0.0 && capacity.in_words().starts_with("no rate meets"),
            "{capacity:?}"
        );
    }

    #[test]
    fn an_objective_is_a_bound_on_response_times() {
        assert!(parse_objective("response.p99 < 5ms").is_ok());
        for wrong in ["response.p99 > 5ms", "failed < 1%", "cpu_per_call < 5us", "response.p99 < 5%"] {
            assert!(parse_objective(wrong).is_err(), "{wrong}");
        }
    }
}
