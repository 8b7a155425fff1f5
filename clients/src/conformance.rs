//! One set of cases that every protocol must pass before anything is timed: equal answers, or no
//! benchmark.

use std::time::Duration;

use futures::stream::StreamExt as _;
use proto::data::DataSet;
use proto::v1::session_event::Event;
use proto::v1::session_request::Request;
use proto::v1::{
    FaultCode, Heartbeat, HistoryRequest, Order, OrderRequest, PortfolioRequest, QuoteRequest, QuotesRequest,
    SessionRequest, Side, SubscribeRequest,
};
use proto::{Capability, Operation, Protocol, Reply, mask};

use crate::connection::{CallError, Connector};
use crate::market::{MarketConnection, Session as _, Subscribe as _};

/// Time for one case.
const CASE_TIME_MAX: Duration = Duration::from_secs(5);

/// What one case showed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CaseResult {
    /// The case, in words.
    pub case: String,
    /// What was wrong; `None` where nothing was.
    pub failure: Option<String>,
}

/// Bytes of a request that is over every server's message limit.
const BYTES_OVER_LIMIT: usize = 100_000;

/// Puts every case that the protocol offers through its client. The server must serve the data set
/// of `data` and emit ticks. A reply that is larger than any message of the protocol must be
/// refused.
pub async fn check<K>(connector: &K, protocol: Protocol, data: &DataSet) -> Vec<CaseResult>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    let mut results = Vec::new();
    let (offers, message_bytes_max) = (protocol.offers(), protocol.message_bytes_max());
    for (capability, case, operation, expected) in cases(data) {
        if offers.contains(&capability) {
            let expected = match (expected, message_bytes_max) {
                (Expected::Reply(reply), Some(max)) if reply.protobuf_bytes() > max => Expected::Limit,
                (expected, _) => expected,
            };
            let outcome = clock::limit(CASE_TIME_MAX, call_once(connector, &operation)).await;
            results.push(judge(case, outcome.unwrap_or(Err(CallError::TimedOut)), &expected));
        }
    }
    for (capability, case) in [
        (Capability::PlaceOrder, "a duplicate idempotency key gets the first receipt"),
        (
            Capability::Subscribe,
            "a subscription delivers ticks in order, and resumes behind one that was heard",
        ),
        (Capability::Session, "a session answers heartbeats and orders and delivers ticks"),
    ] {
        if !offers.contains(&capability) {
            continue;
        }
        let outcome = clock::limit(CASE_TIME_MAX, async {
            match capability {
                Capability::PlaceOrder => duplicate_key(connector, data).await,
                Capability::Subscribe => subscription(connector, data).await,
                _ => session(connector, data).await,
            }
        })
        .await;
        let failure = outcome.unwrap_or_else(|_| Err("no end within 5 s".to_owned())).err();
        results.push(CaseResult { case: case.to_owned(), failure });
    }
    results
}

/// Puts the cases of one operation that get a reply: for a server that is not wirebench's and does
/// nothing else.
pub async fn check_replies<K>(connector: &K, capability: Capability, data: &DataSet) -> Vec<CaseResult>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    let mut results = Vec::new();
    for (_, case, operation, expected) in cases(data).into_iter().filter(|(of, ..)| *of == capability) {
        if matches!(expected, Expected::Reply(_) | Expected::Receipt) {
            let outcome = clock::limit(CASE_TIME_MAX, call_once(connector, &operation)).await;
            results.push(judge(case, outcome.unwrap_or(Err(CallError::TimedOut)), &expected));
        }
    }
    results
}

/// What a case must show.
enum Expected {
    Reply(Reply),
    /// A receipt for the order, with whatever number.
    Receipt,
    Fault(FaultCode),
    Limit,
}

