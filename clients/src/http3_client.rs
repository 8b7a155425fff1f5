//! HTTP/3 on QUIC, for requests whose replies are taken whole, or counted.

use std::cell::Cell;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::{Code, StreamError};
use h3::quic::Connection as _;
use http::{HeaderValue, Response, StatusCode, header};
use quinn::Connection;
use streams::http3::{Bounded, BoundedOpener, Bounds, OverBound, bounded};

use crate::connection::CallError;
use crate::endpoint::Endpoint;
use crate::http_errors::in_full;
use crate::http_request::HttpRequest;
use crate::limits::{CONTROL_BYTES_MAX, CONTROL_TURN_BYTES, HEAD_BYTES_MAX, INTERIM_HEADS_MAX, TURN_BYTES};
use crate::quic_client;
use crate::reply_body::{CountedBody, WholeBody};

/// What its streams may have.
const BOUNDS: Bounds = Bounds {
    frame_bytes_max: HEAD_BYTES_MAX as u64,
    control_bytes_max: CONTROL_BYTES_MAX,
    turn_bytes: TURN_BYTES,
    control_turn_bytes: CONTROL_TURN_BYTES,
};

/// One HTTP/3 connection.
pub(crate) struct Http3Connection {
    quic: Connection,
    sender: SendRequest<Opener, Bytes>,
    opener: Opener,
    /// The server says that it takes no more requests (GOAWAY: RFC 9114, section 5.2).
    goes_away: Cell<bool>,
}

type Opener = BoundedOpener<h3_quinn::OpenStreams>;

/// A request that was sent.
type Sent = RequestStream<Bounded<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// It was never sent.
    #[error("{0}")]
    Unsent(StreamError),
    /// The stream or the connection broke.
    #[error("{0}")]
    Stream(#[from] StreamError),
    /// The reply is over a limit.
    #[error("{0}")]
    Over(#[from] CallError),
}

impl Http3Connection {
    /// Opens a connection.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Http3Connection, CallError> {
        let quic = quic_client::open(endpoint, b"h3").await?;
        let streams = bounded(quic.clone(), BOUNDS);
        let opener = streams.opener();
        let built = h3::client::builder()
            .send_grease(false)
            .max_field_section_size(HEAD_BYTES_MAX.into())
            .build(streams)
            .await;
        let (mut driver, sender) = built.map_err(|error| CallError::Protocol(in_full(&error)))?;
        tokio::task::spawn_local(async move { driver.wait_idle().await });
        Ok(Http3Connection { quic, sender, opener, goes_away: Cell::new(false) })
    }

    /// Sends a request and collects the whole reply.
    pub(crate) async fn exchange(
        &self,
        request: &HttpRequest,
        time_left: Option<Duration>,
    ) -> Result<Response<Bytes>, CallError> {
        let collected = async {
            let (mut stream, head) = self.send(request, time_left).await?;
            let mut whole = WholeBody::default();
            while let Some(mut data) = stream.recv_data().await? {
                whole.add(data.copy_to_bytes(data.remaining()))?;
            }
            Ok(head.map(|()| whole.bytes()))
        };
        collected.await.map_err(|broken| self.failure(broken))
    }

    /// Sends a request and counts the bytes of its reply, which are shown in pieces and not kept.
    pub(crate) async fn count(
        &self,
        request: &HttpRequest,
        mut show: impl FnMut(&Bytes),
    ) -> Result<(StatusCode, usize), CallError> {
        let counted = async {
            let (mut stream, head) = self.send(request, None).await?;
            let mut counted = CountedBody::default();
            while let Some(mut data) = stream.recv_data().await? {
                counted.add(data.remaining())?;
                show(&data.copy_to_bytes(data.remaining()));
            }
            Ok((head.status(), counted.bytes()))
        };
        counted.await.map_err(|broken| self.failure(broken))
    }

    /// Waits until the server lets another request be sent.
    pub(crate) async fn place(&self) {
        // A connection that is lost is told to the call.
        let _ = self.opener.clone().open_ahead().await;
    }

    /// Sends a request and waits for the head of its reply.
    async fn send(
        &self,
        request: &HttpRequest,
        time_left: Option<Duration>,
    ) -> Result<(Sent, Response<()>), Broken> {
        let (mut head, body) = (request.head(time_left), request.body.clone());
        if !body.is_empty() {
            head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let mut stream = self.sender.clone().send_request(head).await.map_err(Broken::Unsent)?;
        if !body.is_empty() {
            stream.send_data(body).await?;
        }
        stream.finish().await?;
        for _ in 0..=INTERIM_HEADS_MAX {
            let head = stream.recv_response().await?;
            if !head.status().is_informational() {
                return Ok((stream, head));
            }
        }
        Err(Broken::Over(CallError::Limit(format!("more than {INTERIM_HEADS_MAX} interim heads (1xx)"))))
    }

    fn failure(&self, broken: Broken) -> CallError {
        let failure = |error: StreamError| match (&error, self.quic.close_reason()) {
            (StreamError::ConnectionError { .. }, Some(reason)) => quic_client::failure(&reason),
            _ => http3_failure(&error),
        };
        match broken {
            Broken::Over(error) => error,
            Broken::Unsent(error @ StreamError::HeaderTooBig { .. }) => failure(error),
            Broken::Unsent(error) => {
                if matches!(error, StreamError::RemoteClosing { .. }) {
                    self.goes_away.set(true);
                }
                CallError::Unprocessed(Box::new(failure(error)))
            }
            Broken::Stream(error) => failure(error),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.goes_away.get() && self.quic.close_reason().is_none()
    }
}

/// What an error of a stream means for a call.
fn http3_failure(error: &StreamError) -> CallError {
    let text = in_full(error);
    match error {
        StreamError::RemoteClosing { .. } => CallError::Reset(text),
        // RFC 9114, section 4.1.1.
        StreamError::RemoteTerminate { code: Code::H3_REQUEST_REJECTED, .. } => {
            CallError::Unprocessed(Box::new(CallError::Limit(text)))
        }
        StreamError::HeaderTooBig { .. } => CallError::Limit(text),
        StreamError::Undefined { 0: cause, .. } if cause.is::<OverBound>() => CallError::Limit(text),
        _ => CallError::Protocol(text),
    }
}
