//! What is sent, as the options say it.

use std::cell::Cell;

use bytes::Bytes;
use clients::Endpoint;
use clients::foreign::Request;
use clients::foreign::expect::Expect;
use clients::foreign::greeting::Greeting;
use clients::foreign::grpc::GrpcCall;
use clients::foreign::http::HttpRequest;
use clients::foreign::tcp::ReplyEnd;
use clients::foreign::websocket::Payload;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proto::Operation;
use proto::v1::QuoteRequest;
use terms::{Carriage, HttpVersion, Streams};

use super::grpc;
use super::options::{Options, read_file};
use super::requests::{Filled, Mix};
use super::target::{Scheme, Target};
use crate::ending::UsageError;

/// Bytes of all requests together: their paths, headers and bodies.
const REQUESTS_BYTES_MAX: usize = 512 << 20;
/// Headers of a request: the library has no room for three times as many, and would panic.
const HEADERS_MAX: usize = 10_000;
/// Bytes of a body that is read from a file.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// What the target is sent, each request of the mix in turn.
///
/// # Errors
/// What of it cannot be sent so.
pub(super) fn request(
    options: &Options,
    target: &Target,
    mix: &Mix,
    endpoint: &Endpoint,
) -> anyhow::Result<Request> {
    let is_market = options.frame.is_some();
    let body = body(options)?;
    check_data(options, target, mix, body.as_ref())?;
    let room = &Room(Cell::new(REQUESTS_BYTES_MAX));
    Ok(match target.scheme {
        Scheme::Http => {
            let expect = Expect {
                statuses: options.expect_status.clone().unwrap_or_default(),
                body: options.expect_body.as_deref().map(Expect::in_body),
            };
            let version = version(options);
            let requests = mix
                .filled()
                .map(|filled| http_request(options, target, version, body.as_ref(), &filled, room));
            Request::Http { version, requests: requests.collect::<anyhow::Result<_>>()?, expect }
        }
        Scheme::WebSocket => Request::WebSocket {
            path: target.path.to_string(),
            headers: headers(&options.header, target, Rules::WebSocket)?,
            messages: bodies(mix, body.as_ref(), room, |body| Ok(payload(body.unwrap_or_default())))?,
            greeting: greeting(options),
        },
        Scheme::Udp if is_market => Request::Market(Carriage::Udp, quotes()),
        Scheme::Tcp if is_market => Request::Market(Carriage::Tcp, quotes()),
        Scheme::Udp => {
            Request::Udp(bodies(mix, Some(&raw(options, body)?), room, |body| Ok(body.unwrap_or_default()))?)
        }
        Scheme::Tcp => {
            let bytes = bodies(mix, Some(&raw(options, body)?), room, |body| Ok(body.unwrap_or_default()))?;
            Request::Tcp(bytes, reply_end(options)?, greeting(options))
        }
        Scheme::Grpc => match target.method() {
            None => Request::Market(Carriage::Grpc, quotes()),
            Some(path) => {
                let (uri, headers) = (target.uri()?, headers(&options.header, target, Rules::Grpc)?);
                let method = grpc::find(options, endpoint, &uri, &headers, path)?;
                let call = |json: Option<Bytes>| {
                    let json = json.unwrap_or_else(|| Bytes::from_static(b"{}"));
                    let messages = grpc::encode(&method, &json)?;
                    let streams = method.is_server_streaming();
                    Ok(GrpcCall { uri: uri.clone(), headers: headers.clone(), messages, streams })
                };
                Request::Grpc(bodies(mix, body.as_ref(), room, call)?)
            }
        },
        Scheme::Quic => Request::Market(Carriage::Quic { streams: Streams::PerCall }, quotes()),
    })
}

fn greeting(options: &Options) -> Greeting {
    match (options.greeting, options.cold) {
        (true, _) => Greeting::expected(),
        (false, true) => Greeting::unsought(),
        (false, false) => Greeting::none(),
    }
}

