//! HTTP requests, for every client that sends them: made once, sent again and again.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use proto::deadline;
use terms::HttpVersion;

use crate::connection::Unsupported;
use crate::endpoint::Endpoint;

const TIME_LEFT: HeaderName = HeaderName::from_static(deadline::HTTP_HEADER);

/// Whom requests go to, as each HTTP version says it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    scheme: &'static str,
    authority: String,
    version: HttpVersion,
}

impl Origin {
    pub(crate) fn new(endpoint: &Endpoint, version: HttpVersion) -> Origin {
        Origin { scheme: endpoint.http_scheme(), authority: endpoint.address.to_string(), version }
    }

    /// HTTP/1.1 names the authority in a header, HTTP/2 in the URI.
    fn uri(&self, path: &str) -> Result<Uri, Unsupported> {
        match self.version {
            HttpVersion::Http1 => path.parse().map_err(unsupported),
            HttpVersion::Http2 | HttpVersion::Http3 => {
                format!("{}://{}{path}", self.scheme, self.authority).parse().map_err(unsupported)
            }
        }
    }

    /// A GET of a path, its reply in a media type.
    pub(crate) fn get(&self, path: &str, accept: &'static str) -> Result<HttpRequest, Unsupported> {
        let (uri, headers) = (self.uri(path)?, self.headers(accept)?);
        Ok(HttpRequest { method: Method::GET, uri, headers, body: Bytes::new() })
    }

    /// A POST of a body to a path, both ways in a media type.
    pub(crate) fn post(
        &self,
        path: &str,
        media_type: &'static str,
        body: Bytes,
    ) -> Result<HttpRequest, Unsupported> {
        let (uri, mut headers) = (self.uri(path)?, self.headers(media_type)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Ok(HttpRequest { method: Method::POST, uri, headers, body })
    }

    fn headers(&self, accept: &'static str) -> Result<HeaderMap, Unsupported> {
        let mut headers = HeaderMap::new();
        if self.version == HttpVersion::Http1 {
            headers.insert(header::HOST, HeaderValue::from_str(&self.authority).map_err(unsupported)?);
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Ok(headers)
    }
}

/// One HTTP request, to be sent again and again.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole URI, or its path where a header names the authority.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpRequest {
    /// As hyper takes it.
    pub(crate) fn build(&self, time_left: Option<Duration>) -> Request<Full<Bytes>> {
        self.head(time_left).map(|()| Full::new(self.body.clone()))
    }

    /// Its head, with the time that it has left where that is to be said.
    pub(crate) fn head(&self, time_left: Option<Duration>) -> Request<()> {
        let mut head = Request::new(());
        *head.method_mut() = self.method.clone();
        *head.uri_mut() = self.uri.clone();
        *head.headers_mut() = self.headers.clone();
        // Digits are a value of a header.
        let said = time_left.and_then(|left| HeaderValue::try_from(deadline::to_http(left)).ok());
        if let Some(said) = said {
            head.headers_mut().insert(TIME_LEFT, said);
        }
        head
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn unsupported(error: impl std::fmt::Display) -> Unsupported {
    Unsupported(format!("this cannot be an HTTP request: {error}"))
}

/// Percent-encodes what may not stand in a path segment or a query value (RFC 3986, unreserved
/// characters and the comma kept).
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Several, separated by commas.
pub(crate) fn escape_all(texts: &[String]) -> String {
    texts.iter().map(|text| escape(text)).collect::<Vec<_>>().join(",")
}
