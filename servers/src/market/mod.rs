//! The market: the one service behind every protocol. Reads are frozen at the seed, orders change
//! only the ledger, ticks come from one source. It knows nothing of how it is carried.

mod ledger;
mod session;
mod ticks;
mod turns;

use std::io;
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
use terms::{Handler, MARKET_SEED};
use tokio::task::AbortHandle;

use ledger::Ledger;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
pub use session::SessionEvents;
pub use ticks::{EncodedTick, Subscription, TickStretch, Ticks};
use turns::Turns;

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
    /// Idempotency keys remembered; past it the oldest is forgotten. Default 100 000.
    pub idempotency_keys_max: usize,
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
    /// When it begins no work: from, to.
    stalls: Arc<Mutex<Vec<(Mono, Mono)>>>,
    /// Decides which calls fail, where some are to.
    chance: Mutex<ChaCha8Rng>,
    reference: Option<Reference>,
    source: Mutex<Option<TickSource>>,
}

/// What became of a call.
#[derive(Debug)]
pub enum Answer {
    /// Its answer.
    Now(MarketResult<Reply>),
    /// Its handler waits.
    Waits(Waiting),
}

/// A call whose handler waits.
#[derive(Debug)]
pub struct Waiting {
    time: Time,
    begun: Begun,
}

/// When a call's answer leaves.
#[derive(Debug)]
enum Time {
    /// At this time.
    At(Mono),
    /// When it has had its turn.
    InTurn(Arc<Turns>, Duration),
}

/// What a handler does, and with whom it takes turns.
#[derive(Debug, Clone)]
struct Work {
    handler: Handler,
    turns: Option<Arc<Turns>>,
}

impl Work {
    fn of(handler: Handler) -> Work {
        Work { handler, turns: handler.concurrency.map(Turns::new) }
    }
}

/// How far a call has come.
#[derive(Debug)]
enum Begun {
    Made(MarketResult<Reply>),
    Read(Operation),
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
    /// The system's, where it refuses a timer.
    pub fn open(config: &MarketConfig, clock: Clock) -> io::Result<Arc<Market>> {
        // A reference has a core to itself: spinning for the last microseconds buys exactness.
        let precision = if config.behaviour.is_some() { Precision::Spin } else { Precision::Sleep };
        let market = Market {
            data: Arc::new(DataSet::new(config.seed)),
            ledger: Ledger::new(config.idempotency_keys_max),
            ticks: Arc::new(Ticks::new(config.ticks_held)),
            delays: Delays::start(&clock, precision)?,
            reference: config.behaviour.map(|behaviour| Reference::new(clock.clone(), behaviour)),
            clock,
            handler: Mutex::new(Work::of(config.handler)),
            stalls: Arc::default(),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(config.seed)),
            source: Mutex::default(),
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
        self.read(|data| data.quote(&request.symbol)).await
    }

