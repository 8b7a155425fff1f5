//! An event source as the WHATWG's HTML standard has it: it reconnects and resumes by itself, and
//! says how often it did and what it missed.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventsource_stream::{Event, EventStreamError, Eventsource as _};
use futures::stream::{self, Stream, StreamExt as _};
use http::HeaderValue;
use proto::encoding::Encoding;
use proto::v1::Tick;
use tokio::task::coop::consume_budget;

use super::lines::Lines;
use super::{Http, SseConnector};
use crate::connection::{CallError, in_time};
use crate::http_errors::failure;
use crate::http_request::Origin;
use crate::limits::{CONNECT_TIME_MAX, EVENTS_TURN_BYTES, RETRY_MAX, RETRY_MIN};
use crate::protocols::rest;

/// The pause before a reconnection, until the server asks for another.
const RETRY: Duration = Duration::from_secs(1);
/// Reconnections that may fail one after the other.
const RETRIES_MAX: u32 = 10;

type Events = Pin<Box<dyn Stream<Item = Result<Event, CallError>>>>;

#[derive(serde::Deserialize)]
struct Gap {
    missed: u64,
}

/// A stream of events that outlives its connections.
pub struct EventSource {
    connector: SseConnector,
    path: String,
    /// `None` between two connections.
    events: Option<Events>,
    last_event_id: String,
    retry: Duration,
    /// Reconnections that may fail one after the other; 0 where it is not for this stream to
    /// reconnect.
    retries_max: u32,
    reconnections: u64,
    missed: u64,
    over: bool,
}

impl EventSource {
    pub(super) fn new(connector: SseConnector, path: String, last_event_id: String) -> EventSource {
        EventSource {
            connector,
            path,
            events: None,
            last_event_id,
            retry: RETRY,
            retries_max: RETRIES_MAX,
            reconnections: 0,
            missed: 0,
            over: false,
        }
    }

    /// Ends with its connection.
    pub(super) fn never_reconnects(&mut self) {
        self.retries_max = 0;
    }

    /// How often it connected again.
    pub fn reconnections(&self) -> u64 {
        self.reconnections
    }

    /// Ticks that the server said it could not give any more.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The next tick; an error once, where the server refuses or stays away, and then `None`.
    pub async fn next(&mut self) -> Option<Result<Tick, CallError>> {
        if self.over {
            return None;
        }
        let next = self.next_tick().await;
        self.over = next.is_err();
        Some(next)
    }

    async fn next_tick(&mut self) -> Result<Tick, CallError> {
        loop {
            let Some(events) = &mut self.events else {
                self.reconnect().await?;
                continue;
            };
            let event = match events.next().await {
                Some(Ok(event)) => event,
                // More than an event may have, which asking again would bring again; or nobody asks
                // again, and hears why.
                Some(Err(error)) if self.retries_max == 0 || matches!(error, CallError::Limit(_)) => {
                    return Err(error);
                }
                // However it ended: what was not seen is asked for again.
                Some(Err(_)) | None => {
                    self.events = None;
                    continue;
                }
            };
            if let Some(retry) = event.retry {
                self.retry = retry.clamp(RETRY_MIN, RETRY_MAX);
            }
            if !event.id.is_empty() {
                self.last_event_id.clone_from(&event.id);
            }
            match event.event.as_str() {
                "tick" => {
                    let tick = Encoding::Json.decode(event.data.as_bytes());
                    return tick.map_err(|error| CallError::Protocol(error.to_string()));
                }
                "gap" => {
                    let gap: Gap = serde_json::from_str(&event.data)
                        .map_err(|error| CallError::Protocol(format!("a gap event: {error}")))?;
                    self.missed = self.missed.saturating_add(gap.missed);
                }
                // As a browser does with an event that nobody listens for.
                _ => consume_budget().await,
            }
        }
    }

    async fn reconnect(&mut self) -> Result<(), CallError> {
        for attempt in 1..=self.retries_max {
            clock::pause(self.retry).await;
            self.reconnections += 1;
            match in_time(CONNECT_TIME_MAX, self.open(None)).await {
                Err(CallError::Refused(_) | CallError::Reset(_)) if attempt < self.retries_max => {}
                other => return other,
            }
        }
        Err(CallError::Reset("the event stream ended".to_owned()))
    }

