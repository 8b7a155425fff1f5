//! Malformed, oversized and slow requests to each server: a clear error or a closed connection, and
//! the server goes on serving others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]
#![allow(clippy::print_stderr, reason = "a test says what it found")]

mod dear;
mod draining;
mod graphql;
mod grpc;
mod raw_websocket;
mod rest;
mod secure;
mod sse;
mod stalled;
mod strict;
mod tcp;
mod udp;
mod unread;
mod websocket;
mod websocket_rfc;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use prost::Message as _;
use proto::Protocol;
use proto::frame::{self, Frame, Kind};
use proto::v1::FaultCode;
use servers::background::Background;
use servers::{Limits, MarketConfig};

const SHORT: Duration = Duration::from_millis(300);

fn limits() -> Limits {
    Limits { header_time_max: SHORT, message_time_max: SHORT, connections_max: 8, ..Limits::default() }
}

/// One server, for as long as the test lives.
struct Server {
    address: SocketAddr,
    _background: Background,
}

impl Server {
    fn start(protocol: Protocol, limits: Limits) -> Server {
        let config = MarketConfig { ticks_per_s: 2_000.0, ..MarketConfig::default() };
        let background = Background::start(&[protocol], config, limits).unwrap();
        Server { address: background.address(protocol).unwrap(), _background: background }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // It may close before all is written: what it said is what counts.
        let _ = stream.write_all(request);
        until_closed(&mut stream)
    }
}

/// What came before the connection was closed. A connection that stays open fails the test, by its
/// time-out.
fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("not closed: {error}; so far {:?}", String::from_utf8_lossy(&all)),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tcp_frame(id: u32, kind: Kind, message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame::put(&mut bytes, id, kind, message);
    bytes.to_vec()
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut bytes = BytesMut::from(bytes);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = Frame::take(&mut bytes, 16 << 20) {
        frames.push(frame);
    }
    frames
}

fn fault(frame: &Frame) -> FaultCode {
    assert_eq!(frame.kind, Kind::Fault);
    proto::v1::Fault::decode(frame.payload.clone()).unwrap().code()
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
