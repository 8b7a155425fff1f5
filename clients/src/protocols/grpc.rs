//! gRPC: tonic's calls over the same hyper connection that REST's HTTP/2 uses, so that what is
//! compared is the protocol and not two ways of managing connections.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use futures::stream::StreamExt as _;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use prost::Message;
use proto::encoding::Encoding;
use proto::v1::{
    FaultCode, History, OrderReceipt, Portfolio, Quote, Quotes, SessionRequest, SubscribeRequest,
};
use proto::{Capability, Fault, Operation, Reply, deadline};
use terms::HttpVersion;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::http_errors;
use crate::limits::{EVENT_BYTES_MAX, REPLY_BYTES_MAX, check_reply};
use crate::market::{OpenSession, Session, Subscribe, TickStream};

#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::pedantic, reason = "generated")]
mod stub {
    include!("../generated/market.rs");
}

use stub::market_client::MarketClient;

/// Session requests that may wait to be sent.
const SESSION_QUEUE: usize = 64;

/// Opens gRPC connections.
#[derive(Debug, Clone)]
pub struct GrpcConnector {
    /// The server.
    pub endpoint: Endpoint,
}

impl Connector for GrpcConnector {
    type Connection = GrpcConnection;

    async fn connect(&self) -> Result<GrpcConnection, CallError> {
        let http = Rc::new(HttpConnection::open(&self.endpoint, HttpVersion::Http2).await?);
        let origin: Uri = format!("{}://{}", self.endpoint.http_scheme(), self.endpoint.address)
            .parse()
            .map_err(|error: http::uri::InvalidUri| CallError::Protocol(error.to_string()))?;
        let grpc = Grpc::with_origin(Transport(http.clone()), origin.clone())
            .max_decoding_message_size(REPLY_BYTES_MAX);
        let market = MarketClient::with_origin(Transport(http.clone()), origin)
            .max_decoding_message_size(EVENT_BYTES_MAX);
        Ok(GrpcConnection { http, grpc, market })
    }

    fn in_flight_max(&self) -> Option<usize> {
        HttpVersion::Http2.in_flight_max()
    }
}

/// An open gRPC connection.
pub struct GrpcConnection {
    http: Rc<HttpConnection<Body>>,
    grpc: Grpc<Transport>,
    market: MarketClient<Transport>,
}

/// A gRPC request, ready to be sent.
#[derive(Debug)]
pub struct PreparedMessage {
    capability: Capability,
    path: PathAndQuery,
    message: Bytes,
}

impl Connection for GrpcConnection {
    type Request = Operation;
    type Prepared = PreparedMessage;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<PreparedMessage, Unsupported> {
        let capability = operation.capability();
        let method = match capability {
            Capability::Quote => "GetQuote",
            Capability::Quotes => "GetQuotes",
            Capability::Portfolio => "GetPortfolio",
            Capability::History => "GetHistory",
            Capability::PlaceOrder => "PlaceOrder",
            Capability::Subscribe | Capability::Session => return Err(Unsupported("not a call".to_owned())),
        };
        let path = format!("/wirebench.market.v1.Market/{method}");
        let path = PathAndQuery::try_from(path).map_err(|error| Unsupported(error.to_string()))?;
        Ok(PreparedMessage { capability, path, message: operation.encode(Encoding::Protobuf) })
    }

    async fn call(
        &self,
        prepared: &PreparedMessage,
        time_left: Option<Duration>,
    ) -> Result<Reply, CallError> {
        match prepared.capability {
            Capability::Quote => self.unary::<Quote>(prepared, time_left).await.map(Reply::Quote),
            Capability::Quotes => self.unary::<Quotes>(prepared, time_left).await.map(Reply::Quotes),
            Capability::Portfolio => self.unary::<Portfolio>(prepared, time_left).await.map(Reply::Portfolio),
            Capability::History => self.unary::<History>(prepared, time_left).await.map(Reply::History),
            Capability::PlaceOrder => {
                self.unary::<OrderReceipt>(prepared, time_left).await.map(Reply::Receipt)
            }
            Capability::Subscribe | Capability::Session => Err(CallError::Protocol("not a call".to_owned())),
        }
    }

