//! Heads of requests and answers on their way through the balancer: what concerns one connection
//! stays there (RFC 9110, section 7.6.1).

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::{PathAndQuery, Scheme, Uri};
use axum::http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Body as _;

use crate::protocols::rest::problem::Problem;

/// Headers of one connection, beside those that `Connection` names.
const OF_A_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
];

/// Whether a request asks to speak another protocol, and is no more than that. In HTTP/1.0 it means
/// nothing (RFC 9110, section 7.8); with a body it can be answered as what it is.
pub(super) fn asks_for_upgrade(request: &Request<Body>) -> bool {
    request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && request.headers().contains_key(header::UPGRADE)
        && connection_names(request.headers()).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// What `Connection` names.
fn connection_names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// What goes on to a server: with its target as its version writes it.
pub(super) fn for_upstream(request: Request<Body>) -> Result<Request<Body>, Problem> {
    let (mut head, body) = request.into_parts();
    // Trailers can be passed on in HTTP/2 alone, and gRPC's servers want to hear so.
    let trailers =
        head.version >= Version::HTTP_2 && head.headers.get(header::TE).is_some_and(|te| te == "trailers");
    keep_to_the_message(&mut head.headers);
    if trailers {
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    head.uri = target(&head.uri, &mut head.headers, head.version)?;
    head.version = if head.version >= Version::HTTP_2 { Version::HTTP_2 } else { Version::HTTP_11 };
    head.extensions.clear();
    Ok(Request::from_parts(head, body))
}

/// The same of a request for an upgrade, which is asked for again.
pub(super) fn for_upgrade(request: Request<Body>) -> Result<Request<Body>, Problem> {
    let upgrade = request.headers().get(header::UPGRADE).cloned();
    let mut request = for_upstream(request)?;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    request.headers_mut().extend(upgrade.map(|upgrade| (header::UPGRADE, upgrade)));
    Ok(request)
}

/// What goes back to the client.
pub(super) fn for_client<B>(mut response: Response<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let upgrade = response.headers().get(header::UPGRADE).cloned();
    keep_to_the_message(response.headers_mut());
    // Which protocols it would take is what this answer says (RFC 9110, section 15.5.22).
    if let Some(upgrade) = upgrade.filter(|_| response.status() == StatusCode::UPGRADE_REQUIRED) {
        response.headers_mut().insert(header::UPGRADE, upgrade);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response.map(Body::new)
}

fn keep_to_the_message(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = connection_names(headers)
        .filter_map(|name| name.parse().ok())
        // Nobody may have these taken away.
        .filter(|name| !matches!(*name, header::HOST | header::CONTENT_LENGTH | header::COOKIE))
        .collect();
    for name in named.iter().chain(&OF_A_CONNECTION) {
        headers.remove(name);
    }
}

/// A request's target: a path over HTTP/1.1, and the whole over HTTP/2. Whom a whole target names
/// counts for more than the header (RFC 9112, section 3.2.2).
fn target(uri: &Uri, headers: &mut HeaderMap, version: Version) -> Result<Uri, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "this balancer cannot read the request's target");
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    if version < Version::HTTP_2 {
        if let Some(authority) = uri.authority() {
            headers.insert(header::HOST, authority.as_str().parse().map_err(|_| bad())?);
        }
        return Uri::builder().path_and_query(path).build().map_err(|_| bad());
    }
    let host = headers.remove(header::HOST);
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => host.and_then(|host| host.to_str().ok()?.parse().ok()).ok_or_else(bad)?,
    };
    Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build().map_err(|_| bad())
}

/// A request that may be sent again although nobody knows what became of it: its method is safe,
/// and it has no body.
pub(super) struct Again {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
}

impl Again {
    pub(super) fn copy(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A copy of a request, where it may be sent again.
pub(super) fn copy_if_safe(request: &Request<Body>) -> Option<Again> {
    (request.method().is_safe() && request.body().is_end_stream()).then(|| Again {
        method: request.method().clone(),
        uri: request.uri().clone(),
        version: request.version(),
        headers: request.headers().clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn what_concerns_one_connection_stays_there() {
        let headers = [
            ("host", "localhost"),
            ("connection", "close, x-hop, host, content-length"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-end", "2"),
        ];
        let passed = for_upstream(request(Version::HTTP_11, "/a?b=c", &headers)).unwrap();
        let names: Vec<&str> = passed.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!((names, passed.uri().to_string()), (vec!["host", "x-end"], "/a?b=c".to_owned()));
    }

    #[test]
    fn an_upgrade_is_asked_for_in_its_version_and_alone() {
        let asks = |version, body| {
            let headers =
                [("host", "localhost"), ("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
            let mut request = request(version, "/", &headers);
            *request.body_mut() = body;
            asks_for_upgrade(&request)
        };
        assert!(asks(Version::HTTP_11, Body::empty()));
        assert!(!asks(Version::HTTP_10, Body::empty()) && !asks(Version::HTTP_11, Body::from("body")));
        let refusal =
            Response::builder().status(426).header("upgrade", "websocket").header("connection", "close");
        let passed = for_client(refusal.body(Body::empty()).unwrap());
        assert_eq!(
            (&passed.headers()["upgrade"], &passed.headers()["connection"]),
            (&HeaderValue::from_static("websocket"), &HeaderValue::from_static("upgrade"))
        );
    }

    #[test]
    fn a_target_is_written_as_its_version_has_it() {
        let whole = request(Version::HTTP_11, "http://a.localhost:1/x", &[("host", "b.localhost")]);
        let whole = for_upstream(whole).unwrap();
        assert_eq!(
            (whole.uri().to_string(), &whole.headers()["host"]),
            ("/x".to_owned(), &HeaderValue::from_static("a.localhost:1"))
        );
        let two = request(Version::HTTP_2, "/x", &[("host", "b.localhost"), ("te", "trailers")]);
        let two = for_upstream(two).unwrap();
        assert_eq!(two.uri().to_string(), "http://b.localhost/x");
        assert_eq!(
            (two.headers().contains_key("host"), &two.headers()["te"]),
            (false, &HeaderValue::from_static("trailers"))
        );
    }

    #[test]
    fn what_is_safe_may_be_sent_again() {
        let of = |method: &str, body: Body| {
            let mut request = request(Version::HTTP_11, "/", &[("host", "localhost")]);
            (*request.method_mut(), *request.body_mut()) = (method.parse().unwrap(), body);
            copy_if_safe(&request).is_some()
        };
        let may: Vec<bool> =
            ["GET", "HEAD", "POST", "PUT", "DELETE"].map(|method| of(method, Body::empty())).to_vec();
        assert_eq!(may, [true, true, false, false, false]);
        assert!(!of("GET", Body::from("body")));
    }
}
