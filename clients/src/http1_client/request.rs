//! Requests of HTTP/1.1 as they are sent: written out before the run (RFC 9112, sections 3 and 6).

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Uri, header};

use super::reply::ReplyTo;
use crate::connection::Unsupported;
use crate::http_request::HttpRequest;

/// A request, written out.
#[derive(Debug, Clone)]
pub struct Encoded {
    pub(super) bytes: Bytes,
    pub(super) asked: ReplyTo,
    /// Whether it may be made again where it may have been processed (RFC 9110, section 9.2.1).
    pub(super) is_safe: bool,
    /// Whether it says that its connection closes behind it.
    pub(super) says_close: bool,
}

impl Encoded {
    /// Writes a request out: the headers as they are given; `Host` by the URI's authority unless it
    /// is given; the length of the body, where it has one or its method usually has (RFC 9110,
    /// section 8.6).
    ///
    /// # Errors
    /// Where it has no host or two; where a `Content-Length` or `Transfer-Encoding` says another
    /// length than the body has; where a part of it would be taken for another part.
    pub(crate) fn new(request: &HttpRequest) -> Result<Encoded, Unsupported> {
        let HttpRequest { method, uri, headers, body } = request;
        check_length(request)?;
        let mut bytes = BytesMut::with_capacity(512 + body.len());
        bytes.put_slice(method.as_str().as_bytes());
        bytes.put_u8(b' ');
        put_target(&mut bytes, method, uri)?;
        bytes.put_slice(b" HTTP/1.1\r\n");
        match headers.get_all(header::HOST).iter().count() {
            0 => put_field(&mut bytes, "host", host(method, uri)?.as_bytes())?,
            1 => {}
            several => return Err(Unsupported(format!("a request has one Host, not {several}"))),
        }
        for (name, value) in headers {
            put_field(&mut bytes, name.as_str(), value.as_bytes())?;
        }
        let has_length = !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(method);
        if has_length && !headers.contains_key(header::CONTENT_LENGTH) {
            put_field(&mut bytes, "content-length", body.len().to_string().as_bytes())?;
        }
        bytes.put_slice(b"\r\n");
        bytes.put_slice(body);
        let asked = match *method {
            Method::HEAD => ReplyTo::HeadOnly,
            Method::CONNECT => ReplyTo::Tunnel,
            _ if headers.contains_key(header::UPGRADE) => ReplyTo::Upgrade,
            _ => ReplyTo::Content,
        };
        let says_close = options(request, &header::CONNECTION).any(|option| option == "close");
        Ok(Encoded { bytes: bytes.freeze(), asked, is_safe: method.is_safe(), says_close })
    }
}

/// The elements of a list, in lower case.
fn options<'a>(request: &'a HttpRequest, name: &HeaderName) -> impl Iterator<Item = String> + 'a {
    let values = request.headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
}

/// Whether what it says of its length is true: else the server would take a part of the body for
/// the next request, or wait for the rest.
fn check_length(request: &HttpRequest) -> Result<(), Unsupported> {
    if request.headers.contains_key(header::TRANSFER_ENCODING) {
        let told = "the body is sent with its length: leave out Transfer-Encoding";
        return Err(Unsupported(told.to_owned()));
    }
    let length = HeaderValue::from(request.body.len());
    let mut said = request.headers.get_all(header::CONTENT_LENGTH).iter();
    match (said.next(), said.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if *one == length => Ok(()),
        _ => Err(Unsupported(format!(
            "the body has {} bytes, which Content-Length does not say: leave it out",
            request.body.len()
        ))),
    }
}

/// The request's target (RFC 9112, section 3.2): a path and a query, an authority for CONNECT, `*`.
fn put_target(bytes: &mut BytesMut, method: &Method, uri: &Uri) -> Result<(), Unsupported> {
    let target = if *method == Method::CONNECT {
        let no_authority = || Unsupported(format!("CONNECT asks for host:port, not for {uri}"));
        uri.authority().ok_or_else(no_authority)?.as_str()
    } else {
        uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    };
    if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(Unsupported(format!("a blank or a control character in {target:?}")));
    }
    if *method != Method::CONNECT && target != "*" && !target.starts_with('/') {
        bytes.put_u8(b'/');
    }
    bytes.put_slice(target.as_bytes());
    Ok(())
}

