//! Any HTTP server: requests that are sent in turn, and what of a reply is a success.

use std::time::Duration;

use http::{HeaderValue, header};
use terms::HttpVersion;

use super::expect::{Expect, Search};
use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported};
use crate::endpoint::Endpoint;
use crate::exchanger::Exchanger;
use crate::http_request::unsupported;
use crate::http1_client::{Encoded, Http1Connection};

pub use super::expect::Statuses;
pub use crate::http_request::HttpRequest;

/// Opens connections to an HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Which HTTP.
    pub version: HttpVersion,
    /// What a right reply is.
    pub expect: Expect,
}

/// An open connection.
pub struct ForeignHttp {
    http: Http,
    expect: Expect,
}

/// The connection of a version.
enum Http {
    /// HTTP/1.1: our own, which counts replies at the least cost.
    One(Http1Connection),
    /// HTTP/2 and HTTP/3.
    Others(Exchanger),
}

/// A request, ready to be sent.
pub enum Prepared {
    /// As bytes.
    Bytes(Encoded),
    /// For a library to encode: it compresses the head by what it sent before.
    Head(HttpRequest),
}

impl Connector for HttpConnector {
    type Connection = ForeignHttp;

    async fn connect(&self) -> Result<ForeignHttp, CallError> {
        let http = match self.version {
            HttpVersion::Http1 => {
                let stream = self.endpoint.connect(Some(self.version.alpn())).await?;
                Http::One(Http1Connection::new(stream))
            }
            version => Http::Others(Exchanger::open(&self.endpoint, version).await?),
        };
        Ok(ForeignHttp { http, expect: self.expect.clone() })
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.version.in_flight_max()
    }
}

impl Connection for ForeignHttp {
    type Request = HttpRequest;
    type Prepared = Prepared;
    type Reply = ReplyFacts;

    /// Names the authority where the version does: in a header, or in the URI.
    fn prepare(&self, request: &HttpRequest) -> Result<Prepared, Unsupported> {
        if let Http::One(_) = self.http {
            return Encoded::new(request).map(Prepared::Bytes);
        }
        for_library(request, HttpVersion::Http2).map(Prepared::Head)
    }

    async fn call(&self, prepared: &Prepared, _: Option<Duration>) -> Result<ReplyFacts, CallError> {
        let mut search = Search::of(self.expect.body.as_ref());
        let (status, bytes) = match (&self.http, prepared) {
            (Http::One(http), Prepared::Bytes(request)) => {
                let answer = http.call(request, |piece| search.read(piece)).await?;
                (answer.status, answer.bytes)
            }
            (Http::Others(http), Prepared::Head(request)) => {
                let (status, bytes) = http.count(request, |piece| search.read(piece)).await?;
                (status.as_u16(), bytes)
            }
            _ => return Err(CallError::Protocol("a request of another version of HTTP".to_owned())),
        };
        self.expect.check(status, bytes, &search)?;
        Ok(ReplyFacts { status: Some(status), bytes, phases: None })
    }

    fn facts(reply: ReplyFacts) -> ReplyFacts {
        reply
    }

    async fn place(&self) {
        if let Http::Others(http) = &self.http {
            http.place().await;
        }
    }

    fn is_open(&self) -> bool {
        match &self.http {
            Http::One(http) => http.is_open(),
            Http::Others(http) => http.is_open(),
        }
    }
}

/// A request as a library takes it, the authority named where the version does: in a header and a
/// path of its own, or in the URI alone.
pub(super) fn for_library(request: &HttpRequest, version: HttpVersion) -> Result<HttpRequest, Unsupported> {
    let mut prepared = request.clone();
    let host = prepared.headers.remove(header::HOST);
    if version == HttpVersion::Http1 {
        let authority = request.uri.authority().map(ToString::to_string).unwrap_or_default();
        let host = host.map_or_else(|| HeaderValue::from_str(&authority), Ok).map_err(unsupported)?;
        prepared.headers.insert(header::HOST, host);
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        prepared.uri = path.parse().map_err(unsupported)?;
    } else if let Some(host) = host {
        let mut parts = prepared.uri.into_parts();
        parts.authority = Some(host.as_bytes().try_into().map_err(unsupported)?);
        prepared.uri = parts.try_into().map_err(unsupported)?;
    }
    Ok(prepared)
}
