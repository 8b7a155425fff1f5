//! Little servers of known behaviour, each on a thread, gone with the test.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::{Clock, Mono};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// A reply that says that all is well.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server on TCP.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Seen>,
}

/// What a server saw.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Heads and bodies, in the order in which they came.
    all: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Server {
    /// Serves each connection on a thread, told which it is.
    pub(crate) fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Server {
        Server::seeing(move |stream, nth, _| serve(stream, nth))
    }

    fn seeing(serve: impl Fn(TcpStream, usize, &Seen) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let (serve, theirs) = (Arc::new(serve), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let nth = theirs.connections.fetch_add(1, Ordering::Relaxed);
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&theirs));
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || serve(stream, nth, &seen));
            }
        });
        Server { port, seen }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        let path = if scheme.starts_with("http") || scheme.starts_with("ws") { "/" } else { "" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// Connections that were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// All that came: heads, and the bodies behind them.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.seen.all.lock().unwrap().clone()
    }

    /// The last head that came.
    pub(crate) fn last(&self) -> String {
        self.all().pop().unwrap().0
    }

    /// The body behind it.
    pub(crate) fn last_body(&self) -> Vec<u8> {
        self.all().pop().unwrap().1
    }
}

/// The values of a header, in their order.
pub(crate) fn head(text: &str, name: &str) -> Vec<String> {
    let fields = text.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

/// Reads a request: its head, and the bytes that its length says.
fn read_request(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let length = head(&text, "content-length").first().map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((text, body))
}

/// Answers HTTP/1.1 as it is told, by how many requests came before.
pub(crate) fn http(reply: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::seeing(move |mut stream, _, seen| {
        while let Ok(request) = read_request(&mut stream) {
            seen.all.lock().unwrap().push(request);
            let nth = seen.requests.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(&reply(nth)).is_err() {
                return;
            }
        }
    })
}

/// Answers HTTP/1.1 by the head of each request.
pub(crate) fn web(reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::start(move |mut stream, _| {
        while let Ok((head, _)) = read_request(&mut stream) {
            if stream.write_all(&reply(&head)).is_err() {
                return;
            }
        }
    })
}

/// Sends a message each 50 ms over WebSocket, and a Ping with it.
pub(crate) fn websocket_feed() -> Server {
    Server::start(|stream, _| {
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        let every = || clock::pause_thread(Duration::from_millis(50));
        while socket.send(Message::text("tick")).is_ok()
            && socket.send(Message::Ping(tungstenite::Bytes::new())).is_ok()
        {
            every();
        }
    })
}

/// Sends an event each 50 ms over SSE to so many listeners, and 503 to others.
pub(crate) fn event_feed(listeners: usize) -> Server {
    Server::start(move |mut stream, nth| {
        let Ok((asked, _)) = read_request(&mut stream) else { return };
        if nth >= listeners || head(&asked, "accept") != ["text/event-stream"] {
            let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
            return;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        while stream.write_all(b": hello\n\ndata: tick\n\n").is_ok() {
            clock::pause_thread(Duration::from_millis(50));
        }
    })
}

/// Answers all with 200, and keeps what came last.
pub(crate) fn echoing() -> Server {
    http(|_| OK.to_vec())
}

/// Echoes messages over WebSocket; `then` has the socket after the first of a connection, if it
/// wants it.
pub(crate) fn websocket(then: fn(&mut WebSocket<TcpStream>, usize)) -> Server {
    Server::seeing(move |stream, nth, seen| {
        let keep = |request: &Request, response: Response| {
            let fields = request.headers().iter();
            let fields: String =
                fields.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
            seen.all.lock().unwrap().push((format!("GET\r\n{fields}"), Vec::new()));
            Ok(response)
        };
        let Ok(mut socket) = tungstenite::accept_hdr(stream, keep) else { return };
        while let Ok(message) = socket.read() {
            let is_data = message.is_text() || message.is_binary();
            if is_data && socket.send(message).is_ok() {
                then(&mut socket, nth);
            }
        }
    })
}

/// Pings twice a second, and breaks the connection off where no Pong comes.
pub(crate) fn pings(socket: &mut WebSocket<TcpStream>, _: usize) {
    let every = Duration::from_millis(500);
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut pinged: Option<Mono> = None;
    loop {
        if pinged.is_none_or(|at| Clock::System.now().since(at) > every) {
            if socket.send(Message::Ping(tungstenite::Bytes::new())).is_err() {
                return;
            }
            pinged = Some(Clock::System.now());
            let mut answered = false;
            while !answered && pinged.is_some_and(|at| Clock::System.now().since(at) < every) {
                match socket.read() {
                    Ok(Message::Pong(_)) => answered = true,
                    Ok(message) if message.is_text() => drop(socket.send(message)),
                    _ => {}
                }
            }
            if !answered {
                let _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
                return;
            }
        }
        if let Ok(message) = socket.read() {
            let _ = socket.send(message);
        }
    }
}

/// Closes a moment after a reply.
pub(crate) fn closes_after_each(socket: &mut WebSocket<TcpStream>, _: usize) {
    clock::pause_thread(Duration::from_millis(100));
    let _ = socket.close(None);
    let _ = socket.flush();
}

/// Answers what ends so, and closes after 100 ms in which nothing came.
pub(crate) fn closes_when_idle(mut stream: TcpStream, end: &[u8]) {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (mut read, mut byte) = (Vec::new(), [0]);
    while matches!(stream.read(&mut byte), Ok(1)) {
        read.push(byte[0]);
        if read.ends_with(end) {
            read.clear();
            let reply = if end == b"\n" { &b"fine\n"[..] } else { OK };
            if stream.write_all(reply).is_err() {
                return;
            }
        }
    }
}

/// Answers so many requests on a connection, and closes it as the next one comes.
pub(crate) fn answers_so_many(mut stream: TcpStream, many: usize) {
    for _ in 0..many {
        if read_request(&mut stream).is_err() || stream.write_all(OK).is_err() {
            return;
        }
    }
    let _ = read_request(&mut stream);
}
