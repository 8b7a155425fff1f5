//! Many calls, subscriptions and sessions on one connection of frames: a slab of slots with
//! generations gives each its correlation id, and one task a connection sends and receives. Each
//! protocol of frames brings a [`Wire`].

mod pump;
mod shared;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use prost::Message;
use proto::encoding::Encoding;
use proto::frame::{Frame, FrameHead, Kind};
use proto::v1::{SessionEvent, SessionRequest, SubscribeRequest, Tick};
use proto::{Capability, Fault, Operation, Reply};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::connection::{CallError, Connection, Unsupported};
use crate::limits::{EVENTS_WAITING_MAX, SESSION_BYTES_WAITING_MAX, check_reply};
use crate::market::{OpenSession, Session, Subscribe, TickStream};
use pump::Pump;
use shared::{CallState, Handle, Shared, Slot, Waiting};

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
    fn push(&mut self, head: FrameHead, payload: &[u8]);

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

    /// What stands before it in its frame.
    pub(crate) fn head(&self, id: u32, time_left: Option<Duration>) -> FrameHead {
        FrameHead { id, kind: self.kind, time_left }
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
            shared.send(FrameHead::of(id, Kind::Renew), &[]);
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

    async fn call(&self, prepared: &PreparedFrame, time_left: Option<Duration>) -> Result<Reply, CallError> {
        let slot = Slot::open(&self.handle, Waiting::Call(CallState::default()))?;
        self.shared().send(prepared.head(slot.id(), time_left), &prepared.payload);
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
        let head = FrameHead::of(feed.slot.id(), Kind::SubscribeRequest);
        self.shared().send(head, &encoding.encode(request));
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
                shared.send(FrameHead::of(id, Kind::SessionRequest), &encoding.encode(&request));
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
        Ok(message) => Fault::from(message).into(),
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
        self.slot.handle.0.send(FrameHead::of(self.slot.id(), Kind::Cancel), &[]);
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