fn cases(data: &DataSet) -> Vec<(Capability, &'static str, Operation, Expected)> {
    let read = |case, operation: Operation| {
        let expected = match data.answer(&operation) {
            Ok(reply) => Expected::Reply(reply),
            Err(fault) => Expected::Fault(fault.code),
        };
        (operation.capability(), case, operation, expected)
    };
    let quote = |symbol: String| Operation::Quote(QuoteRequest { symbol });
    let quotes = |symbols| Operation::Quotes(QuotesRequest { symbols });
    let history = |symbol, n| Operation::History(HistoryRequest { symbol, n });
    let portfolio = |paths: Option<&str>| {
        let field_mask = paths.map(mask::parse);
        Operation::Portfolio(PortfolioRequest { account: data.account(17), field_mask })
    };
    let write = |case, operation, expected| (Capability::PlaceOrder, case, operation, expected);
    let oversized = Order { account: "A".repeat(BYTES_OVER_LIMIT), ..Order::default() };
    let oversized = OrderRequest { order: Some(oversized), ..OrderRequest::default() };
    vec![
        read("a quote", quote(data.symbol(1))),
        read("a quote of an unknown symbol", quote("NONE".to_owned())),
        read("a quote of a symbol that needs escaping", quote("A/B ?#é%".to_owned())),
        read("quotes in the order asked", quotes((0..10).rev().map(|n| data.symbol(n * 7)).collect())),
        read("no quotes", quotes(Vec::new())),
        read("a portfolio", portfolio(None)),
        read("a masked portfolio", portfolio(Some("account,positions.symbol,positions.quote.last_cents"))),
        read("a portfolio masked by an unknown field", portfolio(Some("positions.price"))),
        read("a history", history(data.symbol(2), 100)),
        read("the longest history", history(data.symbol(3), 10_000)),
        read("a history of nothing", history(data.symbol(2), 0)),
        read("a history over the limit", history(data.symbol(2), 10_001)),
        write("an order", order(data, "", 10), Expected::Receipt),
        write("an order of nothing", order(data, "", 0), Expected::Fault(FaultCode::InvalidArgument)),
        write("a request over the message limit", Operation::PlaceOrder(oversized), Expected::Limit),
    ]
}

fn order(data: &DataSet, idempotency_key: &str, quantity: u32) -> Operation {
    let order = Order { account: data.account(5), symbol: data.symbol(5), side: Side::Sell.into(), quantity };
    Operation::PlaceOrder(OrderRequest { order: Some(order), idempotency_key: idempotency_key.to_owned() })
}

/// On a connection of its own: some cases end theirs.
async fn call_once<K>(connector: &K, operation: &Operation) -> Result<Reply, CallError>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    call(&connector.connect().await?, operation).await
}

async fn call<C: MarketConnection>(connection: &C, operation: &Operation) -> Result<Reply, CallError> {
    // What cannot even be prepared is over a limit of the protocol itself.
    let prepared = connection.prepare(operation).map_err(|error| CallError::Limit(error.to_string()))?;
    let reply = connection.call(&prepared, None).await?;
    operation.check(&reply)?;
    Ok(reply)
}

fn judge(case: &str, outcome: Result<Reply, CallError>, expected: &Expected) -> CaseResult {
    let failure = match (outcome, expected) {
        (Ok(reply), Expected::Reply(right)) if reply == *right => None,
        (Ok(Reply::Receipt(_)), Expected::Receipt) => None,
        (Err(CallError::Rejected(fault)), Expected::Fault(code)) if fault.code == *code => None,
        // A server may say so, or close the connection on what is left of the request.
        (Err(CallError::Limit(_) | CallError::Reset(_)), Expected::Limit) => None,
        (Ok(reply), Expected::Reply(right)) => Some(first_difference(&reply, right)),
        (Ok(reply), _) => Some(format!("got {}", reply.in_words())),
        (Err(error), _) => Some(error.sample()),
    };
    CaseResult { case: case.to_owned(), failure }
}

