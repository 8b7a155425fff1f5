//! Many calls, subscriptions and sessions on one connection of frames: a slab of slots with
//! generations gives each its correlation id, and one task a connection sends and receives. Each
//! protocol of frames brings a [`Wire`].

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use prost::Message;
use proto::encoding::Encoding;
use proto::frame::{Frame, Kind};
use proto::v1::{FaultCode, SessionEvent, SessionRequest, SubscribeRequest, Tick};
use proto::{Capability, Fault, Operation, Reply};
use serde::de::DeserializeOwned;
use slab::Slab;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::connection::{CallError, Connection, Unsupported};
use crate::limits::{
    EVENT_BYTES_MAX, EVENTS_WAITING_MAX, FRAMES_A_TURN, LINGER_TIME_MAX, SESSION_BYTES_WAITING_MAX,
    UNSENT_BYTES_MAX, check_reply,
};
use crate::market::{OpenSession, Session, Subscribe, TickStream};
use crate::turns::give_way;

/// Calls, subscriptions and sessions at once: what fits the slot's half of a correlation id.
const SLOTS_MAX: usize = 1 << 16;
/// Renewals in one lease, so that two in a row may be lost.
pub(crate) const RENEWALS_A_LEASE: u32 = 5;

/// How frames travel: queued, then sent and received when polled.
pub trait Wire: 'static {
    /// Bytes of the largest payload that it carries.
    const PAYLOAD_BYTES_MAX: usize;
    /// How long the server keeps a subscription or session that is not renewed; `None` where the
    /// connection holds it.
    const LEASE: Option<Duration>;

    /// How payloads are written.
    fn encoding(&self) -> Encoding;

    /// Queues a frame.
    fn push(&mut self, id: u32, kind: Kind, payload: &[u8]);

    /// Bytes that are queued.
    fn waiting(&self) -> usize;

    /// Sends what is queued, as far as it goes now.
    ///
    /// # Errors
    /// Where the connection is over.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), CallError>;

    /// The next frame.
    ///
    /// # Errors
    /// Where the connection is over.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>>;
}

/// An open connection of frames.
pub struct Multiplexed<W: Wire> {
    handle: Rc<Handle<W>>,
    encoding: Encoding,
}

/// A request, ready to be sent.
#[derive(Debug)]
pub struct PreparedFrame {
    kind: Kind,
    payload: Bytes,
}

impl PreparedFrame {
    /// Encodes a request that may have so many bytes.
    pub(crate) fn new(
        operation: &Operation,
        encoding: Encoding,
        max: usize,
    ) -> Result<PreparedFrame, Unsupported> {
        let payload = operation.encode(encoding);
        if payload.len() > max {
            let bytes = payload.len();
            return Err(Unsupported(format!("a request of {bytes} bytes, of {max} that it may have")));
        }
        Ok(PreparedFrame { kind: operation.kind(), payload })
    }

    /// What its frame is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What its frame holds.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl<W: Wire> Multiplexed<W> {
    /// Begins to send and receive; must be on a local runtime.
    pub(crate) fn new(wire: W) -> Multiplexed<W> {
        let encoding = wire.encoding();
        let shared = Rc::new(Shared {
            wire: RefCell::new(wire),
            slots: RefCell::default(),
            opened: Cell::default(),
            pump: RefCell::default(),
            ended: RefCell::default(),
            abandoned: Cell::default(),
            late_replies: Cell::default(),
        });
        tokio::task::spawn_local(Pump { shared: Rc::clone(&shared), lingers: None });
        Multiplexed { handle: Rc::new(Handle(shared)), encoding }
    }

    fn shared(&self) -> &Shared<W> {
        &self.handle.0
    }

