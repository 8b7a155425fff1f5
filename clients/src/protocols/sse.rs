//! SSE: an event source that reconnects and resumes by itself, as the WHATWG's HTML standard has
//! it, and says how often it did and what it missed. What goes the other way goes by REST calls
//! beside it.

mod lines;
mod session;
mod source;

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::Full;
use proto::v1::SubscribeRequest;
use proto::{Operation, Protocol, Reply};
use terms::HttpVersion;

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::http_request::escape_all;
use crate::market::{Subscribe, TickStream};

pub use source::EventSource;

type Http = HttpConnection<Full<Bytes>>;

/// Opens connections to a server of events.
#[derive(Debug, Clone)]
pub struct SseConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Which HTTP.
    pub http: HttpVersion,
}

impl Connector for SseConnector {
    type Connection = SseConnection;

    async fn connect(&self) -> Result<SseConnection, CallError> {
        let first = Http::open(&self.endpoint, self.http).await?;
        Ok(SseConnection { connector: self.clone(), first: RefCell::new(Some(first)) })
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.http.in_flight_max()
    }
}

/// A way to a server of events. Each subscription has an HTTP connection of its own; the first
/// takes this one's.
pub struct SseConnection {
    connector: SseConnector,
    first: RefCell<Option<Http>>,
}

impl Connection for SseConnection {
    type Request = Operation;
    type Prepared = Infallible;
    type Reply = Reply;

    fn prepare(&self, _: &Operation) -> Result<Infallible, Unsupported> {
        Err(Unsupported("SSE carries events from the server only".to_owned()))
    }

    async fn call(&self, prepared: &Infallible, _: Option<Duration>) -> Result<Reply, CallError> {
        match *prepared {}
    }

    fn is_open(&self) -> bool {
        self.first.borrow().as_ref().is_none_or(HttpConnection::is_open)
    }
}

impl Subscribe for SseConnection {
    /// As long as its connection lasts: whoever subscribes decides whether to come back, and behind
    /// which event.
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        let mut source = self.event_source(request).await?;
        source.never_reconnects();
        Ok(Box::pin(stream::unfold(source, async |mut source| {
            let tick = source.next().await?;
            Some((tick, source))
        })))
    }
}

impl SseConnection {
    /// Subscribes; events flow once this returns.
    ///
    /// # Errors
    /// Where the server cannot be reached, or refuses.
    pub async fn event_source(&self, request: &SubscribeRequest) -> Result<EventSource, CallError> {
        let query = match escape_all(&request.symbols) {
            symbols if symbols.is_empty() => String::new(),
            symbols => format!("?symbols={symbols}"),
        };
        let path = format!("{}{query}", Protocol::Sse.path());
        let seen = request.after_sequence.map(|seen| seen.to_string()).unwrap_or_default();
        let mut source = EventSource::new(self.connector.clone(), path, seen);
        let first = self.first.borrow_mut().take();
        source.open(first).await?;
        Ok(source)
    }
}