/// What is made of each body of the mix.
fn bodies<T>(
    mix: &Mix,
    body: Option<&Bytes>,
    room: &Room,
    make: impl Fn(Option<Bytes>) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let made = |filled: Filled<'_>| {
        let body = fill_body(body.cloned(), &filled, room)?;
        room.take(body.as_ref().map_or(0, Bytes::len))?;
        make(body)
    };
    mix.filled().map(made).collect()
}

/// Holds `--data` to what can be filled in: somewhere a name must stand, and not where it would go
/// out as it is written.
fn check_data(options: &Options, target: &Target, mix: &Mix, body: Option<&Bytes>) -> Result<(), UsageError> {
    if options.data.is_none() {
        let of_target = Some(target.written_path.as_str()).filter(|path| path.contains("{{"));
        let Some(path) = mix.path_with_name().or(of_target) else { return Ok(()) };
        return Err(UsageError(format!("the path '{path}' needs --data, to fill in its name")));
    }
    let has_name = |text: &str| text.contains("{{");
    let in_body = body.is_some_and(|body| str::from_utf8(body).is_ok_and(has_name));
    let in_headers = options.header.iter().any(|header| has_name(header));
    let in_path = has_name(&target.written_path);
    if target.scheme != Scheme::Http && (in_headers || in_path) {
        let what = "--data fills in paths and headers of HTTP requests alone; here it fills in --body";
        return Err(UsageError(what.to_owned()));
    }
    if in_body || in_headers || in_path || mix.has_names() {
        return Ok(());
    }
    Err(UsageError("--data has nothing to fill in: write {{NAME}} in a path, a header or a body".to_owned()))
}

/// Bytes that all requests may still have: they are made ready before the load.
struct Room(Cell<usize>);

impl Room {
    fn take(&self, bytes: usize) -> Result<(), UsageError> {
        let left = self.0.get().checked_sub(bytes).ok_or_else(|| {
            let most = REQUESTS_BYTES_MAX >> 20;
            UsageError(format!(
                "the requests are made ready before the load, and have more than {most} MiB together: use fewer of them, \
                 fewer rows of data, or smaller bodies"
            ))
        })?;
        self.0.set(left);
        Ok(())
    }
}

/// A body with the data of its row, where there is any; without, all requests share it.
fn fill_body(body: Option<Bytes>, filled: &Filled<'_>, room: &Room) -> Result<Option<Bytes>, UsageError> {
    let (Some(body), Some(row)) = (&body, filled.row) else { return Ok(body) };
    let Ok(text) = str::from_utf8(body) else { return Ok(Some(body.clone())) };
    let body = Bytes::from(row.fill(text, str::to_owned)?);
    room.take(body.len())?;
    Ok(Some(body))
}

/// Which HTTP is spoken with an HTTP target.
pub(super) fn version(options: &Options) -> HttpVersion {
    match (options.http2, options.http3) {
        (_, true) => HttpVersion::Http3,
        (true, _) => HttpVersion::Http2,
        (false, false) => HttpVersion::Http1,
    }
}

