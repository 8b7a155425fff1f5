//! The driver of one worker: a pacer that picks arrivals up, slots that make the calls, a watchdog
//! for the ones that do not end. Generic over the connection, and dispatched once a worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono, Precision};
use terms::{Model, Outcome, Policy, Schedule, Shape};
use tokio::task::JoinHandle;

use super::lane::Lane;
use super::opening::open_all;
use super::pacer::pace;
use super::queue::Queue;
use super::recorder::Recording as _;
use super::shared::Shared;
use super::slot::SlotWorker;
use super::watchdog::{SlotWatch, watch};
use super::{Live, Round};
use crate::connection::{CallError, Connection, Connector};
use crate::limits::END_GRACE;
use crate::policy::Retrier;

/// One worker's connections and prepared requests. Kept from round to round.
pub struct Driver<K: Connector> {
    clock: Clock,
    connector: K,
    lanes: Vec<Rc<Lane<K>>>,
    in_flight: usize,
    policy: Option<Policy>,
    prepared: Rc<Vec<<K::Connection as Connection>::Prepared>>,
    live: Arc<Live>,
}

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
        let lanes = open_all(shape.connections, lane).await?;
        let first = lanes[0].connection(&connector).await?;
        let prepared =
            requests.iter().map(|request| first.prepare(request)).collect::<Result<Vec<_>, _>>()?;
        let in_flight = shape.in_flight.min(connector.in_flight_max().unwrap_or(usize::MAX)).max(1);
        Ok(Driver { clock, connector, lanes, in_flight, policy: None, prepared: Rc::new(prepared), live })
    }

    /// The same, making its calls by a policy.
    pub fn by(self, policy: Option<Policy>) -> Driver<K> {
        Driver { policy, ..self }
    }

    /// Runs one round to its end, the last call answered or timed out. Must run on a local runtime.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub async fn run(&self, round: &Round, schedule: &Schedule) -> std::io::Result<Outcome> {
        let slots = self.lanes.len() * self.in_flight;
        let measured_from = round.start + round.warm_up;
        let outcome = Outcome::over(measured_from, round.duration).map_err(std::io::Error::other)?;
        let retrier = self.policy.map(|policy| Retrier::new(policy, self.clock.clone(), round.seed));
        let shared = Rc::new(Shared {
            clock: self.clock.clone(),
            round: *round,
            measured_from,
            arrivals: Queue::new(waiting_max(round), slots),
            slots: (0..slots).map(|_| SlotWatch::default()).collect(),
            looked_at: Rc::new(Cell::new(Mono::default())),
            policy: retrier.transpose()?,
            outcome: RefCell::new(outcome),
            live: Arc::clone(&self.live),
        });
        self.live.clear();
        let (reconnections_before, late_before) = (self.reconnections(), self.late_replies());
        let pacer = self.clock.timer(round.precision)?;
        let looks = self.clock.timer(Precision::Sleep)?;
        let (watched, looked_at) = (Rc::clone(&shared.slots), Rc::clone(&shared.looked_at));
        let watching = watch(watched, looked_at, round.time_out, self.clock.clone(), looks);
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
                prepared: Rc::clone(&self.prepared),
            };
            running.push(tokio::task::spawn_local(worker.run()));
        }
        pace(&shared, pacer, schedule).await;
        all_ended(running, round.time_out).await?;
        watchdog.abort();
        let _ = watchdog.await;
        let mut outcome = shared.outcome.borrow().clone();
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
async fn all_ended(mut running: Vec<JoinHandle<()>>, time_out: Duration) -> std::io::Result<()> {
    let ending = async {
        for slot in &mut running {
            slot.await.map_err(std::io::Error::other)?;
        }
        Ok(())
    };
    let ended = clock::limit(time_out.saturating_add(END_GRACE), ending).await;
    ended.unwrap_or_else(|_| {
        running.iter().for_each(JoinHandle::abort);
        Ok(())
    })
}

/// Arrivals that may wait for a slot: those of one time-out. Later ones could not be answered in
/// time.
fn waiting_max(round: &Round) -> usize {
    match round.model {
        Model::Open { rate_per_s, .. } => {
            ((rate_per_s * round.time_out.as_secs_f64()).ceil() as usize).max(1)
        }
        Model::Closed => 0,
    }
}

#[cfg(test)]
mod tests;
