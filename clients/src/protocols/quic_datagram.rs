//! QUIC datagrams (RFC 9221): one frame a datagram, nothing sent twice. As over UDP, a lost
//! datagram is a call that times out or an event that is missed; unlike there, the connection is
//! proven and encrypted, and congestion control holds datagrams back.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{self, LocalBoxStream};
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameHead, HEADER_BYTES, QUIC_DATAGRAM_BYTES_MAX, TIME_LEFT_BYTES};
use proto::{Protocol, Transport};
use quinn::{Connection, ConnectionError, SendDatagramError};

use crate::connection::{CallError, Connector};
use crate::endpoint::Endpoint;
use crate::multiplex::{Multiplexed, Wire};
use crate::quic_client::{self, failure};

/// Opens QUIC connections for datagrams.
#[derive(Debug, Clone)]
pub struct QuicDatagramConnector {
    /// The server.
    pub endpoint: Endpoint,
}

impl Connector for QuicDatagramConnector {
    type Connection = Multiplexed<QuicDatagramWire>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        let alpn = Protocol::QuicDatagram.alpn(Transport::Quic)[0];
        let quic = quic_client::open(&self.endpoint, alpn).await?;
        let received = stream::unfold(quic.clone(), async |quic| Some((quic.read_datagram().await, quic)));
        Ok(Multiplexed::new(QuicDatagramWire { quic, received: received.boxed_local(), failed: None }))
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

/// Frames in QUIC datagrams. The connection keeps what waits to be sent, up to a bound; past it the
/// oldest are lost.
pub struct QuicDatagramWire {
    quic: Connection,
    received: LocalBoxStream<'static, Result<Bytes, ConnectionError>>,
    failed: Option<CallError>,
}

impl Wire for QuicDatagramWire {
    const PAYLOAD_BYTES_MAX: usize = QUIC_DATAGRAM_BYTES_MAX - HEADER_BYTES - TIME_LEFT_BYTES;
    const LEASE: Option<Duration> = None;

    fn encoding(&self) -> Encoding {
        Encoding::Protobuf
    }

    fn push(&mut self, head: FrameHead, payload: &[u8]) {
        let mut datagram = BytesMut::with_capacity(HEADER_BYTES + payload.len());
        frame::put_encoded(&mut datagram, head, payload);
        match self.quic.send_datagram(datagram.freeze()) {
            Ok(()) => {}
            Err(SendDatagramError::ConnectionLost(error)) => self.failed = Some(failure(&error)),
            Err(error) => self.failed = Some(CallError::Protocol(format!("QUIC: {error}"))),
        }
    }

    fn waiting(&self) -> usize {
        0
    }

    fn poll_send(&mut self, _context: &mut Context<'_>) -> Result<(), CallError> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        Poll::Ready(match ready!(self.received.poll_next_unpin(context)) {
            Some(Ok(datagram)) => {
                Frame::from_datagram(&datagram).map_err(|error| CallError::Protocol(error.to_string()))
            }
            Some(Err(error)) => Err(failure(&error)),
            None => Err(CallError::Reset("QUIC: no more datagrams".to_owned())),
        })
    }
}