fn http_request(
    options: &Options,
    target: &Target,
    version: HttpVersion,
    body: Option<&Bytes>,
    filled: &Filled<'_>,
    room: &Room,
) -> anyhow::Result<HttpRequest> {
    let template = filled.template;
    let body = fill_body(template.body.clone().or_else(|| body.cloned()), filled, room)?;
    let usual = if body.is_some() { Method::POST } else { Method::GET };
    let method = match (&template.method, &options.method) {
        (Some(method), _) => {
            method.parse().map_err(|_| UsageError(format!("'{method}' is no method of HTTP")))?
        }
        (None, method) => method.clone().unwrap_or(usual),
    };
    let mut given = options.header.clone();
    given.extend(template.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    let path = template.path.as_deref().unwrap_or(&target.written_path);
    let at = match filled.row {
        Some(row) => {
            for header in &mut given {
                *header = row.fill(header, str::to_owned)?;
            }
            target.at(&row.fill(path, |value| utf8_percent_encode(value, RESERVED).to_string())?)?
        }
        None if template.path.is_some() => target.at(path)?,
        None => target.clone(),
    };
    room.take(at.path.as_str().len() + given.iter().map(String::len).sum::<usize>())?;
    let rules = if version == HttpVersion::Http1 { Rules::Http1 } else { Rules::Frames };
    let headers = headers(&given, &at, rules)?;
    Ok(HttpRequest { method, uri: at.uri()?, headers, body: body.unwrap_or_default() })
}

/// What is encoded of a value that is put into a path: all but what means the same either way (RFC
/// 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The bytes of `--body` or `--body-file`.
fn body(options: &Options) -> Result<Option<Bytes>, UsageError> {
    match (&options.body, &options.body_file) {
        (Some(body), _) => Ok(Some(body.clone().into())),
        (None, Some(file)) => Ok(Some(read_file("--body-file", file, BODY_BYTES_MAX)?.into())),
        (None, None) => Ok(None),
    }
}

/// A message: of text where that is text.
fn payload(body: Bytes) -> Payload {
    match String::from_utf8(body.to_vec()) {
        Ok(text) => Payload::Text(text),
        Err(_) => Payload::Binary(body),
    }
}

/// Bytes for TCP and UDP: escapes stand for bytes in `--body`, and an end of line is asked where
/// nothing is.
fn raw(options: &Options, body: Option<Bytes>) -> anyhow::Result<Bytes> {
    match body {
        None => Ok(Bytes::from_static(b"\n")),
        Some(bytes) if options.body.is_none() => Ok(bytes),
        Some(bytes) => Ok(unescape(&String::from_utf8_lossy(&bytes))?.into()),
    }
}

/// What a protocol writes itself, and forbids in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Http1,
    /// HTTP/2 and HTTP/3 (RFC 9113, section 8.2.2).
    Frames,
    /// Metadata of gRPC.
    Grpc,
    WebSocket,
}

impl Rules {
    /// Why a header cannot be sent; `None` where it can.
    fn forbid(self, name: &HeaderName, value: &HeaderValue) -> Option<&'static str> {
        let framing = *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING;
        let hop = [CONNECTION, UPGRADE].contains(name)
            || ["keep-alive", "proxy-connection"].contains(&name.as_str());
        let handshake = [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_ACCEPT].contains(name)
            || *name == "sec-websocket-extensions";
        match self {
            _ if framing => Some("wirebench writes it, as the body needs it"),
            Rules::Grpc
                if *name == CONTENT_TYPE
                    || *name == TE
                    || (name.as_str().starts_with("grpc-") && *name != "grpc-timeout") =>
            {
                Some("gRPC writes it")
            }
            Rules::Frames | Rules::Grpc if hop => Some("HTTP/2 and HTTP/3 have no such header"),
            Rules::Frames if *name == TE && value != "trailers" => {
                Some("over HTTP/2 and HTTP/3 it can only be 'trailers'")
            }
            Rules::WebSocket if hop || handshake => Some("the handshake of a WebSocket writes it"),
            _ => None,
        }
    }
}