    /// Opens a connection, or takes this one, and asks for what comes after the last event seen.
    pub(super) async fn open(&mut self, connection: Option<Http>) -> Result<(), CallError> {
        let SseConnector { endpoint, http: version } = &self.connector;
        let http = match connection {
            Some(http) => http,
            None => Http::open(endpoint, *version).await?,
        };
        let mut request = Origin::new(endpoint, *version).get(&self.path, "text/event-stream")?;
        if !self.last_event_id.is_empty() {
            let id = HeaderValue::from_str(&self.last_event_id)
                .map_err(|error| CallError::Protocol(format!("the last event's id: {error}")))?;
            request.headers.insert("last-event-id", id);
        }
        let (head, body) =
            http.send(request.build(None)).await.map_err(|error| failure(&error))?.into_parts();
        if !head.status.is_success() {
            return Err(rest::refusal(&http.collect(head, body).await?));
        }
        let chunks = stream::unfold((http, body), async |(http, mut body)| {
            let chunk = http.next_data(&mut body).await?;
            // A server can make a thousand of them of what is read at once.
            consume_budget().await;
            Some((chunk, (http, body)))
        });
        self.events = Some(read_events(chunks));
        Ok(())
    }
}

/// The events of a stream that comes in chunks.
fn read_events(chunks: impl Stream<Item = Result<Bytes, CallError>> + 'static) -> Events {
    let mut start = Some(BytesMut::new());
    let lines = Rc::new(RefCell::new(Lines::default()));
    let (given, taken) = (Rc::clone(&lines), lines);
    let whole = move |chunk: Result<Bytes, CallError>| {
        given.borrow_mut().add(without_byte_order_mark(&mut start, chunk?))
    };
    let pieces = chunks.map(whole).flat_map(|whole| {
        let (pieces, over) = whole.map_or_else(|over| (None, Some(Err(over))), |pieces| (Some(pieces), None));
        stream::iter(pieces.into_iter().flatten().map(Ok).chain(over))
    });
    // The parser goes on to the next event, however many pieces have none.
    let mut given = 0;
    let in_turns = pieces.then(move |piece| {
        given += piece.as_ref().map_or(0, Bytes::len);
        let turn_is_over = given > EVENTS_TURN_BYTES;
        given = if turn_is_over { 0 } else { given };
        async move {
            if turn_is_over {
                tokio::task::yield_now().await;
            }
            piece
        }
    });
    let events = in_turns.boxed_local().eventsource();
    Box::pin(events.map(move |event| {
        taken.borrow_mut().event_came();
        event.map_err(|error| match error {
            EventStreamError::Transport(error) => error,
            error => CallError::Protocol(error.to_string()),
        })
    }))
}

/// The standard ignores a byte order mark at the start; eventsource-stream 0.2.3 panics at one, so
/// that it must not come to see it, and not a second one behind it either: hence an empty line,
/// which means nothing there.
fn without_byte_order_mark(start: &mut Option<BytesMut>, chunk: Bytes) -> Bytes {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let Some(mut held) = start.take() else { return chunk };
    held.extend_from_slice(&chunk);
    if held.len() < MARK.len() && MARK.starts_with(&held) {
        *start = Some(held);
        return Bytes::new();
    }
    let rest = held.strip_prefix(MARK).unwrap_or(&held);
    [b"\n", rest].concat().into()
}

#[cfg(test)]
mod tests {
    use proto::v1::SubscribeRequest;
    use terms::HttpVersion;

    use super::*;
    use crate::Connector as _;
    use crate::limits::EVENT_BYTES_MAX;

