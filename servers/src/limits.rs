//! The bounds that a public server needs, with their defaults. Past one, a caller gets an error or
//! a closed connection, and the others are served on.

use std::time::Duration;

/// Bounds of one listening server. The defaults suit the market's messages: the largest request is
/// a hundred symbols, the largest reply about a megabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open connections; one more is told so and closed. Default 20 000.
    pub connections_max: usize,
    /// Bytes of a request's body, of a gRPC message and of a TCP frame. Default 64 KiB.
    pub message_bytes_max: usize,
    /// Bytes of a request's line and headers. Default 16 KiB.
    pub header_bytes_max: usize,
    /// Header fields of an HTTP/1.1 request. Default 64.
    pub headers_max: usize,
    /// Time in which a new connection must send its first byte, and an HTTP/1.1 request its
    /// headers, counted from when the connection waits for them: so it bounds an idle HTTP/1.1
    /// connection too. Default 60 s.
    pub header_time_max: Duration,
    /// Time in which an HTTP body, or the rest of a TCP frame, must arrive once it began. A gRPC
    /// message is bounded by `idle_time_max` only, a WebSocket's by `keep_alive_every`: their
    /// libraries read them. Default 10 s.
    pub message_time_max: Duration,
    /// Time without a byte in either direction after which a connection is closed. Default 300 s.
    pub idle_time_max: Duration,
    /// Calls in flight on one connection: HTTP/2 streams are refused past it; TCP is read no
    /// further. Default 256.
    pub in_flight_max: usize,
    /// Subscriptions and sessions on one TCP or WebSocket connection or from one UDP address;
    /// operations at once on one GraphQL WebSocket. Default 64.
    pub subscriptions_max: usize,
    /// Bytes of replies waiting to be sent on one connection, of whatever protocol, before its next
    /// call waits; and events queued for its subscriptions in units of 1 KiB. A subscriber slower
    /// than that misses the oldest ticks, and sees it by their sequence numbers. Default 256 KiB.
    pub outbound_bytes_max: usize,
    /// Bytes of replies waiting to be sent on all connections of the process. Past it a connection
    /// has 16 KiB of its own, and calls with larger replies are refused. Default 256 MiB.
    pub outbound_bytes_in_all_max: usize,
    /// Time without a message from a WebSocket's peer after which it is sent a Ping, and after as
    /// much again without an answer closed; SSE sends a comment as often, events or not. Default 20
    /// s.
    pub keep_alive_every: Duration,
    /// Time after which a UDP subscription or session that is not renewed is forgotten, and an
    /// address must prove itself again. Default 10 s.
    pub lease: Duration,
    /// UDP subscriptions and sessions in all, calls whose handler still waits, and addresses that
    /// have proved themselves, each. Default 20 000.
    pub datagram_peers_max: usize,
    /// UDP: answer loopback addresses without a challenge; nobody outside can forge one. Default
    /// true.
    pub trust_loopback: bool,
    /// GraphQL: fields below each other in a query. Default 16, which the introspection of GraphiQL
    /// needs.
    pub graphql_depth_max: usize,
    /// GraphQL: fields that a query can return, lists counted by their usual length and candles by
    /// the hundred. Default 1 000.
    pub graphql_complexity_max: usize,
    /// GraphQL: aliases in a query. Default 30.
    pub graphql_aliases_max: usize,
    /// GraphQL: queries in a batch. Default 10.
    pub graphql_batch_max: usize,
    /// GraphQL: brackets open at once in a query's text. Default 32: twice the depth of fields.
    pub graphql_nesting_max: usize,
    /// GraphQL: tokens of a query's text (names, numbers, strings, punctuation). Default 2 000; the
    /// introspection of GraphiQL has about 250.
    pub graphql_tokens_max: usize,
    /// GraphQL: bytes of a name or a number in a query: an alias stands in the answer as often as
    /// its field. Default 64.
    pub graphql_name_bytes_max: usize,
    /// GraphQL: values in a request's variables, the keys of objects included. A query can use each
    /// in hundreds of places. Default 1 000.
    pub graphql_variables_max: usize,
    /// GraphQL: bytes of a string in a request's variables. Default 1 KiB.
    pub graphql_variable_bytes_max: usize,
    /// GraphQL: `__typename` in one selection, once every fragment stands where it is spread; the
    /// library's complexity does not count it. Default 32.
    pub graphql_typenames_max: usize,
    /// GraphQL: errors of an answer, each of 256 bytes at most. Default 100.
    pub graphql_errors_max: usize,
    /// GraphQL: fields and spreads of a query once every fragment stands where it is spread.
    /// Default 2 000.
    pub graphql_selections_max: usize,
    /// GraphQL: `fields`, `interfaces`, `possibleTypes` and `inputFields` of the introspection
    /// below each other. Default 3, as the reference implementation (graphql-js) has it.
    pub graphql_introspection_lists_max: usize,
    /// GraphQL: persisted queries held; past it the least used is forgotten. Default 1 000.
    pub graphql_persisted_max: usize,
    /// GraphQL: bytes of all persisted queries together, as they are reckoned from their tokens.
    /// Default 4 MiB.
    pub graphql_persisted_bytes_max: usize,
    /// HTTP/2 flow-control window of a stream, in bytes. Default 1 MiB: twice the bandwidth-delay
    /// product of 50 Mbit/s at 80 ms.
    pub h2_stream_window_bytes: u32,
    /// HTTP/2 flow-control window of a connection, in bytes. Default 4 MiB.
    pub h2_connection_window_bytes: u32,
    /// Time that a stopping server gives the calls in flight. Default 5 s.
    pub drain_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 20_000,
            message_bytes_max: 64 << 10,
            header_bytes_max: 16 << 10,
            headers_max: 64,
            header_time_max: Duration::from_secs(60),
            message_time_max: Duration::from_secs(10),
            idle_time_max: Duration::from_secs(300),
            in_flight_max: 256,
            subscriptions_max: 64,
            outbound_bytes_max: 256 << 10,
            outbound_bytes_in_all_max: 256 << 20,
            keep_alive_every: Duration::from_secs(20),
            lease: proto::bounds::LEASE,
            datagram_peers_max: 20_000,
            trust_loopback: true,
            graphql_depth_max: 16,
            graphql_complexity_max: 1_000,
            graphql_aliases_max: 30,
            graphql_batch_max: 10,
            graphql_nesting_max: 32,
            graphql_tokens_max: 2_000,
            graphql_name_bytes_max: 64,
            graphql_variables_max: 1_000,
            graphql_variable_bytes_max: 1 << 10,
            graphql_typenames_max: 32,
            graphql_errors_max: 100,
            graphql_selections_max: 2_000,
            graphql_introspection_lists_max: 3,
            graphql_persisted_max: 1_000,
            graphql_persisted_bytes_max: 4 << 20,
            h2_stream_window_bytes: 1 << 20,
            h2_connection_window_bytes: 4 << 20,
            drain_time_max: Duration::from_secs(5),
        }
    }
}
