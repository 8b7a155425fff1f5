//! The seeded data set: what the market knows. Same seed, same bytes, on every machine.
//!
//! Reads are frozen at the seed, so that [`DataSet::answer`] is the reply that every server must
//! give and every client may expect. Ticks are a pure function of seed and sequence.

use std::collections::HashMap;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::bounds::{CANDLES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, QUANTITY_MAX, SYMBOLS_MAX};
use crate::mask::Mask;
use crate::v1::{
    Candle, FaultCode, History, News, Order, Portfolio, PortfolioRequest, Position, Quote, Quotes, Side, Tick,
};
use crate::{Fault, MarketResult, Operation, Reply};

/// How many symbols the market quotes.
pub const SYMBOLS: usize = 1_000;
/// How many accounts hold portfolios.
pub const ACCOUNTS: usize = 1_000;
/// 2026-01-01T00:00:00Z, in microseconds: when the data set stands still.
const FROZEN_AT_US: u64 = 1_767_225_600_000_000;
const MINUTE_US: u64 = 60_000_000;

const VENUES: [&str; 4] = ["XNAS", "XNYS", "XLON", "XETR"];
const OWNERS: [&str; 8] = [
    "Ada Lovelace",
    "Grace Hopper",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Leslie Lamport",
    "Radia Perlman",
    "Vint Cerf",
    "Jim Gray",
];
const HEADLINES: [&str; 6] = [
    "beats estimates as margins widen",
    "guides lower on supply",
    "names a new head of operations",
    "opens a plant, hires 400",
    "settles its patent dispute",
    "to split its stock two for one",
];

/// All that the market knows, in memory.
#[derive(Debug)]
pub struct DataSet {
    seed: u64,
    quotes: Vec<Quote>,
    by_symbol: HashMap<String, usize>,
    news: Vec<Vec<News>>,
    portfolios: Vec<Holdings>,
    by_account: HashMap<String, usize>,
    /// One walk of candles in cents around zero; a symbol's history is its price plus this.
    walk: Vec<Step>,
}

#[derive(Debug)]
struct Holdings {
    account: String,
    owner: &'static str,
    cash_cents: i64,
    positions: Vec<(usize, u32, i64)>,
}

#[derive(Debug)]
struct Step {
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: u32,
}

impl DataSet {
    /// Makes the data set of a seed: a few milliseconds, about 2 MB.
    pub fn new(seed: u64) -> DataSet {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let quotes: Vec<Quote> = (0..SYMBOLS).map(|index| quote(index, &mut random)).collect();
        let news = quotes.iter().enumerate().map(|(index, quote)| news(index, quote, &mut random)).collect();
        let portfolios: Vec<Holdings> =
            (0..ACCOUNTS).map(|index| holdings(index, &quotes, &mut random)).collect();
        let walk = walk(&mut random);
        let by_symbol =
            quotes.iter().enumerate().map(|(index, quote)| (quote.symbol.clone(), index)).collect();
        let by_account =
            portfolios.iter().enumerate().map(|(index, held)| (held.account.clone(), index)).collect();
        DataSet { seed, quotes, by_symbol, news, portfolios, by_account, walk }
    }

    /// What it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The name of the n-th symbol, counted round.
    pub fn symbol(&self, index: usize) -> String {
        self.quotes[index % SYMBOLS].symbol.clone()
    }

    /// Which symbol it is, counted from 0, where there is one of this name.
    pub fn place_of(&self, symbol: &str) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    /// The name of the n-th account, counted round.
    pub fn account(&self, index: usize) -> String {
        self.portfolios[index % ACCOUNTS].account.clone()
    }

    /// The reply that a read must have, or the fault.
    ///
    /// # Errors
    /// The fault that the market must answer with; `place_order` is no read, and is an invalid
    /// argument here.
    pub fn answer(&self, operation: &Operation) -> MarketResult<Reply> {
        match operation {
            Operation::Quote(request) => self.quote(&request.symbol).map(Reply::Quote),
            Operation::Quotes(request) => self.quotes(&request.symbols).map(Reply::Quotes),
            Operation::Portfolio(request) => self.masked_portfolio(request).map(Reply::Portfolio),
            Operation::History(request) => self.history(&request.symbol, request.n).map(Reply::History),
            Operation::PlaceOrder(_) => {
                Err(invalid("an order is not a read: its reply depends on the ledger"))
            }
        }
    }

