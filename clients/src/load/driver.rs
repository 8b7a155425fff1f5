//! The driver of one worker: a pacer that picks arrivals up, slots that make the calls, a watchdog for the ones
//! that do not end. Generic over the connection, and dispatched once a worker.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clock::{Clock, Mono, Precision};

use super::recorder::CallTimes;
use super::{Live, Model, Outcome, Round, Schedule, Shape};
use crate::connection::{CallError, Connection, Connector, Failure};

/// How often the watchdog looks for calls past their time, at the most and at the least.
const WATCH_EVERY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// How long a slot of the closed model rests after it could not connect, so as not to hammer a dead server.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(1);

/// One worker's connections and prepared requests. Kept from round to round.
pub struct Driver<K: Connector> {
    clock: Clock,
    connector: K,
    lanes: Vec<Rc<Lane<K>>>,
    in_flight: usize,
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
        let mut lanes = Vec::with_capacity(shape.connections);
        for _ in 0..shape.connections.max(1) {
            lanes.push(Rc::new(Lane::new(connector.connect().await?)));
        }
        let first = lanes[0].connection(&connector).await?;
        let prepared = requests
            .iter()
            .map(|request| first.prepare(request))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CallError::Protocol(error.to_string()))?;
        let in_flight = shape.in_flight.min(connector.in_flight_max().unwrap_or(usize::MAX)).max(1);
        Ok(Driver { clock, connector, lanes, in_flight, prepared: Rc::new(prepared), live })
    }

    /// Runs one round to its end, the last call answered or timed out. Must run on a local runtime.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub async fn run(&self, round: &Round, schedule: &Schedule) -> std::io::Result<Outcome> {
        let slots = self.lanes.len() * self.in_flight;
        let outcome = Outcome::new().map_err(std::io::Error::other)?;
        let shared = Rc::new(Shared {
            clock: self.clock.clone(),
            round: *round,
            measured_from: round.start + round.warm_up,
            arrivals: Queue::new(waiting_max(round)),
            slots: (0..slots).map(|_| SlotWatch::default()).collect(),
            outcome: RefCell::new(outcome),
            live: Arc::clone(&self.live),
        });
        self.live.clear();
        let reconnections_before = self.reconnections();
        let pacer = self.clock.timer(round.precision)?;
        let watchdog =
            tokio::task::spawn_local(watch(Rc::clone(&shared), self.clock.timer(Precision::Sleep)?));
        let mut running = Vec::with_capacity(slots);
        for slot in 0..slots {
            let worker = SlotWorker {
                slot,
                shared: Rc::clone(&shared),
                // Slots take turns over the lanes, so that few calls in flight use many connections.
                lane: Rc::clone(&self.lanes[slot % self.lanes.len()]),
                connector: self.connector.clone(),
                prepared: Rc::clone(&self.prepared),
            };
            running.push(tokio::task::spawn_local(worker.run()));
        }
        pace(&shared, pacer, schedule).await;
        for slot in running {
            if let Err(error) = slot.await {
                return Err(std::io::Error::other(error));
            }
        }
        watchdog.abort();
        let _ = watchdog.await;
        let mut outcome = shared.outcome.borrow().clone();
        outcome.reconnections = self.reconnections() - reconnections_before;
        outcome.elapsed = self.clock.now().since(shared.measured_from);
        Ok(outcome)
    }

    fn reconnections(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.reconnections.get()).sum()
    }
}

/// Arrivals that may wait for a slot: those of one time-out. Later ones could not be answered in time.
fn waiting_max(round: &Round) -> usize {
    match round.model {
        Model::Open { rate_per_s, .. } => {
            ((rate_per_s * round.time_out.as_secs_f64()).ceil() as usize).max(1)
        }
        Model::Closed => 0,
    }
}

/// A connection that is replaced when it breaks, shared by the slots that call on it.
struct Lane<K: Connector> {
    connection: RefCell<Option<Rc<K::Connection>>>,
    connecting: tokio::sync::Mutex<()>,
    reconnections: Cell<u64>,
}

impl<K: Connector> Lane<K> {
    fn new(connection: K::Connection) -> Lane<K> {
        Lane {
            connection: RefCell::new(Some(Rc::new(connection))),
            connecting: tokio::sync::Mutex::new(()),
            reconnections: Cell::new(0),
        }
    }

