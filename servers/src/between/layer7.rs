//! A balancer at layer 7: it reads each request, gives it to a server whose turn it is or whom a
//! route names, and passes the answer on as it comes. HTTP/1.1 is passed on as HTTP/1.1, HTTP/2 as
//! HTTP/2, so that gRPC is balanced call by call; an upgrade becomes two connections that are
//! joined.
//!
//! A request is sent once, and elsewhere only if no byte of it was sent, or if its method is safe
//! (RFC 9110, section 9.2.2).

mod heads;
mod upstream;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use proto::flow::Congestion;
use socket2::SockRef;
use terms::Route;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::task::JoinHandle;

use super::Backends;
use crate::accept::{Listener, listen};
use crate::front::is_grpc;
use crate::http_server::{Versions, serve};
use crate::protocols::rest::problem::Problem;
use crate::upgrades::Upgrades;
use crate::{Limits, Shutdown};

use upstream::{Delivery, OfOneClient, Upstreams};

/// Time for the rest to arrive, once one end of two joined connections is gone.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);
/// Time for a server to begin its answer.
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);

/// A balancer that is listening.
#[derive(Debug)]
pub struct Layer7 {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Ends after its shutdown, when its connections have: by themselves, or after the time to
    /// drain.
    pub task: JoinHandle<()>,
}

impl Layer7 {
    /// Listens at an address for the servers behind it. Requests that a route names go to the
    /// server in that place of the list; others to each in turn. The congestion control is that of
    /// its connections to clients.
    ///
    /// # Errors
    /// The system's, where it refuses the address or the congestion control.
    pub async fn start(
        address: SocketAddr,
        backends: Backends,
        routes: Vec<Route>,
        congestion: Option<Congestion>,
        limits: Limits,
        shutdown: Shutdown,
    ) -> io::Result<Layer7> {
        let socket = listen(address)?;
        if let Some(congestion) = congestion {
            // Accepted connections have it too.
            SockRef::from(&socket).set_tcp_congestion(congestion.name().as_bytes())?;
        }
        let address = socket.local_addr()?;
        let balancing = Arc::new(Balancing { backends, routes, upstreams: Upstreams::default(), limits });
        let router = Router::new().fallback(pass).with_state(balancing);
        let task = tokio::spawn(serve(Listener::from(socket), router, Versions::Both, limits, shutdown));
        Ok(Layer7 { address, task })
    }
}

/// Who is behind it, and how requests get there.
struct Balancing {
    backends: Backends,
    routes: Vec<Route>,
    upstreams: Upstreams,
    limits: Limits,
}

impl Balancing {
    /// Whom a request goes to, of those that it was not sent to yet.
    fn server(&self, request: &Request<Body>, tried: &[SocketAddr]) -> Option<SocketAddr> {
        let headers =
            |name: &str| request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        let route = self.routes.iter().find(|route| route.is_of(request.uri().path(), headers));
        match route {
            None => self.backends.next_but(tried),
            Some(route) => self.backends.nth_but(route.market - 1, tried),
        }
    }
}

/// Passes a request on, and its answer back.
async fn pass(State(balancing): State<Arc<Balancing>>, request: Request<Body>) -> Response {
    let is_grpc = request.version() == Version::HTTP_2 && is_grpc(request.headers());
    let passed = match heads::asks_for_upgrade(&request) {
        true => balancing.upgrade(request).await,
        false => balancing.exchange(request, is_grpc).await,
    };
    passed.unwrap_or_else(|problem| match is_grpc {
        // Codes as gRPC's `http-grpc-status-mapping.md` has them; a stock client reads the detail.
        true if problem.status().is_server_error() => {
            tonic::Status::unavailable(problem.detail()).into_http()
        }
        true => tonic::Status::internal(problem.detail()).into_http(),
        false => problem.into_response(),
    })
}

fn broken() -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "the server behind broke off: nobody knows what it did")
}

fn nobody() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no server behind this balancer can be reached")
}