/// The value of `Host` (RFC 9110, section 7.2): the authority without who asks (section 4.2.4), and
/// without the port where it is the scheme's own.
fn host(method: &Method, uri: &Uri) -> Result<String, Unsupported> {
    let no_host = || Unsupported(format!("a request needs a Host: neither a header nor {uri} has one"));
    let authority = uri.authority().ok_or_else(no_host)?;
    let scheme_port = match uri.scheme_str() {
        _ if *method == Method::CONNECT => None,
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    match authority.port_u16() {
        Some(port) if Some(port) != scheme_port => Ok(format!("{}:{port}", authority.host())),
        _ => Ok(authority.host().to_owned()),
    }
}

fn put_field(bytes: &mut BytesMut, name: &str, value: &[u8]) -> Result<(), Unsupported> {
    // The types let neither through; who writes bytes to a server looks all the same.
    let breaks_line = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    if name.is_empty() || name.bytes().any(|byte| byte <= b' ' || byte == b':') {
        return Err(Unsupported(format!("{name:?} is no name of a header")));
    }
    if value.iter().any(breaks_line) {
        return Err(Unsupported(format!("the value of {name} would end its line")));
    }
    bytes.put_slice(name.as_bytes());
    bytes.put_slice(b": ");
    bytes.put_slice(value);
    bytes.put_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn request(method: &Method, uri: &str, fields: &[(&str, &str)], body: &'static [u8]) -> HttpRequest {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let uri = uri.parse().unwrap();
        HttpRequest { method: method.clone(), uri, headers, body: Bytes::from_static(body) }
    }

    fn encoded(method: &Method, uri: &str, fields: &[(&str, &str)], body: &'static [u8]) -> String {
        let encoded = Encoded::new(&request(method, uri, fields, body)).unwrap();
        String::from_utf8(encoded.bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_request_is_written_as_given() {
        let get = encoded(&Method::GET, "http://a.example/x?y=z", &[("x-a", "1"), ("x-a", "2")], b"");
        assert_eq!(get, "GET /x?y=z HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\nx-a: 2\r\n\r\n");
        let post = encoded(&Method::POST, "/x", &[("host", "h")], b"body");
        assert_eq!(post, "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody");
        let empty = encoded(&Method::PUT, "/x", &[("host", "h")], b"");
        assert!(empty.ends_with("\r\ncontent-length: 0\r\n\r\n"), "{empty}");
        let said = encoded(&Method::POST, "/x", &[("content-length", "4"), ("host", "h")], b"body");
        assert_eq!(said.matches("content-length").count(), 1, "{said}");
        let all = encoded(&Method::OPTIONS, "*", &[("host", "h")], b"");
        assert!(all.starts_with("OPTIONS * HTTP/1.1\r\n"), "{all}");
        let query = encoded(&Method::GET, "http://h?q", &[], b"");
        assert!(query.starts_with("GET /?q HTTP/1.1\r\n"), "{query}");
        let tunnel = encoded(&Method::CONNECT, "h:443", &[], b"");
        assert_eq!(tunnel, "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n");
    }

    #[test]
    fn the_host_is_the_authority_without_the_port_of_its_scheme() {
        for (uri, host) in [
            ("http://h:80/", "h"),
            ("http://h:443/", "h:443"),
            ("https://h:443/", "h"),
            ("https://h:80/", "h:80"),
            ("http://u:p@h:8080/", "h:8080"),
            ("http://[::1]:80/", "[::1]"),
            ("http://[::1]:8080/", "[::1]:8080"),
        ] {
            let written = encoded(&Method::GET, uri, &[], b"");
            assert!(written.contains(&format!("\r\nhost: {host}\r\n")), "{uri}: {written}");
        }
    }

    #[test]
    fn what_would_be_read_otherwise_is_refused() {
        for (uri, fields) in [
            ("/x", &[][..]),
            ("/x", &[("host", "a"), ("host", "b")]),
            ("http://h/", &[("content-length", "3")]),
            ("http://h/", &[("content-length", "4"), ("content-length", "4")]),
            ("http://h/", &[("content-length", "+4")]),
            ("http://h/", &[("transfer-encoding", "chunked")]),
        ] {
            assert!(Encoded::new(&request(&Method::POST, uri, fields, b"body")).is_err(), "{uri} {fields:?}");
        }
    }

    #[test]
    fn what_a_reply_depends_on_is_known() {
        let fact = |method: Method, fields: &[(&str, &str)]| {
            let encoded = Encoded::new(&request(&method, "http://h:1", fields, b"")).unwrap();
            (encoded.asked, encoded.is_safe, encoded.says_close)
        };
        assert_eq!(fact(Method::GET, &[]), (ReplyTo::Content, true, false));
        assert_eq!(fact(Method::HEAD, &[]), (ReplyTo::HeadOnly, true, false));
        assert_eq!(fact(Method::POST, &[]), (ReplyTo::Content, false, false));
        assert_eq!(fact(Method::CONNECT, &[]), (ReplyTo::Tunnel, false, false));
        assert_eq!(fact(Method::GET, &[("upgrade", "x")]), (ReplyTo::Upgrade, true, false));
        assert_eq!(fact(Method::GET, &[("connection", "x, Close")]), (ReplyTo::Content, true, true));
    }
}
