//! TCP: frames with correlation ids, any number of calls in flight on a connection. One task reads and writes;
//! what is ready to be sent goes out in one write.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::stream;
use prost::Message;
use proto::frame::{self, Frame, Kind};
use proto::v1::{SessionEvent, SubscribeRequest, Tick};
use proto::{Fault, Operation, Reply};
use slab::Slab;
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::connection::{CallError, Connection, Connector, Unsupported, connect_tcp};
use crate::http_client::BODY_BYTES_MAX;
use crate::market::{OpenSession, Session, Subscribe, TickStream};

/// Events of one subscription or session that may wait to be taken; past it the feed ends with an error, rather
/// than holding up the calls beside it.
const FEED_QUEUE: usize = 1_024;
/// Bytes of session requests that may wait to be sent.
const OUTBOUND_BYTES_MAX: usize = 256 << 10;
/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;
/// Calls, subscriptions and sessions at once: what fits the slot's half of a correlation id.
const SLOTS_MAX: usize = 1 << 16;

/// Opens TCP connections.
#[derive(Debug, Clone)]
pub struct TcpConnector {
    /// Where the server listens.
    pub address: SocketAddr,
}

impl Connector for TcpConnector {
    type Connection = TcpConnection;

    async fn connect(&self) -> Result<TcpConnection, CallError> {
        let stream = connect_tcp(self.address).await?;
        let shared = Rc::new(Shared::default());
        tokio::task::spawn_local(Pump { stream, inbound: BytesMut::new(), shared: Rc::clone(&shared) });
        Ok(TcpConnection { shared: Rc::new(Handle(shared)) })
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

/// An open TCP connection.
pub struct TcpConnection {
    shared: Rc<Handle>,
}

/// A TCP request, ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    kind: Kind,
    payload: Bytes,
}

impl Connection for TcpConnection {
    type Request = Operation;
    type Prepared = Prepared;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<Prepared, Unsupported> {
        let kind = match operation {
            Operation::Quote(_) => Kind::QuoteRequest,
            Operation::Quotes(_) => Kind::QuotesRequest,
            Operation::Portfolio(_) => Kind::PortfolioRequest,
            Operation::History(_) => Kind::HistoryRequest,
            Operation::PlaceOrder(_) => Kind::OrderRequest,
        };
        Ok(Prepared { kind, payload: operation.encode_protobuf().into() })
    }

    async fn call(&self, prepared: &Prepared) -> Result<Reply, CallError> {
        let shared = &self.shared.0;
        let slot = shared.open_slot(&self.shared, Waiting::Call(CallState::default()))?;
        shared.send(slot.id(), prepared.kind, &prepared.payload);
        let frame = std::future::poll_fn(|context| shared.poll_call(&slot, context)).await?;
        decode_reply(frame)
    }

    fn is_open(&self) -> bool {
        self.shared.0.ended.borrow().is_none()
    }
}

fn decode_reply(frame: Frame) -> Result<Reply, CallError> {
    match frame.kind {
        Kind::Quote => decode(frame.payload).map(Reply::Quote),
        Kind::Quotes => decode(frame.payload).map(Reply::Quotes),
        Kind::Portfolio => decode(frame.payload).map(Reply::Portfolio),
        Kind::History => decode(frame.payload).map(Reply::History),
        Kind::OrderReceipt => decode(frame.payload).map(Reply::Receipt),
        kind => Err(CallError::Protocol(format!("{kind:?} is no reply to a call"))),
    }
}

fn decode<M: Message + Default>(payload: Bytes) -> Result<M, CallError> {
    M::decode(payload).map_err(|error| CallError::Protocol(error.to_string()))
}

impl Subscribe for TcpConnection {
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        let feed = self.feed()?;
        self.shared.0.send(feed.slot.id(), Kind::SubscribeRequest, &request.encode_to_vec());
        Ok(Box::pin(stream::unfold(feed, |mut feed| async move {
            let event = feed.next(Kind::Tick).await?;
            Some((event.and_then(decode::<Tick>), feed))
        })))
    }
}

