//! Orders on a session as calls: the order goes in, the fill with its key comes back. Ticks that
//! come meanwhile go to the worker's ears.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::StreamExt as _;
use proto::v1::session_event::Event;
use proto::v1::session_request::Request;
use proto::v1::{OrderReceipt, OrderRequest, SessionEvent, SessionRequest, SubscribeRequest};
use proto::{Operation, Reply};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::task::coop::consume_budget;

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::load::Ears;
use crate::market::{MarketConnection, OpenSession, Session as _};

/// Sessions that this process has opened, of all its workers and their engines: an order's key is
/// used once.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// Opens sessions that hear every tick.
#[derive(Clone)]
pub(crate) struct SessionConnector<K> {
    connector: K,
    ears: Rc<Ears>,
}

impl<K> SessionConnector<K> {
    pub(crate) fn new(connector: K, ears: Rc<Ears>) -> SessionConnector<K> {
        SessionConnector { connector, ears }
    }
}

impl<K> Connector for SessionConnector<K>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    type Connection = SessionCalls<K::Connection>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        let connection = self.connector.connect().await?;
        let session = connection.session().await?;
        let OpenSession { requests, events } = session;
        let subscribe = SessionRequest { request: Some(Request::Subscribe(SubscribeRequest::default())) };
        requests.send(subscribe).await.map_err(|_| lost())?;
        let shared = Rc::new(Shared::default());
        let place = Place { ears: Rc::clone(&self.ears), nth: self.ears.join() };
        let listening = tokio::task::spawn_local(listen(events, Rc::clone(&shared), place));
        // A process and its sessions have keys of their own, also after a restart.
        let keys = format!("{}-{}-", std::process::id(), OPENED.fetch_add(1, Ordering::Relaxed));
        Ok(SessionCalls { requests, shared, keys, next: Cell::new(0), listening, _connection: connection })
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

/// A subscriber's place among the ears, given back in the end.
struct Place {
    ears: Rc<Ears>,
    nth: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ears.leave(self.nth);
    }
}

/// One session.
pub(crate) struct SessionCalls<C> {
    requests: mpsc::Sender<SessionRequest>,
    shared: Rc<Shared>,
    keys: String,
    next: Cell<u64>,
    listening: JoinHandle<()>,
    _connection: C,
}

impl<C> Drop for SessionCalls<C> {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Who waits for a fill, by its key.
type Waiting = HashMap<String, oneshot::Sender<Result<OrderReceipt, CallError>>>;

#[derive(Default)]
struct Shared {
    waiting: RefCell<Waiting>,
    ended: RefCell<Option<CallError>>,
    late_replies: Cell<u64>,
}

impl<C: 'static> Connection for SessionCalls<C> {
    type Request = Operation;
    type Prepared = OrderRequest;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<OrderRequest, Unsupported> {
        match operation {
            Operation::PlaceOrder(request) => Ok(request.clone()),
            other => Err(Unsupported(format!("a session takes orders, and no {}", other.in_words()))),
        }
    }

    async fn call(&self, prepared: &OrderRequest, _: Option<Duration>) -> Result<Reply, CallError> {
        if let Some(error) = self.shared.ended.borrow().as_ref() {
            return Err(error.clone());
        }
        let key = format!("{}{}", self.keys, self.next.replace(self.next.get() + 1));
        let (answer, answered) = oneshot::channel();
        self.shared.waiting.borrow_mut().insert(key.clone(), answer);
        let _given_up = Forget { shared: &self.shared, key: &key };
        let order = OrderRequest { idempotency_key: key.clone(), ..prepared.clone() };
        let request = SessionRequest { request: Some(Request::Order(order)) };
        self.requests.send(request).await.map_err(|_| lost())?;
        let mut receipt = answered.await.unwrap_or_else(|_| Err(lost()))?;
        // The key is this call's own; what was asked has the prepared one.
        receipt.idempotency_key.clone_from(&prepared.idempotency_key);
        Ok(Reply::Receipt(receipt))
    }

    fn is_open(&self) -> bool {
        self.shared.ended.borrow().is_none()
    }

    fn late_replies(&self) -> u64 {
        self.shared.late_replies.get()
    }
}

fn lost() -> CallError {
    CallError::Reset("the session ended".to_owned())
}

/// Takes a call off the list, however it ends.
struct Forget<'a> {
    shared: &'a Shared,
    key: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.waiting.borrow_mut().remove(self.key);
    }
}

async fn listen(
    mut events: std::pin::Pin<Box<dyn futures::Stream<Item = Result<SessionEvent, CallError>>>>,
    shared: Rc<Shared>,
    place: Place,
) {
    let error = loop {
        consume_budget().await;
        match events.next().await {
            Some(Ok(SessionEvent { event: Some(Event::Tick(tick)) })) => place.ears.hear(place.nth, &tick),
            Some(Ok(SessionEvent { event: Some(Event::Fill(receipt)) })) => {
                let waiting = shared.waiting.borrow_mut().remove(&receipt.idempotency_key);
                let unheard = waiting.is_none_or(|answer| answer.send(Ok(receipt)).is_err());
                shared.late_replies.set(shared.late_replies.get() + u64::from(unheard));
            }
            Some(Ok(SessionEvent { event: Some(Event::Heartbeat(_)) })) => {}
            // A refusal does not say of which order.
            Some(Ok(SessionEvent { event: Some(Event::Fault(fault)) })) => {
                break CallError::Rejected(fault.into());
            }
            Some(Ok(SessionEvent { event: None })) => break CallError::Protocol("an empty event".to_owned()),
            Some(Err(error)) => break error,
            None => break lost(),
        }
    };
    place.ears.note(&error);
    *shared.ended.borrow_mut() = Some(error.clone());
    for (_, answer) in shared.waiting.borrow_mut().drain() {
        // Who gave up meanwhile does not hear it.
        let _ = answer.send(Err(error.clone()));
    }
}
