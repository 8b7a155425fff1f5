//! The schema: the messages of the contract as objects of the same names, resolved field by field.
//! A position's quote is asked for only where a query wants it, and then for all positions of the
//! portfolio in one call.

use std::sync::Arc;

use async_graphql::{
    Context, Enum, Error, ErrorExtensions as _, InputObject, Number, Object, Scalar, ScalarType, Schema,
    SchemaBuilder, SimpleObject, Subscription, Value,
};
use futures::stream::{self, Stream};
use proto::v1::{
    self, Candle, HistoryRequest, OrderReceipt, OrderRequest, PortfolioRequest, QuoteRequest, QuotesRequest,
    SubscribeRequest,
};
use proto::{Fault, mask};
use tokio::sync::OnceCell;
use tokio::task::coop::consume_budget;

use super::long::SHORT_CANDLES;
use crate::{Limits, Market};

pub(super) type MarketSchema = Schema<Query, Mutation, Ticks>;

/// What a position has of its own, without its quote: that is a call of its own.
const PORTFOLIO_WITHOUT_QUOTES: &str = "account,owner,currency,cash_cents,positions.symbol,positions.quantity,\
                                        positions.cost_cents,positions.news";

/// A schema's beginning, with the bounds that the library keeps.
pub(super) fn builder(market: Arc<Market>, limits: &Limits) -> SchemaBuilder<Query, Mutation, Ticks> {
    Schema::build(Query, Mutation, Ticks)
        .data(market)
        .limit_depth(limits.graphql_depth_max)
        .limit_complexity(limits.graphql_complexity_max)
}

pub(super) fn sdl() -> String {
    Schema::build(Query, Mutation, Ticks).finish().sdl()
}

fn market<'a>(context: &Context<'a>) -> async_graphql::Result<&'a Arc<Market>> {
    context.data::<Arc<Market>>()
}

/// The market's refusal, with its code where clients look for one.
fn refusal(fault: Fault) -> Error {
    let code = fault.code.as_str_name();
    Error::new(fault.detail).extend_with(|_, extensions| extensions.set("code", code))
}

/// An integer of up to 53 bits, exact in JSON.
struct Long(i64);

/// An integer of up to 53 bits, which JSON keeps exact.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> async_graphql::InputValueResult<Self> {
        match &value {
            Value::Number(number) => number.as_i64().map(Long).ok_or_else(|| "not an integer".into()),
            _ => Err(async_graphql::InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(Number::from(self.0))
    }
}

impl Long {
    fn sequence(self) -> async_graphql::Result<u64> {
        u64::try_from(self.0).map_err(|_| Error::new("a sequence is a number from 0"))
    }
}