    fn feed(&self) -> Result<Feed<W>, CallError> {
        let (events_in, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let slot = Slot::open(&self.handle, Waiting::Feed(events_in))?;
        Ok(Feed {
            renewal: W::LEASE.map(|lease| renew(&self.handle, slot.id(), lease)),
            slot,
            events,
            over: false,
        })
    }
}

/// Renews a lease until the feed is dropped.
fn renew<W: Wire>(handle: &Rc<Handle<W>>, id: u32, lease: Duration) -> AbortHandle {
    let shared = Rc::clone(&handle.0);
    let renewing = tokio::task::spawn_local(async move {
        while shared.ended.borrow().is_none() {
            clock::pause(lease / RENEWALS_A_LEASE).await;
            shared.send(id, Kind::Renew, &[]);
        }
    });
    renewing.abort_handle()
}

impl<W: Wire> Connection for Multiplexed<W> {
    type Request = Operation;
    type Prepared = PreparedFrame;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<PreparedFrame, Unsupported> {
        PreparedFrame::new(operation, self.encoding, W::PAYLOAD_BYTES_MAX)
    }

    async fn call(&self, prepared: &PreparedFrame) -> Result<Reply, CallError> {
        let slot = Slot::open(&self.handle, Waiting::Call(CallState::default()))?;
        self.shared().send(slot.id(), prepared.kind, &prepared.payload);
        self.shared().give_up_if_nothing_is_taken();
        let frame = std::future::poll_fn(|context| self.shared().poll_call(&slot, context)).await?;
        decode_reply(&frame, self.encoding)
    }

    fn is_open(&self) -> bool {
        self.shared().ended.borrow().is_none()
    }

    fn late_replies(&self) -> u64 {
        self.shared().late_replies.get()
    }
}

impl<W: Wire> Subscribe for Multiplexed<W> {
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        let (feed, encoding) = (self.feed()?, self.encoding);
        self.shared().send(feed.slot.id(), Kind::SubscribeRequest, &encoding.encode(request));
        let ticks = stream::unfold(feed, move |mut feed| async move {
            let event = feed.next(Kind::Tick, encoding).await?;
            Some((event.and_then(|payload| decode::<Tick>(encoding, &payload)), feed))
        });
        Ok(Box::pin(ticks))
    }
}

impl<W: Wire> Session for Multiplexed<W> {
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        let encoding = self.encoding;
        let feed = self.feed().map_err(|error| Unsupported(error.to_string()))?;
        let (requests, mut queue) = mpsc::channel::<SessionRequest>(EVENTS_WAITING_MAX);
        let (shared, id) = (Rc::clone(&self.handle.0), feed.slot.id());
        tokio::task::spawn_local(async move {
            while let Some(request) = queue.recv().await {
                while shared.wire.borrow().waiting() > SESSION_BYTES_WAITING_MAX && !shared.is_over() {
                    clock::pause(Duration::from_millis(1)).await;
                }
                if shared.is_over() {
                    return;
                }
                shared.send(id, Kind::SessionRequest, &encoding.encode(&request));
            }
        });
        let events = stream::unfold(feed, move |mut feed| async move {
            let event = feed.next(Kind::SessionEvent, encoding).await?;
            Some((event.and_then(|payload| decode::<SessionEvent>(encoding, &payload)), feed))
        });
        Ok(OpenSession { requests, events: Box::pin(events) })
    }
}

fn decode<M: Message + Default + DeserializeOwned>(
    encoding: Encoding,
    payload: &[u8],
) -> Result<M, CallError> {
    encoding.decode(payload).map_err(|error| CallError::Protocol(error.to_string()))
}

/// What a frame answers to a call.
pub(crate) fn decode_reply(frame: &Frame, encoding: Encoding) -> Result<Reply, CallError> {
    if frame.kind == Kind::Fault {
        return Err(fault(encoding, &frame.payload));
    }
    let asked = match frame.kind {
        Kind::History => Capability::History,
        Kind::Quotes | Kind::Portfolio => Capability::Quotes,
        _ => Capability::Quote,
    };
    check_reply(asked, frame.payload.len())?;
    let reply = Reply::decode(frame.kind, encoding, &frame.payload)
        .map_err(|error| CallError::Protocol(error.to_string()))?;
    reply.ok_or_else(|| CallError::Protocol(format!("{} is no reply to a call", frame.kind.name())))
}

/// The market's refusal as a call's error.
fn fault(encoding: Encoding, payload: &[u8]) -> CallError {
    match decode::<proto::v1::Fault>(encoding, payload) {
        Ok(message) => match Fault::from(message) {
            Fault { code: FaultCode::Limit, detail } => CallError::Limit(detail),
            fault => CallError::Rejected(fault),
        },
        Err(error) => error,
    }
}

