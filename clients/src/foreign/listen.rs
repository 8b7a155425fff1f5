//! Connections that only listen: how many a server holds, and what it sends them. Messages of a
//! WebSocket, or events of an event stream (SSE), counted and not kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clock::{Clock, Mono};
use futures::{SinkExt as _, StreamExt as _, stream};
use http::HeaderMap;
use http_body_util::Full;
use terms::{Failure, HttpVersion};
use tokio_tungstenite::tungstenite::Message;

use super::events::EventEnds;
use super::http::HttpRequest;
use super::websocket::Payload;
use crate::connection::{CallError, in_time};
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::limits::COUNTED_BYTES_MAX;
use crate::websocket_client::{self, WebSocket};

/// Connections that each worker opens at a time.
const AT_ONCE: usize = 32;
/// How often an end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is listened to.
#[derive(Debug, Clone)]
pub enum Feed {
    /// A WebSocket, which is told something first where there is something to tell.
    WebSocket {
        /// Path and query.
        path: String,
        /// Sent when it is opened.
        headers: HeaderMap,
        /// The first message.
        first: Option<Payload>,
    },
    /// An event stream: the reply to a request.
    Events(HttpVersion, HttpRequest),
}

/// Listeners, before they are opened.
#[derive(Debug, Clone)]
pub struct Listeners {
    /// The server.
    pub endpoint: Endpoint,
    /// What is listened to.
    pub feed: Feed,
    /// How many.
    pub connections: usize,
    /// Time in which each must be there.
    pub opening_time: Duration,
    /// How long they listen, from when all are open or failed.
    pub duration: Duration,
}

/// What is going on, to be looked at from another thread.
#[derive(Debug, Default)]
pub struct Listening {
    /// Connections that are open.
    pub open: AtomicU64,
    /// Messages that came, since all were open.
    pub messages: AtomicU64,
    /// Set where it is to end.
    pub stop: AtomicBool,
}

/// What listeners came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listened {
    /// Connections that were opened.
    pub opened: u64,
    /// Those that were still open in the end.
    pub open_at_end: u64,
    /// Connections that could not be opened, by kind.
    pub refused: BTreeMap<Failure, u64>,
    /// Connections that were lost, by kind.
    pub lost: BTreeMap<Failure, u64>,
    /// One error of each kind.
    pub samples: BTreeMap<Failure, String>,
    /// Messages, or events, that came while they listened.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long opening all took.
    pub opening: Duration,
    /// How long they listened.
    pub measured: Duration,
}

impl Listened {
    /// Adds another worker's.
    pub fn merge(&mut self, other: &Listened) {
        self.opened += other.opened;
        self.open_at_end += other.open_at_end;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.opening = self.opening.max(other.opening);
        self.measured = self.measured.max(other.measured);
        for (mine, theirs) in [(&mut self.refused, &other.refused), (&mut self.lost, &other.lost)] {
            for (kind, count) in theirs {
                *mine.entry(*kind).or_default() += count;
            }
        }
        for (kind, sample) in &other.samples {
            self.samples.entry(*kind).or_insert_with(|| sample.clone());
        }
    }

    fn failed(&mut self, error: &CallError, was_open: bool) {
        let counts = if was_open { &mut self.lost } else { &mut self.refused };
        *counts.entry(error.failure()).or_default() += 1;
        self.samples.entry(error.failure()).or_insert_with(|| error.sample());
    }
}

/// An open feed.
enum Open {
    WebSocket(Box<WebSocket>),
    Events(HttpConnection<Full<Bytes>>, hyper::body::Incoming, EventEnds),
}

