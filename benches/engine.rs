//! What the load engine itself costs a call: a connection whose calls are done at once, in the
//! closed model (slot, clock, four histograms) and in the open one (the pacer and the queue too, at
//! a rate it cannot keep).

#![allow(clippy::expect_used, reason = "a benchmark may stop at what it did not expect")]

use std::sync::Arc;
use std::time::Duration;

use clients::load::{Driver, Live, Round};
use clients::{CallError, Connection, Connector, Unsupported};
use clock::{Clock, Precision};
use criterion::Criterion;
use terms::Schedule;
use terms::{Arrivals, Model, Shape};

/// Answers at once.
#[derive(Clone)]
struct Nothing;

impl Connector for Nothing {
    type Connection = Nothing;
    async fn connect(&self) -> Result<Nothing, CallError> {
        Ok(Nothing)
    }
    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

impl Connection for Nothing {
    type Request = ();
    type Prepared = ();
    type Reply = ();
    fn prepare(&self, (): &()) -> Result<(), Unsupported> {
        Ok(())
    }
    async fn call(&self, (): &(), _: Option<Duration>) -> Result<(), CallError> {
        // Other slots have their turn, as when a real call waits for its reply.
        tokio::task::yield_now().await;
        Ok(())
    }
    fn is_open(&self) -> bool {
        true
    }
}

const ROUND: Duration = Duration::from_millis(50);
const RATE_PER_S: f64 = 20e6;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .configure_from_args();
    let open = Model::Open { arrivals: Arrivals::Constant, rate_per_s: RATE_PER_S };
    for (name, model) in [("engine/closed", Model::Closed), ("engine/open", open)] {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let (took, calls) = one_round(model);
                took.mul_f64(iterations as f64 / calls as f64)
            });
        });
    }
    criterion.final_summary();
}

/// The time of a round, and the calls made in it.
fn one_round(model: Model) -> (Duration, u64) {
    let runtime = clients::local_runtime().expect("a runtime");
    runtime.block_on(async {
        let clock = Clock::System;
        let shape = Shape { connections: 8, in_flight: 4, cold: false };
        let driver = Driver::open(clock.clone(), Nothing, shape, &[()], Arc::new(Live::default())).await;
        let driver = driver.expect("nothing to fail");
        let schedule = match model {
            Model::Closed => Schedule::empty(),
            Model::Open { arrivals, rate_per_s } => {
                Schedule::new(arrivals, rate_per_s, ROUND, 1).expect("a schedule")
            }
        };
        let round = Round {
            model,
            warm_up: Duration::ZERO,
            duration: ROUND,
            time_out: Duration::from_secs(60),
            seed: 1,
            start: clock.now(),
            precision: Precision::Sleep,
            emission: None,
            calls_max: None,
        };
        let outcome = driver.run(&round, &schedule).await.expect("a round");
        (clock.now().since(round.start), outcome.ok.max(1))
    })
}
