//! The driver of one worker: a pacer that picks arrivals up, slots that make the calls, a watchdog
//! for the ones that do not end. Generic over the connection, and dispatched once a worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::{Clock, Mono, Precision};
use terms::{Model, Outcome, Policy, Retries, Schedule, Shape, TimeSlice, Timeline};
use tokio::task::JoinHandle;

use super::opening::open_all;
use super::pacer::pace;
use super::queue::Queue;
use super::recorder::Recording as _;
use super::shared::{Lately, Shared};
use super::slot::SlotWorker;
use super::watchdog::{SlotWatch, watch};
use super::{Kept, Live, Round};
use crate::connection::{CallError, Connection, Connector};
use crate::lane::Lane;
use crate::limits::END_GRACE;
use crate::policy::Retrier;

/// One worker's connections and prepared requests. Kept from round to round.
pub struct Driver<K: Connector> {
    clock: Clock,
    connector: K,
    lanes: Vec<Rc<Lane<K>>>,
    in_flight: usize,
    policy: Option<Policy>,
    deadline: Option<Duration>,
    prepared: Requests<K>,
    keyed: Option<Keyed<<K::Connection as Connection>::Request>>,
    /// Whether each request is counted apart; empty where none is.
    apart: Rc<[bool]>,
    kept: Kept,
    live: Arc<Live>,
}

/// Requests that are encoded.
type Requests<K> = Rc<Vec<<<K as Connector>::Connection as Connection>::Prepared>>;

/// Says how a request bears an idempotency key.
pub type WithKey<R> = fn(&R, String) -> R;

/// Requests that get an idempotency key for each call.
struct Keyed<R> {
    requests: Vec<R>,
    with_key: WithKey<R>,
    /// Tells these keys from those of other drivers.
    driver: u64,
}

/// Drivers of this process so far.
static DRIVERS: AtomicU64 = AtomicU64::new(0);

impl<K: Connector> Driver<K> {
    /// Opens all connections and prepares all requests.
    ///
    /// # Errors
    /// The first connection's error, or that a request cannot be prepared.
    pub async fn open(
        clock: Clock,
        connector: K,
        shape: Shape,
        requests: &[<K::Connection as Connection>::Request],
        live: Arc<Live>,
    ) -> Result<Driver<K>, CallError> {
        let lane = || async { connector.connect().await.map(|connection| Rc::new(Lane::new(connection))) };
        let lanes = open_all(shape.connections, connector.opening_time(), lane).await?;
        let first = lanes[0].connection(&connector).await?;
        let prepared =
            requests.iter().map(|request| first.prepare(request)).collect::<Result<Vec<_>, _>>()?;
        let in_flight = shape.in_flight.min(connector.in_flight_max().unwrap_or(usize::MAX)).max(1);
        let prepared = Rc::new(prepared);
        Ok(Driver {
            clock,
            connector,
            lanes,
            in_flight,
            policy: None,
            deadline: None,
            prepared,
            keyed: None,
            apart: Rc::default(),
            kept: Kept::default(),
            live,
        })
    }

    /// The same, making its calls by a policy. Where that has idempotency keys, `with_key` says how
    /// a request bears one.
    pub fn with_policy(
        self,
        policy: Option<Policy>,
        requests: &[<K::Connection as Connection>::Request],
        with_key: WithKey<<K::Connection as Connection>::Request>,
    ) -> Driver<K>
    where
        <K::Connection as Connection>::Request: Clone,
    {
        let driver = DRIVERS.fetch_add(1, Ordering::Relaxed);
        let keyed = || Keyed { requests: requests.to_vec(), with_key, driver };
        Driver { policy, keyed: policy.filter(|policy| policy.keys).map(|_| keyed()), ..self }
    }

    /// The same, with a deadline that each call says: so long after its schedule.
    pub fn with_deadline(self, deadline: Option<Duration>) -> Driver<K> {
        Driver { deadline, ..self }
    }

    /// The same, keeping more of its calls.
    pub fn keeping(self, kept: Kept) -> Driver<K> {
        Driver { kept, ..self }
    }

    /// The same, with these of its requests counted apart.
    pub fn counting_apart(self, apart: Vec<bool>) -> Driver<K> {
        Driver { apart: apart.into(), ..self }
    }

    /// The requests of a round: those that are prepared already, or as many as there are calls,
    /// each with another key. A round that is taken again begins at another time, and so has other
    /// keys.
    async fn prepared_for(&self, round: &Round, schedule: &Schedule) -> std::io::Result<Requests<K>> {
        let Some(Keyed { requests, with_key, driver }) = &self.keyed else {
            return Ok(Rc::clone(&self.prepared));
        };
        let connection = self.lanes[0].connection(&self.connector).await.map_err(std::io::Error::other)?;
        let request = |nth: usize| {
            let key = format!("{:x}-{driver}-{nth}", round.start.0);
            connection.prepare(&with_key(&requests[self.live.in_all(nth as u64) % requests.len()], key))
        };
        let prepared = (0..schedule.offsets_ns().len()).map(request).collect::<Result<Vec<_>, _>>();
        prepared.map(Rc::new).map_err(std::io::Error::other)
    }