/// The receiving end of a subscription or session.
struct Feed<W: Wire> {
    slot: Slot<W>,
    events: mpsc::Receiver<Frame>,
    renewal: Option<AbortHandle>,
    /// Its end, or the reason for it, was told.
    over: bool,
}

impl<W: Wire> Drop for Feed<W> {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
        self.slot.handle.0.send(self.slot.id(), Kind::Cancel, &[]);
    }
}

impl<W: Wire> Feed<W> {
    async fn next(&mut self, wanted: Kind, encoding: Encoding) -> Option<Result<Bytes, CallError>> {
        let frame = match self.events.recv().await {
            Some(frame) => frame,
            None => {
                let ended = self.slot.handle.0.ended.borrow().clone();
                let overflow =
                    || CallError::Limit(format!("{EVENTS_WAITING_MAX} events wait and are not taken"));
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
            Kind::Fault => Some(Err(fault(encoding, &frame.payload))),
            kind => {
                Some(Err(CallError::Protocol(format!("{} in a stream of {}", kind.name(), wanted.name()))))
            }
        }
    }
}

/// What the callers and the pump share.
struct Shared<W> {
    wire: RefCell<W>,
    slots: RefCell<Slab<Entry>>,
    /// Counts what was ever opened, to tell a slot's present user from its former ones.
    opened: Cell<u16>,
    /// Wakes the pump when there is something to send, or nobody left.
    pump: RefCell<Option<Waker>>,
    /// Why the connection is over, once it is.
    ended: RefCell<Option<CallError>>,
    abandoned: Cell<bool>,
    late_replies: Cell<u64>,
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
struct Handle<W: Wire>(Rc<Shared<W>>);

impl<W: Wire> Drop for Handle<W> {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
        self.0.wake_pump();
    }
}

/// A place in the slab, freed when dropped.
struct Slot<W: Wire> {
    handle: Rc<Handle<W>>,
    index: usize,
    generation: u16,
}

impl<W: Wire> Slot<W> {
    fn open(handle: &Rc<Handle<W>>, waiting: Waiting) -> Result<Slot<W>, CallError> {
        let shared = &handle.0;
        if let Some(error) = shared.ended.borrow().as_ref() {
            return Err(error.clone());
        }
        let mut slots = shared.slots.borrow_mut();
        if slots.len() >= SLOTS_MAX {
            return Err(CallError::Limit(format!("{SLOTS_MAX} calls in flight on one connection")));
        }
        // Never 0: id 0 is the connection's own.
        let generation = shared.opened.get().checked_add(1).unwrap_or(1);
        shared.opened.set(generation);
        let index = slots.insert(Entry { generation, waiting });
        drop(slots);
        Ok(Slot { handle: Rc::clone(handle), index, generation })
    }

    fn id(&self) -> u32 {
        u32::from(self.generation) << 16 | (self.index & 0xffff) as u32
    }
}

impl<W: Wire> Drop for Slot<W> {
    fn drop(&mut self) {
        self.handle.0.slots.borrow_mut().try_remove(self.index);
    }
}

impl<W: Wire> Shared<W> {
    fn send(&self, id: u32, kind: Kind, payload: &[u8]) {
        self.wire.borrow_mut().push(id, kind, payload);
        self.wake_pump();
    }

    /// Ends a connection whose server takes nothing: each call would leave its frame behind.
    fn give_up_if_nothing_is_taken(&self) {
        let waiting = self.wire.borrow().waiting();
        if waiting > UNSENT_BYTES_MAX {
            self.end(CallError::Limit(format!("the server reads nothing: {waiting} bytes wait to be sent")));
            self.wake_pump();
        }
    }

    /// Whether nobody sends on it any more.
    fn is_over(&self) -> bool {
        self.abandoned.get() || self.ended.borrow().is_some()
    }