    fn open(&self) -> Option<Rc<K::Connection>> {
        self.connection.borrow().as_ref().filter(|connection| connection.is_open()).map(Rc::clone)
    }

    async fn connection(&self, connector: &K) -> Result<Rc<K::Connection>, CallError> {
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        let _alone = self.connecting.lock().await;
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        self.connection.take();
        let connection = Rc::new(connector.connect().await?);
        self.reconnections.set(self.reconnections.get() + 1);
        *self.connection.borrow_mut() = Some(Rc::clone(&connection));
        Ok(connection)
    }
}

/// What the pacer, the slots and the watchdog of a round share.
struct Shared {
    clock: Clock,
    round: Round,
    measured_from: Mono,
    arrivals: Queue,
    slots: Vec<SlotWatch>,
    outcome: RefCell<Outcome>,
    live: Arc<Live>,
}

impl Shared {
    fn record(&self, times: &CallTimes, error: Option<&CallError>) {
        self.record_failure(times, error.map(CallError::failure));
        if let Some(error) = error
            && times.scheduled >= self.measured_from
        {
            let mut outcome = self.outcome.borrow_mut();
            outcome.samples.entry(error.failure()).or_insert_with(|| error.to_string());
        }
    }

    fn record_failure(&self, times: &CallTimes, failure: Option<Failure>) {
        if times.scheduled >= self.measured_from {
            self.outcome.borrow_mut().record(times, failure, self.round.time_out);
            self.live.count(times.done.nanos_since(times.scheduled), failure.is_some());
        }
    }

    fn end(&self) -> Mono {
        self.measured_from + self.round.duration
    }
}

/// One call that is to be made.
#[derive(Clone, Copy)]
struct Arrival {
    nth: usize,
    scheduled: Mono,
    picked_up: Mono,
}

/// Arrivals that were picked up and have no slot yet, and slots that have no arrival. First come, first served on
/// both sides. Nothing is allocated after it was made.
struct Queue {
    waiting_max: usize,
    waiting: RefCell<VecDeque<Arrival>>,
    idle: RefCell<VecDeque<Waker>>,
    closed: Cell<bool>,
}

impl Queue {
    fn new(waiting_max: usize) -> Queue {
        // A long time-out may allow more than will ever wait: grow then, rather than reserve it all.
        let reserved = waiting_max.min(1 << 16);
        Queue {
            waiting_max,
            waiting: RefCell::new(VecDeque::with_capacity(reserved)),
            idle: RefCell::default(),
            closed: Cell::new(false),
        }
    }

