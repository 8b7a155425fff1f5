//! The list of protocols: which there are, and what each offers. The one list to enter a new protocol in.

use crate::Capability;

/// A protocol that the market is served behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2 with JSON or protobuf bodies.
    Rest,
    /// gRPC over HTTP/2.
    Grpc,
    /// Length-prefixed protobuf frames on a TCP stream.
    Tcp,
}

impl Protocol {
    /// Every protocol, in the order of lists and reports.
    pub const ALL: [Protocol; 3] = [Protocol::Rest, Protocol::Grpc, Protocol::Tcp];

    /// Its name in scenarios, commands and records.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Rest => "rest",
            Protocol::Grpc => "grpc",
            Protocol::Tcp => "tcp",
        }
    }

    /// The scheme that its printed addresses carry.
    pub fn scheme(self) -> &'static str {
        match self {
            Protocol::Rest => "http",
            Protocol::Grpc => "grpc",
            Protocol::Tcp => "tcp",
        }
    }

    /// What it offers. What is missing shows as "not offered" in reports; conformance checks the rest.
    pub fn offers(self) -> &'static [Capability] {
        match self {
            // A session would need two requests with a state between them: see R3 of the card.
            Protocol::Rest => &[
                Capability::Quote,
                Capability::Quotes,
                Capability::Portfolio,
                Capability::History,
                Capability::PlaceOrder,
                Capability::Subscribe,
            ],
            Protocol::Grpc | Protocol::Tcp => &Capability::ALL,
        }
    }
}
