//! Clients that know nothing of wirebench, against `wirebench serve`: curl, Python's grpcio with
//! the proto and by reflection, its websockets and gql, and documented bytes over TCP and UDP.
//! Where a client is missing, its test says so and passes; `.ci/run` installs them all.

mod balanced;
mod secure;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

/// `wirebench serve`, and the addresses it printed.
struct Serve {
    process: Child,
    lines: Vec<String>,
    /// What stands before it.
    balancers: Option<balanced::Balancers>,
}

impl Serve {
    fn start() -> Serve {
        Serve::with(&[], 7)
    }

    /// Without and with a balancer at layer 7 before everything over HTTP.
    fn plain_and_balanced() -> [Serve; 2] {
        let mut balanced = Serve::start();
        balanced.balancers = Some(balanced::Balancers::before(&mut balanced.lines));
        [Serve::start(), balanced]
    }

    /// With options, by which it prints so many addresses.
    fn with(options: &[&str], addresses: usize) -> Serve {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wirebench"))
            .arg("serve")
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let lines = output.lines().take(addresses).map(Result::unwrap).collect();
        Serve { process, lines, balancers: None }
    }

    /// `127.0.0.1:PORT` of a protocol.
    fn authority(&self, protocol: &str) -> String {
        let named = |line: &&String| line.split(' ').next() == Some(protocol);
        let behind = self.lines.iter().find(named).unwrap().split("://").nth(1).unwrap();
        behind.split('/').next().unwrap().to_owned()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.balancers.take());
        let stopped = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(stopped.unwrap().success());
        assert!(self.process.wait().unwrap().success(), "serve did not stop cleanly");
    }
}

/// The output of a stock client, or `None` with a printed reason where it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            ::lab::skip(&format!("{program} cannot be run: {error}"));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

/// Runs a program in Python that prints "ok", or "missing:" and what it lacks.
fn python(program: &str, arguments: &[&str]) {
    let Some(output) = run("python3", &[&["-c", program], arguments].concat()) else { return };
    match output.trim() {
        "ok" => {}
        reason => {
            assert!(reason.starts_with("missing:"), "{output}");
            ::lab::skip(reason);
        }
    }
}