impl Listeners {
    /// Listens, on this thread. A connection that cannot be opened, or is lost, is counted and not
    /// opened again.
    ///
    /// # Errors
    /// The system's, where it refuses a runtime.
    pub fn listen(&self, live: &Arc<Listening>) -> std::io::Result<Listened> {
        let heard = Rc::new(RefCell::new(Listened::default()));
        let runtime = crate::local_runtime()?;
        runtime.block_on(async {
            let clock = Clock::System;
            let begun = clock.now();
            // Nothing is counted until all are open.
            let from = Rc::new(std::cell::Cell::new(None::<Mono>));
            let opening = stream::iter(0..self.connections)
                .map(|_| async {
                    if live.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match in_time(self.opening_time, self.open()).await {
                        Err(error) => heard.borrow_mut().failed(&error, false),
                        Ok(open) => {
                            heard.borrow_mut().opened += 1;
                            live.open.fetch_add(1, Ordering::Relaxed);
                            tokio::task::spawn_local(hear(
                                open,
                                Rc::clone(&heard),
                                Arc::clone(live),
                                Rc::clone(&from),
                            ));
                        }
                    }
                })
                .buffer_unordered(AT_ONCE);
            opening.collect::<()>().await;
            let opened = clock.now();
            from.set(Some(opened));
            let end = if heard.borrow().opened > 0 { opened + self.duration } else { opened };
            while clock.now() < end && !live.stop.load(Ordering::Relaxed) {
                clock::pause(LOOK_EVERY.min(end.since(clock.now()))).await;
            }
            let mut heard = heard.borrow_mut();
            heard.opening = opened.since(begun);
            heard.measured = clock.now().since(opened);
            let lost: u64 = heard.lost.values().sum();
            heard.open_at_end = heard.opened - lost;
        });
        Ok(heard.take())
    }

    async fn open(&self) -> Result<Open, CallError> {
        match &self.feed {
            Feed::WebSocket { path, headers, first } => {
                let mut socket =
                    websocket_client::connect(&self.endpoint, path, headers, None, COUNTED_BYTES_MAX).await?;
                if let Some(first) = first {
                    socket.send(first.message()).await.map_err(|error| websocket_client::failure(&error))?;
                }
                Ok(Open::WebSocket(Box::new(socket)))
            }
            Feed::Events(version, request) => {
                let http = HttpConnection::open(&self.endpoint, *version).await?;
                let request = super::http::for_library(request, *version)?;
                let reply = http.send(request.build(None)).await;
                let (head, body) = reply.map_err(|error| crate::http_errors::failure(&error))?.into_parts();
                if !head.status.is_success() {
                    let (status, what) = (head.status.as_u16(), format!("status {}", head.status));
                    return Err(CallError::Status { status, bytes: 0, what });
                }
                Ok(Open::Events(http, body, EventEnds::default()))
            }
        }
    }
}

/// Hears a connection to its end.
async fn hear(
    mut open: Open,
    heard: Rc<RefCell<Listened>>,
    live: Arc<Listening>,
    from: Rc<std::cell::Cell<Option<Mono>>>,
) {
    loop {
        let came = match &mut open {
            Open::WebSocket(socket) => match socket.next().await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => Ok((1, message.len())),
                Some(Ok(message @ Message::Close(_))) => Err(websocket_client::closed(&message)),
                // Answered by the library.
                Some(Ok(_)) => Ok((0, 0)),
                Some(Err(error)) => Err(websocket_client::failure(&error)),
                None => Err(websocket_client::closed(&Message::Close(None))),
            },
            Open::Events(http, body, ends) => match http.next_data(body).await {
                Some(Ok(data)) => Ok((ends.count(&data), data.len())),
                Some(Err(error)) => Err(error),
                None => Err(CallError::Reset("the server ended the stream".to_owned())),
            },
        };
        match came {
            Ok((messages, bytes)) if from.get().is_some() => {
                live.messages.fetch_add(messages, Ordering::Relaxed);
                let mut heard = heard.borrow_mut();
                heard.messages += messages;
                heard.bytes += bytes as u64;
            }
            Ok(_) => {}
            Err(error) => {
                live.open.fetch_sub(1, Ordering::Relaxed);
                heard.borrow_mut().failed(&error, true);
                return;
            }
        }
    }
}
