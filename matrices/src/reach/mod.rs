//! The experiment `reach`: who gets a quote with stock tools and no code that is generated from our
//! schema, and whether an HTTP cache in front keeps it. Every cell is tried on this machine; what a
//! machine lacks is said, and never guessed.

mod answer;
mod browser;
mod curl;
mod nginx;
mod python;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use nginx::Nginx;
use proto::Protocol;
use record::matrix::{Apart, Column, MatrixCell, MatrixOutcome, MatrixRow, Missing, Part, Tone};
use servers::MarketConfig;
use servers::background::Background;
use servers::protocols::Settings;

use super::{Findings, go_on};

/// The contenders, in the order of the columns.
const CONTENDERS: [Contender; 7] = [
    Contender::Rest,
    Contender::GraphQl,
    Contender::Persisted,
    Contender::Grpc,
    Contender::GrpcWeb,
    Contender::WebSocket,
    Contender::Tcp,
];

const AS_IS: &str = "as is";
const CACHES: &str = "caches";
const BY_HAND: &str = "by hand";
const PASSES: &str = "passes";
const CANNOT: &str = "cannot";
const NOT_INSTALLED: &str = "not installed";

/// What curl, Python and the page ask GraphQL, and the SHA-256 by which it is persisted.
const QUERY: &str = "query($s:String!){quote(symbol:$s){symbol last_cents}}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Rest,
    GraphQl,
    Persisted,
    Grpc,
    GrpcWeb,
    WebSocket,
    Tcp,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::Rest => "rest",
            Contender::GraphQl => "graphql",
            Contender::Persisted => "graphql-persisted",
            Contender::Grpc => "grpc",
            Contender::GrpcWeb => "grpc-web",
            Contender::WebSocket => "websocket",
            Contender::Tcp => "tcp",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Contender::Rest => "REST",
            Contender::GraphQl => "GraphQL by POST",
            Contender::Persisted => "GraphQL by GET and hash",
            Contender::Grpc => "gRPC",
            Contender::GrpcWeb => "gRPC-Web",
            Contender::WebSocket => "WebSocket",
            Contender::Tcp => "TCP frames",
        }
    }

    fn means(self) -> &'static str {
        match self {
            Contender::Rest => "GET /v1/quotes/AAAA, JSON; Cache-Control: public, max-age=1",
            Contender::GraphQl => "POST of a query",
            Contender::Persisted => {
                "GET with the query’s SHA-256, after one GET that registers it (Apollo’s persisted queries); cacheable as REST’s is"
            }
            Contender::Grpc => "GetQuote over HTTP/2 in plain text, protobuf",
            Contender::GrpcWeb => {
                "gRPC for pages: the same frames by POST over HTTP/1.1, and the status as a last frame of the body (tonic-web, on the gRPC server’s port)"
            }
            Contender::WebSocket => "a text message with JSON",
            Contender::Tcp => "our length-prefixed frames around protobuf",
        }
    }

    /// The server that it is offered by.
    fn protocol(self) -> Protocol {
        match self {
            Contender::Rest => Protocol::Rest,
            Contender::GraphQl | Contender::Persisted => Protocol::GraphQl,
            Contender::Grpc | Contender::GrpcWeb => Protocol::Grpc,
            Contender::WebSocket => Protocol::WebSocket,
            Contender::Tcp => Protocol::Tcp,
        }
    }
}

pub(super) fn columns() -> Vec<Column> {
    let column = |of: Contender| Column {
        name: of.name().to_owned(),
        words: of.words().to_owned(),
        means: of.means().to_owned(),
    };
    CONTENDERS.map(column).to_vec()
}

pub(super) fn outcomes() -> Vec<MatrixOutcome> {
    let outcome = |name: &str, rank, tone, glyph: &str, apart, means: &str| MatrixOutcome {
        name: name.to_owned(),
        means: means.to_owned(),
        rank,
        tone,
        glyph: glyph.to_owned(),
        apart,
    };
    vec![
        outcome(AS_IS, 0, Tone::Best, "●", None, "The client has what it takes: the right quote came back."),
        outcome(CACHES, 0, Tone::Best, "◆", None, "Repeated reads are answered from the cache in front."),
        outcome(
            BY_HAND,
            1,
            Tone::Fair,
            "▲",
            None,
            "The right quote came back, and bytes of the protocol had to be written and read by hand.",
        ),
        outcome(
            PASSES,
            1,
            Tone::Fair,
            "▷",
            None,
            "It goes through, and no read is ever answered from the cache.",
        ),
        outcome(CANNOT, 2, Tone::Bad, "✕", None, "No right quote came back."),
        outcome(
            NOT_INSTALLED,
            3,
            Tone::Neutral,
            "?",
            Some(Apart::NotFound),
            "Not tried: this machine lacks what it takes.",
        ),
    ]
}

/// What a try came to.
struct Tried {
    outcome: &'static str,
    detail: String,
}

impl Tried {
    fn new(outcome: &'static str, detail: impl Into<String>) -> Tried {
        Tried { outcome, detail: detail.into() }
    }
}

/// The servers, and what is installed.
struct Bench {
    background: Background,
    curl: Option<PathBuf>,
    python: Option<PathBuf>,
    chromium: Option<PathBuf>,
    nginx: Option<PathBuf>,
}