    /// Several quotes.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn quotes(&self, request: QuotesRequest) -> MarketResult<Quotes> {
        self.read(|data| data.quotes(&request.symbols)).await
    }

    /// A portfolio, masked as asked.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn portfolio(&self, request: PortfolioRequest) -> MarketResult<Portfolio> {
        self.read(|data| data.masked_portfolio(&request)).await
    }

    /// A history.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn history(&self, request: HistoryRequest) -> MarketResult<History> {
        self.read(|data| data.history(&request.symbol, request.n)).await
    }

    /// Places an order, once for each idempotency key.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn place_order(&self, request: OrderRequest) -> MarketResult<OrderReceipt> {
        // A call that fails is refused before anything is done about it.
        let work = self.work();
        let placed = self.fault(&work).map_or_else(|| self.ledger.place(&self.data, request), Err);
        let (answer, time) = self.treat(work, placed);
        self.wait(time).await?;
        answer
    }

    /// Any of the calls above, for protocols that dispatch by number: the answer, or what becomes
    /// it once the handler has waited ([`Market::finish`]).
    pub fn answer(&self, operation: Operation) -> Answer {
        let work = self.work();
        let begun = match (self.fault(&work), operation) {
            (Some(fault), _) => Begun::Made(Err(fault)),
            (None, Operation::PlaceOrder(request)) => {
                Begun::Made(self.ledger.place(&self.data, request).map(Reply::Receipt))
            }
            (None, read) if self.reference.is_some() => Begun::Made(self.data.answer(&read)),
            (None, read) => Begun::Read(read),
        };
        let (begun, time) = match begun {
            Begun::Made(answer) => {
                let (answer, time) = self.treat(work, answer);
                (Begun::Made(answer), time)
            }
            read @ Begun::Read(_) => (read, self.time(work)),
        };
        match time {
            Some(time) => Answer::Waits(Waiting { time, begun }),
            None => Answer::Now(self.made(begun)),
        }
    }

    /// The answer to a call, once its handler has waited.
    pub async fn finish(&self, waiting: Waiting) -> MarketResult<Reply> {
        self.wait(Some(waiting.time)).await?;
        self.made(waiting.begun)
    }

    fn made(&self, begun: Begun) -> MarketResult<Reply> {
        match begun {
            Begun::Made(answer) => answer,
            Begun::Read(read) => self.data.answer(&read),
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

    /// The handler's own work is stated, so that a protocol's overhead can be set against it. What
    /// is read is read after the wait, so that callers who wait hold no replies; a reference reads
    /// it before, for its time to reply is exact.
    async fn read<T>(&self, read: impl FnOnce(&DataSet) -> MarketResult<T>) -> MarketResult<T> {
        let work = self.work();
        if self.reference.is_some() {
            let (answer, time) = self.treat(work, read(&self.data));
            self.wait(time).await?;
            return answer;
        }
        let fault = self.fault(&work);
        self.wait(self.time(work)).await?;
        fault.map_or_else(|| read(&self.data), Err)
    }

    /// What a call fails with, if it is one of those that fail.
    fn fault(&self, Work { handler: Handler { fails, .. }, .. }: &Work) -> Option<Fault> {
        let draw = || self.chance.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>();
        (*fails > 0.0 && draw() < *fails).then(|| Fault::new(FaultCode::Unavailable, FAILURE))
    }

    /// Waits for a call's time, or its turn.
    async fn wait(&self, time: Option<Time>) -> MarketResult<()> {
        match time {
            None => Ok(()),
            Some(Time::At(until)) => {
                self.delays.sleep_until(until).await;
                Ok(())
            }
            Some(Time::InTurn(turns, wait)) => {
                let (clock, delays, stalls) =
                    (self.clock.clone(), self.delays.clone(), Arc::clone(&self.stalls));
                let work = async move {
                    let begin = after_stalls(&stalls, clock.now());
                    delays.sleep_until(begin + wait).await;
                };
                turns.work(work).await
            }
        }
    }

    /// The answer, and when the handler would have it leave.
    fn treat<T>(&self, work: Work, answer: MarketResult<T>) -> (MarketResult<T>, Option<Time>) {
        let Some(reference) = &self.reference else { return (answer, self.time(work)) };
        let Treatment { reply_at, fails } = reference.treat();
        let fault = || Fault::new(FaultCode::Unavailable, FAILURE);
        (if fails { Err(fault()) } else { answer }, Some(Time::At(reply_at)))
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
        *self.handler.lock().unwrap_or_else(PoisonError::into_inner) = Work::of(handler);
    }

    /// Has it begin no work in these spans of time, in place of those that it was told before: what
    /// is to begin in one begins at its end.
    pub fn set_stalls(&self, stalls: Vec<(Mono, Mono)>) {
        *self.stalls.lock().unwrap_or_else(PoisonError::into_inner) = stalls;
    }

    fn work(&self) -> Work {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the handler lets a call go.
    fn time(&self, Work { handler: Handler { wait, cpu, .. }, turns }: Work) -> Option<Time> {
        if !cpu.is_zero() {
            self.clock.burn(cpu);
        }
        match turns {
            Some(turns) => Some(Time::InTurn(turns, wait)),
            None => (!wait.is_zero()).then(|| Time::At(self.clock.now() + wait)),
        }
    }
}

/// When work begins that could begin now.
fn after_stalls(stalls: &Mutex<Vec<(Mono, Mono)>>, now: Mono) -> Mono {
    let stalls = stalls.lock().unwrap_or_else(PoisonError::into_inner);
    stalls.iter().find(|(from, to)| (*from..*to).contains(&now)).map_or(now, |(_, to)| *to)
}
