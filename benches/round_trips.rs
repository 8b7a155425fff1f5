//! One call in flight over loopback, for every way of carrying it: the quote, decoded and checked.

#![allow(clippy::expect_used, reason = "a benchmark may stop at what it did not expect")]

use std::sync::Arc;
use std::time::Duration;

use clients::market::Checked;
use clients::protocols::Visit;
use clients::{Connection as _, Connector, Endpoint, MarketConnection, Tls};
use criterion::Criterion;
use proto::encoding::Encoding;
use proto::v1::QuoteRequest;
use proto::{Operation, Transport};
use servers::MarketConfig;
use servers::background::Background;
use servers::tls::Identity;
use terms::{Carriage, HttpVersion, Streams, TlsOptions};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let identity = Identity::generate(&[]).map(Arc::new).expect("a certificate");
    let [plain, secure, quic] = [Transport::Plain, Transport::Tls, Transport::Quic].map(|transport| {
        Background::over(transport, &identity, MarketConfig::default()).expect("the servers start")
    });
    let rest = |http, encoding| Carriage::Rest { http, encoding, poll_every: None };
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
        ("rest-h3-json", rest(HttpVersion::Http3, Encoding::Json)),
        ("quic", Carriage::Quic { streams: Streams::PerCall }),
        ("quic-one-stream", Carriage::Quic { streams: Streams::One }),
        ("quic-datagram", Carriage::QuicDatagram),
    ] {
        for tls in [false, true] {
            let (servers, suffix) = match carriage.transport(tls) {
                Some(Transport::Plain) => (&plain, ""),
                Some(Transport::Tls) => (&secure, "-tls"),
                // Over QUIC it is TLS either way.
                Some(Transport::Quic) if tls => (&quic, ""),
                Some(Transport::Quic) | None => continue,
            };
            let address = servers.address(carriage.protocol()).expect("every protocol is served");
            let tls = tls.then(|| Tls::to_market(TlsOptions::default(), identity.root()).expect("TLS"));
            let name = format!("{name}{suffix}");
            clients::protocols::visit(
                carriage,
                Endpoint { tls, ..Endpoint::from(address) },
                RoundTrip { criterion: &mut criterion, name },
            );
        }
    }
    criterion.final_summary();
}

struct RoundTrip<'a> {
    criterion: &'a mut Criterion,
    name: String,
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
            bencher.iter(|| runtime.block_on(connection.call(&prepared, None)).expect("a quote"));
        });
    }
}
