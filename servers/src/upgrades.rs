//! HTTP connections that become WebSockets: each runs in a task of its own from then on, and still
//! counts as the connection it was, so that it has its place, its idle time-out and its drain.

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Shutdown;

/// Bytes read at a time, as over TCP. The library's default of 128 KiB is zeroed before each read.
const READ_BYTES: usize = 16 << 10;

/// What became of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Upgrades {
    shutdown: Shutdown,
    /// Cancelled when the connection is given up.
    alive: CancellationToken,
    tasks: TaskTracker,
}

impl Upgrades {
    pub(crate) fn new(shutdown: Shutdown) -> Upgrades {
        Upgrades { shutdown, alive: CancellationToken::new(), tasks: TaskTracker::new() }
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

/// The answer to what is no upgrade. Who speaks another version is told which one is spoken here
/// (RFC 6455, section 4.4).
pub(crate) fn refuse(rejection: WebSocketUpgradeRejection) -> Response {
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