    fn wake_pump(&self) {
        if let Some(waker) = self.pump.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_call(&self, slot: &Slot<W>, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        let mut slots = self.slots.borrow_mut();
        let Some(Entry { waiting: Waiting::Call(call), .. }) = slots.get_mut(slot.index) else {
            return Poll::Ready(Err(CallError::Protocol("the call has no slot".to_owned())));
        };
        if let Some(frame) = call.reply.take() {
            return Poll::Ready(Ok(frame));
        }
        if let Some(error) = self.ended.borrow().as_ref() {
            return Poll::Ready(Err(error.clone()));
        }
        call.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Gives a frame to whoever waits for it.
    fn deliver(&self, frame: Frame, encoding: Encoding) -> Result<(), CallError> {
        match frame.kind {
            Kind::Fault if frame.id == 0 => return Err(fault(encoding, &frame.payload)),
            Kind::Renewed | Kind::Welcome => return Ok(()),
            _ => {}
        }
        let mut slots = self.slots.borrow_mut();
        let (index, generation) = ((frame.id & 0xffff) as usize, (frame.id >> 16) as u16);
        match slots.get_mut(index) {
            Some(entry) if entry.generation == generation => match &mut entry.waiting {
                // The second of two; the first is not taken yet.
                Waiting::Call(call) if call.reply.is_some() => {
                    self.late_replies.set(self.late_replies.get() + 1);
                }
                Waiting::Call(call) => {
                    call.reply = Some(frame);
                    if let Some(waker) = call.waker.take() {
                        waker.wake();
                    }
                }
                Waiting::Feed(events) => {
                    if frame.payload.len() > EVENT_BYTES_MAX {
                        let bytes = frame.payload.len();
                        let over = format!("an event of {bytes} bytes, of {EVENT_BYTES_MAX} at most");
                        return Err(CallError::Limit(over));
                    }
                    if events.try_send(frame).is_err() {
                        close(events);
                    }
                }
            },
            // To a call that was given up, or answered before: counted, and nobody's.
            _ if is_reply(frame.kind) => self.late_replies.set(self.late_replies.get() + 1),
            // What was under way when its subscription was cancelled.
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

fn is_reply(kind: Kind) -> bool {
    use Kind::{Fault, History, OrderReceipt, Portfolio, Quote, Quotes};
    matches!(kind, Quote | Quotes | Portfolio | History | OrderReceipt | Fault)
}

/// Ends a feed: its sender is replaced by one that nobody listens to.
fn close(events: &mut mpsc::Sender<Frame>) {
    *events = mpsc::channel(1).0;
}

/// The task of a connection: sends what is queued, delivers what arrives.
struct Pump<W> {
    shared: Rc<Shared<W>>,
    /// Until when it goes on sending although nobody uses it any more.
    lingers: Option<Lingering>,
}

type Lingering = Pin<Box<dyn Future<Output = ()>>>;

impl<W: Wire> Future for Pump<W> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Pump { shared, lingers } = self.get_mut();
        if shared.ended.borrow().is_some() {
            return Poll::Ready(());
        }
        match advance(shared, context) {
            Ok(()) if shared.abandoned.get() && is_done(shared, lingers, context) => Poll::Ready(()),
            Ok(()) => {
                *shared.pump.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
            Err(error) => {
                shared.end(error);
                Poll::Ready(())
            }
        }
    }
}

/// Whether all is sent that waited when the last user went, or that has taken too long: a server
/// that does not read would keep the socket for ever.
fn is_done<W: Wire>(shared: &Shared<W>, lingers: &mut Option<Lingering>, context: &mut Context<'_>) -> bool {
    if shared.wire.borrow().waiting() == 0 {
        return true;
    }
    let lingers = lingers.get_or_insert_with(|| Box::pin(clock::pause(LINGER_TIME_MAX)));
    lingers.as_mut().poll(context).is_ready()
}

/// Sends, and takes what came: so many frames at most, and goes on when others had their turn.
fn advance<W: Wire>(shared: &Shared<W>, context: &mut Context<'_>) -> Result<(), CallError> {
    let mut wire = shared.wire.borrow_mut();
    let encoding = wire.encoding();
    wire.poll_send(context)?;
    for _ in 0..FRAMES_A_TURN {
        let Poll::Ready(frame) = wire.poll_receive(context) else { return Ok(()) };
        shared.deliver(frame?, encoding)?;
    }
    give_way(context);
    Ok(())
}
