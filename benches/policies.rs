//! What a policy costs a call when nothing fails: each part of one, on and idle, around an attempt
//! that succeeds at once.

#![allow(clippy::expect_used, reason = "a benchmark may stop at what it did not expect")]

use std::hint::black_box;
use std::time::Duration;

use clients::{CallError, Retrier};
use clock::Clock;
use criterion::Criterion;
use terms::{Breaker, Policy};

/// Calls in one measurement: the runtime is entered once for all of them.
const CALLS: u64 = 1_000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let runtime = clients::local_runtime().expect("a runtime");
    let breaker = Breaker::parse("50% of 100, open 3s, 10 probes").ok();
    let attempts = Policy { attempts: 4, ..Policy::NONE };
    let time_out = Policy { attempt_time_out: Some(Duration::from_secs(1)), ..Policy::NONE };
    let budget = Policy { budget: Some(0.2), ..attempts };
    let all = Policy { breaker, bulkhead: Some(64), attempt_time_out: time_out.attempt_time_out, ..budget };
    for (name, policy) in [
        ("no policy", None),
        ("one attempt", Some(Policy::NONE)),
        ("four attempts", Some(attempts)),
        ("a time-out", Some(time_out)),
        ("a hedge", Some(Policy { hedge_after: time_out.attempt_time_out, ..Policy::NONE })),
        ("a budget", Some(budget)),
        ("a bulkhead", Some(Policy { bulkhead: Some(64), ..Policy::NONE })),
        ("a limit that adapts", Some(Policy { adaptive_limit: time_out.attempt_time_out, ..Policy::NONE })),
        ("a breaker", Some(Policy { breaker, ..Policy::NONE })),
        ("all of them", Some(all)),
    ] {
        let retrier =
            || policy.map(|policy| Retrier::new(policy, Clock::System, 1)).transpose().expect("a timer");
        let retrier = runtime.block_on(async { retrier() });
        criterion.bench_function(&format!("policies/{name}, 1000 idle calls"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    for nth in 0..CALLS {
                        let attempt = async |_| Ok::<u64, CallError>(black_box(nth));
                        let called = match &retrier {
                            None => attempt(None).await,
                            Some(retrier) => retrier.call(attempt).await,
                        };
                        black_box(called).expect("it succeeds");
                    }
                });
            });
        });
    }
    criterion.final_summary();
}