impl Balancing {
    async fn exchange(&self, request: Request<Body>, is_grpc: bool) -> Result<Response, Problem> {
        if request.method() == Method::CONNECT {
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this balancer opens no tunnels"));
        }
        // A call of gRPC may be a stream, which the answer begins before it ends.
        let request = if is_grpc { request } else { self.whole(request).await? };
        let own =
            request.extensions().get::<Upgrades>().map(Upgrades::own::<OfOneClient>).unwrap_or_default();
        let mut request = heads::for_upstream(request)?;
        let again = heads::copy_if_safe(&request);
        let (mut tried, mut broke) = (Vec::new(), false);
        loop {
            let server =
                self.server(&request, &tried).ok_or_else(|| if broke { broken() } else { nobody() })?;
            tried.push(server);
            let is_http2 = request.version() == Version::HTTP_2;
            let sent = async {
                match is_http2 {
                    true => own.send(server, request, &self.limits).await,
                    false => self.upstreams.send(server, request).await,
                }
            };
            let sent = clock::limit(HEAD_TIME_MAX, sent).await;
            let late = Problem::new(StatusCode::GATEWAY_TIMEOUT, "the server behind does not answer");
            request = match (sent.map_err(|_| late)?, &again) {
                (Delivery::Answered(response), _) => return Ok(heads::for_client(response)),
                (Delivery::NotSent(request), _) => request,
                (Delivery::Broke, Some(again)) => {
                    // A kept connection may end at any time: once, that server may be tried again.
                    if !std::mem::replace(&mut broke, true) {
                        tried.pop();
                    }
                    again.copy()
                }
                (Delivery::Broke, None) => return Err(broken()),
            };
        }
    }

    /// The request with its body, read to its end within bounds: so that no slow caller has a place
    /// at a server, and what was not sent can be sent elsewhere.
    async fn whole(&self, request: Request<Body>) -> Result<Request<Body>, Problem> {
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            return Ok(Request::from_parts(head, Body::empty()));
        }
        let max = self.limits.message_bytes_max;
        let too_large =
            || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {max} bytes at most"));
        // Said before it is asked for (RFC 9110, section 10.1.1).
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        let body = Limited::new(body, max).collect();
        let body = clock::limit(self.limits.message_time_max, body).await;
        let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time");
        let body: Bytes = match body.map_err(late)? {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(error) => return Err(Problem::new(StatusCode::BAD_REQUEST, error.to_string())),
        };
        Ok(Request::from_parts(head, Body::from(body)))
    }

    /// Joins a connection to a server with the client's, once the server takes the upgrade.
    async fn upgrade(&self, mut request: Request<Body>) -> Result<Response, Problem> {
        let Some(place) = request.extensions().get::<Upgrades>().cloned() else {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "this connection cannot be upgraded"));
        };
        let client = hyper::upgrade::on(&mut request);
        let mut request = heads::for_upgrade(request)?;
        let mut tried = Vec::new();
        let mut response = loop {
            let server = self.server(&request, &tried).ok_or_else(nobody)?;
            tried.push(server);
            let sent = clock::limit(HEAD_TIME_MAX, upstream::upgrade(server, request)).await;
            let late = Problem::new(StatusCode::GATEWAY_TIMEOUT, "the server behind does not answer");
            match sent.map_err(|_| late)? {
                Delivery::Answered(response) => break response,
                Delivery::NotSent(unsent) => request = unsent,
                Delivery::Broke => return Err(broken()),
            }
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(heads::for_client(response));
        }
        let server = hyper::upgrade::on(&mut response);
        place.spawn(async move {
            let (client, server) = match tokio::try_join!(client, server) {
                Ok(both) => both,
                Err(error) => return tracing::debug!("an upgrade: {error}"),
            };
            join(TokioIo::new(client), TokioIo::new(server)).await;
        });
        let (head, _) = response.into_parts();
        let mut answer = Response::new(Body::empty());
        (*answer.status_mut(), *answer.headers_mut()) = (head.status, head.headers);
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        Ok(answer)
    }
}

/// Passes bytes on both ways. What a server says before it goes still reaches the client, also
/// where what the client goes on sending breaks.
async fn join(client: impl AsyncRead + AsyncWrite, server: impl AsyncRead + AsyncWrite) {
    let ((client_in, client_out), (server_in, server_out)) = (split(client), split(server));
    let (mut up, mut down) = (pin!(pump(client_in, server_out)), pin!(pump(server_in, client_out)));
    let goodbye = tokio::select! {
        ended = &mut up => match ended {
            Ok(()) => Ok(down.await),
            Err(error) => {
                tracing::debug!("an upgraded connection: {error}");
                clock::limit(GOODBYE_TIME_MAX, down).await
            }
        },
        _ = &mut down => clock::limit(GOODBYE_TIME_MAX, up).await,
    };
    if let Ok(Err(error)) = goodbye {
        tracing::debug!("an upgraded connection: {error}");
    }
}

/// Passes bytes on one way to their end, and says that it is the end.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}
