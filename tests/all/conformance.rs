//! Every protocol, every way of carrying it, through the same cases: equal answers, or no
//! benchmark.

use std::sync::Arc;
use std::time::Duration;

use clients::conformance::{self, CaseResult};
use clients::protocols::Visit;
use clients::{CallError, Connection as _, Connector, Endpoint, MarketConnection, Tls};
use proto::data::DataSet;
use proto::encoding::Encoding;
use proto::v1::QuoteRequest;
use proto::{Capability, Operation, Protocol, Reply, Transport};
use servers::MarketConfig;
use servers::background::Background;
use servers::tls::Identity;
use terms::{Carriage, Handler, HttpVersion, Streams, TlsOptions, TlsVersion};

fn serve(transport: Transport, identity: &Arc<Identity>, config: &MarketConfig) -> Background {
    Background::over(transport, identity, MarketConfig { ticks_per_s: 200.0, ..config.clone() }).unwrap()
}

/// Every carriage that goes over a transport.
fn carriages(tls: bool, transport: Transport) -> impl Iterator<Item = Carriage> {
    every_carriage().into_iter().filter(move |carriage| carriage.transport(tls) == Some(transport))
}

struct Check(Protocol);

impl Visit for Check {
    type Output = Vec<CaseResult>;
    fn with<K>(self, connector: K) -> Vec<CaseResult>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let data = DataSet::new(MarketConfig::default().seed);
        let runtime = clients::local_runtime().unwrap();
        runtime.block_on(conformance::check(&connector, self.0, &data))
    }
}

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

fn every_carriage() -> Vec<Carriage> {
    let mut all = vec![Carriage::Grpc, Carriage::Tcp, Carriage::Udp, Carriage::QuicDatagram];
    all.extend([Streams::PerCall, Streams::One].map(|streams| Carriage::Quic { streams }));
    all.extend(ENCODINGS.map(|encoding| Carriage::Rest {
        http: HttpVersion::Http3,
        encoding,
        poll_every: None,
    }));
    for encoding in ENCODINGS {
        all.push(Carriage::WebSocket { encoding });
    }
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        for encoding in ENCODINGS {
            all.push(Carriage::Rest { http, encoding, poll_every: None });
        }
        for persisted in [false, true] {
            all.push(Carriage::GraphQl { http, persisted });
        }
        all.push(Carriage::Sse { http });
    }
    let covered = |protocol: &Protocol| all.iter().any(|carriage| carriage.protocol() == *protocol);
    assert!(Protocol::ALL.iter().all(covered), "a protocol is left out");
    all
}

fn serve_plain(config: &MarketConfig) -> Background {
    serve(Transport::Plain, &Identity::generate(&[]).map(Arc::new).unwrap(), config)
}

fn assert_conformance(config: &MarketConfig) {
    let servers = serve_plain(config);
    for carriage in carriages(false, Transport::Plain) {
        assert_cases(carriage, servers.address(carriage.protocol()).unwrap());
    }
}

fn assert_cases(carriage: Carriage, endpoint: impl Into<Endpoint>) {
    let protocol = carriage.protocol();
    let results = clients::protocols::visit(carriage, endpoint, Check(protocol));
    // 15 calls and what each of the others comes to; SSE carries no calls.
    let calls = if protocol.offers().contains(&Capability::Quote) { 15 } else { 0 };
    assert!(results.len() >= calls + 2, "{carriage:?} went through only {} cases", results.len());
    let failed: Vec<_> = results.iter().filter(|result| result.failure.is_some()).collect();
    assert!(failed.is_empty(), "{carriage:?}: {failed:#?}");
}

#[test]
fn every_protocol_gives_the_same_answers() {
    assert_conformance(&MarketConfig::default());
}

/// Makes a call that has so much time left, and no other bound.
struct Hurried(Duration);

impl Visit for Hurried {
    type Output = Result<Reply, CallError>;
    fn with<K>(self, connector: K) -> Result<Reply, CallError>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        clients::local_runtime().unwrap().block_on(async {
            let connection = connector.connect().await?;
            let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() });
            let prepared = connection.prepare(&quote)?;
            let call = clock::limit(Duration::from_secs(20), connection.call(&prepared, Some(self.0)));
            // Nobody kept the deadline.
            call.await.unwrap_or_else(|_| Err(CallError::Protocol("no answer".to_owned())))
        })
    }
}

