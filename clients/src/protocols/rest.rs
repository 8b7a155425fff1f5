//! REST: requests to the market's resources, over HTTP/1.1, HTTP/2 or HTTP/3, in JSON or protobuf.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use clock::{Clock, Mono};
use futures::stream;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use prost::Message;
use proto::encoding::{DecodeError, Encoding};
use proto::v1::{FaultCode, SubscribeRequest, TickBatch};
use proto::{Capability, Fault, Operation, Reply};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use terms::HttpVersion;

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::Endpoint;
use crate::exchanger::Exchanger;
use crate::http_request::{HttpRequest, Origin, escape, escape_all, unsupported};
use crate::limits::check_reply;
use crate::market::{OpenSession, Session, Subscribe, TickStream};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long a long poll waits at the server before it answers with nothing, in milliseconds.
const LONG_POLL_MS: u64 = 20_000;

/// Opens REST connections.
#[derive(Debug, Clone)]
pub struct RestConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Which HTTP.
    pub http: HttpVersion,
    /// The encoding of bodies, both ways.
    pub encoding: Encoding,
    /// How often a subscriber asks; `None` for long polling.
    pub poll_every: Option<Duration>,
}

impl Connector for RestConnector {
    type Connection = RestConnection;

    async fn connect(&self) -> Result<RestConnection, CallError> {
        Ok(RestConnection {
            http: Rc::new(Exchanger::open(&self.endpoint, self.http).await?),
            origin: Origin::new(&self.endpoint, self.http),
            encoding: self.encoding,
            poll_every: self.poll_every,
        })
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.http.in_flight_max()
    }
}

/// An open REST connection.
pub struct RestConnection {
    http: Rc<Exchanger>,
    origin: Origin,
    encoding: Encoding,
    poll_every: Option<Duration>,
}

/// A REST request, ready to be sent.
#[derive(Debug)]
pub struct PreparedRequest {
    capability: Capability,
    request: HttpRequest,
}

impl Connection for RestConnection {
    type Request = Operation;
    type Prepared = PreparedRequest;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<PreparedRequest, Unsupported> {
        let media_type = self.encoding.media_type();
        let get = |path: String| self.origin.get(&path, media_type);
        let request = match operation {
            Operation::Quote(request) => get(format!("/v1/quotes/{}", escape(&request.symbol))),
            Operation::Quotes(request) => get(format!("/v1/quotes?symbols={}", escape_all(&request.symbols))),
            Operation::Portfolio(request) => {
                let fields =
                    request.field_mask.as_ref().map(|mask| format!("?fields={}", escape_all(&mask.paths)));
                get(format!("/v1/portfolios/{}{}", escape(&request.account), fields.unwrap_or_default()))
            }
            Operation::History(request) => {
                get(format!("/v1/history/{}?n={}", escape(&request.symbol), request.n))
            }
            Operation::PlaceOrder(request) => {
                let order = request.order.clone().unwrap_or_default();
                let mut post = self.origin.post("/v1/orders", media_type, self.encoding.encode(&order))?;
                if !request.idempotency_key.is_empty() {
                    let key = HeaderValue::from_str(&request.idempotency_key).map_err(unsupported)?;
                    post.headers.insert(IDEMPOTENCY_KEY, key);
                }
                Ok(post)
            }
        };
        Ok(PreparedRequest { capability: operation.capability(), request: request? })
    }

    async fn call(
        &self,
        prepared: &PreparedRequest,
        time_left: Option<Duration>,
    ) -> Result<Reply, CallError> {
        let response = self.http.exchange(&prepared.request, time_left).await?;
        decode_reply(prepared.capability, self.encoding, &response)
    }

    async fn place(&self) {
        self.http.place().await;
    }

    fn is_open(&self) -> bool {
        self.http.is_open()
    }
}

impl RestConnection {
    /// Posts a message to a path of its own, for what is no operation; its reply is the same
    /// message.
    pub(super) async fn post<M>(&self, path: &str, message: &M) -> Result<M, CallError>
    where
        M: Message + Default + Serialize + DeserializeOwned,
    {
        let body = self.encoding.encode(message);
        let request = self.origin.post(path, self.encoding.media_type(), body)?;
        let response = self.http.exchange(&request, None).await?;
        if !response.status().is_success() {
            return Err(refusal(&response));
        }
        decode(self.encoding, response.body())
    }
}

fn decode_reply(
    capability: Capability,
    encoding: Encoding,
    response: &Response<Bytes>,
) -> Result<Reply, CallError> {
    if !response.status().is_success() {
        return Err(refusal(response));
    }
    let body = response.body();
    check_reply(capability, body.len())?;
    match capability {
        Capability::Quote => decode(encoding, body).map(Reply::Quote),
        Capability::Quotes => decode(encoding, body).map(Reply::Quotes),
        Capability::Portfolio => decode(encoding, body).map(Reply::Portfolio),
        Capability::History => decode(encoding, body).map(Reply::History),
        Capability::PlaceOrder => decode(encoding, body).map(Reply::Receipt),
        Capability::Subscribe | Capability::Session => Err(CallError::Protocol("not a call".to_owned())),
    }
}

fn decode<M: Message + Default + DeserializeOwned>(encoding: Encoding, body: &[u8]) -> Result<M, CallError> {
    encoding.decode(body).map_err(|error: DecodeError| CallError::Protocol(error.to_string()))
}

