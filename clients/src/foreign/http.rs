//! Any HTTP server: one request, again and again; a status below 400 is a success.

use std::time::Duration;

use http::{HeaderValue, header};
use terms::HttpVersion;

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::Endpoint;
use crate::exchanger::Exchanger;

pub use crate::http_client::HttpRequest;

/// Opens connections to an HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Which HTTP.
    pub version: HttpVersion,
}

/// An open connection.
pub struct ForeignHttp {
    http: Exchanger,
    version: HttpVersion,
}

impl Connector for HttpConnector {
    type Connection = ForeignHttp;

    async fn connect(&self) -> Result<ForeignHttp, CallError> {
        Ok(ForeignHttp { http: Exchanger::open(&self.endpoint, self.version).await?, version: self.version })
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.version.in_flight_max()
    }
}

impl Connection for ForeignHttp {
    type Request = HttpRequest;
    type Prepared = HttpRequest;
    type Reply = usize;

    fn prepare(&self, request: &HttpRequest) -> Result<HttpRequest, Unsupported> {
        let mut prepared = request.clone();
        if self.version == HttpVersion::Http1 {
            let authority = request.uri.authority().map(ToString::to_string).unwrap_or_default();
            if !prepared.headers.contains_key(header::HOST) {
                let host =
                    HeaderValue::from_str(&authority).map_err(|error| Unsupported(error.to_string()))?;
                prepared.headers.insert(header::HOST, host);
            }
            let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
            prepared.uri =
                path.parse().map_err(|error: http::uri::InvalidUri| Unsupported(error.to_string()))?;
        }
        Ok(prepared)
    }

    async fn call(&self, prepared: &HttpRequest, _: Option<Duration>) -> Result<usize, CallError> {
        let (status, bytes) = self.http.count(prepared).await?;
        if status.is_client_error() || status.is_server_error() {
            return Err(CallError::Protocol(format!("status {status}")));
        }
        Ok(bytes)
    }

    fn is_open(&self) -> bool {
        self.http.is_open()
    }
}
