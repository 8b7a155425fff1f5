//! The engine against arithmetic: a fake clock, and connections that take as long as they are told.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use clock::Mono;
use clock::{Clock, Delays, Fake};
use terms::{Arrivals, Failure};

use super::*;
use crate::connection::Unsupported;

/// What a test's server does.
#[derive(Clone, Copy)]
struct Behaviour {
    service: Duration,
    /// Calls from this one on are never answered.
    silent_from: Option<usize>,
    /// Every n-th call breaks its connection.
    breaks_every: Option<usize>,
    /// Connections from this one on are never there.
    unreachable_from: Option<u32>,
}

/// Opens connections whose calls take their time on the fake clock. `Send` is a formality: one
/// thread has it.
#[derive(Clone)]
struct Scripted {
    behaviour: Behaviour,
    clock: Clock,
}

struct ScriptedConnection {
    behaviour: Behaviour,
    clock: Clock,
    delays: Delays,
    calls: Cell<usize>,
    broken: Cell<bool>,
}

impl Connector for Scripted {
    type Connection = ScriptedConnection;

    async fn connect(&self) -> Result<ScriptedConnection, CallError> {
        CONNECTS.set(CONNECTS.get() + 1);
        if self.behaviour.unreachable_from.is_some_and(|from| CONNECTS.get() >= from) {
            std::future::pending::<()>().await;
        }
        let delays =
            Delays::start(&self.clock, Precision::Sleep).map_err(|error| CallError::from_io(&error))?;
        Ok(ScriptedConnection {
            behaviour: self.behaviour,
            clock: self.clock.clone(),
            delays,
            calls: Cell::new(0),
            broken: Cell::new(false),
        })
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

impl Connection for ScriptedConnection {
    type Request = ();
    type Prepared = ();
    type Reply = ();

    fn prepare(&self, (): &()) -> Result<(), Unsupported> {
        Ok(())
    }

    async fn call(&self, (): &(), _: Option<Duration>) -> Result<(), CallError> {
        self.calls.set(self.calls.get() + 1);
        CALLS.set(CALLS.get() + 1);
        let nth = self.calls.get();
        if self.behaviour.silent_from.is_some_and(|from| nth >= from) {
            std::future::pending::<()>().await;
        }
        self.delays.sleep_until(self.clock.now() + self.behaviour.service).await;
        if self.behaviour.breaks_every.is_some_and(|every| nth.is_multiple_of(every)) {
            self.broken.set(true);
            return Err(CallError::Reset("scripted".to_owned()));
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        !self.broken.get()
    }
}

thread_local! {
    /// Calls made by this thread, and so by this test.
    static CALLS: Cell<u32> = const { Cell::new(0) };
    /// Connections that it began to open.
    static CONNECTS: Cell<u32> = const { Cell::new(0) };
}

const MS: Duration = Duration::from_millis(1);

fn behaviour(service: Duration) -> Behaviour {
    Behaviour { service, silent_from: None, breaks_every: None, unreachable_from: None }
}

/// One second of load at a constant rate, without a warm-up, on a clock that jumps from deadline to
/// deadline.
fn run(behaviour: Behaviour, shape: Shape, rate_per_s: f64, time_out: Duration) -> Outcome {
    let model = Model::Open { arrivals: Arrivals::Constant, rate_per_s };
    run_round(behaviour, shape, model, time_out, Duration::ZERO, None)
}

fn run_round(
    behaviour: Behaviour,
    shape: Shape,
    model: Model,
    time_out: Duration,
    warm_up: Duration,
    policy: Option<Policy>,
) -> Outcome {
    let fake = Fake::new();
    let runtime = crate::local_runtime().unwrap();
    runtime.block_on(async {
        let clock = Clock::Fake(fake.clone());
        let round = Round {
            model,
            warm_up,
            duration: Duration::from_secs(1),
            time_out,
            seed: 1,
            start: Mono(1_000),
            precision: Precision::Sleep,
            emission: None,
            calls_max: None,
        };
        let span = warm_up + round.duration;
        let schedule = match model {
            Model::Open { arrivals, rate_per_s } => Schedule::new(arrivals, rate_per_s, span, 1).unwrap(),
            Model::Closed => Schedule::empty(),
        };
        let connector = Scripted { behaviour, clock: clock.clone() };
        let driver = Driver::open(clock, connector, shape, &[()], Arc::new(Live::default())).await.unwrap();
        let driver = driver.with_policy(policy, &[()], |request, _| *request);
        let done = Rc::new(Cell::new(false));
        let finished = Rc::clone(&done);
        let running = tokio::task::spawn_local(async move {
            let outcome = driver.run(&round, &schedule).await.unwrap();
            finished.set(true);
            outcome
        });
        while !done.get() {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            if let Some(next) = fake.next_deadline() {
                fake.advance(next.since(fake.now()));
            }
        }
        running.await.unwrap()
    })
}

fn close_to(nanos: u64, expected: Duration) -> bool {
    // Three significant digits of the histogram.
    (nanos as f64 / expected.as_nanos() as f64 - 1.0).abs() < 2e-3
}

#[test]
fn an_unhurried_server_is_read_exactly() {
    let outcome = run(
        behaviour(2 * MS),
        Shape { connections: 4, in_flight: 1, cold: false },
        1_000.0,
        Duration::from_secs(1),
    );
    assert_eq!((outcome.arrivals, outcome.sent, outcome.ok, outcome.failures()), (1_000, 1_000, 1_000, 0));
    let histograms = &outcome.histograms;
    assert!(close_to(histograms.response.max(), 2 * MS) && close_to(histograms.response.min(), 2 * MS));
    assert!(close_to(histograms.service.max(), 2 * MS));
    assert!(histograms.lag.max() <= 1 && histograms.wait.max() <= 1);
}

/// One slot, 2 ms a call, an arrival each millisecond: the n-th waits n milliseconds. The response
/// shows it, the service time does not.
#[test]
fn a_server_that_cannot_keep_up_shows_in_wait_and_response_and_not_in_service() {
    let outcome = run(
        behaviour(2 * MS),
        Shape { connections: 1, in_flight: 1, cold: false },
        1_000.0,
        Duration::from_secs(10),
    );
    assert_eq!((outcome.ok, outcome.failures()), (1_000, 0));
    assert!(close_to(outcome.histograms.service.max(), 2 * MS));
    assert!(close_to(outcome.histograms.wait.max(), 999 * MS));
    assert!(close_to(outcome.histograms.response.max(), 1_001 * MS));
    assert!(close_to(outcome.histograms.response.value_at_quantile(0.5), 501 * MS));
}

#[test]
fn in_flight_calls_share_a_connection() {
    let outcome = run(
        behaviour(2 * MS),
        Shape { connections: 1, in_flight: 2, cold: false },
        1_000.0,
        Duration::from_secs(1),
    );
    assert!(close_to(outcome.histograms.response.max(), 2 * MS) && outcome.histograms.wait.max() <= 1);
}

/// The server answers nothing: what is sent times out, and arrivals beyond rate × time-out are
/// dropped rather than queued. Each is counted once, at the time-out or more.
#[test]
fn silence_times_out_and_what_cannot_be_answered_in_time_is_dropped() {
    let silent = Behaviour { silent_from: Some(1), ..behaviour(MS) };
    let outcome = run(silent, Shape { connections: 2, in_flight: 1, cold: false }, 10_000.0, 100 * MS);
    let failed = |kind| outcome.failed.get(&kind).copied().unwrap_or(0);
    let (timed_out, dropped) = (failed(Failure::TimedOut), failed(Failure::Dropped));
    assert_eq!((outcome.arrivals, outcome.ok, timed_out + dropped), (10_000, 0, 10_000));
    // 1 000 arrivals may wait; those that have waited past their time end as soon as a slot takes
    // them.
    assert!(timed_out > 0 && dropped > 0, "{timed_out} timed out, {dropped} dropped");
    assert!(outcome.histograms.response.min() >= 99_900_000 && outcome.histograms.response.len() == 10_000);
    assert_eq!(outcome.histograms.service.len(), 0);
}

/// A thousand arrivals wait behind each call that waits for a connection. To begin each, and have
/// the watchdog end it, would let a round end long after its time.
#[test]
fn a_call_whose_time_is_over_is_not_begun() {
    let gone = Behaviour { breaks_every: Some(1), unreachable_from: Some(2), ..behaviour(MS) };
    let outcome = run(gone, Shape { connections: 1, in_flight: 1, cold: false }, 10_000.0, 100 * MS);
    assert_eq!((outcome.arrivals, outcome.ok, outcome.failures()), (10_000, 0, 10_000));
    // Those that wait at the end: a look of the watchdog for each would take two seconds.
    let last = Duration::from_nanos(outcome.histograms.response.max());
    assert!(last <= Duration::from_millis(300), "a call ended {last:?} after it was due");
}

#[test]
fn a_round_ends_although_a_slot_does_not() {
    let runtime = crate::local_runtime().unwrap();
    runtime.block_on(async {
        let stuck = tokio::task::spawn_local(std::future::pending::<()>());
        let all = all_ended(vec![stuck], Duration::ZERO);
        assert!(clock::limit(END_GRACE * 5, all).await.is_ok());
    });
}

#[test]
fn a_broken_connection_is_replaced_and_counted() {
    let breaking = Behaviour { breaks_every: Some(10), ..behaviour(MS) };
    let outcome =
        run(breaking, Shape { connections: 1, in_flight: 1, cold: false }, 100.0, Duration::from_secs(1));
    // Every tenth call of each connection fails, and the next opens another.
    assert_eq!(outcome.failed, BTreeMap::from([(Failure::Reset, 10)]));
    assert_eq!((outcome.ok, outcome.reconnections), (90, 9));
    assert_eq!(outcome.samples[&Failure::Reset], "connection lost: scripted");
}

/// An intended call and its attempts are counted apart, and its response is from its schedule to
/// the end of the last one.
#[test]
fn a_call_that_breaks_is_made_again_by_its_policy() {
    let breaking = Behaviour { breaks_every: Some(10), ..behaviour(MS) };
    let shape = Shape { connections: 1, in_flight: 1, cold: false };
    let model = Model::Open { arrivals: Arrivals::Constant, rate_per_s: 100.0 };
    let twice = Policy {
        attempts: 2,
        backoff: terms::Backoff::Fixed(2 * MS),
        jitter: terms::RetryJitter::None,
        ..Policy::NONE
    };
    let outcome = run_round(breaking, shape, model, Duration::from_secs(1), Duration::ZERO, Some(twice));
    assert_eq!((outcome.arrivals, outcome.sent, outcome.ok, outcome.failures()), (100, 100, 100, 0));
    // Every tenth attempt breaks its connection.
    assert_eq!((outcome.attempts, outcome.reconnections), (111, 11));
    assert!(close_to(outcome.histograms.response.max(), 4 * MS));
    assert!(close_to(outcome.histograms.service.max(), 4 * MS));
}

#[test]
fn the_warm_up_is_made_and_not_recorded() {
    let model = Model::Open { arrivals: Arrivals::Constant, rate_per_s: 100.0 };
    let shape = Shape { connections: 1, in_flight: 1, cold: false };
    let outcome =
        run_round(behaviour(MS), shape, model, Duration::from_secs(1), Duration::from_millis(500), None);
    assert_eq!(outcome.arrivals, 100);
    assert_eq!(CALLS.get(), 150, "the warm-up's 50 calls were not made");
}

#[test]
fn the_closed_model_calls_as_soon_as_it_can() {
    let shape = Shape { connections: 3, in_flight: 2, cold: false };
    let outcome =
        run_round(behaviour(10 * MS), shape, Model::Closed, Duration::from_secs(1), Duration::ZERO, None);
    assert_eq!((outcome.ok, outcome.failures()), (600, 0));
    assert!(close_to(outcome.histograms.response.max(), 10 * MS));
}