    /// One quote.
    ///
    /// # Errors
    /// Where there is no such symbol.
    pub fn quote(&self, symbol: &str) -> MarketResult<Quote> {
        self.find(symbol).map(|index| self.quotes[index].clone())
    }

    /// Quotes in the order asked.
    ///
    /// # Errors
    /// Where one is unknown, or there are none or too many.
    pub fn quotes(&self, symbols: &[String]) -> MarketResult<Quotes> {
        if symbols.is_empty() {
            return Err(invalid("symbols is empty: name 1 to 100"));
        }
        self.check_symbols(symbols)?;
        let quotes = symbols.iter().map(|symbol| self.quote(symbol)).collect::<MarketResult<_>>()?;
        Ok(Quotes { quotes })
    }

    /// A whole portfolio.
    ///
    /// # Errors
    /// Where there is no such account.
    pub fn portfolio(&self, account: &str) -> MarketResult<Portfolio> {
        let index = self
            .by_account
            .get(account)
            .ok_or_else(|| Fault::new(FaultCode::NotFound, format!("no account '{account}'")))?;
        let held = &self.portfolios[*index];
        let positions = held.positions.iter().map(|&(symbol, quantity, cost_cents)| Position {
            symbol: self.quotes[symbol].symbol.clone(),
            quantity,
            cost_cents,
            quote: Some(self.quotes[symbol].clone()),
            news: self.news[symbol].clone(),
        });
        Ok(Portfolio {
            account: held.account.clone(),
            owner: held.owner.to_owned(),
            currency: "USD".to_owned(),
            cash_cents: held.cash_cents,
            positions: positions.collect(),
        })
    }

    /// A portfolio with the fields that the request's mask names.
    ///
    /// # Errors
    /// Where there is no such account, or the mask names no field.
    pub fn masked_portfolio(&self, request: &PortfolioRequest) -> MarketResult<Portfolio> {
        let mask = portfolio_mask(request)?;
        let mut portfolio = self.portfolio(&request.account)?;
        mask.apply(&mut portfolio);
        Ok(portfolio)
    }

    /// The last `n` one-minute candles, the newest last.
    ///
    /// # Errors
    /// Where there is no such symbol, or `n` is out of range.
    pub fn history(&self, symbol: &str, n: u32) -> MarketResult<History> {
        let base = self.quotes[self.find(symbol)?].last_cents;
        if n == 0 || n > CANDLES_MAX {
            return Err(invalid(format!("n = {n}: ask for 1 to {CANDLES_MAX} candles")));
        }
        let candles = self.walk[self.walk.len() - n as usize..].iter().zip((1..=u64::from(n)).rev()).map(
            |(step, minutes_ago)| Candle {
                opened_at_us: FROZEN_AT_US - minutes_ago * MINUTE_US,
                open_cents: base + step.open,
                high_cents: base + step.high,
                low_cents: base + step.low,
                close_cents: base + step.close,
                volume: step.volume,
            },
        );
        Ok(History { symbol: symbol.to_owned(), candles: candles.collect() })
    }

    /// The tick of a sequence number (from 1), without its emit time.
    pub fn tick(&self, sequence: u64) -> Tick {
        let bits = mix(self.seed ^ mix(sequence));
        let index = usize::try_from(bits % SYMBOLS as u64).unwrap_or(0);
        let quote = &self.quotes[index];
        let offset = i64::try_from((bits >> 16) % 200).unwrap_or(0) - 100;
        Tick {
            sequence,
            symbol: quote.symbol.clone(),
            price_cents: (quote.last_cents + offset).max(1),
            size: 1 + ((bits >> 32) % 1_000) as u32,
            emitted_mono_ns: 0,
        }
    }

    /// Checks the symbols of a subscription; none means all.
    ///
    /// # Errors
    /// Where one is unknown or there are too many.
    pub fn check_symbols(&self, symbols: &[String]) -> MarketResult<()> {
        if symbols.len() > SYMBOLS_MAX {
            let detail = format!("{} symbols are over the limit of {SYMBOLS_MAX}", symbols.len());
            return Err(Fault::new(FaultCode::InvalidArgument, detail));
        }
        symbols.iter().try_for_each(|symbol| self.find(symbol).map(drop))
    }

