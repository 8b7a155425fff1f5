//! A conversation of frames: calls, subscriptions and sessions that share a connection, answered in
//! whatever order they are done. TCP and WebSocket each give it frames and take frames from it; how
//! those travel is theirs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, StreamExt as _};
use prost::Message;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameHead, Kind};
use proto::v1::{FaultCode, SessionRequest, SubscribeRequest};
use proto::{Fault, MarketResult, Operation, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::market::Answer;
use crate::protocols::udp::too_large;
use crate::replies::{Held, Replies};
use crate::{Limits, Market};

/// What an event is taken to occupy in the queue that `outbound_bytes_max` bounds.
const EVENT_BYTES: usize = 1 << 10;

/// Where frames go out.
pub(crate) trait Outbound {
    /// Adds a frame around a message.
    fn put<M: Message + Serialize>(&mut self, id: u32, kind: Kind, message: &M);

    /// Adds a frame around a message that is encoded already.
    fn put_encoded(&mut self, id: u32, kind: Kind, payload: &[u8]);

    /// Bytes that wait to be sent.
    fn waiting(&self) -> usize;

    /// Bytes of a reply, at most: what cannot be sent need not be encoded.
    fn reply_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// Frames with their length, one behind the other: a TCP stream's, or the one of a datagram.
impl Outbound for BytesMut {
    fn put<M: Message + Serialize>(&mut self, id: u32, kind: Kind, message: &M) {
        frame::put(self, id, kind, message);
    }

    fn put_encoded(&mut self, id: u32, kind: Kind, payload: &[u8]) {
        frame::put_encoded(self, FrameHead::of(id, kind), payload);
    }

    fn waiting(&self) -> usize {
        self.len()
    }
}

/// Bytes of a reply in protobuf.
pub(crate) fn reply_bytes(reply: &Reply) -> usize {
    match reply {
        Reply::Quote(quote) => quote.encoded_len(),
        Reply::Quotes(quotes) => quotes.encoded_len(),
        Reply::Portfolio(portfolio) => portfolio.encoded_len(),
        Reply::History(history) => history.encoded_len(),
        Reply::Receipt(receipt) => receipt.encoded_len(),
    }
}

/// Adds the frame that answers a call.
pub(crate) fn put_answer(out: &mut impl Outbound, id: u32, answer: MarketResult<Reply>) {
    match answer {
        Ok(Reply::Quote(quote)) => out.put(id, Kind::Quote, &quote),
        Ok(Reply::Quotes(quotes)) => out.put(id, Kind::Quotes, &quotes),
        Ok(Reply::Portfolio(portfolio)) => out.put(id, Kind::Portfolio, &portfolio),
        Ok(Reply::History(history)) => out.put(id, Kind::History, &history),
        Ok(Reply::Receipt(receipt)) => out.put(id, Kind::OrderReceipt, &receipt),
        Err(fault) => out.put(id, Kind::Fault, &fault.message()),
    }
}

/// What became ready.
pub(crate) enum Ready {
    /// A call's handler is done.
    Answer(u32, MarketResult<Reply>),
    /// A subscription or a session has something.
    Event(Event<u32>),
}

/// A frame of the subscription or session of an id.
pub(crate) type Event<I> = (I, Kind, Bytes);

/// The calls and feeds of one connection.
pub(crate) struct Conversation {
    market: Arc<Market>,
    limits: Limits,
    encoding: Encoding,
    /// Calls whose handler still waits.
    calls: FuturesUnordered<BoxFuture<'static, (u32, MarketResult<Reply>)>>,
    feeds: HashMap<u32, Feed>,
    events: mpsc::Receiver<Event<u32>>,
    events_in: mpsc::Sender<Event<u32>>,
    /// What waits on the connection, of this conversation and of others on it.
    replies: Replies,
    /// What waits of this conversation.
    held: Held,
    broken: bool,
}

impl Conversation {
    pub(crate) fn new(
        market: Arc<Market>,
        limits: Limits,
        encoding: Encoding,
        replies: Replies,
    ) -> Conversation {
        let (events_in, events) = mpsc::channel((limits.outbound_bytes_max / EVENT_BYTES).max(1));
        Conversation {
            market,
            limits,
            encoding,
            calls: FuturesUnordered::new(),
            feeds: HashMap::new(),
            events,
            events_in,
            held: replies.hold_nothing(),
            replies,
            broken: false,
        }
    }

    /// Whether more may be read and answered. Past it the peer's own window fills, and it must
    /// wait.
    pub(crate) fn has_room(&mut self, out: &impl Outbound) -> bool {
        self.held.set(out.waiting());
        self.replies.has_room() && self.calls.len() < self.limits.in_flight_max
    }

    /// Whether a call's handler still waits.
    pub(crate) fn in_flight(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether the peer's bytes cannot be read on: answer, flush, close.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Waits for what is ready next; for ever where there is nothing. Cancelling loses nothing.
    /// Without `events`, for the calls in flight only; they have their data read now, and so only
    /// where their replies have room.
    pub(crate) async fn ready(&mut self, events: bool) -> Ready {
        let answers = self.replies.has_room() && !self.calls.is_empty();
        tokio::select! {
            biased;
            Some((id, answer)) = self.calls.next(), if answers => Ready::Answer(id, answer),
            // The sender is here too, so that the queue cannot be closed.
            Some(event) = self.events.recv(), if events => Ready::Event(event),
            else => std::future::pending().await,
        }
    }

    /// Sends what became ready.
    pub(crate) fn put(&self, ready: Ready, out: &mut impl Outbound) {
        match ready {
            Ready::Answer(id, answer) => self.put_answer(id, answer, out),
            Ready::Event((id, kind, payload)) => out.put_encoded(id, kind, &payload),
        }
    }

    /// Takes a frame from the peer: answers it, or starts what it asks for.
    pub(crate) fn take(&mut self, frame: &Frame, out: &mut impl Outbound) {
        let id = frame.id;
        let taken = match frame.kind {
            Kind::SubscribeRequest => self.subscribe(id, &frame.payload),
            Kind::SessionRequest => self.session(id, &frame.payload),
            Kind::Cancel => {
                self.feeds.remove(&id);
                out.put_encoded(id, Kind::End, &[]);
                Ok(())
            }
            kind => Operation::decode(kind, self.encoding, &frame.payload)
                .map(|operation| self.call(id, operation, frame.time_left, out)),
        };
        if let Err(fault) = taken {
            put_answer(out, id, Err(fault));
        }
    }

    fn call(&mut self, id: u32, operation: Operation, time_left: Option<Duration>, out: &mut impl Outbound) {
        match self.market.answer(operation, time_left) {
            Answer::Now(answer) => self.put_answer(id, answer, out),
            Answer::Waits(waiting) => {
                let market = Arc::clone(&self.market);
                self.calls.push(Box::pin(async move { (id, market.finish(waiting).await) }));
            }
        }
    }

    /// Answers a call, or says that the process has no room for its reply.
    fn put_answer(&self, id: u32, answer: MarketResult<Reply>, out: &mut impl Outbound) {
        let max = out.reply_bytes_max();
        let fits = |reply: &Reply| match max {
            usize::MAX => self.replies.admits(|| out.waiting() + reply_bytes(reply)),
            max if reply_bytes(reply) > max => Err(too_large(reply_bytes(reply), max)),
            _ => Ok(()),
        };
        let answer = answer.and_then(|reply| fits(&reply).map(|()| reply));
        put_answer(out, id, answer);
    }

    fn subscribe(&mut self, id: u32, payload: &[u8]) -> MarketResult<()> {
        self.admit_feed(id)?;
        let request = decode::<SubscribeRequest>(self.encoding, payload)?;
        let feed = Feed::subscribe(&self.market, &request, self.encoding, id, self.events_in.clone())?;
        self.feeds.insert(id, feed);
        Ok(())
    }

    /// The first request under an id opens the session, the others go to it.
    fn session(&mut self, id: u32, payload: &[u8]) -> MarketResult<()> {
        let request = decode::<SessionRequest>(self.encoding, payload)?;
        if !self.feeds.contains_key(&id) {
            self.admit_feed(id)?;
            let (in_flight, encoding) = (self.limits.in_flight_max, self.encoding);
            let feed = Feed::session(&self.market, in_flight, encoding, id, self.events_in.clone());
            self.feeds.insert(id, feed);
        }
        self.feeds[&id].request(request)
    }

    fn admit_feed(&self, id: u32) -> MarketResult<()> {
        admit_feed(self.feeds.contains_key(&id), self.feeds.len(), self.limits.subscriptions_max)
    }

    /// Ends every subscription and session, and says so.
    pub(crate) fn end_feeds(&mut self, out: &mut impl Outbound) {
        for (id, _feed) in self.feeds.drain() {
            out.put_encoded(id, Kind::End, &[]);
        }
    }

    /// The peer's bytes cannot be read on: says why under id 0.
    pub(crate) fn breaks(&mut self, fault: Fault, out: &mut impl Outbound) {
        self.broken = true;
        put_answer(out, 0, Err(fault));
    }
}

/// Whether a caller that has so many subscriptions and sessions may have one more under an id.
pub(crate) fn admit_feed(is_taken: bool, held: usize, max: usize) -> MarketResult<()> {
    if is_taken {
        let detail = "this id has a subscription or session already";
        return Err(Fault::new(FaultCode::InvalidArgument, detail));
    }
    if held >= max {
        return Err(Fault::new(FaultCode::Limit, format!("{max} subscriptions a caller are the limit")));
    }
    Ok(())
}

/// A subscription or a session that runs beside the calls, until it is dropped.
pub(crate) struct Feed {
    task: AbortHandle,
    /// Where a session takes its requests.
    requests: Option<mpsc::Sender<SessionRequest>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// Ticks under this id, into `events`.
    pub(crate) fn subscribe<I: Copy + Send + 'static>(
        market: &Market,
        request: &SubscribeRequest,
        encoding: Encoding,
        id: I,
        events: mpsc::Sender<Event<I>>,
    ) -> MarketResult<Feed> {
        let mut subscription = market.subscribe(request)?;
        let task = tokio::spawn(async move {
            loop {
                let tick = subscription.next().await;
                let event = (id, Kind::Tick, tick.encoded(encoding).clone());
                if events.send(event).await.is_err() {
                    return;
                }
            }
        });
        Ok(Feed { task: task.abort_handle(), requests: None })
    }

    /// A session under this id, its events into `events`; at most `in_flight_max` requests wait for
    /// it.
    pub(crate) fn session<I: Copy + Send + 'static>(
        market: &Arc<Market>,
        in_flight_max: usize,
        encoding: Encoding,
        id: I,
        events: mpsc::Sender<Event<I>>,
    ) -> Feed {
        let (requests, inbox) = mpsc::channel(in_flight_max);
        let inbox = stream::unfold(inbox, |mut inbox| async move { Some((inbox.recv().await?, inbox)) });
        let mut session = market.session(Box::pin(inbox));
        let task = tokio::spawn(async move {
            while let Some(event) = session.next().await {
                let event = (id, Kind::SessionEvent, encoding.encode(&event));
                if events.send(event).await.is_err() {
                    return;
                }
            }
        });
        Feed { task: task.abort_handle(), requests: Some(requests) }
    }

    /// Gives a session its next request.
    pub(crate) fn request(&self, request: SessionRequest) -> MarketResult<()> {
        let requests = self.requests.as_ref();
        let requests =
            requests.ok_or_else(|| Fault::new(FaultCode::InvalidArgument, "this id is a subscription"))?;
        requests.try_send(request).map_err(|_| {
            Fault::new(FaultCode::Limit, "too many session requests in flight: wait for their events")
        })
    }
}

/// Reads a message that a peer sent.
pub(crate) fn decode<M>(encoding: Encoding, payload: &[u8]) -> MarketResult<M>
where
    M: Message + Default + DeserializeOwned,
{
    encoding.decode(payload).map_err(|error| Fault::new(FaultCode::InvalidArgument, error.to_string()))
}
