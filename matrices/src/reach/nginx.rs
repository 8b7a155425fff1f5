//! nginx in front of the servers: a cache for repeated reads, and the one origin of the browser's
//! page and of what it calls.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clients::raw::{self, HttpRequest, TextAnswer};
use files::TemporaryFolder;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use lab::program::Program;
use terms::HttpVersion;

use super::answer::is_right;
use super::curl::GRPC_FRAME;
use super::{Bench, CACHES, CANNOT, Contender, NOT_INSTALLED, PASSES, QUERY, Tried};

/// Reads in a row through the cache.
pub(super) const READS: usize = 20;
/// Time in which nginx must listen.
const START_TIME_MAX: Duration = Duration::from_secs(10);
/// How often another port is tried, where somebody took the one that was free.
const TRIES: usize = 3;

/// nginx, running.
pub(super) struct Nginx {
    /// HTTP/1.1: the page, and everything that is passed on.
    pub(super) http: SocketAddr,
    /// HTTP/2 in plain text, for gRPC.
    h2: SocketAddr,
    /// Where the page says what it saw.
    pub(super) told: TcpListener,
    // Before its folder.
    _program: Program,
    pub(super) folder: TemporaryFolder,
}

impl Nginx {
    /// Starts it, with every server of the bench behind it.
    pub(super) fn start(program: &Path, bench: &Bench) -> anyhow::Result<Nginx> {
        let mut last = None;
        for _ in 0..TRIES {
            match Nginx::try_start(program, bench) {
                Ok(nginx) => return Ok(nginx),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("nginx was not started")))
    }