impl From<u64> for Long {
    fn from(value: u64) -> Long {
        // Every integer of the contract fits 53 bits.
        Long(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Long {
    fn from(value: i64) -> Long {
        Long(value)
    }
}

pub(super) struct Query;

/// Reads. They are frozen at the seed.
#[Object(rename_fields = "snake_case", rename_args = "snake_case", cache_control(max_age = 1))]
impl Query {
    /// One quote.
    async fn quote(&self, context: &Context<'_>, symbol: String) -> async_graphql::Result<Quote> {
        let quote = market(context)?.quote(QuoteRequest { symbol }).await;
        quote.map(Quote).map_err(refusal)
    }

    /// Several quotes, 1 to 100, in the order asked.
    #[graphql(complexity = "symbols.len() * child_complexity")]
    async fn quotes(&self, context: &Context<'_>, symbols: Vec<String>) -> async_graphql::Result<Vec<Quote>> {
        let quotes = market(context)?.quotes(QuotesRequest { symbols }).await.map_err(refusal)?;
        Ok(quotes.quotes.into_iter().map(Quote).collect())
    }

    /// An account's positions with their quotes and news.
    #[graphql(cache_control(private))]
    async fn portfolio(&self, context: &Context<'_>, account: String) -> async_graphql::Result<Portfolio> {
        let field_mask = Some(mask::parse(PORTFOLIO_WITHOUT_QUOTES));
        let request = PortfolioRequest { account, field_mask };
        let portfolio = market(context)?.portfolio(request).await.map_err(refusal)?;
        Ok(Portfolio::new(portfolio))
    }

    /// The last candles of a symbol: 1 to 10 000.
    #[graphql(complexity = "1 + n as usize * child_complexity / 100")]
    async fn history(&self, context: &Context<'_>, symbol: String, n: u32) -> async_graphql::Result<History> {
        market(context)?.history(HistoryRequest { symbol, n }).await.map(History).map_err(refusal)
    }
}

struct Quote(v1::Quote);

#[Object(rename_fields = "snake_case")]
impl Quote {
    async fn symbol(&self) -> &str {
        &self.0.symbol
    }
    async fn currency(&self) -> &str {
        &self.0.currency
    }
    async fn venue(&self) -> &str {
        &self.0.venue
    }
    async fn bid_cents(&self) -> Long {
        self.0.bid_cents.into()
    }
    async fn ask_cents(&self) -> Long {
        self.0.ask_cents.into()
    }
    async fn last_cents(&self) -> Long {
        self.0.last_cents.into()
    }
    async fn bid_size(&self) -> u32 {
        self.0.bid_size
    }
    async fn ask_size(&self) -> u32 {
        self.0.ask_size
    }
    async fn volume(&self) -> Long {
        self.0.volume.into()
    }
    async fn quoted_at_us(&self) -> Long {
        self.0.quoted_at_us.into()
    }
}

/// A portfolio whose quotes are not asked for yet.
struct Portfolio {
    portfolio: v1::Portfolio,
    quotes: Arc<PositionQuotes>,
}

impl Portfolio {
    fn new(portfolio: v1::Portfolio) -> Portfolio {
        let symbols = portfolio.positions.iter().map(|position| position.symbol.clone()).collect();
        Portfolio { portfolio, quotes: Arc::new(PositionQuotes { symbols, loaded: OnceCell::new() }) }
    }
}

#[Object(rename_fields = "snake_case")]
impl Portfolio {
    async fn account(&self) -> &str {
        &self.portfolio.account
    }
    async fn owner(&self) -> &str {
        &self.portfolio.owner
    }
    async fn currency(&self) -> &str {
        &self.portfolio.currency
    }
    async fn cash_cents(&self) -> Long {
        self.portfolio.cash_cents.into()
    }
    #[graphql(complexity = "8 * child_complexity")]
    async fn positions(&self) -> Vec<Position<'_>> {
        let position = |(nth, position)| Position { nth, position, quotes: Arc::clone(&self.quotes) };
        self.portfolio.positions.iter().enumerate().map(position).collect()
    }
}

/// The loader of a portfolio's quotes: the first position that is asked for its quote asks for all.
/// (The library's own loader gathers keys for a time on a timer thread; here the keys are known.)
struct PositionQuotes {
    symbols: Vec<String>,
    loaded: OnceCell<Result<Vec<v1::Quote>, Fault>>,
}

impl PositionQuotes {
    async fn quote(&self, market: &Market, nth: usize) -> Result<v1::Quote, Fault> {
        let load = async || {
            let request = QuotesRequest { symbols: self.symbols.clone() };
            market.quotes(request).await.map(|quotes| quotes.quotes)
        };
        let quotes = self.loaded.get_or_init(load).await.as_ref().map_err(Fault::clone)?;
        Ok(quotes.get(nth).cloned().unwrap_or_default())
    }
}

struct Position<'a> {
    nth: usize,
    position: &'a v1::Position,
    quotes: Arc<PositionQuotes>,
}

#[Object(rename_fields = "snake_case")]
impl Position<'_> {
    async fn symbol(&self) -> &str {
        &self.position.symbol
    }
    async fn quantity(&self) -> u32 {
        self.position.quantity
    }
    async fn cost_cents(&self) -> Long {
        self.position.cost_cents.into()
    }
    async fn quote(&self, context: &Context<'_>) -> async_graphql::Result<Quote> {
        self.quotes.quote(market(context)?, self.nth).await.map(Quote).map_err(refusal)
    }
    #[graphql(complexity = "2 * child_complexity")]
    async fn news(&self) -> Vec<News<'_>> {
        self.position.news.iter().map(News).collect()
    }
}

struct News<'a>(&'a v1::News);

#[Object(rename_fields = "snake_case")]
impl News<'_> {
    async fn id(&self) -> Long {
        self.0.id.into()
    }
    async fn headline(&self) -> &str {
        &self.0.headline
    }
    async fn published_at_us(&self) -> Long {
        self.0.published_at_us.into()
    }
}

struct History(v1::History);

#[Object(rename_fields = "snake_case")]
impl History {
    async fn symbol(&self) -> &str {
        &self.0.symbol
    }
    async fn candles(&self) -> Vec<CandleView<'_>> {
        let is_long = self.0.candles.len() > SHORT_CANDLES;
        self.0.candles.iter().map(|candle| CandleView { candle, is_long }).collect()
    }
}

struct CandleView<'a> {
    candle: &'a Candle,
    is_long: bool,
}

impl CandleView<'_> {
    /// Ten thousand of them take long: others have their turn in between. A few are made in one go,
    /// so that they are not held while others are made.
    async fn read<T>(&self, read: impl FnOnce(&Candle) -> T) -> T {
        if self.is_long {
            consume_budget().await;
        }
        read(self.candle)
    }
}

