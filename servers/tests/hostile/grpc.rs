//! gRPC: what is no HTTP/2, frames and messages over the limits, and silence.

use std::net::SocketAddr;

use proto::Protocol;
use proto::v1::QuoteRequest;
use servers::Limits;

use crate::{SHORT, Server, limits};

#[test]
fn grpc_answers_hostile_requests_and_serves_on() {
    let server = Server::start(Protocol::Grpc, Limits { idle_time_max: SHORT * 2, ..limits() });
    // Not HTTP/2 at all: closed, perhaps behind a GOAWAY.
    server.answer(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    // The preface, and then a frame that is longer than any may be.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    let oversized = [preface.clone(), b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec()].concat();
    assert!(!server.answer(&oversized).is_empty());
    // Half a preface, and then silence: closed by the idle time-out.
    server.answer(&preface[..10]);
    server.answer(&preface);
    call_over_grpc(server.address);
}

/// A message over the limit, one that is no message, and then a good one, through the client.
fn call_over_grpc(address: SocketAddr) {
    use clients::protocols::grpc::GrpcConnector;
    use clients::{CallError, Connection as _, Connector as _};
    use proto::Operation;
    use proto::v1::{Order, OrderRequest};
    let runtime = clients::local_runtime().unwrap();
    runtime.block_on(async {
        let connection = GrpcConnector { endpoint: address.into() }.connect().await.unwrap();
        let order = Order { account: "A".repeat(200_000), ..Order::default() };
        let oversized = Operation::PlaceOrder(OrderRequest { order: Some(order), ..OrderRequest::default() });
        let prepared = connection.prepare(&oversized).unwrap();
        let refused = connection.call(&prepared, None).await.unwrap_err();
        assert!(matches!(refused, CallError::Limit(_)), "{refused:?}");
        let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".into() });
        let prepared = connection.prepare(&quote).unwrap();
        assert!(connection.call(&prepared, None).await.is_ok(), "others are not served");
    });
}