    /// The events of a stream that comes in these pieces, by the parser that the client uses.
    fn parse(pieces: &[&str]) -> Vec<(String, String, String)> {
        let pieces: Vec<Result<Bytes, CallError>> =
            pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes()))).collect();
        let events = read_events(stream::iter(pieces));
        let runtime = crate::local_runtime().unwrap();
        let events = runtime.block_on(events.map(Result::unwrap).collect::<Vec<_>>());
        events.into_iter().map(|event| (event.event, event.data, event.id)).collect()
    }

    fn event(name: &str, data: &str, id: &str) -> (String, String, String) {
        (name.to_owned(), data.to_owned(), id.to_owned())
    }

    /// The examples of the WHATWG's HTML standard, section 9.2.6, "Interpreting an event stream".
    #[test]
    fn event_streams_are_read_as_the_standard_has_it() {
        let ticker = ["data: YHOO\ndata: +2\ndata: 10\n\n"];
        assert_eq!(parse(&ticker), [event("message", "YHOO\n+2\n10", "")]);
        let ids =
            [": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"];
        // The third has no blank line behind it and is dropped.
        assert_eq!(parse(&ids), [event("message", "first event", "1"), event("message", "second event", "")]);
        let empty = ["data\n\ndata\ndata\n\ndata:"];
        // The last has no blank line behind it.
        assert_eq!(parse(&empty), [event("message", "", ""), event("message", "\n", "")]);
        assert_eq!(parse(&["data:test\n\ndata: test\n\n"]), vec![event("message", "test", ""); 2]);
    }

    #[test]
    fn line_ends_and_pieces_do_not_matter() {
        for end in ["\n", "\r\n", "\r"] {
            // A carriage return alone is a line's end only once it is seen that no line feed
            // follows: hence the comment.
            let text = ["event: tick", "id: 7", "data: {}", "", ":", ""].join(end);
            assert_eq!(parse(&[&text]).first(), Some(&event("tick", "{}", "7")), "{end:?}");
        }
        assert_eq!(parse(&["\u{feff}event: ti", "ck\nda", "ta: {}\n", "\n"]), [event("tick", "{}", "")]);
        // Only one is a mark; the second is part of a name that nobody knows.
        let two = ["\u{feff}\u{feff}event: tick\ndata: 1\n\n"];
        assert_eq!(parse(&two), [event("message", "1", "")]);
    }

    /// How a stream of these pieces, again and again, ends: after how many of them, and why.
    fn endless(piece: &'static [u8]) -> (usize, CallError) {
        let given = Rc::new(std::cell::Cell::new(0));
        let counted = Rc::clone(&given);
        let pieces = stream::repeat_with(move || {
            counted.set(counted.get() + 1);
            Ok(Bytes::from_static(piece))
        });
        let mut events = read_events(pieces.take(10 << 20));
        let runtime = crate::local_runtime().unwrap();
        let ended = runtime.block_on(async {
            loop {
                match events.next().await.unwrap() {
                    Ok(_) => assert!(given.get() < 10 << 20),
                    Err(error) => return error,
                }
            }
        });
        (given.get(), ended)
    }

    /// Else the parser would keep all of it, and read it again from its beginning with each piece.
    #[test]
    fn lines_and_events_without_end_are_over_a_limit() {
        for piece in [&b"data"[..], b"data: more\n", b"id: 7\r", b"event: x\r\n", b":\n"] {
            let (pieces, error) = endless(piece);
            assert!(matches!(error, CallError::Limit(_)), "{piece:?}: {error}");
            assert!(pieces * piece.len() <= EVENT_BYTES_MAX + piece.len(), "{piece:?}: after {pieces}");
        }
    }

    #[test]
    fn many_small_events_and_comments_are_no_long_one() {
        for end in ["\n", "\r\n", "\r"] {
            let event = ["data: x", "", ""].join(end);
            let comment = [":", "", ""].join(end);
            let many = event.repeat(2 * EVENT_BYTES_MAX / event.len());
            let silent = comment.repeat(2 * EVENT_BYTES_MAX / comment.len());
            let (first, rest) = many.split_at(many.len() / 2 + 1);
            let pieces = [silent.as_str(), first, rest, silent.as_str(), ":\n"];
            assert_eq!(parse(&pieces).len(), many.len() / event.len(), "{end:?}");
        }
    }

    /// A server that hangs up after each answer; gives back the requests that it got.
    fn cut_off_after(
        answers: Vec<&'static str>,
    ) -> (std::net::SocketAddr, std::thread::JoinHandle<Vec<String>>) {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for body in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    request.push(byte[0]);
                }
                requests.push(String::from_utf8(request).unwrap());
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
            requests
        });
        (address, serving)
    }

    #[test]
    fn a_source_resumes_where_it_was_cut_off_and_counts_what_it_missed() {
        let (address, serving) = cut_off_after(vec![
            "retry: 1\nid: 1\nevent: tick\ndata: {\"sequence\":1}\n\nid: 2\nevent: tick\ndata: {\"sequence\":2}\n\nid: 3\nev",
            "event: gap\ndata: {\"missed\":3}\n\nid: 6\nevent: tick\ndata: {\"sequence\":6}\n\n",
        ]);
        let runtime = crate::local_runtime().unwrap();
        let (sequences, reconnections, missed) = runtime.block_on(async {
            let connection =
                SseConnector { endpoint: address.into(), http: HttpVersion::Http1 }.connect().await.unwrap();
            let mut source = connection.event_source(&SubscribeRequest::default()).await.unwrap();
            let mut sequences = Vec::new();
            for _ in 0..3 {
                sequences.push(source.next().await.unwrap().unwrap().sequence);
            }
            (sequences, source.reconnections(), source.missed())
        });
        assert_eq!((sequences, reconnections, missed), (vec![1, 2, 6], 1, 3));
        let requests = serving.join().unwrap();
        assert!(!requests[0].contains("last-event-id"), "{}", requests[0]);
        // The event that was cut in two was not seen.
        assert!(requests[1].contains("last-event-id: 2\r\n"), "{}", requests[1]);
    }
}
