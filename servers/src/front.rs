//! What stands before every router, whichever HTTP carries it: who may ask, what a request must
//! look like, and how many replies may wait for a caller.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Body as HttpBody;
use proto::v1::FaultCode;
use proto::{Fault, MARKET_NAME, deadline};
use tower::ServiceExt as _;

use crate::leftover::{self, Leftover};
use crate::market::{exceeded, within};
use crate::protocols::grpc;
use crate::protocols::rest::problem::Problem;
use crate::replies::{Counted, Replies};
use crate::turn;

/// What a protocol asks of its requests beyond HTTP; what it answers to others.
pub(crate) type Check = fn(&Request<Body>) -> Result<(), Response>;

/// The market answers itself that a call's time is up. What waits elsewhere, for a body or a tick,
/// is ended so long after that.
const LATE_MAX: Duration = Duration::from_millis(20);

/// A router, and what stands before it.
#[derive(Clone)]
pub(crate) struct Front {
    router: Router,
    check: Option<Check>,
    /// Bound to a loopback address: any web page's scripts can reach it, so that only requests
    /// which mean it are answered.
    is_loopback: bool,
}

impl From<Router> for Front {
    fn from(router: Router) -> Front {
        Front { router, check: None, is_loopback: true }
    }
}

impl Front {
    /// With a protocol's own check.
    pub(crate) fn checking(self, check: Check) -> Front {
        Front { check: Some(check), ..self }
    }

    /// Of a server that is bound to this address; where the system does not say it, the strict way.
    pub(crate) fn bound_to(self, address: io::Result<SocketAddr>) -> Front {
        Front { is_loopback: address.map_or(true, |address| address.ip().is_loopback()), ..self }
    }

    /// Answers a request of a connection, once there is room for its reply.
    pub(crate) async fn answer<B>(&self, request: Request<B>, replies: &Replies) -> Response<Counted<Body>>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        replies.room().await;
        let request = match leftover::is_drained(&request) {
            true => Leftover::of(request).map(Body::new),
            false => request.map(Body::new),
        };
        let is_grpc = is_grpc(request.headers());
        let says_grpc = is_grpc || is_grpc_web(request.headers());
        let admitted = self.admit(&request).and_then(|()| time_left(request.headers(), says_grpc));
        let response = match admitted {
            // A router answers every request.
            Ok(left) => {
                let answered = within(left, self.router.clone().oneshot(request));
                let by_then = left.map(|left| left.saturating_add(LATE_MAX));
                match by_then {
                    None => {
                        let Ok(response) = answered.await;
                        response
                    }
                    Some(by_then) => match clock::limit(by_then, answered).await {
                        Ok(Ok(response)) => response,
                        Err(clock::Elapsed) => refusal(exceeded(), says_grpc),
                    },
                }
            }
            Err(refusal) => refusal,
        };
        let (head, body) = response.into_parts();
        match Counted::new(body, replies).await {
            Ok(body) => {
                // Counted already, so that whoever goes on meanwhile sees it.
                turn::after_making(body.waiting()).await;
                Response::from_parts(head, body)
            }
            Err(fault) => refusal(fault, is_grpc).map(|body| Counted::small(body, replies)),
        }
    }

    fn admit(&self, request: &Request<Body>) -> Result<(), Response> {
        if let Err(problem) = self.admit_http(request) {
            return Err(problem.into_response());
        }
        match self.check {
            Some(check) => check(request),
            None => Ok(()),
        }
    }

    fn admit_http(&self, request: &Request<Body>) -> Result<(), Problem> {
        let headers = request.headers();
        check_transfer(request.version(), headers)?;
        let host = host(request)?;
        if self.is_loopback && !is_loopback_name(host) {
            let detail =
                "this server is bound to a loopback address: ask it as localhost, or by that address";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return Ok(()),
            (Some(only), None) => only.to_str().ok().and_then(|origin| origin.split_once("://")),
            (Some(_), Some(_)) => None,
        };
        let origin = origin.and_then(|(_, authority)| name_of(authority));
        let is_ours = |name: &str| match self.is_loopback {
            true => is_loopback_name(name),
            false => name.eq_ignore_ascii_case(host),
        };
        match origin {
            Some(name) if is_ours(name) => Ok(()),
            _ => Err(Problem::new(StatusCode::FORBIDDEN, "pages of another origin may not call this server")),
        }
    }
}