impl Session for TcpConnection {
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        let feed = self.feed().map_err(|error| Unsupported(error.to_string()))?;
        let (requests, mut queue) = mpsc::channel(FEED_QUEUE);
        let (shared, id) = (Rc::clone(&self.shared.0), feed.slot.id());
        tokio::task::spawn_local(async move {
            while let Some(request) = queue.recv().await {
                while shared.outbound.borrow().len() > OUTBOUND_BYTES_MAX && shared.ended.borrow().is_none() {
                    clock::pause(Duration::from_millis(1)).await;
                }
                if shared.ended.borrow().is_some() {
                    return;
                }
                let request: proto::v1::SessionRequest = request;
                shared.send(id, Kind::SessionRequest, &request.encode_to_vec());
            }
        });
        let events = stream::unfold(feed, |mut feed| async move {
            let event = feed.next(Kind::SessionEvent).await?;
            Some((event.and_then(decode::<SessionEvent>), feed))
        });
        Ok(OpenSession { requests, events: Box::pin(events) })
    }
}

impl TcpConnection {
    fn feed(&self) -> Result<Feed, CallError> {
        let (events_in, events) = mpsc::channel(FEED_QUEUE);
        let slot = self.shared.0.open_slot(&self.shared, Waiting::Feed(events_in))?;
        Ok(Feed { slot, events, over: false })
    }
}

/// The receiving end of a subscription or session.
struct Feed {
    slot: Slot,
    events: mpsc::Receiver<Frame>,
    /// Its end, or the reason for it, was told.
    over: bool,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.slot.handle.0.send(self.slot.id(), Kind::Cancel, &[]);
    }
}

impl Feed {
    async fn next(&mut self, wanted: Kind) -> Option<Result<Bytes, CallError>> {
        let frame = match self.events.recv().await {
            Some(frame) => frame,
            None => {
                let ended = self.slot.handle.0.ended.borrow().clone();
                let overflow = || CallError::Limit(format!("{FEED_QUEUE} events wait and are not taken"));
                let first = !std::mem::replace(&mut self.over, true);
                return first.then(|| Err(ended.unwrap_or_else(overflow)));
            }
        };
        match frame.kind {
            kind if kind == wanted => Some(Ok(frame.payload)),
            Kind::End => {
                self.over = true;
                None
            }
            Kind::Fault => Some(Err(fault(frame.payload))),
            kind => Some(Err(CallError::Protocol(format!("{kind:?} in a stream of {wanted:?}")))),
        }
    }
}

/// What the callers and the pump share.
#[derive(Default)]
struct Shared {
    slots: RefCell<Slab<Entry>>,
    /// Counts what was ever opened, to tell a slot's present user from its former ones.
    opened: Cell<u16>,
    outbound: RefCell<BytesMut>,
    /// Wakes the pump when there is something to send, or nobody left.
    pump: RefCell<Option<Waker>>,
    /// Why the connection is over, once it is.
    ended: RefCell<Option<CallError>>,
    abandoned: Cell<bool>,
}

struct Entry {
    generation: u16,
    waiting: Waiting,
}

enum Waiting {
    Call(CallState),
    Feed(mpsc::Sender<Frame>),
}

#[derive(Default)]
struct CallState {
    reply: Option<Frame>,
    waker: Option<Waker>,
}

/// Closes the connection when the last user is gone.
struct Handle(Rc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
        self.0.wake_pump();
    }
}

/// A place in the slab, freed when dropped.
struct Slot {
    handle: Rc<Handle>,
    index: usize,
    generation: u16,
}

impl Slot {
    fn id(&self) -> u32 {
        u32::from(self.generation) << 16 | (self.index & 0xffff) as u32
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.handle.0.slots.borrow_mut().try_remove(self.index);
    }
}

impl Shared {
    fn open_slot(&self, handle: &Rc<Handle>, waiting: Waiting) -> Result<Slot, CallError> {
        if let Some(error) = self.ended.borrow().as_ref() {
            return Err(error.clone());
        }
        let mut slots = self.slots.borrow_mut();
        if slots.len() >= SLOTS_MAX {
            return Err(CallError::Limit(format!("{SLOTS_MAX} calls in flight on one connection")));
        }
        // Never 0: id 0 is the connection's own.
        let generation = self.opened.get().checked_add(1).unwrap_or(1);
        self.opened.set(generation);
        let index = slots.insert(Entry { generation, waiting });
        Ok(Slot { handle: Rc::clone(handle), index, generation })
    }

