//! The servers, and the way of each contender to send a case to its own.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use clients::raw::{self, HttpRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use proto::Protocol;
use servers::protocols::{self, Running, rest};
use servers::{Limits, Market, MarketConfig, Shutdown};
use terms::HttpVersion;

use super::Contender;
use super::cases::{Case, Form, GraphQl, Grpc, Rest, WebSocket, from_hex};
use super::read::{self, Caught, Seen};

/// One market behind every contender.
pub(super) struct Servers {
    running: Vec<(Contender, Running)>,
    shutdown: Shutdown,
}

impl Servers {
    /// Starts them; must be called on a [`clients::local_runtime`].
    pub(super) async fn start() -> anyhow::Result<Servers> {
        let market = Market::open(&MarketConfig::default(), clock::Clock::System)?;
        let (shutdown, any_port) = (Shutdown::new(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut running = Vec::new();
        for (contender, protocol) in [
            (Contender::RestTyped, Protocol::Rest),
            (Contender::GraphQl, Protocol::GraphQl),
            (Contender::Grpc, Protocol::Grpc),
            (Contender::WebSocket, Protocol::WebSocket),
        ] {
            let started =
                protocols::start(protocol, any_port, market.clone(), Limits::default(), shutdown.clone());
            running.push((contender, started.await?));
        }
        let dynamic = rest::dynamic::start(any_port, market, Limits::default(), shutdown.clone())?;
        running.push((Contender::RestDynamic, dynamic));
        Ok(Servers { running, shutdown })
    }

    /// Drains them.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        for (_, running) in self.running {
            // A panic was printed where it happened.
            let _ = running.task.await;
        }
    }

    /// Checks that a message which is right is taken for what it is; else nothing that follows
    /// means anything.
    pub(super) async fn check(&self, contender: Contender) -> anyhow::Result<()> {
        let right = super::cases::frozen()?.into_iter().find(|case| case.name == RIGHT);
        let right = right.with_context(|| format!("no case '{RIGHT}'"))?;
        match self.send(contender, &right).await? {
            Ok(Seen { caught: Caught::Accepted(order), .. }) if order == right.meant => Ok(()),
            other => anyhow::bail!("{} did not take a message that is right: {other:?}", contender.name()),
        }
    }

    /// Sends a case, and reads the answer; `Err` says why there is nothing to send.
    pub(super) async fn send(
        &self,
        contender: Contender,
        case: &Case,
    ) -> anyhow::Result<Result<Seen, String>> {
        let server = self.running.iter().find(|(other, _)| *other == contender);
        let server = server.map(|(_, running)| running.address).context("no such server")?;
        let what = || format!("{}: {}", contender.name(), case.name);
        match contender {
            Contender::RestTyped | Contender::RestDynamic => match &case.rest {
                Form::Sent(form) => over_rest(server, form).await.map(Ok),
                Form::NotExpressible { not_expressible } => Ok(Err(not_expressible.clone())),
            },
            Contender::GraphQl => match &case.graphql {
                Form::Sent(form) => over_graphql(server, form).await.map(Ok),
                Form::NotExpressible { not_expressible } => Ok(Err(not_expressible.clone())),
            },
            Contender::Grpc => match &case.grpc {
                Form::Sent(form) => over_grpc(server, form).await.map(Ok),
                Form::NotExpressible { not_expressible } => Ok(Err(not_expressible.clone())),
            },
            Contender::WebSocket => match &case.websocket {
                Form::Sent(form) => over_websocket(server, form).await.map(Ok),
                Form::NotExpressible { not_expressible } => Ok(Err(not_expressible.clone())),
            },
        }
        .with_context(what)
    }
}

/// A case that is right for every contender.
const RIGHT: &str = "version: another order of fields";

async fn over_rest(server: SocketAddr, form: &Rest) -> anyhow::Result<Seen> {
    let mut request = request(Uri::try_from(&form.path)?, form.body.clone().map(String::into_bytes));
    if let Some((name, value)) = &form.header {
        request.headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(read::rest(&raw::http(server, HttpVersion::Http1, request).await?))
}

async fn over_graphql(server: SocketAddr, form: &GraphQl) -> anyhow::Result<Seen> {
    let path = Uri::try_from(Protocol::GraphQl.path())?;
    let request = request(path, Some(form.body.clone().into_bytes()));
    Ok(read::graphql(&raw::http(server, HttpVersion::Http1, request).await?))
}

async fn over_grpc(server: SocketAddr, form: &Grpc) -> anyhow::Result<Seen> {
    let uri = Uri::try_from(format!("http://{server}/wirebench.market.v1.Market/{}", form.method))?;
    let data = from_hex(&form.data).context("data that is not hexadecimal")?;
    let mut request = request(uri, Some(data));
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(read::grpc(&raw::http(server, HttpVersion::Http2, request).await?))
}

async fn over_websocket(server: SocketAddr, form: &WebSocket) -> anyhow::Result<Seen> {
    let path = Protocol::WebSocket.path();
    Ok(read::websocket(&raw::text(server, path, "wirebench.json.v1", form.text.clone()).await?))
}

/// A POST of JSON where there is a body, a GET otherwise.
fn request(uri: Uri, body: Option<Vec<u8>>) -> HttpRequest {
    let mut headers = HeaderMap::new();
    let method = if body.is_some() { Method::POST } else { Method::GET };
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    HttpRequest { method, uri, headers, body: body.unwrap_or_default().into() }
}
