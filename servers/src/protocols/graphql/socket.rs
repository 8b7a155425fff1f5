//! A GraphQL WebSocket (`graphql-transport-ws`): any number of operations, one after the other or
//! at once. The library speaks the protocol; here are its bounds, its keep-alive and its way out.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use async_graphql::futures_util::stream::BoxStream;
use async_graphql::futures_util::task::AtomicWaker;
use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request, Response, ServerError};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use proto::v1::FaultCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::guard::{Admitted, Allowed, Guard, error};
use super::long::CANDLE_BYTES;
use crate::replies::{Held, Replies};
use crate::socket::{Heard, KeepAlive, Outbox};
use crate::{Limits, Shutdown, turn};

/// The name of the subprotocol.
pub(super) fn subprotocol() -> &'static str {
    PROTOCOL.sec_websocket_protocol()
}

const PROTOCOL: WebSocketProtocols = WebSocketProtocols::GraphQLWS;

/// Serves a socket until it ends or the server stops.
pub(super) async fn serve(socket: WebSocket, guard: Guard, limits: Limits, shutdown: Shutdown) {
    let (mut writer, reader) = socket.split();
    let (mut out, mut keep_alive) = (Outbox::default(), KeepAlive::new(limits.keep_alive_every));
    let replies = Replies::new(&limits);
    let mut held = replies.hold_nothing();
    let operations = Operations::new(guard, limits.subscriptions_max, replies);
    let messages = operations.gate(read(reader, keep_alive.heard().clone()));
    let greeted = Shutdown::new();
    let mut never_greeted = pin!(never_greeted(greeted.clone(), limits.header_time_max));
    let mut protocol = pin!(Protocol::new(operations, messages, PROTOCOL).on_connection_init(move |_| {
        greeted.cancel();
        std::future::ready(Ok(Data::default()))
    }));
    loop {
        held.set(out.waiting());
        turn::after_making(out.waiting()).await;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = &mut never_greeted => return,
            () = keep_alive.due() => {
                if keep_alive.look(&mut out).is_err() {
                    return;
                }
            }
            sent = out.send(&mut writer), if !out.is_empty() => {
                if sent.is_err() {
                    return;
                }
            }
            // Nothing is made, and nothing read, for a peer who has not taken what was made before.
            message = protocol.next(), if out.is_empty() => match message {
                Some(WsMessage::Text(text)) => out.push(Message::Text(text.into())),
                Some(WsMessage::Close(code, reason)) => {
                    out.push(Message::Close(Some(CloseFrame { code, reason: reason.into() })));
                }
                None => return,
            },
        }
    }
}

/// What the peer says to the protocol.
fn read<S, E>(reader: S, heard: Heard) -> impl Stream<Item = Bytes>
where
    S: Stream<Item = Result<Message, E>>,
{
    let messages = reader.take_while(|message| std::future::ready(message.is_ok()));
    messages.filter_map(move |message| {
        heard.note();
        std::future::ready(match message {
            Ok(Message::Text(text)) => Some(text.into()),
            Ok(Message::Binary(bytes)) => Some(bytes),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) | Err(_) => None,
        })
    })
}

/// Returns where the protocol's own handshake (`connection_init`) has not come in time.
async fn never_greeted(greeted: Shutdown, within: std::time::Duration) {
    if clock::limit(within, greeted.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Operations that are refused and not answered yet, before the peer is read no further. The
/// library reads all that has come before it answers anything.
const REFUSALS_MAX: usize = 16;

/// The operations of one socket.
#[derive(Clone)]
struct Operations {
    guard: Guard,
    replies: Replies,
    open: Arc<Open>,
    /// Queries and mutations are answered one after the other: an answer is held until the socket
    /// takes it.
    calls: Arc<Semaphore>,
}

/// Operations that are open, refused ones included.
struct Open {
    count: AtomicUsize,
    /// So many may run at once.
    max: usize,
    /// Woken when there are fewer.
    fewer: AtomicWaker,
}

/// One operation, until its stream is dropped.
struct Place(Arc<Open>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.fewer.wake();
    }
}

impl Operations {
    fn new(guard: Guard, max: usize, replies: Replies) -> Operations {
        let open = Arc::new(Open { count: AtomicUsize::new(0), max, fewer: AtomicWaker::new() });
        Operations { guard, replies, open, calls: Arc::new(Semaphore::new(1)) }
    }

    /// A place for an operation; beside it, whether it may run.
    fn place(&self) -> (Place, Result<(), ServerError>) {
        let others = self.open.count.fetch_add(1, Ordering::Relaxed);
        let max = self.open.max;
        let runs = match others < max {
            true => Ok(()),
            false => Err(error(
                FaultCode::Limit,
                format!("{max} operations at once are the limit of a connection"),
            )),
        };
        (Place(Arc::clone(&self.open)), runs)
    }

    /// Messages, while not too many operations are open.
    fn gate<S: Stream>(&self, messages: S) -> impl Stream<Item = S::Item> + use<S> {
        let open = Arc::clone(&self.open);
        let mut messages = Box::pin(messages);
        stream::poll_fn(move |context| {
            let is_full = || open.count.load(Ordering::Relaxed) >= open.max + REFUSALS_MAX;
            if is_full() {
                open.fewer.register(context.waker());
                if is_full() {
                    return Poll::Pending;
                }
            }
            messages.as_mut().poll_next(context)
        })
    }

    /// Answers in a task of its own: a socket looks after none of its operations while it waits to
    /// write, and others may wait for this one's turn.
    async fn call(self, admitted: Admitted) -> Option<(Response, (OwnedSemaphorePermit, Held))> {
        let turn = Arc::clone(&self.calls).acquire_owned().await.ok()?;
        let candles = admitted.candles;
        let answered = tokio::spawn(async move {
            let mut response = self.guard.answer_admitted(admitted, &self.replies).await;
            // As the library holds it, until the socket takes it.
            let held = self.replies.hold(candles * CANDLE_BYTES).unwrap_or_else(|fault| {
                response = Response::from_errors(vec![error(fault.code, fault.detail)]);
                self.replies.hold_nothing()
            });
            (response, held)
        });
        let (response, held) = AbortOnDropHandle::new(answered).await.ok()?;
        Some((response, (turn, held)))
    }
}

/// As the library asks for it.
impl Executor for Operations {
    async fn execute(&self, request: Request) -> Response {
        match self.guard.admit(request, Allowed::Writes) {
            Ok(admitted) => self.guard.answer_admitted(admitted, &self.replies).await,
            Err(refusal) => Response::from_errors(vec![refusal]),
        }
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let (place, runs) = self.place();
        let responses = match runs.and_then(|()| self.guard.admit(request, Allowed::Writes)) {
            Err(refusal) => stream::once(std::future::ready(Response::from_errors(vec![refusal]))).boxed(),
            Ok(admitted) if admitted.subscribes => self.guard.subscribe(admitted, session),
            Ok(admitted) => {
                let call = self.clone().call(admitted);
                let responses = stream::once(call).chain(stream::once(std::future::ready(None)));
                let taken = responses.scan(None, |turn, answered| {
                    // The answer before was taken by now.
                    let (response, next) = answered.unzip();
                    *turn = next;
                    std::future::ready(response)
                });
                taken.boxed()
            }
        };
        // Held until the stream ends.
        responses.inspect(move |_| _ = &place).boxed()
    }
}