    /// Runs one round to its end, the last call answered or timed out. Must run on a local runtime.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub async fn run(&self, round: &Round, schedule: &Schedule) -> std::io::Result<Outcome> {
        let slots = self.lanes.len() * self.in_flight;
        let measured_from = round.start + round.warm_up;
        let empty = || Outcome::over(measured_from, round.duration).map_err(std::io::Error::other);
        let mut outcome = empty()?;
        if self.policy.is_some_and(|policy| policy.attempts > 1) {
            outcome.retries = Retries::over(measured_from.0, round.duration + round.time_out);
        }
        if self.kept.timeline {
            outcome.timeline = Some(Box::new(Timeline::over(measured_from.0, round.duration)));
        }
        outcome.stages = vec![TimeSlice::default(); self.kept.stage_ends.len()];
        let groups = self.kept.groups.iter().max().map_or(0, |last| last + 1);
        outcome.groups = (0..groups).map(|_| empty()).collect::<Result<_, _>>()?;
        // All at once: to make room on the way would be late.
        outcome.calls.reserve_exact(self.kept.calls_max);
        let prepared = self.prepared_for(round, schedule).await?;
        let retrier = self.policy.map(|policy| Retrier::new(policy, self.clock.clone(), round.seed));
        let shared = Rc::new(Shared {
            clock: self.clock.clone(),
            round: *round,
            measured_from,
            arrivals: Queue::new(waiting_max(round, &self.kept, schedule), slots),
            slots: (0..slots).map(|_| SlotWatch::default()).collect(),
            looked_at: Rc::new(Cell::new(Mono::default())),
            policy: retrier.transpose()?,
            deadline: self.deadline,
            outcome: RefCell::new(outcome),
            apart: Rc::clone(&self.apart),
            groups: Arc::clone(&self.kept.groups),
            stage_ends: Arc::clone(&self.kept.stage_ends),
            calls_max: self.kept.calls_max,
            outcome_apart: RefCell::new(empty()?),
            live: Arc::clone(&self.live),
            begun: Cell::default(),
            turns: Cell::default(),
            stopped_at: Cell::default(),
            lately: Lately::default(),
        });
        self.live.clear();
        let (reconnections_before, late_before) = (self.reconnections(), self.late_replies());
        let pacer = self.clock.timer(round.precision)?;
        let looks = self.clock.timer(Precision::Sleep)?;
        let begun = self.clock.now();
        let (watched, looked_at) = (Rc::clone(&shared.slots), Rc::clone(&shared.looked_at));
        let watching = watch(watched, looked_at, shared.time_allowed(), self.clock.clone(), looks);
        let watchdog = tokio::task::spawn_local(watching);
        let mut running = Vec::with_capacity(slots);
        for slot in 0..slots {
            let worker = SlotWorker {
                slot,
                shared: Rc::clone(&shared),
                // Slots take turns over the lanes, so that few calls in flight use many
                // connections.
                lane: Rc::clone(&self.lanes[slot % self.lanes.len()]),
                connector: self.connector.clone(),
                one_each: self.keyed.is_some(),
                prepared: Rc::clone(&prepared),
            };
            running.push(tokio::task::spawn_local(worker.run()));
        }
        pace(&shared, pacer, schedule).await;
        // The closed model makes its calls meanwhile, and those of the open one are under way.
        let calls_left = match round.model {
            Model::Open { .. } => Duration::ZERO,
            Model::Closed => shared.end().since(begun),
        };
        all_ended(running, calls_left.saturating_add(round.time_out)).await?;
        let ended = shared.clock.now();
        watchdog.abort();
        let _ = watchdog.await;
        // There may be a million.
        let calls = std::mem::take(&mut shared.outcome.borrow_mut().calls);
        let mut outcome = shared.outcome.borrow().clone();
        outcome.calls = calls;
        outcome.measured = match (round.calls_max, shared.stopped_at.get()) {
            (_, Some(stopped)) => stopped.min(shared.end()).since(measured_from),
            (Some(_), None) => ended.min(shared.end()).since(measured_from),
            (None, None) => round.duration,
        };
        outcome.apart = (!self.apart.is_empty()).then(|| Box::new(shared.outcome_apart.borrow().clone()));
        outcome.reconnections = self.reconnections() - reconnections_before;
        outcome.late_replies = self.late_replies() - late_before;
        Ok(outcome)
    }

    fn reconnections(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.reconnections()).sum()
    }

    fn late_replies(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.late_replies()).sum()
    }
}

/// Waits for the slots to end, each with its last call. The watchdog ends calls; what it could not
/// end is ended a while later, so that a round has an end whatever a library does.
async fn all_ended(mut running: Vec<JoinHandle<()>>, time: Duration) -> std::io::Result<()> {
    let ending = async {
        for slot in &mut running {
            slot.await.map_err(std::io::Error::other)?;
        }
        Ok(())
    };
    let ended = clock::limit(time.saturating_add(END_GRACE), ending).await;
    ended.unwrap_or_else(|_| {
        running.iter().for_each(JoinHandle::abort);
        Ok(())
    })
}

/// Arrivals that may wait for a slot: those of one time-out. Later ones could not be answered in
/// time.
fn waiting_max(round: &Round, kept: &Kept, schedule: &Schedule) -> usize {
    if !kept.stage_ends.is_empty() {
        return schedule.most_within(round.time_out).max(1);
    }
    match round.model {
        Model::Open { rate_per_s, .. } => {
            ((rate_per_s * round.time_out.as_secs_f64()).ceil() as usize).max(1)
        }
        Model::Closed => 0,
    }
}

#[cfg(test)]
mod tests;