impl Bench {
    fn address(&self, contender: Contender) -> anyhow::Result<SocketAddr> {
        self.background.address(contender.protocol()).context("a server that is not there")
    }

    fn missing(&self) -> Vec<Missing> {
        let found = [
            (self.curl.is_none(), "curl", "apt-get install curl"),
            (self.python.is_none(), "python3", "apt-get install python3"),
            (self.chromium.is_none(), "chromium", "apt-get install chromium"),
            (self.nginx.is_none(), "nginx", "apt-get install nginx"),
        ];
        let missing = found.into_iter().filter(|(is_missing, ..)| *is_missing);
        missing.map(|(_, what, get)| Missing { what: what.to_owned(), get: get.to_owned() }).collect()
    }
}

/// A row: its name, its group, what it is, and its cells.
struct Tries {
    name: &'static str,
    group: &'static str,
    words: &'static str,
    tries: Vec<Tried>,
}

pub(super) fn run(stop: &AtomicBool, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Findings> {
    let protocols: Vec<Protocol> =
        [Protocol::Rest, Protocol::GraphQl, Protocol::Grpc, Protocol::WebSocket, Protocol::Tcp].to_vec();
    let settings = Settings { grpc_web: true, ..Settings::default() };
    let bench = Bench {
        background: Background::start(&protocols, MarketConfig::default(), settings)
            .context("starting the servers")?,
        curl: lab::program::find(&["curl"]),
        python: lab::program::find(&["python3"]),
        chromium: lab::program::find(&["chromium", "chromium-browser", "google-chrome", "chrome"]),
        nginx: lab::program::find(&["nginx"]),
    };
    tell("curl");
    let curl = each(|contender| curl::quote(&bench, contender))?;
    go_on(stop)?;
    tell("Python's standard library");
    let python = each(|contender| python::quote(&bench, contender))?;
    go_on(stop)?;
    let nginx = bench.nginx.as_ref().map(|program| Nginx::start(program, &bench)).transpose()?;
    // Before the browser, whose page reads through the same cache.
    tell("nginx as a cache");
    let cache = nginx::reads(nginx.as_ref())?;
    go_on(stop)?;
    tell("Chromium");
    let [own, other] = browser::quotes(&bench, nginx.as_ref(), stop)?;
    go_on(stop)?;
    let rows = [
        Tries {
            name: "curl",
            group: "stock client",
            words: "curl, with what its command line has; bytes by hand go through telnet:// or a file",
            tries: curl,
        },
        Tries {
            name: "Python",
            group: "stock client",
            words: "urllib and socket of Python’s standard library, no package beside it",
            tries: python,
        },
        Tries {
            name: "Chromium",
            group: "stock client",
            words: "fetch and WebSocket of a page whose own origin offers the protocol: nginx in front of page and server",
            tries: own,
        },
        Tries {
            name: "nginx, as a cache",
            group: "cache in front",
            words: "twenty reads in a row through proxy_cache, with nothing set but the cache",
            tries: cache,
        },
        Tries {
            name: "Chromium, from elsewhere",
            group: "beside the claims",
            words: "the same page, and the server of another origin: whether it may read the answer is up to the server (CORS)",
            tries: other,
        },
    ];
    let cells = rows.iter().flat_map(cells).collect();
    let row = |of: &Tries| MatrixRow { name: of.name.into(), group: of.group.into(), words: of.words.into() };
    let rows = rows.iter().map(row).collect();
    Ok(Findings { rows, cells, missing: bench.missing(), method: method() })
}

fn each(tried: impl FnMut(Contender) -> anyhow::Result<Tried>) -> anyhow::Result<Vec<Tried>> {
    CONTENDERS.into_iter().map(tried).collect()
}

fn cells(row: &Tries) -> Vec<MatrixCell> {
    let cell = |(contender, tried): (Contender, &Tried)| MatrixCell {
        row: row.name.to_owned(),
        column: contender.name().to_owned(),
        outcome: tried.outcome.to_owned(),
        detail: tried.detail.clone(),
        on_the_wire: None,
    };
    CONTENDERS.into_iter().zip(&row.tries).map(cell).collect()
}

fn method() -> Vec<Part> {
    vec![
        Part::new(
            "the call",
            "one quote of AAAA; it counts where the symbol and the price are right, whatever the client says",
        ),
        Part::new(
            "the servers",
            "one market behind every protocol, in this process, on loopback, in plain text: with TLS, browsers and proxies would speak \
             HTTP/2 to them",
        ),
        Part::new(
            "no generated code",
            "nothing that was made of our schema. ‘By hand’ is where the try had to write and read bytes of the protocol itself: \
             HTTP/2 and gRPC frames, protobuf, WebSocket frames, our own frames",
        ),
        Part::new(
            "the browser",
            "headless, with a fresh profile; its page comes from nginx, which passes /v1, /graphql and the gRPC service on to our \
             servers (proxy_pass, grpc_pass), so that page and service have one origin",
        ),
        Part::new(
            "the cache",
            format!(
                "proxy_cache on, each path passed on as it is, no other setting: what is kept is what the server says may be kept. {} \
                 reads in a row; a hit is what nginx calls one ($upstream_cache_status)",
                nginx::READS
            ),
        ),
    ]
}
