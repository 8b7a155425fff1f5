//! The market: the one service behind every protocol. Reads are frozen at the seed, orders change
//! only the ledger, ticks come from one source. It knows nothing of how it is carried.

mod arrivals;
mod backend;
mod deadline;
mod ledger;
mod session;
mod ticks;
mod turns;
mod work;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clock::{Clock, Delays, Mono, Precision};
use proto::data::DataSet;
use proto::v1::{
    FaultCode, History, HistoryRequest, OrderReceipt, OrderRequest, Portfolio, PortfolioRequest, Quote,
    QuoteRequest, Quotes, QuotesRequest, SubscribeRequest,
};

use crate::reference::{Behaviour, Reference, Treatment};
use proto::{Fault, MarketResult, Operation, Reply};
use terms::role::RoleError;
use terms::{Handler, MARKET_SEED};
use tokio::task::AbortHandle;

use arrivals::CallCount;
pub use arrivals::CountCalls;
pub use backend::{Asked, Backend, Behind, OpenBackend};
pub(crate) use deadline::{exceeded, within};
use ledger::{Ledger, Placing};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
pub use session::SessionEvents;
pub use ticks::{EncodedTick, Subscription, TickStretch, Ticks};
pub use work::Spell;
use work::{Time, Work};

/// What a call says that fails because that was asked for.
const FAILURE: &str = "a failure that was asked for";

/// What a market is made from.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// Seed of the data set.
    pub seed: u64,
    /// What a handler does before it answers.
    pub handler: Handler,
    /// Ticks per second, evenly spaced; 0 for none.
    pub ticks_per_s: f64,
    /// Ticks held for subscribers that are behind and for pollers. Default 4 096.
    pub ticks_held: usize,
    /// Idempotency keys remembered in memory; past it the oldest is forgotten. Default 100 000. (A
    /// file remembers each for a day.)
    pub idempotency_keys_max: usize,
    /// The file of SQLite that orders are kept in; in memory where it is absent.
    pub ledger: Option<PathBuf>,
    /// What is done to every call and tick, for calibration: instead of the handler's own work.
    pub behaviour: Option<Behaviour>,
}

impl Default for MarketConfig {
    fn default() -> MarketConfig {
        MarketConfig {
            seed: MARKET_SEED,
            handler: Handler::default(),
            ticks_per_s: 0.0,
            ticks_held: 4_096,
            idempotency_keys_max: 100_000,
            ledger: None,
            behaviour: None,
        }
    }
}

/// The service. Shared by all servers of a process behind an [`Arc`].
#[derive(Debug)]
pub struct Market {
    data: Arc<DataSet>,
    ledger: Ledger,
    ticks: Arc<Ticks>,
    clock: Clock,
    delays: Delays,
    handler: Mutex<Work>,
    /// Calls that came while something happened to it.
    in_trouble: AtomicU64,
    /// Decides which calls fail, and which replies are lost, where some are to.
    chance: Mutex<ChaCha8Rng>,
    reference: Option<Reference>,
    source: Mutex<Option<TickSource>>,
    /// Services behind it that answer its calls.
    backend: Option<Arc<dyn Backend>>,
}

/// What became of a call.
#[derive(Debug)]
pub enum Answer {
    /// Its answer.
    Now(MarketResult<Reply>),
    /// Its handler waits.
    Waits(Waiting),
}

/// A call whose handler waits, or whose order is being written down.
#[derive(Debug)]
pub struct Waiting {
    time: Option<Time>,
    begun: Begun,
    deadline: Option<Mono>,
}

/// How far a call has come.
#[derive(Debug)]
enum Begun {
    Made(MarketResult<Reply>),
    Placing(Placing),
    Read(Operation),
    Asked(Arc<dyn Backend>, Operation),
}

/// The task that emits ticks, ended when dropped.
#[derive(Debug)]
struct TickSource(AbortHandle);

impl Drop for TickSource {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Market {
    /// Opens the market on the current tokio runtime; its tick source ends with it.
    ///
    /// # Errors
    /// The system's, where it refuses a timer; the ledger's, where its file cannot be opened.
    pub fn open(config: &MarketConfig, clock: Clock) -> io::Result<Arc<Market>> {
        Market::before(None, config, clock)
    }

