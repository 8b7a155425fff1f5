//! Loads against hostile servers. Each ends by its time with what was measured, in flat memory,
//! says what it met, and leaves no descriptor open and no task that panicked.
//!
//! A server is a function that answers where it listens. The load runs in a process of its own
//! (this program again, with one test that is otherwise ignored), whose memory and descriptors are
//! therefore the client's alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]
#![allow(clippy::print_stdout, reason = "the answer of a process, and what a test shows where it fails")]

mod case;
mod child;
mod frames;
mod graphql;
mod grpc;
mod http1;
mod http2;
mod http3;
mod parent;
mod quic;
mod sse;
mod stream;
mod tls;
mod udp;
mod websocket;