/// The market would answer after an hour: who is answered before that has told it when.
#[test]
fn a_deadline_travels_over_every_protocol() {
    let hour = Duration::from_hours(1);
    let identity = Identity::generate(&[]).map(Arc::new).unwrap();
    let handler = Handler { wait: hour, ..Handler::default() };
    for transport in [Transport::Plain, Transport::Quic] {
        let slow = serve(transport, &identity, &MarketConfig { handler, ..MarketConfig::default() });
        let fast = serve(transport, &identity, &MarketConfig::default());
        let secure = transport == Transport::Quic;
        let options = TlsOptions { version: TlsVersion::Tls13, ..TlsOptions::default() };
        let offers = |carriage: &Carriage| carriage.protocol().offers().contains(&Capability::Quote);
        for carriage in carriages(secure, transport).filter(offers) {
            let call = |servers: &Background, time_left| {
                let address = servers.address(carriage.protocol()).unwrap();
                let tls = secure.then(|| Tls::to_market(options, identity.root()).unwrap());
                let endpoint = Endpoint { tls, ..Endpoint::from(address) };
                clients::protocols::visit(carriage, endpoint, Hurried(time_left))
            };
            let late = call(&slow, Duration::from_millis(20));
            assert!(matches!(late, Err(CallError::TimedOut)), "{carriage:?}: {late:?}");
            let answered = call(&fast, hour);
            assert!(answered.is_ok(), "{carriage:?}: {answered:?}");
        }
    }
}

/// With early data the first connection of each carriage is a full handshake, and those that the
/// cases open after it resume.
#[test]
fn also_over_tls_and_quic() {
    let identity = Identity::generate(&[]).map(Arc::new).unwrap();
    let full = |version| TlsOptions { version, ..TlsOptions::default() };
    let resumed = |version| TlsOptions { resume: true, ..full(version) };
    let early = TlsOptions { early_data: true, ..resumed(TlsVersion::Tls13) };
    let over_tls = [full(TlsVersion::Tls13), full(TlsVersion::Tls12), resumed(TlsVersion::Tls12), early];
    for (transport, all) in
        [(Transport::Tls, &over_tls[..]), (Transport::Quic, &[full(TlsVersion::Tls13), early])]
    {
        let servers = serve(transport, &identity, &MarketConfig::default());
        for carriage in carriages(true, transport) {
            for options in all {
                let tls = Tls::to_market(*options, identity.root()).unwrap();
                let address = servers.address(carriage.protocol()).unwrap();
                assert_cases(carriage, Endpoint { tls: Some(tls), ..Endpoint::from(address) });
            }
        }
    }
}

#[test]
fn also_when_the_handler_waits() {
    assert_conformance(&MarketConfig {
        handler: Handler { wait: std::time::Duration::from_millis(2), ..Handler::default() },
        ..MarketConfig::default()
    });
}

#[test]
fn another_data_set_fails_the_cases() {
    let servers = serve_plain(&MarketConfig { seed: 43, ..MarketConfig::default() });
    let results = clients::protocols::visit(
        Carriage::Tcp,
        servers.address(Protocol::Tcp).unwrap(),
        Check(Protocol::Tcp),
    );
    assert!(results.iter().any(|result| result.failure.is_some()), "a wrong reply was taken for a right one");
}

/// What the compiler does not check: the lists that a protocol has to stand in.
#[test]
fn every_protocol_is_in_every_list() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let [bytes, schema] = ["docs/PROTOCOLS.md", "scenarios/schema.json"].map(text);
    for protocol in Protocol::ALL {
        let name = protocol.name();
        for side in ["clients", "servers"] {
            let file = format!("{side}/src/protocols/{name}.rs");
            assert!(root.join(&file).exists(), "{name} has no {file}");
        }
        assert!(schema.contains(&format!("\"{name}\"")), "{name} is not in the schema of scenarios");
        let words = name.replace('_', " ");
        assert!(bytes.to_lowercase().contains(&words), "docs/PROTOCOLS.md says nothing of {name}");
    }
}