#[test]
fn curl_over_http_1_and_2() {
    for serve in Serve::plain_and_balanced() {
        let base = format!("http://{}", serve.authority("rest"));
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let curl = |more: &[&str]| run("curl", &[&["-sS", "-i", version], more].concat());
            let Some(quote) = curl(&[&format!("{base}/v1/quotes/AAAA")]) else { return };
            assert!(
                quote.contains(" 200") && quote.contains(r#"{"symbol":"AAAA","currency":"USD""#),
                "{quote}"
            );
            assert!(quote.contains("etag: ") && quote.contains("cache-control: public"), "{quote}");
            let etag = quote.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim();
            let again =
                curl(&["-H", &format!("if-none-match: {etag}"), &format!("{base}/v1/quotes/AAAA")]).unwrap();
            assert!(again.contains(" 304"), "{again}");
            let fields = curl(&[&format!("{base}/v1/portfolios/ACC00003?fields=cash_cents")]).unwrap();
            assert!(fields.trim_end().ends_with('}') && fields.contains(r#"{"cash_cents":"#), "{fields}");
            assert!(!fields.contains("positions"), "{fields}");
            let missing = curl(&[&format!("{base}/v1/quotes/NONE")]).unwrap();
            assert!(missing.contains(" 404") && missing.contains("application/problem+json"), "{missing}");
            let order = r#"{"account":"ACC00001","symbol":"AAAA","side":"buy","quantity":5}"#;
            let json = "content-type: application/json";
            let key = format!("idempotency-key: curl{version}");
            let orders = format!("{base}/v1/orders");
            let place = || curl(&["-H", json, "-H", &key, "-d", order, &orders]).unwrap();
            let (first, second) = (place(), place());
            assert!(first.contains(" 201") && first.contains(r#""status":"filled""#), "{first}");
            assert_eq!(first.lines().last(), second.lines().last());
            let ticks = curl(&[&format!("{base}/v1/ticks?wait_ms=2000")]).unwrap();
            assert!(ticks.contains(r#""ticks":[{"sequence":"#), "{ticks}");
            let openapi = curl(&[&format!("{base}/openapi.json")]).unwrap();
            assert!(openapi.contains(r#""openapi": "3."#) && openapi.contains("/v1/orders"), "{openapi}");
        }
    }
}

/// The curl commands that `docs/PROTOCOLS.md` prints, as they stand there.
#[test]
fn documented_curl_commands() {
    let serve = Serve::start();
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOLS.md")).unwrap();
    let mut commands = String::new();
    for (section, protocol) in [("## REST", "rest"), ("## GraphQL", "graphql")] {
        let section = documented.split(section).nth(1).unwrap();
        let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        commands += &block.replace("\\\n", " ").replace("127.0.0.1:PORT", &serve.authority(protocol));
    }
    assert!(commands.lines().count() >= 9, "{commands}");
    for command in commands.lines() {
        let Some(answer) = run("sh", &["-c", &format!("{command} -sS")]) else { return };
        let status = answer.lines().next().unwrap_or_default();
        assert!(status.contains(" 200") || status.contains(" 201"), "{command}: {answer}");
    }
}

#[test]
fn h2load_over_http_2() {
    for serve in Serve::plain_and_balanced() {
        let url = format!("http://{}/v1/quotes/AAAA", serve.authority("rest"));
        let Some(output) = run("h2load", &["-n", "200", "-c", "2", "-m", "8", &url]) else { return };
        assert!(output.contains("200 succeeded, 0 failed, 0 errored"), "{output}");
    }
}

/// With the proto file (compiled by `grpc_tools`), and then by what the server says of itself.
const GRPCIO: &str = r#"
import sys, tempfile
try:
    import grpc, grpc_tools.protoc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
except ImportError as error:
    print("missing:", error); sys.exit(0)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf import message_factory
address, protos = sys.argv[1:]
out = tempfile.mkdtemp()
import os
include = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
assert grpc_tools.protoc.main(["", "-I" + protos, "-I" + include, "--python_out=" + out, "--grpc_python_out=" + out,
    "wirebench/market/v1/market.proto"]) == 0
sys.path.insert(0, out)
from wirebench.market.v1 import market_pb2, market_pb2_grpc
with grpc.insecure_channel(address) as channel:
    market = market_pb2_grpc.MarketStub(channel)
    assert market.GetQuote(market_pb2.QuoteRequest(symbol="AAAA"), timeout=5).last_cents > 0
    try:
        market.GetQuote(market_pb2.QuoteRequest(symbol="NONE"), timeout=5); assert False
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    ticks = market.Subscribe(market_pb2.SubscribeRequest(), timeout=5)
    first, second = next(ticks), next(ticks)
    assert second.sequence == first.sequence + 1
    ticks.cancel()
    session = market.Session(iter([market_pb2.SessionRequest(heartbeat=market_pb2.Heartbeat(nonce=9))]), timeout=5)
    assert next(session).heartbeat.nonce == 9
    database = ProtoReflectionDescriptorDatabase(channel)
    assert "wirebench.market.v1.Market" in database.get_services(), database.get_services()
    assert "grpc.health.v1.Health" in database.get_services()
    pool = DescriptorPool(database)
    method = pool.FindServiceByName("wirebench.market.v1.Market").methods_by_name["GetQuote"]
    ask, answer = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    call = channel.unary_unary("/wirebench.market.v1.Market/GetQuote", ask.SerializeToString, answer.FromString)
    assert call(ask(symbol="AAAB"), timeout=5).symbol == "AAAB"
print("ok")
"#;

#[test]
fn grpcio_with_the_proto_and_by_reflection() {
    for serve in Serve::plain_and_balanced() {
        let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
        python(GRPCIO, &[&serve.authority("grpc"), protos]);
    }
}

/// What `docs/PROTOCOLS.md` prints, and gRPC itself beside it on the same port.
#[test]
fn documented_curl_command_of_grpc_web() {
    let serve = Serve::with(&["grpc", "--grpc-web"], 1);
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOLS.md")).unwrap();
    let block = documented.split("```sh\n").find(|block| block.contains("grpc-web+proto")).unwrap();
    let command = block.split("```").next().unwrap().replace("127.0.0.1:PORT", &serve.authority("grpc"));
    let Some(answer) = run("sh", &["-c", &command]) else { return };
    let letters: String = answer.split_whitespace().filter(|word| word.len() == 1).collect();
    assert!(letters.contains("AAAA") && letters.contains("grpc-status:0"), "{answer}");
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    python(GRPCIO, &[&serve.authority("grpc"), protos]);
}

/// The bytes that `docs/PROTOCOLS.md` prints.
#[test]
fn documented_bytes_over_tcp() {
    let serve = Serve::start();
    let mut stream = std::net::TcpStream::connect(serve.authority("tcp")).unwrap();
    stream.write_all(b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA").unwrap();
    let mut header = [0; 9];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[4..], *b"\x00\x00\x00\x07\x81");
    let mut payload = vec![0; u32::from_be_bytes(header[..4].try_into().unwrap()) as usize - 5];
    stream.read_exact(&mut payload).unwrap();
    assert!(payload.starts_with(b"\x0a\x04AAAA"), "{payload:?}");
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOLS.md")).unwrap();
    assert!(documented.contains(r"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA"));
}

#[test]
fn documented_bytes_over_udp() {
    let serve = Serve::start();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    socket.send_to(b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA", serve.authority("udp")).unwrap();
    let mut reply = [0; 1_200];
    let bytes = socket.recv(&mut reply).unwrap();
    assert_eq!(u32::from_be_bytes(reply[..4].try_into().unwrap()) as usize, bytes - 4);
    assert!(reply[4..].starts_with(b"\x00\x00\x00\x07\x81\x0a\x04AAAA"), "{:?}", &reply[..bytes]);
}

#[test]
fn curl_over_graphql() {
    for serve in Serve::plain_and_balanced() {
        let url = format!("http://{}/graphql", serve.authority("graphql"));
        let post =
            |body: &str| run("curl", &["-sS", "-H", "content-type: application/json", "-d", body, &url]);
        let query =
            r#"{"query":"query($s:String!){quote(symbol:$s){symbol last_cents}}","variables":{"s":"AAAA"}}"#;
        let Some(quote) = post(query) else { return };
        assert!(quote.starts_with(r#"{"data":{"quote":{"symbol":"AAAA","last_cents":"#), "{quote}");
        let unknown = post(&query.replace("AAAA", "NONE")).unwrap();
        assert!(unknown.contains(r#""code":"FAULT_CODE_NOT_FOUND""#), "{unknown}");
        let types = post(r#"{"query":"{__schema{types{name}}}"}"#).unwrap();
        assert!(types.contains(r#""Portfolio""#), "{types}");
        let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
        let extensions = format!(r#"{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}"#);
        let get = || {
            let extensions = format!("extensions={extensions}");
            run("curl", &["-sS", "-i", "-G", "--data-urlencode", &extensions, &url]).unwrap()
        };
        assert!(get().contains("PersistedQueryNotFound"), "{}", get());
        post(&format!(r#"{{"query":"{{__typename}}","extensions":{extensions}}}"#)).unwrap();
        assert!(get().contains(r#"{"data":{"__typename":"Query"}}"#), "{}", get());
    }
}

#[test]
fn curl_over_sse() {
    for serve in Serve::plain_and_balanced() {
        let url = format!("http://{}/v1/ticks/stream", serve.authority("sse"));
        let listen = |more: &[&str]| {
            // It never ends by itself: curl says 28 when its time is over.
            let arguments = [&["-sS", "-N", "-i", "--max-time", "1"], more, &[url.as_str()]].concat();
            let output = Command::new("curl").args(arguments).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let Some(stream) = listen(&[]) else { return ::lab::skip("curl cannot be run") };
        assert!(stream.contains("text/event-stream") && stream.contains("retry: "), "{stream}");
        let ids = |stream: &str| -> Vec<u64> {
            stream.lines().filter_map(|line| line.strip_prefix("id: ")?.trim().parse().ok()).collect()
        };
        let first = ids(&stream);
        assert!(first.len() >= 2 && stream.contains("event: tick\ndata: {\"sequence\":"), "{stream}");
        let resumed = ids(&listen(&["-H", &format!("last-event-id: {}", first[0])]).unwrap());
        assert_eq!(resumed[..first.len() - 1], first[1..], "not what came after the first");
    }
}

/// JSON by hand, protobuf by subprotocol; and a subscription by another library over
/// `graphql-transport-ws`.
const WEBSOCKETS: &str = r#"
import asyncio, json, sys
try:
    import websockets
    from gql import Client, gql
    from gql.transport.websockets import WebsocketsTransport
except ImportError as error:
    print("missing:", error); sys.exit(0)
plain, graphql = sys.argv[1:]
async def main():
    async with websockets.connect(plain, subprotocols=["wirebench.json.v1"]) as socket:
        assert socket.subprotocol == "wirebench.json.v1"
        await socket.send(json.dumps({"id": 7, "kind": "quote_request", "body": {"symbol": "AAAA"}}))
        reply = json.loads(await socket.recv())
        assert (reply["id"], reply["kind"], reply["body"]["symbol"]) == (7, "quote", "AAAA"), reply
        await socket.send(json.dumps({"id": 8, "kind": "session_request",
            "body": {"request": {"heartbeat": {"nonce": 9}}}}))
        reply = json.loads(await socket.recv())
        assert reply == {"id": 8, "kind": "session_event", "body": {"event": {"heartbeat": {"nonce": 9}}}}, reply
        await socket.send(json.dumps({"id": 9, "kind": "subscribe_request", "body": {}}))
        ticks = [json.loads(await socket.recv()) for _ in range(2)]
        assert ticks[1]["body"]["sequence"] == ticks[0]["body"]["sequence"] + 1, ticks
        await (await socket.ping())
    async with websockets.connect(plain, subprotocols=["wirebench.proto.v1"]) as socket:
        await socket.send(b"\x00\x00\x00\x07\x01\x0a\x04AAAA")
        assert (await socket.recv()).startswith(b"\x00\x00\x00\x07\x81\x0a\x04AAAA")
    transport = WebsocketsTransport(url=graphql, subprotocols=["graphql-transport-ws"])
    async with Client(transport=transport) as session:
        seen = []
        async for result in session.subscribe(gql("subscription { ticks { sequence symbol } }")):
            seen.append(result["ticks"]["sequence"])
            if len(seen) == 2:
                break
        assert seen[1] == seen[0] + 1, seen
asyncio.run(asyncio.wait_for(main(), 20))
print("ok")
"#;

#[test]
fn python_websockets_and_a_graphql_subscription() {
    for serve in Serve::plain_and_balanced() {
        let plain = format!("ws://{}/v1/socket", serve.authority("websocket"));
        let graphql = format!("ws://{}/graphql/ws", serve.authority("graphql"));
        python(WEBSOCKETS, &[&plain, &graphql]);
    }
}
