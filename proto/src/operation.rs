//! The calls of the market as one type, their replies as another, and the check that a reply fits
//! its call.

use bytes::Bytes;
use prost::Message as _;

use crate::encoding::{DecodeError, Encoding};
use crate::frame::Kind;
use crate::v1::{
    FaultCode, History, HistoryRequest, OrderReceipt, OrderRequest, Portfolio, PortfolioRequest, Quote,
    QuoteRequest, Quotes, QuotesRequest,
};

/// One call: a request that gets one reply.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the request of its name")]
pub enum Operation {
    Quote(QuoteRequest),
    Quotes(QuotesRequest),
    Portfolio(PortfolioRequest),
    History(HistoryRequest),
    PlaceOrder(OrderRequest),
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the message of its name")]
pub enum Reply {
    Quote(Quote),
    Quotes(Quotes),
    Portfolio(Portfolio),
    History(History),
    Receipt(OrderReceipt),
}

/// A reply of the kind that was asked for.
macro_rules! of_kind {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($message:ty)),+ $(,)?) => {
        impl Reply {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// That it is another kind of reply.
                pub fn $name(self) -> MarketResult<$message> {
                    match self {
                        Reply::$variant(message) => Ok(message),
                        _ => Err(Fault::new(FaultCode::Unavailable, "a reply to something else")),
                    }
                }
            )+
        }
    };
}

of_kind! {
    /// The quote that it is.
    quote: Quote(Quote),
    /// The quotes that it is.
    quotes: Quotes(Quotes),
    /// The portfolio that it is.
    portfolio: Portfolio(Portfolio),
    /// The history that it is.
    history: History(History),
    /// The receipt that it is.
    receipt: Receipt(OrderReceipt),
}

/// The market's refusal: a code to act on, and a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str_name())]
pub struct Fault {
    /// What kind of refusal.
    pub code: FaultCode,
    /// What was wrong and what would be right.
    pub detail: String,
}

/// What the market gives back.
pub type MarketResult<T> = Result<T, Fault>;

/// A reply that does not belong to its request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("asked {asked}, got {got}")]
pub struct WrongReply {
    /// What was asked, in words.
    pub asked: String,
    /// What came back, in words.
    pub got: String,
}

/// The seven things that a protocol may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the operation of its name")]
pub enum Capability {
    Quote,
    Quotes,
    Portfolio,
    History,
    PlaceOrder,
    Subscribe,
    Session,
}

impl Capability {
    /// All seven, in the order of the contract.
    pub const ALL: [Capability; 7] = [
        Capability::Quote,
        Capability::Quotes,
        Capability::Portfolio,
        Capability::History,
        Capability::PlaceOrder,
        Capability::Subscribe,
        Capability::Session,
    ];

    /// Its name in scenarios, lists and records.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Quote => "quote",
            Capability::Quotes => "quotes",
            Capability::Portfolio => "portfolio",
            Capability::History => "history",
            Capability::PlaceOrder => "place_order",
            Capability::Subscribe => "subscribe",
            Capability::Session => "session",
        }
    }
}

/// Bytes of a fault's detail. A caller's own words stand in it, and one request may cause hundreds.
const DETAIL_BYTES_MAX: usize = 256;

/// A text, cut where it is longer than so many bytes.
pub fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

impl Fault {
    /// A refusal of this kind.
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Fault {
        Fault { code, detail: shortened(detail.into(), DETAIL_BYTES_MAX) }
    }

    /// The fault as a message of the contract.
    pub fn message(&self) -> crate::v1::Fault {
        crate::v1::Fault { code: self.code.into(), detail: self.detail.clone() }
    }
}

impl From<crate::v1::Fault> for Fault {
    fn from(message: crate::v1::Fault) -> Fault {
        Fault { code: message.code(), detail: message.detail }
    }
}

impl Operation {
    /// Which of the seven it is.
    pub fn capability(&self) -> Capability {
        match self {
            Operation::Quote(_) => Capability::Quote,
            Operation::Quotes(_) => Capability::Quotes,
            Operation::Portfolio(_) => Capability::Portfolio,
            Operation::History(_) => Capability::History,
            Operation::PlaceOrder(_) => Capability::PlaceOrder,
        }
    }

    /// Whether it changes nothing, so that it does no harm to answer it again, or somebody who
    /// claims another's address.
    pub fn is_read(&self) -> bool {
        !matches!(self, Operation::PlaceOrder(_))
    }

    /// The same with this idempotency key, where it is an order; reads have none.
    #[must_use]
    pub fn with_key(&self, key: String) -> Operation {
        match self {
            Operation::PlaceOrder(request) => {
                Operation::PlaceOrder(OrderRequest { idempotency_key: key, ..request.clone() })
            }
            read => read.clone(),
        }
    }

    /// The request, encoded.
    pub fn encode(&self, encoding: Encoding) -> Bytes {
        match self {
            Operation::Quote(request) => encoding.encode(request),
            Operation::Quotes(request) => encoding.encode(request),
            Operation::Portfolio(request) => encoding.encode(request),
            Operation::History(request) => encoding.encode(request),
            Operation::PlaceOrder(request) => encoding.encode(request),
        }
    }

