//! TCP: frames with correlation ids, any number of calls in flight on a connection. What is ready to be sent goes out
//! in one write.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use proto::Protocol;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, Kind};
use tokio::io::AsyncWrite as _;

use crate::connection::{CallError, Connector};
use crate::endpoint::{Endpoint, Stream};
use crate::http_client::BODY_BYTES_MAX;
use crate::multiplex::{Multiplexed, Wire};

/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;

/// Opens TCP connections.
#[derive(Debug, Clone)]
pub struct TcpConnector {
    /// The server.
    pub endpoint: Endpoint,
}

impl Connector for TcpConnector {
    type Connection = Multiplexed<TcpWire>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        let stream = self.endpoint.connect(Protocol::Tcp.alpn().first().copied()).await?;
        Ok(Multiplexed::new(TcpWire { stream, inbound: BytesMut::new(), outbound: BytesMut::new() }))
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

/// Frames on a TCP stream.
#[derive(Debug)]
pub struct TcpWire {
    stream: Stream,
    inbound: BytesMut,
    outbound: BytesMut,
}

impl Wire for TcpWire {
    const PAYLOAD_BYTES_MAX: usize = BODY_BYTES_MAX;
    const LEASE: Option<Duration> = None;

    fn encoding(&self) -> Encoding {
        Encoding::Protobuf
    }

    fn push(&mut self, id: u32, kind: Kind, payload: &[u8]) {
        frame::put_encoded(&mut self.outbound, id, kind, payload);
    }

    fn waiting(&self) -> usize {
        self.outbound.len()
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), CallError> {
        while !self.outbound.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.outbound) {
                Poll::Pending => break,
                Poll::Ready(Ok(written)) => self.outbound.advance(written),
                Poll::Ready(Err(error)) => return Err(CallError::from_io(&error)),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Err(error)) => Err(CallError::from_io(&error)),
            _ => Ok(()),
        }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        loop {
            match Frame::take(&mut self.inbound, BODY_BYTES_MAX) {
                Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(CallError::Protocol(error.to_string()))),
            }
            self.inbound.reserve(READ_BYTES);
            let stream = Pin::new(&mut self.stream);
            match ready!(tokio_util::io::poll_read_buf(stream, context, &mut self.inbound)) {
                Ok(0) => {
                    let closed = "the server closed the connection".to_owned();
                    return Poll::Ready(Err(CallError::Reset(closed)));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(CallError::from_io(&error))),
            }
        }
    }
}
