//! One HTTP connection of any version, for requests whose replies are taken whole.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use terms::HttpVersion;

use crate::connection::CallError;
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::http_request::HttpRequest;
use crate::http3_client::Http3Connection;

/// An open connection.
pub(crate) enum Exchanger {
    /// HTTP/1.1 or HTTP/2.
    Tcp(HttpConnection<Full<Bytes>>),
    /// HTTP/3.
    Quic(Http3Connection),
}

impl Exchanger {
    /// Opens a connection.
    pub(crate) async fn open(endpoint: &Endpoint, version: HttpVersion) -> Result<Exchanger, CallError> {
        Ok(match version {
            HttpVersion::Http1 | HttpVersion::Http2 => {
                Exchanger::Tcp(HttpConnection::open(endpoint, version).await?)
            }
            HttpVersion::Http3 => Exchanger::Quic(Http3Connection::open(endpoint).await?),
        })
    }

    /// Sends a request, saying the time left where it is given, and collects the whole reply.
    pub(crate) async fn exchange(
        &self,
        request: &HttpRequest,
        time_left: Option<Duration>,
    ) -> Result<Response<Bytes>, CallError> {
        match self {
            Exchanger::Tcp(http) => http.exchange(request.build(time_left)).await,
            Exchanger::Quic(http3) => http3.exchange(request, time_left).await,
        }
    }

    /// Sends a request and counts the bytes of its reply, which are shown in pieces.
    pub(crate) async fn count(
        &self,
        request: &HttpRequest,
        show: impl FnMut(&Bytes),
    ) -> Result<(StatusCode, usize), CallError> {
        match self {
            Exchanger::Tcp(http) => http.count(request.build(None), show).await,
            Exchanger::Quic(http3) => http3.count(request, show).await,
        }
    }

    /// Waits until the server lets another request be sent.
    pub(crate) async fn place(&self) {
        match self {
            Exchanger::Tcp(http) => http.place().await,
            Exchanger::Quic(http3) => http3.place().await,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        match self {
            Exchanger::Tcp(http) => http.is_open(),
            Exchanger::Quic(http3) => http3.is_open(),
        }
    }
}
