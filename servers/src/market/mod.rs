//! The market: the one service behind every protocol. Reads are frozen at the seed, orders change
//! only the ledger, ticks come from one source. It knows nothing of how it is carried.

mod ledger;
mod session;
mod ticks;

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
    handler: Mutex<Handler>,
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
    until: Mono,
    begun: Begun,
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
            handler: Mutex::new(config.handler),
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
        let handler = self.handler();
        let placed = self.fault(handler).map_or_else(|| self.ledger.place(&self.data, request), Err);
        let (answer, time) = self.treat(handler, placed);
        self.wait(time).await;
        answer
    }

    /// Any of the calls above, for protocols that dispatch by number: the answer, or what becomes
    /// it once the handler has waited ([`Market::finish`]).
    pub fn answer(&self, operation: Operation) -> Answer {
        let handler = self.handler();
        let begun = match (self.fault(handler), operation) {
            (Some(fault), _) => Begun::Made(Err(fault)),
            (None, Operation::PlaceOrder(request)) => {
                Begun::Made(self.ledger.place(&self.data, request).map(Reply::Receipt))
            }
            (None, read) if self.reference.is_some() => Begun::Made(self.data.answer(&read)),
            (None, read) => Begun::Read(read),
        };
        let (begun, time) = match begun {
            Begun::Made(answer) => {
                let (answer, time) = self.treat(handler, answer);
                (Begun::Made(answer), time)
            }
            read @ Begun::Read(_) => (read, self.work(handler)),
        };
        match time {
            Some(until) => Answer::Waits(Waiting { until, begun }),
            None => Answer::Now(self.made(begun)),
        }
    }

    /// The answer to a call, once its handler has waited.
    pub async fn finish(&self, waiting: Waiting) -> MarketResult<Reply> {
        self.wait(Some(waiting.until)).await;
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
        let handler = self.handler();
        if self.reference.is_some() {
            let (answer, time) = self.treat(handler, read(&self.data));
            self.wait(time).await;
            return answer;
        }
        let fault = self.fault(handler);
        self.wait(self.work(handler)).await;
        fault.map_or_else(|| read(&self.data), Err)
    }

    /// What a call fails with, if it is one of those that fail.
    fn fault(&self, Handler { fails, .. }: Handler) -> Option<Fault> {
        let draw = || self.chance.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>();
        (fails > 0.0 && draw() < fails).then(|| Fault::new(FaultCode::Unavailable, FAILURE))
    }

    async fn wait(&self, until: Option<Mono>) {
        if let Some(time) = until {
            self.delays.sleep_until(time).await;
        }
    }

    /// The answer, and when the handler would have it leave.
    fn treat<T>(&self, handler: Handler, answer: MarketResult<T>) -> (MarketResult<T>, Option<Mono>) {
        let Some(reference) = &self.reference else { return (answer, self.work(handler)) };
        let Treatment { reply_at, fails } = reference.treat();
        let fault = || Fault::new(FaultCode::Unavailable, FAILURE);
        (if fails { Err(fault()) } else { answer }, Some(reply_at))
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
        *self.handler.lock().unwrap_or_else(PoisonError::into_inner) = handler;
    }

    fn handler(&self) -> Handler {
        *self.handler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, Handler { wait, cpu, .. }: Handler) -> Option<Mono> {
        if !cpu.is_zero() {
            self.clock.burn(cpu);
        }
        (!wait.is_zero()).then(|| self.clock.now() + wait)
    }
}