    /// The same, with services behind it that answer its calls. (Ticks are its own.)
    ///
    /// # Errors
    /// The same.
    pub fn before(
        backend: Option<Arc<dyn Backend>>,
        config: &MarketConfig,
        clock: Clock,
    ) -> io::Result<Arc<Market>> {
        // A reference has a core to itself: spinning for the last microseconds buys exactness.
        let precision = if config.behaviour.is_some() { Precision::Spin } else { Precision::Sleep };
        let market = Market {
            data: Arc::new(DataSet::new(config.seed)),
            ledger: Ledger::open(config.idempotency_keys_max, config.ledger.as_deref())?,
            ticks: Arc::new(Ticks::new(config.ticks_held)),
            delays: Delays::start(&clock, precision)?,
            reference: config.behaviour.map(|behaviour| Reference::new(clock.clone(), behaviour)),
            clock,
            handler: Mutex::new(Work::of(config.handler)),
            in_trouble: AtomicU64::new(0),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(config.seed)),
            source: Mutex::default(),
            backend,
        };
        if config.ticks_per_s > 0.0 {
            let (start, ticks_per_s) = (market.clock.now(), config.ticks_per_s);
            // f64 counts nanoseconds exactly for the first 104 days.
            let even = (1_u64..)
                .map(move |nth| start + Duration::from_nanos((nth as f64 * 1e9 / ticks_per_s) as u64));
            market.emit_at(even)?;
        }
        Ok(Arc::new(market))
    }

    /// Emits a tick at each of these times, instead of whatever was to be emitted before; says the
    /// sequence of the first. Must be called on the runtime that the market was opened on.
    ///
    /// # Errors
    /// The system's, where it refuses a timer.
    pub fn emit_at(&self, times: impl Iterator<Item = Mono> + Send + 'static) -> io::Result<u64> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        // The one before must be gone before the sequences are shared out anew.
        *source = None;
        let first = self.ticks.newest() + 1;
        let (ticks, data, clock) = (Arc::clone(&self.ticks), Arc::clone(&self.data), self.clock.clone());
        let due = times.zip(first..);
        let task = match &self.reference {
            None => tokio::spawn(ticks::emit(ticks, data, clock, self.clock.timer(Precision::Sleep)?, due)),
            Some(reference) => {
                let (timer, due) = (self.clock.timer(Precision::Spin)?, reference.emissions(due));
                tokio::spawn(ticks::emit(ticks, data, clock, timer, due))
            }
        };
        *source = Some(TickSource(task.abort_handle()));
        Ok(first)
    }

    /// What it knows.
    pub fn data(&self) -> &DataSet {
        &self.data
    }

    /// Its ticks.
    pub fn ticks(&self) -> &Arc<Ticks> {
        &self.ticks
    }