    /// Checks an order and gives the price at which it fills.
    ///
    /// # Errors
    /// Where the account or the symbol is unknown, or a value is out of range.
    pub fn price_order(&self, order: &Order, idempotency_key: &str) -> MarketResult<i64> {
        if !self.by_account.contains_key(&order.account) {
            return Err(Fault::new(FaultCode::NotFound, format!("no account '{}'", order.account)));
        }
        let quote = &self.quotes[self.find(&order.symbol)?];
        if order.quantity == 0 || order.quantity > QUANTITY_MAX {
            return Err(invalid(format!("quantity = {}: 1 to {QUANTITY_MAX}", order.quantity)));
        }
        if idempotency_key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            let bytes = idempotency_key.len();
            return Err(invalid(format!(
                "an idempotency key of {bytes} bytes is over the limit of {IDEMPOTENCY_KEY_BYTES_MAX}"
            )));
        }
        match order.side() {
            Side::Buy => Ok(quote.ask_cents),
            Side::Sell => Ok(quote.bid_cents),
            Side::Unspecified => Err(invalid("side is unspecified: buy or sell")),
        }
    }

    fn find(&self, symbol: &str) -> MarketResult<usize> {
        let index = self.by_symbol.get(symbol).copied();
        index.ok_or_else(|| Fault::new(FaultCode::NotFound, format!("no symbol '{symbol}'")))
    }
}

/// The mask of a request, checked.
///
/// # Errors
/// Where a path names no field.
pub fn portfolio_mask(request: &PortfolioRequest) -> MarketResult<Mask> {
    match &request.field_mask {
        None => Ok(Mask::default()),
        Some(mask) => Mask::for_portfolio(mask).map_err(|error| invalid(format!("field mask: {error}"))),
    }
}

fn invalid(detail: impl Into<String>) -> Fault {
    Fault::new(FaultCode::InvalidArgument, detail)
}

/// Four letters that spell the index in base 26: `AAAA`, `AAAB`, …
fn symbol_name(index: usize) -> String {
    let letter = |place: usize| char::from(b'A' + u8::try_from(index / place % 26).unwrap_or(0));
    [letter(26 * 26 * 26), letter(26 * 26), letter(26), letter(1)].iter().collect()
}

fn quote(index: usize, random: &mut ChaCha8Rng) -> Quote {
    // From 200.00, so that a history's walk below never reaches zero.
    let last_cents = random.random_range(20_000..500_000_i64);
    let spread = random.random_range(1..20_i64);
    Quote {
        symbol: symbol_name(index),
        currency: "USD".to_owned(),
        venue: VENUES[random.random_range(0..VENUES.len())].to_owned(),
        bid_cents: last_cents - spread,
        ask_cents: last_cents + spread,
        last_cents,
        bid_size: random.random_range(100..10_000),
        ask_size: random.random_range(100..10_000),
        volume: random.random_range(100_000..100_000_000),
        quoted_at_us: FROZEN_AT_US - random.random_range(0..MINUTE_US),
    }
}

fn news(index: usize, quote: &Quote, random: &mut ChaCha8Rng) -> Vec<News> {
    (0..random.random_range(1..=2_u64))
        .map(|nth| News {
            id: index as u64 * 10 + nth,
            headline: format!("{} {}", quote.symbol, HEADLINES[random.random_range(0..HEADLINES.len())]),
            published_at_us: FROZEN_AT_US - random.random_range(0..24 * 60 * MINUTE_US),
        })
        .collect()
}

fn holdings(index: usize, quotes: &[Quote], random: &mut ChaCha8Rng) -> Holdings {
    let first = random.random_range(0..SYMBOLS);
    let positions = (0..random.random_range(8..=12)).map(|nth| {
        // A stride that shares no factor with 1 000 visits distinct symbols.
        let symbol = (first + nth * 37) % SYMBOLS;
        (
            symbol,
            random.random_range(1..1_000),
            quotes[symbol].last_cents * random.random_range(80..120) / 100,
        )
    });
    let positions = positions.collect();
    Holdings {
        account: format!("ACC{index:05}"),
        owner: OWNERS[random.random_range(0..OWNERS.len())],
        cash_cents: random.random_range(10_000..100_000_000),
        positions,
    }
}

