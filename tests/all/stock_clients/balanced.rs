//! The same clients behind a balancer at layer 7, and a browser's EventSource.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use servers::between::{Backends, Layer7};
use servers::{Limits, Shutdown};
use terms::Route;

use super::Serve;

/// Protocols that a balancer at layer 7 reads.
const OVER_HTTP: [&str; 5] = ["rest", "graphql", "grpc", "sse", "websocket"];

/// Balancers on a thread of their own; they end when this is dropped.
pub(super) struct Balancers(Shutdown);

impl Balancers {
    /// Puts one before each address that `wirebench serve` printed for a protocol over HTTP, and
    /// has its own stand there.
    pub(super) fn before(lines: &mut [String]) -> Balancers {
        let shutdown = Shutdown::new();
        for line in lines {
            let Some((protocol, behind)) = line.split_once(' ') else { continue };
            if OVER_HTTP.contains(&protocol) {
                let authority = behind.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
                let server = authority.parse().unwrap();
                *line = line.replace(&authority, &start(vec![server], Vec::new(), &shutdown).to_string());
            }
        }
        Balancers(shutdown)
    }
}

impl Drop for Balancers {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn start(servers: Vec<SocketAddr>, routes: Vec<Route>, shutdown: &Shutdown) -> SocketAddr {
    let (tell, told) = channel();
    let shutdown = shutdown.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let backends = Backends::new(servers);
            let started = Layer7::start(any, backends, routes, None, Limits::default(), shutdown);
            let balancer = started.await.unwrap();
            tell.send(balancer.address).unwrap();
            balancer.task.await.unwrap();
        });
    });
    told.recv().unwrap()
}

/// A page that listens, and says what it heard.
const PAGE: &str = "<!doctype html><script>
const seen = [];
new EventSource('/v1/ticks/stream').addEventListener('tick', event => {
  seen.push(event.lastEventId);
  if (seen.length == 3) fetch('/page/seen?' + seen.join(','));
});
</script>";

/// Serves the page; says which paths were asked for.
fn serve_page() -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(Ok(first)) = lines.next() {
                    let head = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty());
                    let _ = (head.count(), tell.send(first));
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length";
                    if write!(stream, "{head}: {}\r\n\r\n{PAGE}", PAGE.len()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, told)
}

/// The page and the stream have one origin, because routes bring them together.
#[test]
fn a_browsers_eventsource_hears_events_through_a_balancer() {
    let Some(browser) = ::lab::program::find(&["chromium", "chromium-browser", "google-chrome"]) else {
        return ::lab::skip("chromium is not installed");
    };
    let serve = Serve::start();
    let (page, asked) = serve_page();
    let shutdown = Shutdown::new();
    let servers = vec![serve.authority("sse").parse().unwrap(), page];
    let routes = vec![Route::parse("path /page market.2").unwrap(), Route::parse("path / market.1").unwrap()];
    let balancer = start(servers, routes, &shutdown);
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{balancer}/page"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = None;
    while let Ok(asked) = asked.recv_timeout(Duration::from_secs(30)) {
        if let Some((_, ids)) = asked.split_once("/page/seen?") {
            seen = ids.split(' ').next().map(str::to_owned);
            break;
        }
    }
    browser.kill().unwrap();
    browser.wait().unwrap();
    shutdown.cancel();
    let seen = seen.expect("the page heard no events");
    let ids: Vec<u64> = seen.split(',').map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2], "each event, in its order");
}
