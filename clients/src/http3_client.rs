//! HTTP/3 on QUIC, for requests whose replies are taken whole.

use bytes::{Buf as _, Bytes};
use h3::client::SendRequest;
use h3::error::StreamError;
use http::{HeaderValue, Request, Response, header};
use quinn::Connection;

use crate::connection::CallError;
use crate::endpoint::Endpoint;
use crate::http_client::{HttpRequest, WholeBody, in_full};
use crate::quic_client;

/// One HTTP/3 connection.
pub(crate) struct Http3Connection {
    quic: Connection,
    sender: SendRequest<h3_quinn::OpenStreams, Bytes>,
}

impl Http3Connection {
    /// Opens a connection.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Http3Connection, CallError> {
        let quic = quic_client::open(endpoint, b"h3").await?;
        let built =
            h3::client::builder().send_grease(false).build(h3_quinn::Connection::new(quic.clone())).await;
        let (mut driver, sender) = built.map_err(|error| CallError::Protocol(in_full(&error)))?;
        tokio::task::spawn_local(async move { driver.wait_idle().await });
        Ok(Http3Connection { quic, sender })
    }

    /// Sends a request and collects the whole reply.
    pub(crate) async fn exchange(&self, request: &HttpRequest) -> Result<Response<Bytes>, CallError> {
        self.send(request).await.map_err(|error| match self.quic.close_reason() {
            Some(reason) => quic_client::failure(&reason),
            None => CallError::Protocol(in_full(&error)),
        })?
    }

    /// The outer error is the stream's, the inner that of a reply over the limit.
    async fn send(&self, request: &HttpRequest) -> Result<Result<Response<Bytes>, CallError>, StreamError> {
        let body = request.body.clone();
        let mut head = Request::new(());
        *head.method_mut() = request.method.clone();
        *head.uri_mut() = request.uri.clone();
        *head.headers_mut() = request.headers.clone();
        if !body.is_empty() {
            head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let mut stream = self.sender.clone().send_request(head).await?;
        if !body.is_empty() {
            stream.send_data(body).await?;
        }
        stream.finish().await?;
        let head = stream.recv_response().await?;
        let mut whole = WholeBody::default();
        while let Some(mut data) = stream.recv_data().await? {
            if let Err(error) = whole.add(data.copy_to_bytes(data.remaining())) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(head.map(|()| whole.bytes())))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.quic.close_reason().is_none()
    }
}