fn walk(random: &mut ChaCha8Rng) -> Vec<Step> {
    let mut close = 0_i64;
    (0..CANDLES_MAX)
        .map(|_| {
            let open = close;
            close = (open + random.random_range(-100..=100)).clamp(-9_000, 9_000);
            Step {
                open,
                high: open.max(close) + random.random_range(0..50),
                low: open.min(close) - random.random_range(0..50),
                close,
                volume: random.random_range(1..100_000),
            }
        })
        .collect()
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): spreads a counter over 64 bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Encoding;
    use crate::v1::{HistoryRequest, QuoteRequest};

    /// FNV-1a over the protobuf of everything that can be read.
    fn fingerprint(seed: u64) -> u64 {
        let data = DataSet::new(seed);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        };
        for index in 0..SYMBOLS {
            eat(&Encoding::Protobuf.encode(&data.quote(&data.symbol(index)).unwrap()));
        }
        for index in 0..ACCOUNTS {
            eat(&Encoding::Protobuf.encode(&data.portfolio(&data.account(index)).unwrap()));
        }
        eat(&Encoding::Protobuf.encode(&data.history(&data.symbol(7), CANDLES_MAX).unwrap()));
        for sequence in 1..=1_000 {
            eat(&Encoding::Protobuf.encode(&data.tick(sequence)));
        }
        hash
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_for_ever() {
        assert_eq!(
            fingerprint(42),
            FINGERPRINT_OF_42,
            "the data set changed: every published record differs"
        );
        assert_ne!(fingerprint(43), FINGERPRINT_OF_42);
    }

    #[test]
    fn replies_have_the_sizes_that_the_design_names() {
        let data = DataSet::new(42);
        let mean = |sizes: Vec<usize>| sizes.iter().sum::<usize>() / sizes.len();
        let quotes = (0..SYMBOLS).map(|i| Encoding::Json.encode(&data.quote(&data.symbol(i)).unwrap()).len());
        let accounts = (0..ACCOUNTS).map(|i| data.portfolio(&data.account(i)).unwrap());
        let portfolios = accounts.map(|p| Encoding::Protobuf.encode(&p).len());
        assert!((50..250).contains(&mean(quotes.collect())));
        assert!((1_200..2_800).contains(&mean(portfolios.collect())));
        let bulk = data.history("AAAA", CANDLES_MAX).unwrap();
        assert!((200_000..1_500_000).contains(&Encoding::Protobuf.encode(&bulk).len()));
    }

    #[test]
    fn prices_are_positive_and_candles_are_ordered() {
        let data = DataSet::new(42);
        for index in 0..SYMBOLS {
            let history = data.history(&data.symbol(index), CANDLES_MAX).unwrap();
            for candle in &history.candles {
                assert!(
                    candle.low_cents > 0 && candle.low_cents <= candle.open_cents.min(candle.close_cents)
                );
                assert!(candle.high_cents >= candle.open_cents.max(candle.close_cents));
            }
            assert!(history.candles.is_sorted_by_key(|candle| candle.opened_at_us));
        }
    }

    #[test]
    fn bad_requests_get_the_fault_that_says_so() {
        let data = DataSet::new(42);
        let code = |operation: Operation| data.answer(&operation).unwrap_err().code;
        assert_eq!(code(Operation::Quote(QuoteRequest { symbol: "none".into() })), FaultCode::NotFound);
        let history = |n| Operation::History(HistoryRequest { symbol: "AAAA".into(), n });
        assert_eq!(code(history(0)), FaultCode::InvalidArgument);
        assert_eq!(code(history(CANDLES_MAX + 1)), FaultCode::InvalidArgument);
        let order = Order { account: data.account(0), symbol: data.symbol(0), side: 0, quantity: 1 };
        assert_eq!(data.price_order(&order, "").unwrap_err().code, FaultCode::InvalidArgument);
    }

    const FINGERPRINT_OF_42: u64 = 17_334_468_625_558_311_071;
}