#[derive(serde::Deserialize, Default)]
struct Problem {
    #[serde(default)]
    detail: String,
    #[serde(default)]
    code: Option<String>,
}

/// What a status that is no success means.
pub(super) fn refusal(response: &Response<Bytes>) -> CallError {
    let status = response.status();
    let problem: Problem = serde_json::from_slice(response.body()).unwrap_or_default();
    if let Some(code) = problem.code.as_deref().and_then(FaultCode::from_str_name) {
        return Fault::new(code, problem.detail).into();
    }
    let text = format!("status {status}: {}", problem.detail);
    match status {
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE => CallError::Limit(text),
        StatusCode::NOT_FOUND => CallError::Rejected(Fault::new(FaultCode::NotFound, problem.detail)),
        StatusCode::BAD_REQUEST => {
            CallError::Rejected(Fault::new(FaultCode::InvalidArgument, problem.detail))
        }
        _ => CallError::Protocol(text),
    }
}

impl Subscribe for RestConnection {
    /// Long polling: a request is held until there is a tick, and asked again. On HTTP/1.1 it
    /// occupies the connection. Or polling: what is there is asked for again and again.
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        let filter = match escape_all(&request.symbols) {
            symbols if symbols.is_empty() => String::new(),
            symbols => format!("&symbols={symbols}"),
        };
        let mut poll = Poll {
            http: Rc::clone(&self.http),
            origin: self.origin.clone(),
            encoding: self.encoding,
            turns: self.poll_every.map(|every| Turns::at_random(every, Clock::System.now())),
            filter,
            after: request.after_sequence,
            ticks: VecDeque::new(),
        };
        // Where "now" is unless it is known where to resume, so that no tick is missed between this
        // and the first wait.
        poll.fetch(0).await?;
        Ok(Box::pin(stream::try_unfold(poll, |mut poll| async move {
            loop {
                if let Some(tick) = poll.ticks.pop_front() {
                    return Ok(Some((tick, poll)));
                }
                match poll.turns {
                    None => poll.fetch(LONG_POLL_MS).await?,
                    Some(turns) => {
                        turns.next().await;
                        poll.fetch(0).await?;
                    }
                }
            }
        })))
    }

    fn polls(&self) -> bool {
        self.poll_every.is_some()
    }
}

/// When a polling subscriber asks: every so often, since a moment of its own, so that a thousand
/// who began together do not ask together.
#[derive(Debug, Clone, Copy)]
struct Turns {
    first: Mono,
    every: Duration,
}

impl Turns {
    /// From a moment within the next interval on.
    fn at_random(every: Duration, now: Mono) -> Turns {
        let part = ChaCha8Rng::seed_from_u64(now.0).random::<f64>();
        Turns { first: now + every.mul_f64(part), every }
    }

    /// The first after this time.
    fn after(self, now: Mono) -> Mono {
        if now < self.first {
            return self.first;
        }
        let every = clock::nanos(self.every).max(1);
        let past = now.nanos_since(self.first) / every;
        self.first + Duration::from_nanos(every.saturating_mul(past + 1))
    }

    /// Waits for the next one. Who was not looked after meanwhile, as a subscriber between two
    /// rounds, is not late for it and waits for another.
    async fn next(self) {
        loop {
            let now = Clock::System.now();
            let turn = self.after(now);
            clock::pause(turn.since(now)).await;
            if Clock::System.now().since(turn) < self.every {
                return;
            }
        }
    }
}

/// Where a polling subscriber stands.
struct Poll {
    http: Rc<Exchanger>,
    origin: Origin,
    encoding: Encoding,
    turns: Option<Turns>,
    filter: String,
    after: Option<u64>,
    ticks: VecDeque<proto::v1::Tick>,
}

impl Poll {
    async fn fetch(&mut self, wait_ms: u64) -> Result<(), CallError> {
        let after = self.after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/v1/ticks?wait_ms={wait_ms}{after}{}", self.filter);
        let request = self.origin.get(&path, self.encoding.media_type())?;
        let response = self.http.exchange(&request, None).await?;
        if !response.status().is_success() {
            return Err(refusal(&response));
        }
        check_reply(Capability::Subscribe, response.body().len())?;
        let batch: TickBatch = decode(self.encoding, response.body())?;
        self.after = Some(batch.next_after);
        self.ticks.extend(batch.ticks);
        Ok(())
    }
}

impl Session for RestConnection {
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        Err(Unsupported("REST offers no session: it would be state between two requests".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poller_asks_at_its_own_turns() {
        const EVERY: Duration = Duration::from_millis(250);
        let mut firsts = std::collections::BTreeSet::new();
        for now in (0..100).map(|nth| Mono(1_000_000 + nth)) {
            let turns = Turns::at_random(EVERY, now);
            assert!(turns.first >= now && turns.first <= now + EVERY);
            assert_eq!(turns.after(now), turns.first);
            assert_eq!(turns.after(turns.first), turns.first + EVERY, "one turn, one poll");
            let missed = turns.first + EVERY * 7 + Duration::from_millis(1);
            assert_eq!(turns.after(missed), turns.first + EVERY * 8, "what was missed is not made up for");
            firsts.insert(turns.first.0 / 25_000_000);
        }
        assert!(firsts.len() >= 9, "they ask together: {firsts:?}");
    }
}
