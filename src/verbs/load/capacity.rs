//! `load --find-capacity`: the highest rate at which an objective is met.

use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use judge::capacity;
use record::Trial;
use terms::text::{self, micros};
use terms::{Failure, Model, Schedule};

use super::options::Options;
use super::{Load, Span, outcome};
use crate::ending::{Ending, UsageError, print_data, say, say_broken};

/// From where a search begins, unless told.
const START_PER_S: f64 = 1_000.0;
/// Load before each trial of a search.
const TRIAL_WARM_UP: Duration = Duration::from_millis(200);

/// Holds the start of a search to the time that a trial may take.
///
/// # Errors
/// Where the first trial would take longer, and at which rate it would not.
pub(super) fn check(options: &Options) -> Result<(), UsageError> {
    let (objective, start_per_s) = (&options.objective, options.rate.unwrap_or(START_PER_S));
    let needed = capacity::calls_take(objective, start_per_s);
    let longest = capacity::TRIAL_TIME_MAX.max(options.trial);
    if needed <= longest {
        return Ok(());
    }
    let least = start_per_s * needed.as_secs_f64() / longest.as_secs_f64();
    Err(UsageError(format!(
        "--rate {start_per_s}: {} needs a trial of {} s there, and a trial takes {} s at most; begin at {:.0}/s or more",
        objective.text,
        needed.as_secs(),
        longest.as_secs(),
        least.ceil()
    )))
}

/// Searches.
///
/// # Errors
/// Where the search cannot begin there, or no call succeeds.
pub(super) fn find(load: &Load<'_>) -> anyhow::Result<Ending> {
    let options = load.options;
    let objective = &options.objective;
    let arrivals = options.arrivals.into();
    let start_per_s = options.rate.unwrap_or(START_PER_S);
    let longest = capacity::TRIAL_TIME_MAX.max(options.trial);
    say_broken(&format!(
        "searching from {start_per_s}/s for the highest rate that meets {}: two or three trials a rate, each of {:?} to \
         {:?}, and a few minutes at most",
        objective.text, options.trial, longest
    ));
    let opened = load.open()?;
    let numbers = std::io::stdout().is_terminal();
    let mut succeeded = false;
    let mut trials: Vec<Trial> = Vec::new();
    let found = capacity::search(objective, start_per_s, |rate_per_s| {
        let duration = options.trial.max(capacity::calls_take(objective, rate_per_s)).min(longest);
        let model = Model::Open { arrivals, rate_per_s };
        let schedule = Schedule::of_round(arrivals, rate_per_s, TRIAL_WARM_UP, duration, options.seed)?;
        let span = Span { model, warm_up: TRIAL_WARM_UP, duration, calls_max: None };
        let loaded = load.run(&opened, &span, &schedule)?;
        if loaded.interrupted {
            bail!("interrupted");
        }
        succeeded |= loaded.outcome.ok > 0;
        let cores = duration.as_secs_f64() * f64::from(options.workers);
        let share = loaded.cpu.as_secs_f64() / cores;
        // A server that is too slow may be quick enough at a lower rate; one that refuses refuses,
        // and one that never answered is silent.
        let is_overload =
            |kind: &Failure| matches!(kind, Failure::TimedOut | Failure::Dropped | Failure::Limit);
        let refused = !loaded.outcome.failed.keys().any(is_overload);
        if let Some(nothing) = outcome::nothing_came(&loaded.outcome).filter(|_| refused || !succeeded) {
            bail!("at {rate_per_s:.0}/s {nothing}");
        }
        let trial = capacity::trial(&loaded.outcome, rate_per_s, objective, share);
        if !options.json {
            let time = |us: f64| if numbers { micros(us) } else { format!("{us:.1}") };
            let count = |n: u64| if numbers { text::count(n) } else { n.to_string() };
            let p99 =
                if trial.failed_share > 0.01 { "failed".to_owned() } else { time(trial.response_p99_us) };
            print_data(&format!(
                "{rate_per_s:>9.0}/s  p50 {:>9}  p99 {p99:>9}  lag p99 {:>9}  n = {:<8} {}\n",
                time(trial.response_p50_us),
                time(trial.lag_p99_us),
                count(trial.arrivals),
                if trial.met { "met" } else { "missed" },
            ))?;
        }
        trials.push(trial);
        anyhow::Ok(trial)
    });
    let found = match found {
        Err(_) if load.stop.load(Ordering::Relaxed) => {
            let met = trials.iter().filter(|trial| trial.met).map(|trial| trial.rate_per_s);
            let met = met.max_by(f64::total_cmp);
            say(&match met {
                Some(met) => {
                    format!("interrupted: of {} trials the highest that was met is {met:.0}/s", trials.len())
                }
                None if trials.is_empty() => "interrupted before a trial was over".to_owned(),
                None => format!("interrupted: none of {} trials was met", trials.len()),
            });
            if options.json {
                let found = serde_json::json!({
                    "objective": objective.text, "interrupted": true, "met_at_per_s": met, "trials": trials,
                });
                print_data(&format!("{found}\n"))?;
            }
            return Ok(Ending::Interrupted);
        }
        found => found?,
    };
    let text = if options.json { serde_json::to_string(&found)? } else { found.in_words() };
    print_data(&format!("{text}\n"))?;
    Ok(Ending::Fine)
}
