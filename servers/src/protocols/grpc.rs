//! gRPC: the market over HTTP/2, with health and reflection, and with gRPC-Web over HTTP/1.1 too
//! where it is asked for. tonic encodes each message, a tick once for every subscriber: see
//! `docs/BIAS.md`.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{self, Method, StatusCode};
use axum::response::IntoResponse as _;
use futures::stream::{self, Stream, StreamExt as _};
use proto::v1::{
    FaultCode, History, HistoryRequest, OrderReceipt, OrderRequest, Portfolio, PortfolioRequest, Quote,
    QuoteRequest, Quotes, QuotesRequest, SessionEvent, SessionRequest, SubscribeRequest, Tick,
};
use proto::{Fault, deadline};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_web::GrpcWebLayer;

use crate::accept::Listener;
use crate::front::{Front, is_grpc};
use crate::http_server::{self, Versions};
use crate::market::exceeded;
use crate::{Limits, Market, Shutdown};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod stub {
    include!("../generated/market.rs");
}

use stub::market_server::{Market as MarketRpc, MarketServer};

/// Serves until `shutdown`, then drains. With `web` for pages too, which have neither HTTP/2 by
/// prior knowledge nor trailers; a server that is measured has it not, since it stands between HTTP
/// and every call.
pub async fn serve(listener: Listener, market: Arc<Market>, limits: Limits, web: bool, shutdown: Shutdown) {
    let service = MarketServer::new(Carrier { market })
        .max_decoding_message_size(limits.message_bytes_max)
        .max_encoding_message_size(usize::MAX);
    let (health_reporter, health) = tonic_health::server::health_reporter();
    health_reporter.set_serving::<MarketServer<Carrier>>().await;
    let mut routes = tonic::service::Routes::new(service).add_service(health);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!("no reflection: {error}"),
    }
    let router = routes.into_axum_router();
    let (front, versions) = match web {
        true => (Front::from(router.layer(GrpcWebLayer::new())), Versions::Both),
        false => (Front::from(router).checking(check), Versions::Http2),
    };
    http_server::serve(listener, front, versions, limits, shutdown).await;
}

/// What every call of gRPC over HTTP/2 has (PROTOCOL-HTTP2.md of the gRPC project).
fn check(request: &http::Request<Body>) -> Result<(), http::Response<Body>> {
    let refuse = |status, detail: &'static str| Err((status, detail).into_response());
    if request.method() != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "a call of gRPC is a POST\n");
    }
    if !is_grpc(request.headers()) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type of gRPC is application/grpc\n");
    }
    Ok(())
}

struct Carrier {
    market: Arc<Market>,
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MarketRpc for Carrier {
    async fn get_quote(&self, request: Request<QuoteRequest>) -> Result<Response<Quote>, Status> {
        respond(self.market.quote(request.into_inner()).await)
    }

    async fn get_quotes(&self, request: Request<QuotesRequest>) -> Result<Response<Quotes>, Status> {
        respond(self.market.quotes(request.into_inner()).await)
    }

    async fn get_portfolio(&self, request: Request<PortfolioRequest>) -> Result<Response<Portfolio>, Status> {
        respond(self.market.portfolio(request.into_inner()).await)
    }

    async fn get_history(&self, request: Request<HistoryRequest>) -> Result<Response<History>, Status> {
        respond(self.market.history(request.into_inner()).await)
    }

    async fn place_order(&self, request: Request<OrderRequest>) -> Result<Response<OrderReceipt>, Status> {
        respond(self.market.place_order(request.into_inner()).await)
    }

    type SubscribeStream = Events<Tick>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let left = time_left(&request);
        let subscription = self.market.subscribe(request.get_ref()).map_err(|fault| status(&fault))?;
        let ticks = stream::unfold(subscription, |mut subscription| async move {
            let tick = subscription.next().await.tick().clone();
            Some((Ok(tick), subscription))
        });
        Ok(Response::new(until(left, Box::pin(ticks))))
    }

    type SessionStream = Events<SessionEvent>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let left = time_left(&request);
        // A broken request stream ends the session, as its end does.
        let requests = request.into_inner().scan((), |(), request| ready(request.ok()));
        Ok(Response::new(until(left, Box::pin(self.market.session(requests).map(Ok)))))
    }
}

/// How long the caller of a stream waits for its end, where it says so.
fn time_left<T>(request: &Request<T>) -> Option<Duration> {
    deadline::from_grpc(request.metadata().get(deadline::GRPC_HEADER)?.as_bytes())
}

/// A stream that ends when its caller's time is up.
fn until<T: Send + 'static>(left: Option<Duration>, events: Events<T>) -> Events<T> {
    let Some(left) = left else { return events };
    let begun = Some((events, Box::pin(clock::pause(left))));
    Box::pin(stream::unfold(begun, |going| async move {
        let (mut events, mut over) = going?;
        tokio::select! {
            biased;
            () = &mut over => Some((Err(status(&exceeded())), None)),
            event = events.next() => Some((event?, Some((events, over)))),
        }
    }))
}

fn respond<T>(answer: proto::MarketResult<T>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(|fault| status(&fault))
}

pub(crate) fn status(fault: &Fault) -> Status {
    let code = match fault.code {
        FaultCode::Unspecified => Code::Unknown,
        FaultCode::NotFound => Code::NotFound,
        FaultCode::InvalidArgument => Code::InvalidArgument,
        FaultCode::Conflict => Code::AlreadyExists,
        FaultCode::Limit => Code::ResourceExhausted,
        FaultCode::Unavailable => Code::Unavailable,
        FaultCode::DeadlineExceeded => Code::DeadlineExceeded,
    };
    Status::new(code, fault.detail.clone())
}
