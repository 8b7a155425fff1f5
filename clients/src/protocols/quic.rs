//! QUIC: the frames of TCP on streams, a stream for each call or one for all of them. What is lost
//! on one stream holds up no other; on one stream it holds up all, as on TCP.

use std::cell::RefCell;
use std::time::Duration;

use bytes::BytesMut;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, Kind};
use proto::v1::SubscribeRequest;
use proto::{Operation, Protocol, Reply, Transport};
use quinn::{RecvStream, SendStream};
use terms::Streams;
use tokio::io::Join;

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::Endpoint;
use crate::framed::{Framed, not_a_frame};
use crate::limits::REPLY_BYTES_MAX;
use crate::market::{OpenSession, Session, Subscribe, TickStream};
use crate::multiplex::{Multiplexed, PreparedFrame, decode_reply};
use crate::quic_client::{self, failure};
use crate::reply_body::WholeBody;

/// Bytes taken of a reply at a time.
const READ_BYTES_MAX: usize = 64 << 10;
/// The id of the only call on a stream.
const ONLY: u32 = 1;

/// Opens QUIC connections.
#[derive(Debug, Clone)]
pub struct QuicConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Which calls share a stream.
    pub streams: Streams,
}

impl Connector for QuicConnector {
    type Connection = QuicConnection;

    async fn connect(&self) -> Result<QuicConnection, CallError> {
        let quic = quic_client::open(&self.endpoint, Protocol::Quic.alpn(Transport::Quic)[0]).await?;
        let shared = match self.streams {
            Streams::PerCall => None,
            Streams::One => Some(stream(&quic).await?),
        };
        Ok(QuicConnection { quic, shared, opened: RefCell::default() })
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

type FramedStream = Multiplexed<Framed<Join<RecvStream, SendStream>>>;

/// A stream that many calls can share.
async fn stream(quic: &quinn::Connection) -> Result<FramedStream, CallError> {
    let (sender, receiver) = quic.open_bi().await.map_err(|error| failure(&error))?;
    Ok(Multiplexed::new(Framed::new(tokio::io::join(receiver, sender))))
}

/// An open QUIC connection.
pub struct QuicConnection {
    quic: quinn::Connection,
    /// The one stream, where there is one.
    shared: Option<FramedStream>,
    /// Streams that were opened for calls that are about to be made.
    opened: RefCell<Vec<(SendStream, RecvStream)>>,
}

impl Connection for QuicConnection {
    type Request = Operation;
    type Prepared = PreparedFrame;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<PreparedFrame, Unsupported> {
        PreparedFrame::new(operation, Encoding::Protobuf, REPLY_BYTES_MAX)
    }

    async fn call(&self, prepared: &PreparedFrame, time_left: Option<Duration>) -> Result<Reply, CallError> {
        if let Some(shared) = &self.shared {
            return shared.call(prepared, time_left).await;
        }
        let opened = self.opened.borrow_mut().pop();
        let (mut sender, mut receiver) = match opened {
            Some(opened) => opened,
            None => self.quic.open_bi().await.map_err(|error| failure(&error))?,
        };
        let mut request = BytesMut::with_capacity(frame::HEADER_BYTES + prepared.payload().len());
        frame::put_encoded(&mut request, prepared.head(ONLY, time_left), prepared.payload());
        let broken = |error: &dyn std::error::Error| match self.quic.close_reason() {
            Some(reason) => failure(&reason),
            None => CallError::Reset(format!("QUIC: {error}")),
        };
        sender.write_all(&request).await.map_err(|error| broken(&error))?;
        // It cannot be finished already.
        let _ = sender.finish();
        let mut reply = WholeBody::default();
        while let Some(chunk) =
            receiver.read_chunk(READ_BYTES_MAX, true).await.map_err(|error| broken(&error))?
        {
            reply.add(chunk.bytes)?;
        }
        let mut reply = BytesMut::from(reply.bytes());
        match Frame::take(&mut reply, REPLY_BYTES_MAX) {
            // Id 0 is the stream's own: why it was broken off.
            Ok(Some(frame)) if reply.is_empty() && (frame.id == ONLY || frame.kind == Kind::Fault) => {
                decode_reply(&frame, Encoding::Protobuf)
            }
            Ok(Some(frame)) => {
                Err(CallError::Protocol(format!("an answer to call {}, or more than one", frame.id)))
            }
            Ok(None) => Err(CallError::Protocol("the stream ended within a frame".to_owned())),
            Err(error) => Err(not_a_frame(&error)),
        }
    }

    /// Opens the stream of the next call, once the server lets it.
    async fn place(&self) {
        if self.shared.is_none()
            && self.opened.borrow().is_empty()
            && let Ok(opened) = self.quic.open_bi().await
        {
            self.opened.borrow_mut().push(opened);
        }
    }

    fn is_open(&self) -> bool {
        self.quic.close_reason().is_none() && self.shared.as_ref().is_none_or(Connection::is_open)
    }

    fn late_replies(&self) -> u64 {
        self.shared.as_ref().map_or(0, Connection::late_replies)
    }
}

impl Subscribe for QuicConnection {
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        match &self.shared {
            Some(shared) => shared.subscribe(request).await,
            None => stream(&self.quic).await?.subscribe(request).await,
        }
    }
}

impl Session for QuicConnection {
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        let unsupported = |error: CallError| Unsupported(error.to_string());
        match &self.shared {
            Some(shared) => shared.session().await,
            None => stream(&self.quic).await.map_err(unsupported)?.session().await,
        }
    }
}
