//! One call in flight over loopback, for every way of carrying it: the quote, decoded and checked.

#![allow(clippy::expect_used, reason = "a benchmark may stop at what it did not expect")]

use std::time::Duration;

use clients::market::Checked;
use clients::protocols::{Carriage, Visit};
use clients::{Connection as _, Connector, HttpVersion, MarketConnection};
use criterion::Criterion;
use proto::encoding::Encoding;
use proto::v1::QuoteRequest;
use proto::{Operation, Protocol};
use servers::background::Background;
use servers::{Limits, MarketConfig};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let servers = Background::start(&Protocol::ALL, MarketConfig::default(), Limits::default())
        .expect("the servers start");
    let rest = |http, encoding| Carriage::Rest { http, encoding };
    for (name, carriage) in [
        ("rest-h1-json", rest(HttpVersion::Http1, Encoding::Json)),
        ("rest-h1-protobuf", rest(HttpVersion::Http1, Encoding::Protobuf)),
        ("rest-h2-json", rest(HttpVersion::Http2, Encoding::Json)),
        ("rest-h2-protobuf", rest(HttpVersion::Http2, Encoding::Protobuf)),
        ("graphql", Carriage::GraphQl { http: HttpVersion::Http1, persisted: false }),
        ("graphql-persisted", Carriage::GraphQl { http: HttpVersion::Http1, persisted: true }),
        ("grpc", Carriage::Grpc),
        ("websocket-json", Carriage::WebSocket { encoding: Encoding::Json }),
        ("websocket-protobuf", Carriage::WebSocket { encoding: Encoding::Protobuf }),
        ("tcp", Carriage::Tcp),
        ("udp", Carriage::Udp),
    ] {
        let address = servers.address(carriage.protocol()).expect("every protocol is served");
        carriage.visit(address, RoundTrip { criterion: &mut criterion, name });
    }
    criterion.final_summary();
}

struct RoundTrip<'a> {
    criterion: &'a mut Criterion,
    name: &'a str,
}

impl Visit for RoundTrip<'_> {
    type Output = ();

    fn with<K>(self, connector: K)
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let runtime = clients::local_runtime().expect("a runtime");
        let connection = runtime.block_on(Checked(connector).connect()).expect("a connection");
        let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() });
        let prepared = connection.prepare(&quote).expect("every protocol offers a quote");
        self.criterion.bench_function(&format!("round-trip/{}", self.name), |bencher| {
            bencher.iter(|| runtime.block_on(connection.call(&prepared)).expect("a quote"));
        });
    }
}