#[Object(name = "Candle", rename_fields = "snake_case")]
impl CandleView<'_> {
    async fn opened_at_us(&self) -> Long {
        self.read(|candle| candle.opened_at_us.into()).await
    }
    async fn open_cents(&self) -> Long {
        self.read(|candle| candle.open_cents.into()).await
    }
    async fn high_cents(&self) -> Long {
        self.read(|candle| candle.high_cents.into()).await
    }
    async fn low_cents(&self) -> Long {
        self.read(|candle| candle.low_cents.into()).await
    }
    async fn close_cents(&self) -> Long {
        self.read(|candle| candle.close_cents.into()).await
    }
    async fn volume(&self) -> u32 {
        self.read(|candle| candle.volume).await
    }
}

pub(super) struct Mutation;

/// Writes.
#[Object(rename_fields = "snake_case", rename_args = "snake_case")]
impl Mutation {
    /// Places an order; once for each idempotency key. Without a key, as often as it is asked.
    async fn place_order(
        &self,
        context: &Context<'_>,
        order: OrderInput,
        #[graphql(default)] idempotency_key: String,
    ) -> async_graphql::Result<Receipt> {
        let order = v1::Order {
            account: order.account,
            symbol: order.symbol,
            side: v1::Side::from(order.side).into(),
            quantity: order.quantity,
        };
        let request = OrderRequest { order: Some(order), idempotency_key };
        market(context)?.place_order(request).await.map(Receipt).map_err(refusal)
    }
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "snake_case")]
enum Side {
    Unspecified,
    Buy,
    Sell,
}

impl From<Side> for v1::Side {
    fn from(side: Side) -> v1::Side {
        match side {
            Side::Unspecified => v1::Side::Unspecified,
            Side::Buy => v1::Side::Buy,
            Side::Sell => v1::Side::Sell,
        }
    }
}

impl From<v1::Side> for Side {
    fn from(side: v1::Side) -> Side {
        match side {
            v1::Side::Unspecified => Side::Unspecified,
            v1::Side::Buy => Side::Buy,
            v1::Side::Sell => Side::Sell,
        }
    }
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "snake_case")]
enum OrderStatus {
    Unspecified,
    Filled,
}

#[derive(InputObject)]
#[graphql(rename_fields = "snake_case")]
struct OrderInput {
    account: String,
    symbol: String,
    side: Side,
    /// 1 to 1 000 000.
    quantity: u32,
}

#[derive(SimpleObject)]
#[graphql(rename_fields = "snake_case")]
struct Order {
    account: String,
    symbol: String,
    side: Side,
    quantity: u32,
}

struct Receipt(OrderReceipt);

#[Object(name = "OrderReceipt", rename_fields = "snake_case")]
impl Receipt {
    async fn order_id(&self) -> Long {
        self.0.order_id.into()
    }
    async fn order(&self) -> Option<Order> {
        let order = self.0.order.as_ref()?;
        Some(Order {
            account: order.account.clone(),
            symbol: order.symbol.clone(),
            side: order.side().into(),
            quantity: order.quantity,
        })
    }
    async fn status(&self) -> OrderStatus {
        match self.0.status() {
            v1::OrderStatus::Unspecified => OrderStatus::Unspecified,
            v1::OrderStatus::Filled => OrderStatus::Filled,
        }
    }
    async fn price_cents(&self) -> Long {
        self.0.price_cents.into()
    }
    async fn idempotency_key(&self) -> &str {
        &self.0.idempotency_key
    }
}

pub(super) struct Ticks;

/// Server push.
#[Subscription(rename_fields = "snake_case", rename_args = "snake_case")]
impl Ticks {
    /// Ticks from now on, or behind the one of a sequence as far back as they are held, until the
    /// caller leaves; no symbols: of all.
    async fn ticks(
        &self,
        context: &Context<'_>,
        #[graphql(default)] symbols: Vec<String>,
        after_sequence: Option<Long>,
    ) -> async_graphql::Result<impl Stream<Item = Tick> + use<>> {
        let after_sequence = after_sequence.map(Long::sequence).transpose()?;
        let request = SubscribeRequest { symbols, after_sequence };
        let subscription = market(context)?.subscribe(&request).map_err(refusal)?;
        Ok(stream::unfold(subscription, |mut subscription| async move {
            let tick = Tick(subscription.next().await.tick().clone());
            Some((tick, subscription))
        }))
    }
}

struct Tick(v1::Tick);

#[Object(rename_fields = "snake_case")]
impl Tick {
    async fn sequence(&self) -> Long {
        self.0.sequence.into()
    }
    async fn symbol(&self) -> &str {
        &self.0.symbol
    }
    async fn price_cents(&self) -> Long {
        self.0.price_cents.into()
    }
    async fn size(&self) -> u32 {
        self.0.size
    }
    /// When the market emitted it, in nanoseconds on the machine's monotonic clock.
    async fn emitted_mono_ns(&self) -> Long {
        self.0.emitted_mono_ns.into()
    }
}
