//! TCP: length-prefixed protobuf frames, many in flight on a connection, answered in whatever order they are
//! done. One task a connection; everything that is ready goes out in one write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, StreamExt as _};
use prost::Message;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, Kind};
use proto::v1::{FaultCode, SessionRequest, SubscribeRequest};
use proto::{Fault, MarketResult, Operation, Reply};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::accept::accept;
use crate::{Limits, Market, Shutdown};

/// A fault frame (id 0) with code LIMIT and the detail "too many connections".
const REFUSAL: &[u8] = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xff\x08\x04\x12\x14too many connections";
/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;
/// What an event is taken to occupy in the queue that `outbound_bytes_max` bounds.
const EVENT_BYTES: usize = 1 << 10;

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: TcpListener, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    accept(listener, limits, REFUSAL, shutdown.clone(), |stream| {
        let connection = Connection::new(Arc::clone(&market), limits);
        let shutdown = shutdown.clone();
        async move {
            if let Err(error) = connection.run(stream, shutdown).await {
                tracing::debug!("tcp connection ended: {error}");
            }
        }
    })
    .await;
}

/// A frame of a subscription or session, on its way to the connection's writer.
type Event = (u32, Kind, Bytes);

struct Connection {
    market: Arc<Market>,
    limits: Limits,
    outbound: BytesMut,
    /// Calls whose handler still waits.
    calls: FuturesUnordered<BoxFuture<'static, (u32, MarketResult<Reply>)>>,
    feeds: HashMap<u32, Feed>,
    events: mpsc::Receiver<Event>,
    events_in: mpsc::Sender<Event>,
    /// The stream is not made of frames: answer, flush, close.
    broken: bool,
}

/// A subscription or a session that runs beside the calls.
struct Feed {
    task: AbortHandle,
    /// Where a session takes its requests.
    requests: Option<mpsc::Sender<SessionRequest>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    fn new(market: Arc<Market>, limits: Limits) -> Connection {
        let (events_in, events) = mpsc::channel((limits.outbound_bytes_max / EVENT_BYTES).max(1));
        Connection {
            market,
            limits,
            outbound: BytesMut::new(),
            calls: FuturesUnordered::new(),
            feeds: HashMap::new(),
            events,
            events_in,
            broken: false,
        }
    }