/// The name that a request asks for.
fn host(request: &Request<Body>) -> Result<&str, Problem> {
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(bad("a request has one Host header"));
    }
    let bad_name = "the Host header is a name or an address, and a port";
    let named = match first {
        Some(first) => Some(first.to_str().ok().and_then(name_of).ok_or_else(|| bad(bad_name))?),
        None if request.version() < Version::HTTP_2 => None,
        None => Some(""),
    };
    // A whole URI counts for more than the header (RFC 9112, section 3.2.2), and is the same name
    // where the header is there beside it (RFC 9113, section 8.3.1).
    match (named, request.uri().authority()) {
        (Some(named), Some(authority)) => {
            let asked = name_of(authority.as_str()).ok_or_else(|| bad(bad_name))?;
            let is_other = request.version() >= Version::HTTP_2
                && !named.is_empty()
                && !asked.eq_ignore_ascii_case(named);
            if is_other { Err(bad("the Host header and the authority differ")) } else { Ok(asked) }
        }
        (Some(named), None) if !named.is_empty() => Ok(named),
        _ => Err(bad("a request says which host it is for")),
    }
}

/// The name or address in `name`, `name:port` or `[address]:port`; `None` where it is neither.
fn name_of(authority: &str) -> Option<&str> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (name, behind) = rest.split_once(']')?;
            (name, behind.strip_prefix(':').or(behind.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_name = match authority.starts_with('[') {
        true => name.parse::<std::net::Ipv6Addr>().is_ok(),
        false => !name.is_empty() && name.bytes().all(is_of_name),
    };
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    (is_name && is_port).then_some(name)
}

/// Whether no page of the public web can have this name lead to a loopback address: the market's
/// own is below `test`, of which no public name server knows any name (RFC 6761, section 6.2).
fn is_loopback_name(name: &str) -> bool {
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let last = name.rsplit('.').next().unwrap_or(name);
            let is_the_markets = name.eq_ignore_ascii_case(MARKET_NAME.trim_end_matches('.'));
            last.eq_ignore_ascii_case("localhost") || is_the_markets
        }
    }
}

/// Headers that say how a message is carried. HTTP/1.1 has one coding here (RFC 9112, section 6.1);
/// HTTP/2 and HTTP/3 have none of them (RFC 9114, section 4.2), of which HTTP/2's library makes
/// sure itself.
fn check_transfer(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    if version >= Version::HTTP_2 {
        let is_carriage = CARRIAGE.iter().any(|name| headers.contains_key(name));
        let has_te = headers.get(header::TE).is_some_and(|te| te != "trailers");
        let bad =
            || Problem::new(StatusCode::BAD_REQUEST, "headers of HTTP/1.1's connections do not belong here");
        return if is_carriage || has_te { Err(bad()) } else { Ok(()) };
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "the only transfer coding here is chunked")),
    }
}

/// Headers of one HTTP/1.1 connection.
const CARRIAGE: [header::HeaderName; 5] = [
    header::CONNECTION,
    header::HeaderName::from_static("keep-alive"),
    header::HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a request is gRPC's, by its content type.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let behind = media_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    behind.is_some_and(|behind| matches!(behind.first(), None | Some(b'+' | b';')))
}

/// Whether it is gRPC-Web's, which says its deadline in the same header.
fn is_grpc_web(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    media_type.is_some_and(|value| value.starts_with(b"application/grpc-web"))
}

/// How long the caller waits for the answer, where it says so.
fn time_left(headers: &HeaderMap, is_grpc: bool) -> Result<Option<Duration>, Response> {
    let name = if is_grpc { deadline::GRPC_HEADER } else { deadline::HTTP_HEADER };
    let Some(said) = headers.get(name).map(HeaderValue::as_bytes) else { return Ok(None) };
    let read = if is_grpc { deadline::from_grpc(said) } else { deadline::from_http(said) };
    read.map(Some).ok_or_else(|| match is_grpc {
        true => {
            let detail = format!("{name} is 1 to 8 digits and one of H, M, S, m, u, n");
            tonic::Status::invalid_argument(detail).into_http()
        }
        false => {
            let detail = format!("{name} is a whole number of microseconds");
            Problem::new(StatusCode::BAD_REQUEST, detail).into_response()
        }
    })
}

