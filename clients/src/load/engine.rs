//! The engine: one worker a core, each a thread with a local runtime and its part of a [`Job`];
//! rounds go to all of them and their outcomes are merged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use terms::{Model, Outcome, Schedule, ScheduleError, Shape};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Job, Live, Round, Worker as _};
use crate::connection::CallError;

/// Why the engine could not start or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The system refused something: a thread, a descriptor, a timer.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
    /// A connection could not be opened, or a request not prepared.
    #[error("{}", .0.sample())]
    Connect(CallError),
    /// The schedule cannot be made.
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    /// It was asked to end before all connections were open.
    #[error("interrupted before all connections were open")]
    GivenUp,
    /// A worker ended: it panicked.
    #[error("a worker ended unexpectedly")]
    WorkerLost,
}

// By hand: as the source it would be said a second time, and in full length.
impl From<CallError> for EngineError {
    fn from(error: CallError) -> EngineError {
        EngineError::Connect(error)
    }
}

/// Time that the connections have to say that they close.
const GOODBYE_TIME: Duration = Duration::from_millis(20);

/// Workers with open connections, ready for rounds.
#[derive(Debug)]
pub struct Engine {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    rounds: UnboundedSender<(Round, Schedule)>,
    outcomes: Receiver<Result<Outcome, EngineError>>,
    live: Arc<Live>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts a worker for each entry of `cores` (never more than there are connections), which
    /// opens its connections and prepares its requests. `on_thread` runs first on each worker's
    /// thread, with its core: to pin it.
    ///
    /// # Errors
    /// Where a thread, a connection or a request fails.
    pub fn start<J: Job>(
        cores: &[usize],
        job: &J,
        shape: Shape,
        on_thread: fn(usize) -> std::io::Result<()>,
    ) -> Result<Engine, EngineError> {
        Engine::start_until(cores, job, shape, on_thread, &Arc::default())
    }

    /// The same, and gives up opening once `stop` is set.
    ///
    /// # Errors
    /// As [`Engine::start`], and that it was given up.
    pub fn start_until<J: Job>(
        cores: &[usize],
        job: &J,
        shape: Shape,
        on_thread: fn(usize) -> std::io::Result<()>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Engine, EngineError> {
        let workers = cores.len().clamp(1, shape.connections.max(1));
        let mut started = Vec::with_capacity(workers);
        for (nth, core) in cores.iter().copied().take(workers).enumerate() {
            let connections = shape.connections / workers + usize::from(nth < shape.connections % workers);
            let shape = Shape { connections, ..shape };
            let (rounds, inbox) = unbounded_channel();
            let (outbox, outcomes) = channel();
            let live = Arc::new(Live::of(nth, workers));
            let stop = Arc::clone(stop);
            let task = WorkerTask { job: job.clone(), shape, live: Arc::clone(&live), stop };
            let thread = std::thread::Builder::new().name(format!("load-{nth}")).spawn(move || {
                let ran = on_thread(core).map_err(EngineError::from).and_then(|()| task.run(inbox, &outbox));
                if let Err(error) = ran {
                    // Whoever would read it may be gone.
                    let _ = outbox.send(Err(error));
                }
            })?;
            started.push(Worker { rounds, outcomes, live, thread: Some(thread) });
        }
        let engine = Engine { workers: started };
        // Each worker says when its connections are open, with an empty outcome.
        engine.collect()?;
        Ok(engine)
    }

    /// What is going on, worker by worker.
    pub fn live(&self) -> Vec<Arc<Live>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.live)).collect()
    }

    /// Runs a round on all workers and merges what came of it.
    ///
    /// # Errors
    /// Where the schedule cannot be made, or a worker fails.
    pub fn run(&self, round: &Round) -> Result<Outcome, EngineError> {
        let schedule = match round.model {
            Model::Open { arrivals, rate_per_s } => {
                Schedule::of_round(arrivals, rate_per_s, round.warm_up, round.duration, round.seed)?
            }
            Model::Closed => Schedule::empty(),
        };
        self.run_scheduled(round, &schedule)
    }

    /// Runs a round whose calls are due by a schedule.
    ///
    /// # Errors
    /// Where a worker fails.
    pub fn run_scheduled(&self, round: &Round, schedule: &Schedule) -> Result<Outcome, EngineError> {
        for (nth, worker) in self.workers.iter().enumerate() {
            let share = schedule.share(nth, self.workers.len());
            worker
                .rounds
                .send((round.share(nth, self.workers.len()), share))
                .map_err(|_| EngineError::WorkerLost)?;
        }
        self.collect()
    }

    fn collect(&self) -> Result<Outcome, EngineError> {
        let mut merged = Outcome::new().map_err(std::io::Error::other)?;
        for worker in &self.workers {
            merged.merge(&worker.outcomes.recv().map_err(|_| EngineError::WorkerLost)??);
        }
        Ok(merged)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for mut worker in self.workers.drain(..) {
            let thread = worker.thread.take();
            // Closing the channel ends the worker.
            drop(worker);
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}

struct WorkerTask<J> {
    job: J,
    shape: Shape,
    live: Arc<Live>,
    stop: Arc<AtomicBool>,
}

/// How often an opening looks whether it is to be given up.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until this is set.
async fn is_set(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        clock::pause(STOP_LOOK_EVERY).await;
    }
}

impl<J: Job> WorkerTask<J> {
    fn run(
        self,
        mut inbox: UnboundedReceiver<(Round, Schedule)>,
        outbox: &Sender<Result<Outcome, EngineError>>,
    ) -> Result<(), EngineError> {
        let runtime = crate::local_runtime()?;
        runtime.block_on(async {
            let WorkerTask { job, shape, live, stop } = self;
            let worker = tokio::select! {
                opened = job.open(Clock::System, shape, live) => opened?,
                () = is_set(&stop) => return Err(EngineError::GivenUp),
            };
            let opened = Outcome::new().map_err(std::io::Error::other)?;
            if outbox.send(Ok(opened)).is_err() {
                return Ok(());
            }
            while let Some((round, schedule)) = inbox.recv().await {
                let outcome = worker.run(&round, &schedule).await?;
                if outbox.send(Ok(outcome)).is_err() {
                    break;
                }
            }
            // What a connection has to say at its end is said by its task: a UDP subscriber that
            // does not say so would be sent to for the rest of its lease.
            drop(worker);
            clock::pause(GOODBYE_TIME).await;
            Ok(())
        })
    }
}