    fn send(&self, id: u32, kind: Kind, payload: &[u8]) {
        frame::put_encoded(&mut self.outbound.borrow_mut(), id, kind, payload);
        self.wake_pump();
    }

    fn wake_pump(&self) {
        if let Some(waker) = self.pump.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_call(&self, slot: &Slot, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        let mut slots = self.slots.borrow_mut();
        let Some(Entry { waiting: Waiting::Call(call), .. }) = slots.get_mut(slot.index) else {
            return Poll::Ready(Err(CallError::Protocol("the call has no slot".to_owned())));
        };
        if let Some(frame) = call.reply.take() {
            return Poll::Ready(match frame.kind {
                Kind::Fault => Err(fault(frame.payload)),
                _ => Ok(frame),
            });
        }
        if let Some(error) = self.ended.borrow().as_ref() {
            return Poll::Ready(Err(error.clone()));
        }
        call.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Gives a frame to whoever waits for it.
    fn deliver(&self, frame: Frame) -> Result<(), CallError> {
        if frame.id == 0 && frame.kind == Kind::Fault {
            return Err(fault(frame.payload));
        }
        let mut slots = self.slots.borrow_mut();
        let (index, generation) = ((frame.id & 0xffff) as usize, (frame.id >> 16) as u16);
        match slots.get_mut(index) {
            Some(entry) if entry.generation == generation => match &mut entry.waiting {
                Waiting::Call(call) => {
                    call.reply = Some(frame);
                    if let Some(waker) = call.waker.take() {
                        waker.wake();
                    }
                }
                Waiting::Feed(events) => {
                    if events.try_send(frame).is_err() {
                        close(events);
                    }
                }
            },
            // A reply to a call that was given up: nobody's.
            _ => {}
        }
        Ok(())
    }

    fn end(&self, error: CallError) {
        self.ended.borrow_mut().get_or_insert(error);
        for (_, entry) in self.slots.borrow_mut().iter_mut() {
            match &mut entry.waiting {
                Waiting::Call(call) => {
                    if let Some(waker) = call.waker.take() {
                        waker.wake();
                    }
                }
                Waiting::Feed(events) => close(events),
            }
        }
    }
}

/// Ends a feed: its sender is replaced by one that nobody listens to.
fn close(events: &mut mpsc::Sender<Frame>) {
    *events = mpsc::channel(1).0;
}

/// The task of a connection: writes what is queued, delivers what arrives.
struct Pump {
    stream: TcpStream,
    inbound: BytesMut,
    shared: Rc<Shared>,
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let pump = &mut *self;
        match pump.advance(context) {
            Ok(()) if pump.shared.abandoned.get() && pump.shared.outbound.borrow().is_empty() => {
                Poll::Ready(())
            }
            Ok(()) => {
                *pump.shared.pump.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
            Err(error) => {
                pump.shared.end(error);
                Poll::Ready(())
            }
        }
    }
}

impl Pump {
    fn advance(&mut self, context: &mut Context<'_>) -> Result<(), CallError> {
        self.write(context).map_err(|error| CallError::from_io(&error))?;
        loop {
            self.inbound.reserve(READ_BYTES);
            let read = tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), context, &mut self.inbound);
            match read {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => {
                    return Err(CallError::Reset("the server closed the connection".to_owned()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(CallError::from_io(&error)),
            }
            while let Some(frame) = self.take()? {
                self.shared.deliver(frame)?;
            }
        }
    }

    fn take(&mut self) -> Result<Option<Frame>, CallError> {
        Frame::take(&mut self.inbound, BODY_BYTES_MAX).map_err(|error| CallError::Protocol(error.to_string()))
    }

    fn write(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        let mut outbound = self.shared.outbound.borrow_mut();
        while !outbound.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &outbound) {
                Poll::Pending => break,
                Poll::Ready(written) => outbound.advance(written?),
            }
        }
        Ok(())
    }
}

fn fault(payload: Bytes) -> CallError {
    match proto::v1::Fault::decode(payload) {
        Ok(message) => {
            let fault = Fault::from(message);
            match fault.code {
                proto::v1::FaultCode::Limit => CallError::Limit(fault.detail),
                _ => CallError::Rejected(fault),
            }
        }
        Err(error) => CallError::Protocol(error.to_string()),
    }
}