    /// One quote.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn quote(&self, request: QuoteRequest) -> MarketResult<Quote> {
        self.call(Operation::Quote(request)).await.and_then(Reply::quote)
    }

    /// Several quotes.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn quotes(&self, request: QuotesRequest) -> MarketResult<Quotes> {
        self.call(Operation::Quotes(request)).await.and_then(Reply::quotes)
    }

    /// A portfolio, masked as asked.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn portfolio(&self, request: PortfolioRequest) -> MarketResult<Portfolio> {
        self.call(Operation::Portfolio(request)).await.and_then(Reply::portfolio)
    }

    /// A history.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn history(&self, request: HistoryRequest) -> MarketResult<History> {
        self.call(Operation::History(request)).await.and_then(Reply::history)
    }

    /// Places an order, once for each idempotency key.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn place_order(&self, request: OrderRequest) -> MarketResult<OrderReceipt> {
        self.call(Operation::PlaceOrder(request)).await.and_then(Reply::receipt)
    }

    /// Any of the calls above, by the deadline of the call that this task answers.
    async fn call(&self, operation: Operation) -> MarketResult<Reply> {
        match self.answer_by(operation, deadline::current()) {
            Answer::Now(answer) => answer,
            Answer::Waits(waiting) => self.finish(waiting).await,
        }
    }

    /// Any of the calls above, for protocols that dispatch by number: the answer, or what becomes
    /// it once the handler has waited ([`Market::finish`]). The caller waits for so long, where it
    /// said so.
    pub fn answer(&self, operation: Operation, time_left: Option<Duration>) -> Answer {
        self.answer_by(operation, time_left.map(|left| self.clock.now() + left))
    }

    /// A call that comes too late, or whose handler fails it, is refused before anything is done
    /// about it.
    fn answer_by(&self, operation: Operation, deadline: Option<Mono>) -> Answer {
        if deadline.is_some_and(|deadline| deadline <= self.clock.now()) {
            return Answer::Now(Err(deadline::exceeded()));
        }
        if let Some(backend) = &self.backend {
            let begun = Begun::Asked(Arc::clone(backend), operation);
            return Answer::Waits(Waiting { time: None, begun, deadline });
        }
        let work = self.work();
        let begun = match (self.fault(&work), operation) {
            (Some(fault), _) => Begun::Made(Err(fault)),
            (None, Operation::PlaceOrder(request)) => Begun::Placing(self.ledger.place(&self.data, request)),
            // Its time to reply is exact: it reads before it waits.
            (None, read) if self.reference.is_some() => Begun::Made(self.data.answer(&read)),
            (None, read) => Begun::Read(read),
        };
        let (begun, time) = match begun {
            Begun::Made(answer) => {
                let (answer, time) = self.treat(work, answer);
                (Begun::Made(answer), time)
            }
            Begun::Placing(placing) => {
                let (placing, time) = self.treat(work, placing);
                (Begun::Placing(placing), time)
            }
            other @ (Begun::Read(_) | Begun::Asked(..)) => (other, self.time(work)),
        };
        match (time, begun) {
            (None, Begun::Made(answer)) => Answer::Now(answer),
            (None, Begun::Placing(Placing::Done(placed))) => Answer::Now(placed.map(Reply::Receipt)),
            (None, Begun::Read(read)) => Answer::Now(self.data.answer(&read)),
            (time, begun) => Answer::Waits(Waiting { time, begun, deadline }),
        }
    }

    /// The answer to a call, once its handler has waited, or that its time is up.
    pub async fn finish(&self, waiting: Waiting) -> MarketResult<Reply> {
        let Waiting { time, begun, deadline } = waiting;
        let finished = async {
            self.wait(time).await?;
            match begun {
                Begun::Made(answer) => answer,
                Begun::Placing(placing) => placing.result().await.map(Reply::Receipt),
                // Read after the wait, so that callers who wait hold no replies.
                Begun::Read(read) => self.data.answer(&read),
                Begun::Asked(backend, operation) => {
                    let asked = backend.ask(operation, deadline);
                    self.work().asking(asked).await
                }
            }
        };
        let Some(deadline) = deadline else { return finished.await };
        tokio::select! {
            biased;
            answer = finished => answer,
            () = self.delays.sleep_until(deadline) => Err(deadline::exceeded()),
        }
    }

    /// Ticks of some symbols (none named: all), behind the one that the caller has seen, or from
    /// now on.
    ///
    /// # Errors
    /// Where a symbol is unknown or there are too many.
    pub fn subscribe(&self, request: &SubscribeRequest) -> MarketResult<Subscription> {
        let SubscribeRequest { symbols, after_sequence } = request;
        self.data.check_symbols(symbols)?;
        let ticks = Arc::clone(&self.ticks);
        Ok(match after_sequence {
            Some(seen) => Subscription::after(ticks, symbols, *seen),
            None => Subscription::from_now(ticks, symbols),
        })
    }

    /// What a call fails with, if it is one of those that fail.
    fn fault(&self, work: &Work) -> Option<Fault> {
        let fails = work.fails(&self.clock) || self.falls_to(work.handler.fails);
        fails.then(|| Fault::new(FaultCode::Unavailable, FAILURE))
    }

    /// Whether a call is among this share of them; nothing is drawn for none.
    fn falls_to(&self, share: f64) -> bool {
        let draw = || self.chance.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>();
        share > 0.0 && draw() < share
    }

    /// Waits for a call's time, or its turn.
    async fn wait(&self, time: Option<Time>) -> MarketResult<()> {
        match time {
            None => Ok(()),
            Some(Time::At(until)) => {
                self.delays.sleep_until(until).await;
                Ok(())
            }
            Some(Time::InTurn(work)) => work.in_turn(self.clock.clone(), self.delays.clone()).await,
        }
    }

    /// The answer, and when the handler would have it leave.
    fn treat<A: Answered>(&self, work: Work, answer: A) -> (A, Option<Time>) {
        let Some(reference) = &self.reference else { return (answer, self.time(work)) };
        let Treatment { reply_at, fails } = reference.treat();
        let fault = || Fault::new(FaultCode::Unavailable, FAILURE);
        (if fails { A::failed(fault()) } else { answer }, Some(Time::At(reply_at)))
    }

    /// When the first freeze of its behaviour began; `None` where it was given none.
    pub fn origin(&self) -> Option<Mono> {
        self.reference.as_ref().map(Reference::origin)
    }

    /// When calls came since this was last asked, the first hundred thousand of them; of a market
    /// with a behaviour.
    pub fn take_arrivals(&self) -> Vec<Mono> {
        self.reference.as_ref().map(Reference::take_arrivals).unwrap_or_default()
    }

    /// Has its handlers do this from now on.
    pub fn set_handler(&self, handler: Handler) {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner).set_handler(handler);
    }

    /// Has this happen to it, in place of what it was told before; counts from nothing what comes
    /// meanwhile.
    pub fn set_spells(&self, spells: &[Spell]) {
        self.in_trouble.store(0, Ordering::Relaxed);
        self.handler.lock().unwrap_or_else(PoisonError::into_inner).set_spells(spells);
    }

    /// Counts calls from now on as this asks for, in place of what was counted before.
    pub fn count_calls(&self, asked: CountCalls) {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner).calls = Some(CallCount::new(asked));
    }

    /// Calls that were counted, slice by slice; none where none were to be.
    pub fn counted_calls(&self) -> Vec<u64> {
        let work = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        work.calls.as_ref().map(CallCount::counts).unwrap_or_default()
    }

    /// Has the policies of a front begin a round, where it is one.
    ///
    /// # Errors
    /// Where they cannot, with why.
    pub fn renew(&self, seed: u64) -> Result<(), RoleError> {
        self.backend.as_ref().map_or(Ok(()), |backend| backend.renew(seed))
    }

    /// Calls that came while something happened to it.
    pub fn calls_in_trouble(&self) -> u64 {
        self.in_trouble.load(Ordering::Relaxed)
    }

    /// Orders in its ledger.
    ///
    /// # Errors
    /// Where they cannot be counted, with why.
    pub async fn count_orders(&self) -> MarketResult<u64> {
        self.ledger.count().await
    }

    /// What is done about a call that comes now.
    fn work(&self) -> Work {
        let work = self.handler.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if work.in_trouble(&self.clock) {
            self.in_trouble.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(calls) = &work.calls {
            calls.count(self.clock.now());
        }
        work
    }

    /// When the handler lets a call go that comes now. A market that fails every call does so at
    /// once, and a reply that is lost leaves when nobody waits for it.
    fn time(&self, work: Work) -> Option<Time> {
        if work.fails(&self.clock) {
            return None;
        }
        let is_lost = self.falls_to(work.handler.loses);
        let lost = || Time::At(self.clock.now() + Handler::LOST_REPLY_AFTER);
        if is_lost { Some(lost()) } else { work.time(&self.clock) }
    }
}

/// What can fail because that was asked for.
trait Answered {
    fn failed(fault: Fault) -> Self;
}

impl<T> Answered for MarketResult<T> {
    fn failed(fault: Fault) -> MarketResult<T> {
        Err(fault)
    }
}

impl Answered for Placing {
    fn failed(fault: Fault) -> Placing {
        Placing::Done(Err(fault))
    }
}