/// The headers as they were given, with one `Host`.
fn headers(given: &[String], target: &Target, rules: Rules) -> Result<HeaderMap, UsageError> {
    let mut headers = HeaderMap::new();
    for header in given {
        let wrong = |what: &str| UsageError(format!("--header '{header}': {what}"));
        let (name, value) = header.split_once(':').ok_or_else(|| wrong("write 'Name: value'"))?;
        let name: HeaderName = name.parse().map_err(|_| wrong("this is no name of a header"))?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes())
            .map_err(|_| wrong("its value has a control character"))?;
        if let Some(why) = rules.forbid(&name, &value) {
            return Err(wrong(why));
        }
        if name == HOST && headers.contains_key(HOST) {
            return Err(wrong("a request has one Host"));
        }
        if name == HOST
            && value.to_str().ok().and_then(|host| host.parse::<http::uri::Authority>().ok()).is_none()
        {
            return Err(wrong("this is no host: write HOST or HOST:PORT"));
        }
        if headers.len() == HEADERS_MAX {
            return Err(UsageError(format!("a request has at most {HEADERS_MAX} headers")));
        }
        headers.append(name, value);
    }
    let own = |text: &str| HeaderValue::from_str(text).map_err(|error| UsageError(error.to_string()));
    if let (Some(basic), false) = (&target.authorization, headers.contains_key(http::header::AUTHORIZATION)) {
        headers.insert(http::header::AUTHORIZATION, own(basic)?);
    }
    if rules == Rules::WebSocket && !headers.contains_key(HOST) {
        headers.insert(HOST, own(&target.authority)?);
    }
    Ok(headers)
}

fn reply_end(options: &Options) -> Result<ReplyEnd, UsageError> {
    match (&options.reply_until, options.reply_bytes) {
        (Some(end), _) => match unescape(end)? {
            empty if empty.is_empty() => Err(UsageError("--reply-until must not be empty".to_owned())),
            end => Ok(ReplyEnd::Until(end)),
        },
        (None, Some(bytes)) => Ok(ReplyEnd::Bytes(bytes as usize)),
        (None, None) => Err(UsageError(
            "this target needs --reply-until, --reply-bytes or --frame market, to know where a reply ends"
                .to_owned(),
        )),
    }
}

/// Every symbol of the market, so that no cache serves them all.
fn quotes() -> Vec<Operation> {
    let data = proto::data::DataSet::new(0);
    (0..proto::data::SYMBOLS)
        .map(|index| Operation::Quote(QuoteRequest { symbol: data.symbol(index) }))
        .collect()
}