    fn try_start(program: &Path, bench: &Bench) -> anyhow::Result<Nginx> {
        let folder = TemporaryFolder::make().context("making a temporary folder")?;
        let told = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (http, h2) = (free_port()?, free_port()?);
        let settings = configuration(folder.path(), http, h2, told.local_addr()?, bench)?;
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, settings)?;
        std::fs::create_dir(folder.path().join("page"))?;
        let log = std::fs::File::create(folder.path().join("start.log"))?;
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut program = Program::start(&mut command).context("starting nginx")?;
        let clock = clock::Clock::System;
        let end = clock.now() + START_TIME_MAX;
        while TcpStream::connect(http).is_err() || TcpStream::connect(h2).is_err() {
            if program.ended()?.is_some() || clock.now() >= end {
                let log = std::fs::read_to_string(folder.path().join("start.log")).unwrap_or_default();
                anyhow::bail!("nginx does not listen: {}", super::answer::brief(&log));
            }
            clock::pause_thread(Duration::from_millis(10));
        }
        Ok(Nginx { http, h2, told, _program: program, folder })
    }
}

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A cache, and each path passed on to its server: what any introduction to nginx has, and nothing
/// else. It is one process, so that none outlives this one, however this one ends: workers survive
/// the death of their master.
fn configuration(
    folder: &Path,
    http: SocketAddr,
    h2: SocketAddr,
    told: SocketAddr,
    bench: &Bench,
) -> anyhow::Result<String> {
    let (rest, graphql) = (bench.address(Contender::Rest)?, bench.address(Contender::GraphQl)?);
    let (grpc, websocket) = (bench.address(Contender::Grpc)?, bench.address(Contender::WebSocket)?);
    let folder = folder.display();
    // As root, workers would become somebody who may not read the folder.
    let user = if std::fs::metadata("/proc/self").is_ok_and(|of| is_root(&of)) { "user root;" } else { "" };
    Ok(format!(
        r#"{user} daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
  access_log off; default_type text/html;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=reads:1m;
  proxy_http_version 1.1;
  add_header x-cache $upstream_cache_status always;
  server {{
    listen {http};
    root {folder}/page;
    location /v1/ {{ proxy_pass http://{rest}; proxy_cache reads; }}
    location = /graphql {{ proxy_pass http://{graphql}; proxy_cache reads; }}
    location = /v1/socket {{
      proxy_pass http://{websocket}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
    location /wirebench.market.v1.Market/ {{ grpc_pass grpc://{grpc}; }}
    location /web/ {{ proxy_pass http://{grpc}/; proxy_cache reads; }}
    location = /done {{ proxy_pass http://{told}; }}
  }}
  server {{
    listen {h2} http2;
    location /wirebench.market.v1.Market/ {{ grpc_pass grpc://{grpc}; }}
  }}
}}
"#
    ))
}

fn is_root(of: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    of.uid() == 0
}

/// Reads every contender again and again through nginx.
pub(super) fn reads(nginx: Option<&Nginx>) -> anyhow::Result<Vec<Tried>> {
    super::each(|contender| {
        let Some(nginx) = nginx else { return Ok(Tried::new(NOT_INSTALLED, "nginx was not found")) };
        if contender == Contender::Tcp {
            return Ok(over_tcp(nginx));
        }
        let runtime = clients::local_runtime()?;
        Ok(runtime.block_on(read(nginx, contender)))
    })
}

/// Reads in a row, each on a connection of its own.
async fn read(nginx: &Nginx, contender: Contender) -> Tried {
    let (mut right, mut hits, mut last) = (0, 0, String::new());
    for nth in 0..READS {
        match read_once(nginx, contender, nth == 0).await {
            Ok((is_right, is_hit)) => {
                right += usize::from(is_right);
                hits += usize::from(is_right && is_hit);
            }
            Err(error) => last = error.to_string(),
        }
    }
    if right < READS {
        let last = if last.is_empty() { "not the quote".to_owned() } else { super::answer::brief(&last) };
        return Tried::new(CANNOT, format!("{right} of {READS} reads were right: {last}"));
    }
    let ratio = format!("{hits} of {READS} reads from the cache ({} %)", 100 * hits / READS);
    if hits > 0 { Tried::new(CACHES, ratio) } else { Tried::new(PASSES, ratio) }
}

/// Whether the answer was right, and whether it came from the cache.
async fn read_once(nginx: &Nginx, contender: Contender, first: bool) -> anyhow::Result<(bool, bool)> {
    let (server, version) = match contender {
        Contender::Grpc => (nginx.h2, HttpVersion::Http2),
        _ => (nginx.http, HttpVersion::Http1),
    };
    if contender == Contender::WebSocket {
        let text = r#"{"id":7,"kind":"quote_request","body":{"symbol":"AAAA"}}"#.to_owned();
        let answer = raw::text(server, "/v1/socket", "wirebench.json.v1", text).await?;
        return Ok(match answer {
            TextAnswer::Text(text) => (is_right(contender, text.as_bytes()), false),
            TextAnswer::Closed(..) => (false, false),
        });
    }
    if contender == Contender::Persisted && first {
        raw::http(server, version, get(&persisted(true))?).await?;
    }
    let request = match contender {
        Contender::Rest => get("/v1/quotes/AAAA")?,
        Contender::Persisted => get(&persisted(false))?,
        Contender::GraphQl => {
            let body = serde_json::json!({ "query": QUERY, "variables": { "s": "AAAA" } }).to_string();
            post("/graphql", "application/json", body.into_bytes())?
        }
        Contender::GrpcWeb => post(
            "/web/wirebench.market.v1.Market/GetQuote",
            "application/grpc-web+proto",
            GRPC_FRAME.to_vec(),
        )?,
        _ => {
            let uri = format!("http://{server}/wirebench.market.v1.Market/GetQuote");
            let mut request = post(&uri, "application/grpc", GRPC_FRAME.to_vec())?;
            request.headers.insert(header::TE, HeaderValue::from_static("trailers"));
            request
        }
    };
    let answer = raw::http(server, version, request).await?;
    let hit = answer.headers.get("x-cache").is_some_and(|status| status == "HIT");
    Ok((is_right(contender, &answer.body), hit))
}

fn get(path: &str) -> anyhow::Result<HttpRequest> {
    let (uri, body) = (Uri::try_from(path)?, bytes::Bytes::new());
    Ok(HttpRequest { method: Method::GET, uri, headers: HeaderMap::new(), body })
}

fn post(uri: &str, media_type: &'static str, body: Vec<u8>) -> anyhow::Result<HttpRequest> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(HttpRequest { method: Method::POST, uri: Uri::try_from(uri)?, headers, body: body.into() })
}

/// Path and query of a persisted query, with its text or without.
fn persisted(with_text: bool) -> String {
    let extensions =
        format!(r#"{{"persistedQuery":{{"version":1,"sha256Hash":"{}"}}}}"#, super::curl::hash());
    let text = if with_text { format!("&query={}", encoded(QUERY)) } else { String::new() };
    format!("/graphql?variables={}&extensions={}{text}", encoded(r#"{"s":"AAAA"}"#), encoded(&extensions))
}

/// As a query string writes it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The frames of TCP to the port of HTTP: what a proxy for HTTP says of them.
fn over_tcp(nginx: &Nginx) -> Tried {
    let talk = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(nginx.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA")?;
        let mut answer = vec![0; 1024];
        let bytes = stream.read(&mut answer)?;
        answer.truncate(bytes);
        Ok(answer)
    };
    match talk() {
        Ok(answer) if is_right(Contender::Tcp, &answer) => Tried::new(PASSES, "through the port of HTTP"),
        Ok(answer) => {
            let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or("nothing").to_owned();
            Tried::new(CANNOT, format!("no HTTP, which is what a cache for HTTP passes on: {line}"))
        }
        Err(error) => Tried::new(CANNOT, error.to_string()),
    }
}
