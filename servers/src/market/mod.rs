//! The market: the one service behind every protocol. Reads are frozen at the seed, orders change only the
//! ledger, ticks come from one source. It knows nothing of how it is carried.

mod ledger;
mod session;
mod ticks;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Delays, Mono, Precision};
use proto::data::DataSet;
use proto::v1::{
    History, HistoryRequest, OrderReceipt, OrderRequest, Portfolio, PortfolioRequest, Quote, QuoteRequest,
    Quotes, QuotesRequest, SubscribeRequest,
};
use proto::{MarketResult, Operation, Reply};
use tokio_util::sync::{CancellationToken, DropGuard};

use ledger::Ledger;
pub use session::SessionEvents;
pub use ticks::{EncodedTick, Subscription, TickStretch, Ticks};

/// What a market is made from.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// Seed of the data set.
    pub seed: u64,
    /// Time that a handler waits before it answers, as for a database: no processor time.
    pub handler_wait: Duration,
    /// Processor time that a handler burns before it answers.
    pub handler_cpu: Duration,
    /// Ticks per second, evenly spaced; 0 for none.
    pub ticks_per_s: f64,
    /// Ticks held for subscribers that are behind and for pollers. Default 4 096.
    pub ticks_held: usize,
    /// Idempotency keys remembered; past it the oldest is forgotten. Default 100 000.
    pub idempotency_keys_max: usize,
}

impl Default for MarketConfig {
    fn default() -> MarketConfig {
        MarketConfig {
            seed: 42,
            handler_wait: Duration::ZERO,
            handler_cpu: Duration::ZERO,
            ticks_per_s: 0.0,
            ticks_held: 4_096,
            idempotency_keys_max: 100_000,
        }
    }
}

/// The service. Shared by all servers of a process behind an [`Arc`].
#[derive(Debug)]
pub struct Market {
    data: DataSet,
    ledger: Ledger,
    ticks: Arc<Ticks>,
    clock: Clock,
    delays: Delays,
    handler_wait: Duration,
    handler_cpu: Duration,
    _tick_source: DropGuard,
}

impl Market {
    /// Opens the market on the current tokio runtime; its tick source ends with it.
    ///
    /// # Errors
    /// The system's, where it refuses a timer.
    pub fn open(config: &MarketConfig, clock: Clock) -> io::Result<Arc<Market>> {
        let data = DataSet::new(config.seed);
        let ticks = Arc::new(Ticks::new(config.ticks_held));
        let stop = CancellationToken::new();
        if config.ticks_per_s > 0.0 {
            let timer = clock.timer(Precision::Sleep)?;
            let source = ticks::emit_evenly(
                Arc::clone(&ticks),
                DataSet::new(config.seed),
                clock.clone(),
                timer,
                config.ticks_per_s,
            );
            tokio::spawn(stop.clone().run_until_cancelled_owned(source));
        }
        Ok(Arc::new(Market {
            data,
            ledger: Ledger::new(config.idempotency_keys_max),
            ticks,
            delays: Delays::start(&clock, Precision::Sleep)?,
            clock,
            handler_wait: config.handler_wait,
            handler_cpu: config.handler_cpu,
            _tick_source: stop.drop_guard(),
        }))
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
        self.after_work(self.data.quote(&request.symbol)).await
    }

    /// Several quotes.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn quotes(&self, request: QuotesRequest) -> MarketResult<Quotes> {
        self.after_work(self.data.quotes(&request.symbols)).await
    }

    /// A portfolio, masked as asked.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn portfolio(&self, request: PortfolioRequest) -> MarketResult<Portfolio> {
        self.after_work(self.data.masked_portfolio(&request)).await
    }

    /// A history.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn history(&self, request: HistoryRequest) -> MarketResult<History> {
        self.after_work(self.data.history(&request.symbol, request.n)).await
    }

    /// Places an order, once for each idempotency key.
    ///
    /// # Errors
    /// The fault to answer with.
    pub async fn place_order(&self, request: OrderRequest) -> MarketResult<OrderReceipt> {
        self.after_work(self.ledger.place(&self.data, request)).await
    }

    /// Any of the calls above, for protocols that dispatch by number: the answer now, and how long the handler
    /// would have the caller wait for it (`None`: not at all).
    pub fn answer(&self, operation: Operation) -> (MarketResult<Reply>, Option<Mono>) {
        let answer = match operation {
            Operation::PlaceOrder(request) => self.ledger.place(&self.data, request).map(Reply::Receipt),
            read => self.data.answer(&read),
        };
        (answer, self.work())
    }

    /// Waits until a time that [`Market::answer`] gave.
    pub async fn wait_until(&self, time: Mono) {
        self.delays.sleep_until(time).await;
    }

    /// Ticks of some symbols (none named: all) from now on.
    ///
    /// # Errors
    /// Where a symbol is unknown or there are too many.
    pub fn subscribe(&self, request: &SubscribeRequest) -> MarketResult<Subscription> {
        self.data.check_symbols(&request.symbols)?;
        Ok(Subscription::from_now(Arc::clone(&self.ticks), &request.symbols))
    }

    /// The same, after a sequence that the caller has seen.
    ///
    /// # Errors
    /// As [`Market::subscribe`].
    pub fn resume(&self, request: &SubscribeRequest, after: u64) -> MarketResult<Subscription> {
        self.data.check_symbols(&request.symbols)?;
        Ok(Subscription::after(Arc::clone(&self.ticks), &request.symbols, after))
    }

    /// The handler's own work is stated, so that a protocol's overhead can be set against it.
    async fn after_work<T>(&self, answer: MarketResult<T>) -> MarketResult<T> {
        if let Some(time) = self.work() {
            self.wait_until(time).await;
        }
        answer
    }

    fn work(&self) -> Option<Mono> {
        if !self.handler_cpu.is_zero() {
            self.clock.burn(self.handler_cpu);
        }
        (!self.handler_wait.is_zero()).then(|| self.clock.now() + self.handler_wait)
    }
}
