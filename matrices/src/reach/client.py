# Python's standard library and nothing else: one quote over one protocol, as text or in hexadecimal, to the standard output.
# What has no client in it is written by hand, frame by frame: WebSocket, HTTP/2 and gRPC, the frames of TCP.
import base64, hashlib, json, os, socket, struct, sys, urllib.parse, urllib.request

contender, address = sys.argv[1:]
host, port = address.split(":")
QUERY = "query($s:String!){quote(symbol:$s){symbol last_cents}}"
VARIABLES = {"s": "AAAA"}


def connect():
    return socket.create_connection((host, int(port)), timeout=5)


def exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise EOFError("closed by the server")
        data += piece
    return data


def get(path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as reply:
        return reply.read().decode()


def rest():
    return get("/v1/quotes/AAAA")


def graphql():
    body = json.dumps({"query": QUERY, "variables": VARIABLES}).encode()
    request = urllib.request.Request(f"http://{address}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return reply.read().decode()


def graphql_persisted():
    digest = hashlib.sha256(QUERY.encode()).hexdigest()
    asked = {"variables": json.dumps(VARIABLES),
             "extensions": json.dumps({"persistedQuery": {"version": 1, "sha256Hash": digest}})}
    get("/graphql?" + urllib.parse.urlencode(asked | {"query": QUERY}))
    return get("/graphql?" + urllib.parse.urlencode(asked))


def websocket():
    stream = connect()
    key = base64.b64encode(os.urandom(16)).decode()
    stream.sendall((f"GET /v1/socket HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                    f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(stream, 1)
    text = json.dumps({"id": 7, "kind": "quote_request", "body": {"symbol": "AAAA"}}).encode()
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[nth % 4] for nth, byte in enumerate(text))
    stream.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)
    first, length = exactly(stream, 2)
    if length == 126:
        length, = struct.unpack(">H", exactly(stream, 2))
    return exactly(stream, length).decode()


def grpc():
    stream = connect()
    frame = lambda kind, flags, id, payload: struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, id) + payload
    field = lambda name, value: b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    headers = field(":method", "POST") + field(":scheme", "http") + field(":path", "/wirebench.market.v1.Market/GetQuote") \
        + field(":authority", address) + field("content-type", "application/grpc") + field("te", "trailers")
    request = b"\x0a\x04AAAA"
    stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers)
                   + frame(0, 1, 1, b"\0" + struct.pack(">I", len(request)) + request))
    data = b""
    while True:
        header = exactly(stream, 9)
        length, kind, flags = struct.unpack(">I", b"\0" + header[:3])[0], header[3], header[4]
        payload = exactly(stream, length)
        if kind == 0:
            data += payload
        if kind in (3, 7):
            raise OSError(f"HTTP/2 frame of type {kind}: {payload!r}")
        if kind in (0, 1) and flags & 1:
            return data.hex()


def grpc_web():
    request = urllib.request.Request(f"http://{address}/wirebench.market.v1.Market/GetQuote", b"\0\0\0\0\6\x0a\x04AAAA",
                                     {"content-type": "application/grpc-web+proto"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return reply.read().hex()


def tcp():
    stream = connect()
    stream.sendall(b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA")
    prefix = exactly(stream, 4)
    return (prefix + exactly(stream, struct.unpack(">I", prefix)[0])).hex()


print(globals()[contender.replace("-", "_")]())