    async fn place(&self) {
        self.http.place().await;
    }

    fn is_open(&self) -> bool {
        self.http.is_open()
    }
}

impl GrpcConnection {
    async fn unary<M: Message + Default + 'static>(
        &self,
        prepared: &PreparedMessage,
        time_left: Option<Duration>,
    ) -> Result<M, CallError> {
        let _taken = self.http.taken();
        let mut request = tonic::Request::new(prepared.message.clone());
        // Digits and a unit are a value of a header.
        let said = time_left.and_then(|left| deadline::to_grpc(left).parse().ok());
        if let Some(said) = said {
            request.metadata_mut().insert(deadline::GRPC_HEADER, said);
        }
        let codec = PreparedCodec { capability: prepared.capability, message: PhantomData };
        let reply = self.grpc.clone().unary(request, prepared.path.clone(), codec).await;
        reply.map(tonic::Response::into_inner).map_err(|status| failure(&status))
    }
}

impl Subscribe for GrpcConnection {
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        let ticks =
            self.market.clone().subscribe(request.clone()).await.map_err(|status| failure(&status))?;
        Ok(Box::pin(ticks.into_inner().map(|tick| tick.map_err(|status| failure(&status)))))
    }
}

impl Session for GrpcConnection {
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        let (requests, queue) = mpsc::channel::<SessionRequest>(SESSION_QUEUE);
        let queue =
            futures::stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) });
        let mut market = self.market.clone();
        // The server's headers may come only with its first event, so that the call cannot be
        // awaited here.
        let opened = async move {
            match market.session(queue).await {
                Ok(events) => {
                    events.into_inner().map(|event| event.map_err(|status| failure(&status))).left_stream()
                }
                Err(status) => {
                    let error = failure(&status);
                    futures::stream::once(std::future::ready(Err(error))).right_stream()
                }
            }
        };
        Ok(OpenSession { requests, events: Box::pin(futures::stream::once(opened).flatten()) })
    }
}

/// tonic's transport: the shared HTTP/2 connection.
#[derive(Clone)]
struct Transport(Rc<HttpConnection<Body>>);

impl tower::Service<Request<Body>> for Transport {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>>>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let http = Rc::clone(&self.0);
        Box::pin(async move { http.send(request).await })
    }
}

/// Sends a message that is encoded already, decodes with prost.
struct PreparedCodec<M> {
    capability: Capability,
    message: PhantomData<M>,
}

impl<M: Message + Default + 'static> Codec for PreparedCodec<M> {
    type Encode = Bytes;
    type Decode = M;
    type Encoder = PreparedEncoder;
    type Decoder = ProstDecoder<M>;

    fn encoder(&mut self) -> PreparedEncoder {
        PreparedEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<M> {
        ProstDecoder { capability: self.capability, message: PhantomData }
    }
}

struct PreparedEncoder;

impl Encoder for PreparedEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

struct ProstDecoder<M> {
    capability: Capability,
    message: PhantomData<M>,
}

impl<M: Message + Default> Decoder for ProstDecoder<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        check_reply(self.capability, buffer.remaining()).map_err(|error| match error {
            CallError::Limit(text) => Status::out_of_range(text),
            error => Status::internal(error.to_string()),
        })?;
        M::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// What a status means for a call.
fn failure(status: &Status) -> CallError {
    let mut cause = std::error::Error::source(status);
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<hyper::Error>() {
            return http_errors::failure(error);
        }
        cause = inner.source();
    }
    let rejected = |code| CallError::Rejected(Fault::new(code, status.message()));
    match status.code() {
        Code::NotFound => rejected(FaultCode::NotFound),
        Code::InvalidArgument => rejected(FaultCode::InvalidArgument),
        Code::AlreadyExists => rejected(FaultCode::Conflict),
        Code::Unavailable => rejected(FaultCode::Unavailable),
        Code::DeadlineExceeded => CallError::TimedOut,
        // tonic refuses a message over its limit with OUT_OF_RANGE.
        Code::ResourceExhausted | Code::OutOfRange => CallError::Limit(status.message().to_owned()),
        code => CallError::Protocol(format!("status {code:?}: {}", status.message())),
    }
}