fn unescape(text: &str) -> Result<Vec<u8>, UsageError> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let wrong = || UsageError(format!("'{text}': a backslash must be followed by r, n, t, 0, \\ or xNN"));
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                (high * 16 + low) as u8
            }
            _ => return Err(wrong()),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bent::{bent, bent_text};
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(unescape(r"PING\r\n\x00\\").unwrap(), b"PING\r\n\0\\");
        assert!(unescape(r"\q").is_err() && unescape(r"\x1").is_err() && unescape("\\").is_err());
    }

    /// What is sent with files of requests and data such as these.
    fn sent(arguments: &[&str], files: &[(&str, &[u8])]) -> anyhow::Result<Request> {
        let folder = tempfile::tempdir().unwrap();
        let mut typed: Vec<String> = arguments.iter().copied().map(str::to_owned).collect();
        for (name, bytes) in files {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            typed.push(format!("--{name}={}", file.display()));
        }
        let options = Options::typed(&typed)?;
        let target = Target::parse(&options.target)?;
        let mix = Mix::read(&options, &target.written_path)?;
        request(&options, &target, &mix, &Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 9))))
    }

    #[test]
    fn a_request_has_at_most_so_many_headers() {
        let names: Vec<String> = (0..=HEADERS_MAX).map(|nth| format!("\"x-{nth}\":\"\"")).collect();
        let with = |names: &[String]| {
            let line = format!("{{\"path\":\"/\",\"headers\":{{{}}}}}", names.join(","));
            sent(&["http://127.0.0.1:9/"], &[("requests", line.as_bytes())])
        };
        assert!(with(&names[1..]).is_ok());
        assert!(with(&names).unwrap_err().to_string().contains("at most 10000 headers"));
    }

    /// A body in the file of requests, sent with each row.
    #[test]
    fn all_requests_have_a_bound_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            format!("--{name}={}", folder.path().join(name).display())
        };
        let requests =
            file("requests", "{\"path\":\"/{{id}}\",\"body\":\"abcde\",\"headers\":{\"a\":\"b\"}}");
        let data = file("data", "id\n1\n2\n3\n");
        let options = Options::typed(&["http://127.0.0.1:9/", &requests, &data]).unwrap();
        let target = Target::parse(&options.target).unwrap();
        let mix = Mix::read(&options, "/").unwrap();
        let made = |bytes: usize| {
            let room = Room(Cell::new(bytes));
            let make = |filled| http_request(&options, &target, HttpVersion::Http1, None, &filled, &room);
            mix.filled().map(make).collect::<anyhow::Result<Vec<_>>>()
        };
        // Three times a path of two bytes, a header of four and a body of five.
        assert_eq!(made(33).unwrap().len(), 3);
        let error = made(32).unwrap_err().to_string();
        assert!(error.contains("more than 512 MiB together"), "{error}");
    }

    const REQUESTS: &[&str] = &[
        "127.0.0.1 - - [30/Nov/2026:01:00:00 +0000] \"GET /items/17?x=1#y HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n\
         ::1 - me [30/Nov/2026:01:00:01 +0000] \"POST /a%20b/\\x22 HTTP/2.0\" 500 0\n- \"-\" 400 0\n",
        "{\"path\":\"/a/{{id}}\",\"weight\":600}\n\n{\"method\":\"POST\",\"path\":\"/b/deadbeef-1\",\"body\":{\"x\":[1,\"{{name}}\"]},\"weight\":200}\n",
        "{\"headers\":{\"x-id\":\"{{id}}\",\"host\":\"a.test:80\"},\"name\":\"n\",\"body\":\"{{ name }}\"}\n{\"weight\":0}\n",
    ];
    const DATA: &[&str] = &[
        "id,name\n1,\"a, b\"\n2,\"\"\"\"\n",
        "id, name ,id\r\n1,\"a\nb\",3\r\n",
        "{\"id\":1,\"name\":\"\\u00fc\"}\n{\"id\":[null,1e3],\"name\":{}}\n",
    ];

    proptest! {
        /// Whatever files hold, each request can be sent, and goes where it should; or it is said
        /// what is wrong.
        #[test]
        fn any_files_become_requests_or_are_refused(
            requests in bent(REQUESTS), data in bent(DATA), has_data: bool, is_random: bool, is_http2: bool,
        ) {
            let mut arguments = vec!["http://me:too@a.test:81/x/{{id}}?{{name}}#y"];
            arguments.extend(is_random.then_some("--order=random"));
            arguments.extend(is_http2.then_some("--http2"));
            let files = [("requests", &requests[..]), ("data", &data[..])];
            match sent(&arguments, &files[..1 + usize::from(has_data)]) {
                Err(error) => prop_assert!(error.is::<UsageError>(), "{error:?}"),
                Ok(Request::Http { requests, .. }) => {
                    prop_assert!((1..=100_000).contains(&requests.len()));
                    for request in requests {
                        prop_assert_eq!(request.uri.authority().unwrap().as_str(), "a.test:81");
                        let path = request.uri.path_and_query().unwrap().as_str();
                        prop_assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{path:?}");
                    }
                }
                Ok(other) => prop_assert!(false, "{other:?}"),
            }
        }

        /// Bytes that are typed, for TCP.
        #[test]
        fn any_escapes_become_bytes_or_are_refused(
            body in bent_text(&[r"PING\r\n\x00\\"]), end in bent_text(&[r"\r\n", "+", r"\0"]), data in bent(DATA),
        ) {
            prop_assume!(!body.contains('\0') && !end.contains('\0'));
            let (body, end) = (format!("--body={body}{{{{id}}}}"), format!("--reply-until={end}"));
            match sent(&["tcp://127.0.0.1:9", &body, &end], &[("data", &data)]) {
                Err(error) => prop_assert!(error.is::<UsageError>(), "{error:?}"),
                Ok(Request::Tcp(_, ReplyEnd::Until(end), _)) => prop_assert!(!end.is_empty()),
                Ok(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