fn first_difference(got: &Reply, right: &Reply) -> String {
    let (got, right) = (format!("{got:?}"), format!("{right:?}"));
    let at = got.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    let near = |text: &str| text.chars().skip(at.saturating_sub(20)).take(60).collect::<String>();
    format!("the reply differs: got …{}…, expected …{}…", near(&got), near(&right))
}

async fn duplicate_key<K>(connector: &K, data: &DataSet) -> Result<(), String>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    let connection = connector.connect().await.map_err(|error| error.to_string())?;
    let first = call(&connection, &order(data, "conformance", 3)).await.map_err(|error| error.to_string())?;
    let second =
        call(&connection, &order(data, "conformance", 3)).await.map_err(|error| error.to_string())?;
    if first != second {
        return Err(format!("two receipts under one key: {first:?} and {second:?}"));
    }
    match call(&connection, &order(data, "conformance", 4)).await {
        Err(CallError::Rejected(fault)) if fault.code == FaultCode::Conflict => Ok(()),
        other => Err(format!("another order under the same key: expected a conflict, got {other:?}")),
    }
}

/// Two ticks, and the second of them again on a connection that resumes behind the first.
async fn subscription<K>(connector: &K, data: &DataSet) -> Result<(), String>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    let first = ticks(connector, data, None, 2).await?;
    let again = ticks(connector, data, first.first().copied(), 1).await?;
    if first.get(1) == again.first() {
        return Ok(());
    }
    Err(format!("sequences {first:?}, and behind the first of them {again:?}"))
}

/// The sequences of ticks on a connection of its own, behind one or from now on: each checked, and
/// in order.
async fn ticks<K>(
    connector: &K,
    data: &DataSet,
    after_sequence: Option<u64>,
    count: usize,
) -> Result<Vec<u64>, String>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    let connection = connector.connect().await.map_err(|error| error.to_string())?;
    let request = SubscribeRequest { after_sequence, ..SubscribeRequest::default() };
    let mut ticks = connection.subscribe(&request).await.map_err(|error| error.to_string())?;
    let mut last = after_sequence;
    let mut sequences = Vec::with_capacity(count);
    for _ in 0..count {
        let tick = match ticks.next().await {
            Some(Ok(tick)) => tick,
            other => return Err(format!("expected a tick, got {other:?}")),
        };
        let right = proto::v1::Tick { emitted_mono_ns: tick.emitted_mono_ns, ..data.tick(tick.sequence) };
        if tick != right || tick.emitted_mono_ns == 0 || last.is_some_and(|last| tick.sequence != last + 1) {
            return Err(format!("after sequence {last:?}, expected {right:?}, got {tick:?}"));
        }
        last = Some(tick.sequence);
        sequences.push(tick.sequence);
    }
    Ok(sequences)
}

async fn session<K>(connector: &K, data: &DataSet) -> Result<(), String>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    let connection = connector.connect().await.map_err(|error| error.to_string())?;
    let mut session = connection.session().await.map_err(|error| error.to_string())?;
    let Operation::PlaceOrder(order) = order(data, "session", 2) else { return Err("no order".to_owned()) };
    for request in [
        Request::Heartbeat(Heartbeat { nonce: 7 }),
        Request::Order(order),
        Request::Subscribe(SubscribeRequest::default()),
    ] {
        let sent = session.requests.send(SessionRequest { request: Some(request) }).await;
        sent.map_err(|_| "the session closed early".to_owned())?;
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        match session.events.next().await.map(|event| event.map(|event| event.event)) {
            Some(Ok(Some(Event::Heartbeat(heartbeat)))) if heartbeat.nonce == 7 => seen.push("heartbeat"),
            Some(Ok(Some(Event::Fill(receipt)))) if receipt.order_id != 0 => seen.push("fill"),
            Some(Ok(Some(Event::Tick(_)))) => seen.push("tick"),
            other => return Err(format!("after {seen:?}, got {other:?}")),
        }
    }
    if seen == ["heartbeat", "fill", "tick"] { Ok(()) } else { Err(format!("events in the order {seen:?}")) }
}
