//! The same over TLS and QUIC: curl, openssl, grpcio and websockets with the root certificate that
//! `serve` wrote, and aioquic, which shares no code with what serves it.

use std::path::PathBuf;

use super::{Serve, python, run};

/// A server over a transport, and its root certificate.
struct Secure {
    serve: Serve,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl Secure {
    fn start(over: &str, addresses: usize) -> Secure {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        let serve = Serve::with(&["--over", over, "--root", root.to_str().unwrap()], addresses);
        Secure { serve, root, _folder: folder }
    }

    fn root(&self) -> &str {
        self.root.to_str().unwrap()
    }
}

#[test]
fn curl_over_tls() {
    let secure = Secure::start("tls", 6);
    let url = format!("https://{}/v1/quotes/AAAA", secure.serve.authority("rest"));
    for (http, status) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
        for tls in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
            let arguments = [&["-sS", "-i", "--cacert", secure.root(), http], tls, &[&url]].concat();
            let Some(quote) = run("curl", &arguments) else { return };
            assert!(quote.starts_with(status) && quote.contains(r#"{"symbol":"AAAA""#), "{quote}");
        }
    }
}

/// What openssl says of the chain and of a resumed session.
#[test]
fn openssl_verifies_the_chain_and_resumes() {
    let secure = Secure::start("tls", 6);
    let authority = secure.serve.authority("rest");
    for version in ["-tls1_2", "-tls1_3"] {
        let kept = secure.root.with_extension("session");
        let kept = kept.to_str().unwrap();
        // It reads a page, so that the tickets of TLS 1.3 have come before it ends.
        let ask = |session: &str| {
            let s_client = format!(
                "printf 'GET /v1/quotes/AAAA HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n' | \
                 openssl s_client -connect {authority} -servername localhost -verify_return_error -CAfile {} \
                 -ign_eof {version} {session} {kept} 2>&1",
                secure.root()
            );
            run("sh", &["-c", &s_client])
        };
        let Some(first) = ask("-sess_out") else { return };
        assert!(
            first.contains("Verify return code: 0 (ok)") && first.contains("New, "),
            "{version}: {first}"
        );
        assert!(first.contains(r#"{"symbol":"AAAA""#), "{version}: {first}");
        let second = ask("-sess_in").unwrap();
        assert!(second.contains("Reused, "), "{version}: {second}");
    }
}

const TLS_CLIENTS: &str = r#"
import asyncio, socket, ssl, sys
try:
    import grpc, grpc_reflection, websockets
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
except ImportError as error:
    print("missing:", error); sys.exit(0)
root, rpc, web, tcp = sys.argv[1:]
credentials = grpc.ssl_channel_credentials(open(root, "rb").read())
with grpc.secure_channel(rpc, credentials) as channel:
    assert "wirebench.market.v1.Market" in ProtoReflectionDescriptorDatabase(channel).get_services()
context = ssl.create_default_context(cafile=root)
async def main():
    async with websockets.connect(f"wss://{web}/v1/socket", ssl=context, subprotocols=["wirebench.proto.v1"]) as other:
        await other.send(b"\x00\x00\x00\x07\x01\x0a\x04AAAA")
        assert (await other.recv()).startswith(b"\x00\x00\x00\x07\x81\x0a\x04AAAA")
asyncio.run(asyncio.wait_for(main(), 20))
host, port = tcp.split(":")
with context.wrap_socket(socket.create_connection((host, int(port)), 5), server_hostname="localhost") as stream:
    stream.sendall(b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA")
    reply = stream.recv(4096)
    assert reply[4:].startswith(b"\x00\x00\x00\x07\x81\x0a\x04AAAA"), reply
print("ok")
"#;

#[test]
fn grpcio_websockets_and_a_socket_over_tls() {
    let secure = Secure::start("tls", 6);
    let [rpc, web, tcp] = ["grpc", "websocket", "tcp"].map(|protocol| secure.serve.authority(protocol));
    python(TLS_CLIENTS, &[secure.root(), &rpc, &web, &tcp]);
}

/// HTTP/3 with bodies both ways, a stream a call, many calls on one stream, datagrams, and a
/// resumed session with early data.
const AIOQUIC: &str = r#"
import asyncio, json, sys
try:
    from aioquic.asyncio.client import connect
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import DataReceived, HeadersReceived
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import DatagramFrameReceived
except ImportError as error:
    print("missing:", error); sys.exit(0)
root, rest, quic, datagram = sys.argv[1:]
ASK = b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA"
ANSWER = b"\x00\x00\x00\x07\x81\x0a\x04AAAA"
tickets = []
def dial(address, alpn, protocol=QuicConnectionProtocol, **more):
    host, port = address.split(":")
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[alpn], server_name="localhost", **more)
    configuration.load_verify_locations(root)
    return connect(host, int(port), configuration=configuration, create_protocol=protocol,
        session_ticket_handler=tickets.append, wait_connected="session_ticket" not in more)
class Http3(QuicConnectionProtocol):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.http, self.replies = H3Connection(self._quic), {}
    def quic_event_received(self, event):
        for event in self.http.handle_event(event):
            if isinstance(event, (HeadersReceived, DataReceived)):
                head, body, whole = self.replies[event.stream_id]
                if isinstance(event, HeadersReceived):
                    head.update(event.headers)
                else:
                    body.extend(event.data)
                if event.stream_ended and not whole.done():
                    whole.set_result((dict(head), bytes(body)))
    async def call(self, method, path, body=b"", more=()):
        stream = self._quic.get_next_available_stream_id()
        whole = asyncio.get_running_loop().create_future()
        self.replies[stream] = ({}, bytearray(), whole)
        self.http.send_headers(stream, [(b":method", method), (b":scheme", b"https"), (b":authority", b"localhost"),
            (b":path", path), *more], end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await whole
class Datagrams(QuicConnectionProtocol):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.received = asyncio.Queue()
    def quic_event_received(self, event):
        if isinstance(event, DatagramFrameReceived):
            self.received.put_nowait(event.data)
async def main():
    async with dial(rest, "h3", Http3) as http:
        head, body = await http.call(b"GET", b"/v1/quotes/AAAA")
        assert head[b":status"] == b"200" and json.loads(body)["symbol"] == "AAAA", (head, body)
        order = b'{"account":"ACC00001","symbol":"AAAA","side":"buy","quantity":5}'
        head, body = await http.call(b"POST", b"/v1/orders", order, [(b"content-type", b"application/json")])
        assert head[b":status"] == b"201" and json.loads(body)["status"] == "filled", (head, body)
        head, body = await http.call(b"GET", b"/v1/history/AAAA?n=10000")
        assert len(json.loads(body)["candles"]) == 10000 and len(body) > 500000, len(body)
        head, body = await http.call(b"GET", b"/v1/quotes/NONE")
        assert head[b":status"] == b"404" and head[b"content-type"] == b"application/problem+json", head
        together = await asyncio.gather(*(http.call(b"GET", b"/v1/quotes/AAAB") for _ in range(20)))
        assert all(head[b":status"] == b"200" for head, _ in together)
    async with dial(rest, "h3", Http3, session_ticket=tickets[-1]) as http:
        head, body = await http.call(b"GET", b"/v1/quotes/AAAA")
        assert head[b":status"] == b"200"
        assert http._quic.tls.session_resumed and http._quic.tls.early_data_accepted
    async with dial(quic, "wirebench") as streams:
        for _ in range(3):
            reader, writer = await streams.create_stream()
            writer.write(ASK); writer.write_eof()
            assert (await reader.read())[4:].startswith(ANSWER)
        reader, writer = await streams.create_stream()
        for _ in range(3):
            writer.write(ASK)
            length = int.from_bytes(await reader.readexactly(4), "big")
            assert (await reader.readexactly(length)).startswith(ANSWER)
        writer.write_eof()
        assert await reader.read() == b""
    async with dial(datagram, "wirebench-datagram", Datagrams, max_datagram_frame_size=65536) as other:
        other._quic.send_datagram_frame(ASK); other.transmit()
        assert (await other.received.get())[4:].startswith(ANSWER)
asyncio.run(asyncio.wait_for(main(), 30))
print("ok")
"#;

#[test]
fn aioquic_over_http_3_streams_and_datagrams() {
    let secure = Secure::start("quic", 3);
    let [rest, quic, datagram] =
        ["rest-h3", "quic", "quic_datagram"].map(|protocol| secure.serve.authority(protocol));
    python(AIOQUIC, &[secure.root(), &rest, &quic, &datagram]);
}