    /// Hands an arrival over; false where too many wait already.
    fn push(&self, arrival: Arrival) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.waiting_max {
            return false;
        }
        waiting.push_back(arrival);
        if let Some(slot) = self.idle.borrow_mut().pop_front() {
            slot.wake();
        }
        true
    }

    fn close(&self) {
        self.closed.set(true);
        self.idle.borrow_mut().drain(..).for_each(Waker::wake);
    }

    async fn next(&self) -> Option<Arrival> {
        std::future::poll_fn(|context| {
            if let Some(arrival) = self.waiting.borrow_mut().pop_front() {
                return Poll::Ready(Some(arrival));
            }
            if self.closed.get() {
                return Poll::Ready(None);
            }
            self.idle.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Picks arrivals up when they are due: all that are, at each wake, each counted from its own time.
async fn pace(shared: &Shared, mut timer: clock::Timer, schedule: &Schedule) {
    let start = shared.round.start;
    timer.sleep_until(start).await;
    let mut now = shared.clock.now();
    for (nth, offset_ns) in schedule.offsets_ns().iter().enumerate() {
        let scheduled = Mono(start.0 + offset_ns);
        if now < scheduled {
            // The slots go first: arming a timer takes microseconds on a virtual machine, and a call would wait.
            tokio::task::yield_now().await;
            timer.sleep_until(scheduled).await;
            now = shared.clock.now();
        }
        if !shared.arrivals.push(Arrival { nth, scheduled, picked_up: now }) {
            let times = CallTimes { scheduled, picked_up: now, sent: None, done: now };
            shared.record_failure(&times, Some(Failure::Dropped));
        }
    }
    shared.arrivals.close();
}

/// What the watchdog knows of a slot.
#[derive(Default)]
struct SlotWatch {
    /// When the call in flight is over its time; zero for none.
    deadline: Cell<Mono>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl SlotWatch {
    fn begin(&self, deadline: Mono) {
        self.deadline.set(deadline);
        self.expired.set(false);
    }

    fn end(&self) {
        self.deadline.set(Mono(0));
    }

    /// Polls a call, or says that its time is over.
    fn poll<T>(&self, call: Poll<Result<T, CallError>>, context: &Context<'_>) -> Poll<Result<T, CallError>> {
        if call.is_pending() {
            if self.expired.get() {
                return Poll::Ready(Err(CallError::TimedOut));
            }
            let mut waker = self.waker.borrow_mut();
            match waker.as_mut() {
                Some(known) => known.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
        }
        call
    }
}

/// Ends calls that are past their time. One look over the slots now and then costs less than a timer a call.
async fn watch(shared: Rc<Shared>, mut timer: clock::Timer) {
    let step = (shared.round.time_out / 50).clamp(WATCH_EVERY.0, WATCH_EVERY.1);
    loop {
        let now = shared.clock.now();
        for slot in &shared.slots {
            let deadline = slot.deadline.get();
            if deadline > Mono(0) && deadline <= now {
                slot.expired.set(true);
                if let Some(waker) = slot.waker.borrow().as_ref() {
                    waker.wake_by_ref();
                }
            }
        }
        timer.sleep_until(now + step).await;
    }
}

/// A place for one call at a time.
struct SlotWorker<K: Connector> {
    slot: usize,
    shared: Rc<Shared>,
    lane: Rc<Lane<K>>,
    connector: K,
    prepared: Rc<Vec<<K::Connection as Connection>::Prepared>>,
}

impl<K: Connector> SlotWorker<K> {
    async fn run(self) {
        match self.shared.round.model {
            Model::Open { .. } => {
                while let Some(arrival) = self.shared.arrivals.next().await {
                    self.perform(arrival).await;
                }
            }
            Model::Closed => self.run_closed().await,
        }
    }

    async fn run_closed(&self) {
        let shared = &self.shared;
        shared.arrivals.next().await; // Waits for the start: the pacer closes the queue then.
        let end = shared.end();
        for nth in (self.slot..).step_by(shared.slots.len()) {
            let now = shared.clock.now();
            if now >= end {
                return;
            }
            let refused = self.perform(Arrival { nth, scheduled: now, picked_up: now }).await;
            if refused {
                clock::pause(REST_AFTER_REFUSAL).await;
            }
        }
    }

    /// Makes a call and records it; says whether there was no connection to make it on.
    async fn perform(&self, arrival: Arrival) -> bool {
        let shared = &self.shared;
        let watch = &shared.slots[self.slot];
        let deadline = arrival.scheduled + shared.round.time_out;
        let mut times = CallTimes {
            scheduled: arrival.scheduled,
            picked_up: arrival.picked_up,
            sent: None,
            done: deadline,
        };
        watch.begin(deadline);
        let called = self.call(arrival.nth, deadline, &mut times);
        let result = watched(watch, called).await;
        times.done = shared.clock.now();
        watch.end();
        shared.record(&times, result.as_ref().err());
        times.sent.is_none() && !matches!(result, Err(CallError::TimedOut))
    }

    async fn call(&self, nth: usize, deadline: Mono, times: &mut CallTimes) -> Result<(), CallError> {
        let connection = self.lane.connection(&self.connector).await?;
        let sent = self.shared.clock.now();
        if sent >= deadline {
            return Err(CallError::TimedOut);
        }
        times.sent = Some(sent);
        connection.call(&self.prepared[nth % self.prepared.len()]).await.map(drop)
    }
}

async fn watched<T>(
    watch: &SlotWatch,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let mut call = std::pin::pin!(call);
    std::future::poll_fn(|context| {
        let polled = call.as_mut().poll(context);
        watch.poll(polled, context)
    })
    .await
}
