//! What callers and the task of a connection share: the queue of frames, and a slab of slots in
//! which each call or feed waits.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use proto::encoding::Encoding;
use proto::frame::{Frame, FrameHead, Kind};
use slab::Slab;
use tokio::sync::mpsc;

use super::{Wire, fault};
use crate::connection::CallError;
use crate::limits::{EVENT_BYTES_MAX, UNSENT_BYTES_MAX};

/// Calls, subscriptions and sessions at once: what fits the slot's half of a correlation id.
const SLOTS_MAX: usize = 1 << 16;

/// What the callers and the pump share.
pub(super) struct Shared<W> {
    pub(super) wire: RefCell<W>,
    pub(super) slots: RefCell<Slab<Entry>>,
    /// Counts what was ever opened, to tell a slot's present user from its former ones.
    pub(super) opened: Cell<u16>,
    /// Wakes the pump when there is something to send, or nobody left.
    pub(super) pump: RefCell<Option<Waker>>,
    /// Why the connection is over, once it is.
    pub(super) ended: RefCell<Option<CallError>>,
    pub(super) abandoned: Cell<bool>,
    pub(super) late_replies: Cell<u64>,
}

pub(super) struct Entry {
    pub(super) generation: u16,
    pub(super) waiting: Waiting,
}

pub(super) enum Waiting {
    Call(CallState),
    Feed(mpsc::Sender<Frame>),
}

#[derive(Default)]
pub(super) struct CallState {
    reply: Option<Frame>,
    waker: Option<Waker>,
}

/// Closes the connection when the last user is gone.
pub(super) struct Handle<W: Wire>(pub(super) Rc<Shared<W>>);

impl<W: Wire> Drop for Handle<W> {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
        self.0.wake_pump();
    }
}

/// A place in the slab, freed when dropped.
pub(super) struct Slot<W: Wire> {
    pub(super) handle: Rc<Handle<W>>,
    pub(super) index: usize,
    pub(super) generation: u16,
}

impl<W: Wire> Slot<W> {
    pub(super) fn open(handle: &Rc<Handle<W>>, waiting: Waiting) -> Result<Slot<W>, CallError> {
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

    pub(super) fn id(&self) -> u32 {
        u32::from(self.generation) << 16 | (self.index & 0xffff) as u32
    }
}

impl<W: Wire> Drop for Slot<W> {
    fn drop(&mut self) {
        self.handle.0.slots.borrow_mut().try_remove(self.index);
    }
}

impl<W: Wire> Shared<W> {
    pub(super) fn send(&self, head: FrameHead, payload: &[u8]) {
        self.wire.borrow_mut().push(head, payload);
        self.wake_pump();
    }

    /// Ends a connection whose server takes nothing: each call would leave its frame behind.
    pub(super) fn give_up_if_nothing_is_taken(&self) {
        let waiting = self.wire.borrow().waiting();
        if waiting > UNSENT_BYTES_MAX {
            self.end(CallError::Limit(format!("the server reads nothing: {waiting} bytes wait to be sent")));
            self.wake_pump();
        }
    }

    /// Whether nobody sends on it any more.
    pub(super) fn is_over(&self) -> bool {
        self.abandoned.get() || self.ended.borrow().is_some()
    }

    pub(super) fn wake_pump(&self) {
        if let Some(waker) = self.pump.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(super) fn poll_call(
        &self,
        slot: &Slot<W>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Frame, CallError>> {
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
    pub(super) fn deliver(&self, frame: Frame, encoding: Encoding) -> Result<(), CallError> {
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

    pub(super) fn end(&self, error: CallError) {
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

pub(super) fn is_reply(kind: Kind) -> bool {
    use Kind::{Fault, History, OrderReceipt, Portfolio, Quote, Quotes};
    matches!(kind, Quote | Quotes | Portfolio | History | OrderReceipt | Fault)
}

/// Ends a feed: its sender is replaced by one that nobody listens to.
pub(super) fn close(events: &mut mpsc::Sender<Frame>) {
    *events = mpsc::channel(1).0;
}
