//! QUIC datagrams (RFC 9221): one frame a datagram, as over UDP, on a connection that is proven,
//! encrypted, and held back by congestion control. Nothing is sent twice: loss is the caller's to
//! see.

use std::sync::Arc;

use bytes::BytesMut;
use prost::Message;
use proto::Fault;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameHead, Kind, QUIC_DATAGRAM_BYTES_MAX};
use proto::v1::FaultCode;
use quinn::{Connection, Endpoint};
use serde::Serialize;

use crate::conversation::{Conversation, Outbound, put_answer};
use crate::protocols::udp::too_large;
use crate::replies::Replies;
use crate::turn::Turn;
use crate::{Limits, Market, Shutdown, quic_server};

/// Serves until `shutdown`, then drains.
pub async fn serve(endpoint: Endpoint, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    quic_server::accept(endpoint, limits, shutdown.clone(), |connection| {
        let replies = Replies::new(&limits);
        let conversation = Conversation::new(Arc::clone(&market), limits, Encoding::Protobuf, replies);
        converse(connection, conversation, shutdown.clone())
    })
    .await;
}

async fn converse(connection: Connection, mut conversation: Conversation, shutdown: Shutdown) {
    let out = &mut Datagrams { connection: connection.clone() };
    let (mut stopping, mut turn) = (false, Turn::default());
    while !stopping || conversation.in_flight() {
        let room = conversation.has_room(out);
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                conversation.end_feeds(out);
            }
            ready = conversation.ready(!stopping && turn.has_room()) => {
                turn.take();
                conversation.put(ready, out);
            }
            datagram = connection.read_datagram(), if room && !stopping => {
                turn = Turn::default();
                let Ok(datagram) = datagram else { return };
                match Frame::from_datagram(&datagram) {
                    Ok(frame) => conversation.take(&frame, out),
                    Err(error) => {
                        let fault = Fault::new(FaultCode::InvalidArgument, error.to_string());
                        put_answer(out, 0, Err(fault));
                    }
                }
            }
            () = turn.over() => turn = Turn::default(),
        }
    }
}

/// Datagrams on their way out: the connection keeps them while its congestion window is full, up to
/// a bound; past it the oldest are lost.
struct Datagrams {
    connection: Connection,
}

impl Outbound for Datagrams {
    fn put<M: Message + Serialize>(&mut self, id: u32, kind: Kind, message: &M) {
        self.put_encoded(id, kind, &Encoding::Protobuf.encode(message));
    }

    fn put_encoded(&mut self, id: u32, kind: Kind, payload: &[u8]) {
        let mut datagram = BytesMut::with_capacity(frame::HEADER_BYTES + payload.len());
        frame::put_encoded(&mut datagram, FrameHead::of(id, kind), payload);
        if datagram.len() > QUIC_DATAGRAM_BYTES_MAX {
            let fault = too_large(datagram.len(), QUIC_DATAGRAM_BYTES_MAX);
            return self.put(id, Kind::Fault, &fault.message());
        }
        if let Err(error) = self.connection.send_datagram(datagram.freeze()) {
            tracing::debug!("quic datagram: {error}");
        }
    }

    fn waiting(&self) -> usize {
        0
    }

    fn reply_bytes_max(&self) -> usize {
        QUIC_DATAGRAM_BYTES_MAX
    }
}