/// The answer where there is no room for the answer.
fn refusal(fault: Fault, is_grpc: bool) -> Response {
    match is_grpc {
        true if fault.code == FaultCode::DeadlineExceeded => grpc::status(&fault).into_http(),
        true => tonic::Status::unavailable(fault.detail).into_http(),
        false => Problem::from(fault).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(bound: &str) -> Front {
        Front::from(Router::new()).bound_to(Ok(bound.parse().unwrap()))
    }

    fn status(front: &Front, version: Version, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().version(version).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let admitted = front.admit(&request.body(Body::empty()).unwrap());
        admitted.err().map(|response| response.status().as_u16())
    }

    #[test]
    fn a_loopback_server_answers_who_means_it() {
        let front = front("127.0.0.1:80");
        for (host, expected) in [
            ("localhost", None),
            ("LocalHost:80", None),
            ("market.localhost:8080", None),
            ("127.0.0.1:80", None),
            ("127.8.8.8", None),
            ("[::1]:80", None),
            ("market.wirebench.test:80", None),
            ("evil.example", Some(421)),
            ("wirebench.test", Some(421)),
            ("localhost.evil.example", Some(421)),
            ("notlocalhost", Some(421)),
            ("10.0.0.1", Some(421)),
            ("", Some(400)),
            ("a b", Some(400)),
            ("a@localhost", Some(400)),
            ("localhost:port", Some(400)),
            ("localhost:65536", Some(400)),
            ("[::1", Some(400)),
            ("[localhost]", Some(400)),
            ("localhost/", Some(400)),
        ] {
            assert_eq!(status(&front, Version::HTTP_11, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(&front, Version::HTTP_11, &[]), Some(400));
        assert_eq!(
            status(&front, Version::HTTP_11, &[("host", "localhost"), ("host", "localhost")]),
            Some(400)
        );
    }

    #[test]
    fn time_that_is_left_is_read_or_refused() {
        let status = |name: &'static str, value: &str, is_grpc| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            time_left(&headers, is_grpc).map_err(|response| response.status().as_u16())
        };
        let quarter = Ok(Some(Duration::from_millis(250)));
        assert_eq!(status("time-left-us", "250000", false), quarter);
        assert_eq!(status("grpc-timeout", "250m", true), quarter);
        assert_eq!(status("grpc-timeout", "nonsense", false), Ok(None), "it is gRPC's alone");
        assert_eq!(status("time-left-us", "250ms", false), Err(400));
        assert_eq!(status("grpc-timeout", "250", true), Err(200), "gRPC says it in a trailer");
    }

    #[test]
    fn pages_of_another_origin_are_refused() {
        let loopback = front("[::1]:80");
        let open = front("192.0.2.1:80");
        for (origin, to_loopback, to_open) in [
            ("http://localhost:3000", None, Some(403)),
            ("http://192.0.2.1", Some(403), None),
            ("https://evil.example", Some(403), Some(403)),
            ("null", Some(403), Some(403)),
            ("", Some(403), Some(403)),
            ("http://localhost@evil.example", Some(403), Some(403)),
        ] {
            let headers = |host| [("host", host), ("origin", origin)];
            assert_eq!(status(&loopback, Version::HTTP_11, &headers("localhost")), to_loopback, "{origin}");
            assert_eq!(status(&open, Version::HTTP_11, &headers("192.0.2.1:80")), to_open, "{origin}");
        }
    }

    #[test]
    fn a_message_is_carried_in_one_way() {
        let front = front("127.0.0.1:80");
        let with = |version, name, value| status(&front, version, &[("host", "localhost"), (name, value)]);
        assert_eq!(with(Version::HTTP_11, "transfer-encoding", "Chunked"), None);
        assert_eq!(with(Version::HTTP_11, "transfer-encoding", "gzip, chunked"), Some(501));
        assert_eq!(with(Version::HTTP_3, "te", "trailers"), None);
        for (name, value) in [
            ("te", "gzip"),
            ("connection", "close"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
        ] {
            assert_eq!(with(Version::HTTP_3, name, value), Some(400), "{name}");
        }
    }
}