    /// The kind of frame that carries the request.
    pub fn kind(&self) -> Kind {
        match self {
            Operation::Quote(_) => Kind::QuoteRequest,
            Operation::Quotes(_) => Kind::QuotesRequest,
            Operation::Portfolio(_) => Kind::PortfolioRequest,
            Operation::History(_) => Kind::HistoryRequest,
            Operation::PlaceOrder(_) => Kind::OrderRequest,
        }
    }

    /// The request that a frame carries.
    ///
    /// # Errors
    /// Where its kind is no call, or its payload not that call's request: INVALID_ARGUMENT.
    pub fn decode(kind: Kind, encoding: Encoding, payload: &[u8]) -> MarketResult<Operation> {
        let decoded = match kind {
            Kind::QuoteRequest => encoding.decode(payload).map(Operation::Quote),
            Kind::QuotesRequest => encoding.decode(payload).map(Operation::Quotes),
            Kind::PortfolioRequest => encoding.decode(payload).map(Operation::Portfolio),
            Kind::HistoryRequest => encoding.decode(payload).map(Operation::History),
            Kind::OrderRequest => encoding.decode(payload).map(Operation::PlaceOrder),
            other => {
                let detail = format!("{} is not a request", other.name());
                return Err(Fault::new(FaultCode::InvalidArgument, detail));
            }
        };
        decoded.map_err(|error| Fault::new(FaultCode::InvalidArgument, error.to_string()))
    }

    /// Checks that a reply is of the right kind, about the right thing, and of the right size.
    /// Cheap enough for every call of a load; a sample of replies is compared whole with
    /// [`crate::data::DataSet::answer`].
    ///
    /// # Errors
    /// Where it is not, in words.
    pub fn check(&self, reply: &Reply) -> Result<(), WrongReply> {
        let fits = match (self, reply) {
            (Operation::Quote(asked), Reply::Quote(got)) => got.symbol == asked.symbol,
            (Operation::Quotes(asked), Reply::Quotes(got)) => {
                got.quotes.len() == asked.symbols.len()
                    && got.quotes.iter().zip(&asked.symbols).all(|(quote, symbol)| quote.symbol == *symbol)
            }
            (Operation::Portfolio(asked), Reply::Portfolio(got)) => {
                // A mask may leave the account out, and then there is nothing to compare.
                got.account == asked.account || (asked.field_mask.is_some() && got.account.is_empty())
            }
            (Operation::History(asked), Reply::History(got)) => {
                got.symbol == asked.symbol && got.candles.len() == asked.n as usize
            }
            (Operation::PlaceOrder(asked), Reply::Receipt(got)) => {
                got.order_id != 0 && got.order == asked.order && got.idempotency_key == asked.idempotency_key
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(WrongReply { asked: self.in_words(), got: reply.in_words() }) }
    }

    /// The request in a few words, for messages.
    pub fn in_words(&self) -> String {
        match self {
            Operation::Quote(request) => format!("quote of {}", request.symbol),
            Operation::Quotes(request) => format!("{} quotes", request.symbols.len()),
            Operation::Portfolio(request) => format!("portfolio of {}", request.account),
            Operation::History(request) => format!("{} candles of {}", request.n, request.symbol),
            Operation::PlaceOrder(request) => format!("an order under key '{}'", request.idempotency_key),
        }
    }
}

impl Reply {
    /// The kind of frame that carries it.
    pub fn kind(&self) -> Kind {
        match self {
            Reply::Quote(_) => Kind::Quote,
            Reply::Quotes(_) => Kind::Quotes,
            Reply::Portfolio(_) => Kind::Portfolio,
            Reply::History(_) => Kind::History,
            Reply::Receipt(_) => Kind::OrderReceipt,
        }
    }

    /// The reply that a frame carries; `None` where its kind is no reply to a call.
    ///
    /// # Errors
    /// Where its payload is not what its kind says.
    pub fn decode(kind: Kind, encoding: Encoding, payload: &[u8]) -> Result<Option<Reply>, DecodeError> {
        Ok(Some(match kind {
            Kind::Quote => Reply::Quote(encoding.decode(payload)?),
            Kind::Quotes => Reply::Quotes(encoding.decode(payload)?),
            Kind::Portfolio => Reply::Portfolio(encoding.decode(payload)?),
            Kind::History => Reply::History(encoding.decode(payload)?),
            Kind::OrderReceipt => Reply::Receipt(encoding.decode(payload)?),
            _ => return Ok(None),
        }))
    }

    /// Its size in protobuf, in bytes.
    pub fn protobuf_bytes(&self) -> usize {
        match self {
            Reply::Quote(quote) => quote.encoded_len(),
            Reply::Quotes(quotes) => quotes.encoded_len(),
            Reply::Portfolio(portfolio) => portfolio.encoded_len(),
            Reply::History(history) => history.encoded_len(),
            Reply::Receipt(receipt) => receipt.encoded_len(),
        }
    }

    /// The reply in a few words, for messages.
    pub fn in_words(&self) -> String {
        match self {
            Reply::Quote(quote) => format!("quote of {}", quote.symbol),
            Reply::Quotes(quotes) => format!("{} quotes", quotes.quotes.len()),
            Reply::Portfolio(portfolio) => format!("portfolio of {}", portfolio.account),
            Reply::History(history) => format!("{} candles of {}", history.candles.len(), history.symbol),
            Reply::Receipt(receipt) => format!("a receipt under key '{}'", receipt.idempotency_key),
        }
    }
}