    async fn run<S: AsyncRead + AsyncWrite>(mut self, stream: S, shutdown: Shutdown) -> std::io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut inbound = BytesMut::new();
        let (mut ended, mut stopping) = (false, false);
        let mut frame_limit = FrameLimit::default();
        loop {
            let taken = self.take_frames(&mut inbound);
            let room = self.has_room();
            if self.broken && !ended {
                ended = true;
                self.end_feeds();
            }
            if ended && self.calls.is_empty() && self.outbound.is_empty() {
                return writer.shutdown().await;
            }
            frame_limit.observe(taken, !ended && room && !inbound.is_empty(), self.limits.message_time_max);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !stopping => {
                    (stopping, ended) = (true, true);
                    self.end_feeds();
                }
                () = &mut frame_limit.overdue, if !ended => {
                    self.breaks(Fault::new(FaultCode::Limit, "the rest of a frame came too late"));
                }
                Some((id, answer)) = self.calls.next(), if !self.calls.is_empty() => self.put_answer(id, answer),
                Some((id, kind, payload)) = self.events.recv(), if room && !ended => {
                    frame::put_encoded(&mut self.outbound, id, kind, &payload);
                }
                // After all that is ready, so that it goes out together; before more is read.
                written = writer.write_buf(&mut self.outbound), if !self.outbound.is_empty() => { written?; }
                read = read_some(&mut reader, &mut inbound), if !ended && room => ended = read? == 0,
            }
        }
    }

    /// Whether more may be read and answered. Past it the peer's own window fills, and it must wait.
    fn has_room(&self) -> bool {
        self.outbound.len() < self.limits.outbound_bytes_max && self.calls.len() < self.limits.in_flight_max
    }

    /// Takes whole frames while there is room for their answers; says how many.
    fn take_frames(&mut self, inbound: &mut BytesMut) -> usize {
        let mut taken = 0;
        while !self.broken && self.has_room() {
            match Frame::take(inbound, self.limits.message_bytes_max) {
                Ok(Some(frame)) => self.take(&frame),
                Ok(None) => break,
                Err(error) => self.breaks(Fault::new(FaultCode::Limit, error.to_string())),
            }
            taken += 1;
        }
        taken
    }

    fn take(&mut self, frame: &Frame) {
        let id = frame.id;
        let taken = match frame.kind {
            Kind::SubscribeRequest => self.subscribe(id, &frame.payload),
            Kind::SessionRequest => self.session(id, &frame.payload),
            Kind::Cancel => {
                self.feeds.remove(&id);
                frame::put_encoded(&mut self.outbound, id, Kind::End, &[]);
                Ok(())
            }
            kind => operation(kind, &frame.payload).map(|operation| self.call(id, operation)),
        };
        if let Err(fault) = taken {
            self.put_answer(id, Err(fault));
        }
    }

    fn call(&mut self, id: u32, operation: Operation) {
        let (answer, wait) = self.market.answer(operation);
        match wait {
            None => self.put_answer(id, answer),
            Some(time) => {
                let market = Arc::clone(&self.market);
                self.calls.push(Box::pin(async move {
                    market.wait_until(time).await;
                    (id, answer)
                }));
            }
        }
    }

    fn put_answer(&mut self, id: u32, answer: MarketResult<Reply>) {
        let out = &mut self.outbound;
        match answer {
            Ok(Reply::Quote(quote)) => frame::put(out, id, Kind::Quote, &quote),
            Ok(Reply::Quotes(quotes)) => frame::put(out, id, Kind::Quotes, &quotes),
            Ok(Reply::Portfolio(portfolio)) => frame::put(out, id, Kind::Portfolio, &portfolio),
            Ok(Reply::History(history)) => frame::put(out, id, Kind::History, &history),
            Ok(Reply::Receipt(receipt)) => frame::put(out, id, Kind::OrderReceipt, &receipt),
            Err(fault) => frame::put(out, id, Kind::Fault, &fault.message()),
        }
    }

    fn subscribe(&mut self, id: u32, payload: &[u8]) -> MarketResult<()> {
        self.admit_feed(id)?;
        let subscription = self.market.subscribe(&decode::<SubscribeRequest>(payload)?)?;
        let events = self.events_in.clone();
        let task = tokio::spawn(async move {
            let mut subscription = subscription;
            loop {
                let tick = subscription.next().await;
                let payload = tick.encoded(Encoding::Protobuf).clone();
                if events.send((id, Kind::Tick, payload)).await.is_err() {
                    return;
                }
            }
        });
        self.feeds.insert(id, Feed { task: task.abort_handle(), requests: None });
        Ok(())
    }

    /// The first request under an id opens the session, the others go to it.
    fn session(&mut self, id: u32, payload: &[u8]) -> MarketResult<()> {
        let request = decode::<SessionRequest>(payload)?;
        if !self.feeds.contains_key(&id) {
            self.open_session(id)?;
        }
        let requests = self.feeds.get(&id).and_then(|feed| feed.requests.as_ref());
        let requests =
            requests.ok_or_else(|| Fault::new(FaultCode::InvalidArgument, "this id is a subscription"))?;
        requests.try_send(request).map_err(|_| {
            Fault::new(FaultCode::Limit, "too many session requests in flight: wait for their events")
        })
    }

    fn open_session(&mut self, id: u32) -> MarketResult<()> {
        self.admit_feed(id)?;
        let (requests, inbox) = mpsc::channel(self.limits.in_flight_max);
        let inbox = stream::unfold(inbox, |mut inbox| async move { Some((inbox.recv().await?, inbox)) });
        let mut session = self.market.session(Box::pin(inbox));
        let events = self.events_in.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = session.next().await {
                if events.send((id, Kind::SessionEvent, event.encode_to_vec().into())).await.is_err() {
                    return;
                }
            }
        });
        self.feeds.insert(id, Feed { task: task.abort_handle(), requests: Some(requests) });
        Ok(())
    }

    fn admit_feed(&self, id: u32) -> MarketResult<()> {
        if self.feeds.contains_key(&id) {
            return Err(Fault::new(
                FaultCode::InvalidArgument,
                "this id has a subscription or session already",
            ));
        }
        if self.feeds.len() >= self.limits.subscriptions_max {
            let max = self.limits.subscriptions_max;
            return Err(Fault::new(
                FaultCode::Limit,
                format!("{max} subscriptions a connection are the limit"),
            ));
        }
        Ok(())
    }

    fn end_feeds(&mut self) {
        for (id, _feed) in self.feeds.drain() {
            frame::put_encoded(&mut self.outbound, id, Kind::End, &[]);
        }
    }

    /// The stream cannot be read on: says why under id 0.
    fn breaks(&mut self, fault: Fault) {
        self.broken = true;
        self.put_answer(0, Err(fault));
    }
}

fn operation(kind: Kind, payload: &[u8]) -> MarketResult<Operation> {
    match kind {
        Kind::QuoteRequest => decode(payload).map(Operation::Quote),
        Kind::QuotesRequest => decode(payload).map(Operation::Quotes),
        Kind::PortfolioRequest => decode(payload).map(Operation::Portfolio),
        Kind::HistoryRequest => decode(payload).map(Operation::History),
        Kind::OrderRequest => decode(payload).map(Operation::PlaceOrder),
        other => Err(Fault::new(FaultCode::InvalidArgument, format!("{other:?} is not a request"))),
    }
}

fn decode<M: Message + Default>(payload: &[u8]) -> MarketResult<M> {
    M::decode(payload).map_err(|error| Fault::new(FaultCode::InvalidArgument, error.to_string()))
}

async fn read_some<R: AsyncRead + Unpin>(reader: &mut R, inbound: &mut BytesMut) -> std::io::Result<usize> {
    inbound.reserve(READ_BYTES);
    reader.read_buf(inbound).await
}

/// The time in which a frame that began must be whole.
struct FrameLimit {
    overdue: BoxFuture<'static, ()>,
    running: bool,
}

impl Default for FrameLimit {
    fn default() -> FrameLimit {
        FrameLimit { overdue: std::future::pending().boxed(), running: false }
    }
}

impl FrameLimit {
    /// Starts with the first byte of a frame, and again only with the next frame: a byte now and then does not
    /// prolong it.
    fn observe(&mut self, frames_taken: usize, partial: bool, span: Duration) {
        if !partial && self.running {
            *self = FrameLimit::default();
        } else if partial && (!self.running || frames_taken > 0) {
            *self = FrameLimit { overdue: clock::pause(span).boxed(), running: true };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_the_fault_it_says_it_is() {
        let mut bytes = BytesMut::from(REFUSAL);
        let frame = Frame::take(&mut bytes, 1024).unwrap().unwrap();
        assert!(bytes.is_empty() && frame.kind == Kind::Fault && frame.id == 0);
        let fault = proto::v1::Fault::decode(frame.payload).unwrap();
        assert_eq!((fault.code(), fault.detail.as_str()), (FaultCode::Limit, "too many connections"));
    }
}
