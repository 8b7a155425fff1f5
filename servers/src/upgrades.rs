//! HTTP connections that become WebSockets: each runs in a task of its own from then on, and still
//! counts as the connection it was, so that it has its place, its idle time-out and its drain.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Shutdown;
use crate::replies::Replies;

/// Bytes read at a time, as over TCP. The library's default of 128 KiB is zeroed before each read.
const READ_BYTES: usize = 16 << 10;

/// What became of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Upgrades {
    shutdown: Shutdown,
    /// Cancelled when the connection is given up.
    alive: CancellationToken,
    tasks: TaskTracker,
    /// What waits on it to be sent.
    replies: Replies,
    /// What a server keeps for it.
    own: Arc<OnceLock<Arc<dyn Any + Send + Sync>>>,
}

impl Upgrades {
    pub(crate) fn new(shutdown: Shutdown, replies: Replies) -> Upgrades {
        Upgrades {
            shutdown,
            alive: CancellationToken::new(),
            tasks: TaskTracker::new(),
            replies,
            own: Arc::default(),
        }
    }

    /// What waits on the connection to be sent.
    pub(crate) fn replies(&self) -> Replies {
        self.replies.clone()
    }

    /// What a server keeps for this connection alone, of one kind: it is gone with it.
    pub(crate) fn own<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let own = Arc::clone(self.own.get_or_init(|| Arc::new(T::default())));
        own.downcast().unwrap_or_default()
    }

    /// Accepts an upgrade, and serves the socket until it ends or the connection is given up.
    /// `serve` is told when the server stops, and must end soon after.
    pub(crate) fn accept<S, F>(&self, upgrade: WebSocketUpgrade, serve: S) -> Response
    where
        S: FnOnce(WebSocket, Shutdown) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        // Taken now, while the request is answered, so that the connection waits for what comes of
        // it.
        let place = self.tasks.token();
        let (alive, shutdown) = (self.alive.clone(), self.shutdown.clone());
        upgrade.read_buffer_size(READ_BYTES).on_upgrade(async move |socket| {
            alive.run_until_cancelled(serve(socket, shutdown)).await;
            drop(place);
        })
    }

    /// Has what becomes of an upgrade run until it ends or the connection is given up.
    pub(crate) fn spawn(&self, becomes: impl Future<Output = ()> + Send + 'static) {
        let (place, alive) = (self.tasks.token(), self.alive.clone());
        tokio::spawn(async move {
            alive.run_until_cancelled(becomes).await;
            drop(place);
        });
    }

    /// Gives all up when dropped.
    pub(crate) fn end_when_dropped(&self) -> DropGuard {
        self.alive.clone().drop_guard()
    }

    /// Waits until all have ended.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A request that asks for a WebSocket as RFC 6455 has it; others are answered here.
pub(crate) struct Upgrade(pub(crate) WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Upgrade, Response> {
        let is_key = |key: &HeaderValue| BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_BYTES);
        let mut keys = parts.headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
        let has_key = keys.next().is_none_or(is_key) && keys.next().is_none();
        match WebSocketUpgrade::from_request_parts(parts, state).await {
            Ok(upgrade) if has_key => Ok(Upgrade(upgrade)),
            Ok(_) => {
                Err((StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is 16 bytes in base64\n").into_response())
            }
            Err(rejection) => Err(refuse(rejection)),
        }
    }
}

/// Bytes of a Sec-WebSocket-Key (RFC 6455, section 4.1).
const KEY_BYTES: usize = 16;

/// The answer to what is no upgrade. Who speaks another version is told which one is spoken here
/// (RFC 6455, section 4.4).
fn refuse(rejection: WebSocketUpgradeRejection) -> Response {
    let is_version = matches!(rejection, WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_));
    let mut response = rejection.into_response();
    if is_version {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    response
}
