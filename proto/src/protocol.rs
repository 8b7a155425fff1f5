//! The list of protocols: which there are, and what each offers. The one list to enter a new
//! protocol in.

use crate::Capability;
use crate::frame::{DATAGRAM_BYTES_MAX, HEADER_BYTES, QUIC_DATAGRAM_BYTES_MAX};

/// A protocol that the market is served behind.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2 with JSON or protobuf bodies; long polling.
    Rest,
    /// GraphQL over HTTP; subscriptions over `graphql-transport-ws`.
    #[serde(rename = "graphql")]
    GraphQl,
    /// gRPC over HTTP/2.
    Grpc,
    /// Server-sent events; what goes the other way goes by REST calls.
    Sse,
    /// WebSocket messages of JSON or protobuf.
    #[serde(rename = "websocket")]
    WebSocket,
    /// Length-prefixed protobuf frames on a TCP stream.
    Tcp,
    /// The same frames, one a datagram.
    Udp,
    /// The frames of TCP on QUIC streams.
    Quic,
    /// The same frames, one a QUIC datagram.
    QuicDatagram,
}

impl Protocol {
    /// Every protocol, in the order of lists and reports.
    pub const ALL: [Protocol; 9] = [
        Protocol::Rest,
        Protocol::GraphQl,
        Protocol::Grpc,
        Protocol::Sse,
        Protocol::WebSocket,
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Quic,
        Protocol::QuicDatagram,
    ];

    /// Its name in scenarios, commands and records.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Rest => "rest",
            Protocol::GraphQl => "graphql",
            Protocol::Grpc => "grpc",
            Protocol::Sse => "sse",
            Protocol::WebSocket => "websocket",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Quic => "quic",
            Protocol::QuicDatagram => "quic_datagram",
        }
    }

    /// The scheme that its printed addresses carry.
    pub fn scheme(self, transport: Transport) -> &'static str {
        match (self, transport) {
            (Protocol::Rest | Protocol::GraphQl | Protocol::Sse, Transport::Plain) => "http",
            (Protocol::Rest | Protocol::GraphQl | Protocol::Sse, _) => "https",
            (Protocol::Grpc, Transport::Plain) => "grpc",
            (Protocol::Grpc, _) => "grpcs",
            (Protocol::WebSocket, Transport::Plain) => "ws",
            (Protocol::WebSocket, _) => "wss",
            (Protocol::Tcp, Transport::Plain) => "tcp",
            (Protocol::Tcp, _) => "tls",
            (Protocol::Udp, _) => "udp",
            (Protocol::Quic | Protocol::QuicDatagram, _) => "quic",
        }
    }

    /// What it is carried over.
    pub fn transports(self) -> &'static [Transport] {
        match self {
            Protocol::Rest => &[Transport::Plain, Transport::Tls, Transport::Quic],
            Protocol::Udp => &[Transport::Plain],
            Protocol::Quic | Protocol::QuicDatagram => &[Transport::Quic],
            _ => &[Transport::Plain, Transport::Tls],
        }
    }

    /// What a server says in TLS that it speaks (RFC 7301), in the order in which it prefers it.
    pub fn alpn(self, transport: Transport) -> &'static [&'static [u8]] {
        match self {
            Protocol::Rest if transport == Transport::Quic => &[b"h3"],
            Protocol::Rest | Protocol::GraphQl | Protocol::Sse => &[b"h2", b"http/1.1"],
            Protocol::Grpc => &[b"h2"],
            Protocol::WebSocket => &[b"http/1.1"],
            Protocol::Tcp | Protocol::Udp | Protocol::Quic => &[b"wirebench"],
            Protocol::QuicDatagram => &[b"wirebench-datagram"],
        }
    }

    /// The path behind the address at which it is found, where it has one.
    pub fn path(self) -> &'static str {
        match self {
            Protocol::GraphQl => "/graphql",
            Protocol::Sse => "/v1/ticks/stream",
            Protocol::WebSocket => "/v1/socket",
            Protocol::Rest
            | Protocol::Grpc
            | Protocol::Tcp
            | Protocol::Udp
            | Protocol::Quic
            | Protocol::QuicDatagram => "",
        }
    }

    /// What it offers. What is missing shows as "not offered" in reports; conformance checks the
    /// rest.
    pub fn offers(self) -> &'static [Capability] {
        const CALLS_AND_PUSH: [Capability; 6] = [
            Capability::Quote,
            Capability::Quotes,
            Capability::Portfolio,
            Capability::History,
            Capability::PlaceOrder,
            Capability::Subscribe,
        ];
        match self {
            // A session would need two requests with a state between them: see R3 of the card.
            Protocol::Rest | Protocol::GraphQl => &CALLS_AND_PUSH,
            Protocol::Sse => &[Capability::Subscribe, Capability::Session],
            Protocol::Grpc
            | Protocol::WebSocket
            | Protocol::Tcp
            | Protocol::Udp
            | Protocol::Quic
            | Protocol::QuicDatagram => &Capability::ALL,
        }
    }

    /// Bytes of the largest message that it carries, encoded as protobuf; `None` where only the
    /// servers' limits bound it. A reply that is larger is refused with a fault, a request that is
    /// larger cannot be prepared.
    pub fn message_bytes_max(self) -> Option<usize> {
        match self {
            Protocol::Udp => Some(DATAGRAM_BYTES_MAX - HEADER_BYTES),
            Protocol::QuicDatagram => Some(QUIC_DATAGRAM_BYTES_MAX - HEADER_BYTES),
            _ => None,
        }
    }

    /// What a reader of the table of offers must know beside it.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Protocol::Sse => {
                Some("its session is SSE for what comes in and a REST call for each message out")
            }
            Protocol::Udp => {
                Some("a message is one datagram of at most 1 200 bytes: what does not fit is refused")
            }
            Protocol::QuicDatagram => {
                Some("a message is one datagram of at most 1 156 bytes: what does not fit is refused")
            }
            _ => None,
        }
    }
}

/// The name that the market's servers have in their certificates, and that its clients ask for.
pub const SERVER_NAME: &str = "localhost";
/// The name under which the market is found where names are looked up; `test` is nobody's (RFC
/// 6761, section 6.2).
pub const MARKET_NAME: &str = "market.wirebench.test.";

/// What carries a protocol between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP, or UDP, in plain text.
    Plain,
    /// TLS over TCP.
    Tls,
    /// QUIC, which has TLS 1.3 within.
    Quic,
}

impl Transport {
    /// Its name in commands and records.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Plain => "plain",
            Transport::Tls => "tls",
            Transport::Quic => "quic",
        }
    }

    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Transport::Plain => "plain text",
            Transport::Tls => "TLS",
            Transport::Quic => "QUIC",
        }
    }
}
