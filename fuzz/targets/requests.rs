//! Bytes on a connection to every server on TCP, or in datagrams to that on UDP, up to the handler
//! and back. The first byte says which server.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use proto::Protocol;
use servers::background::Background;
use servers::{Limits, MarketConfig};

const PROTOCOLS: [Protocol; 7] = [
    Protocol::Rest,
    Protocol::GraphQl,
    Protocol::Grpc,
    Protocol::Sse,
    Protocol::WebSocket,
    Protocol::Tcp,
    Protocol::Udp,
];
/// Time without a byte after which a peer is let go, and so the longest that an input takes.
const SHORT: Duration = Duration::from_millis(100);
/// Bytes of an answer that are read: a stream of ticks has no end.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

fn servers() -> &'static Background {
    static SERVERS: OnceLock<Background> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let limits = Limits {
            header_time_max: SHORT,
            message_time_max: SHORT,
            idle_time_max: SHORT,
            ..Limits::default()
        };
        Background::start(&PROTOCOLS, MarketConfig::default(), limits).expect("servers start on loopback")
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else { return };
    let protocol = PROTOCOLS[usize::from(*which) % PROTOCOLS.len()];
    let Some(address) = servers().address(protocol) else { return };
    if protocol == Protocol::Udp {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        for datagram in bytes.chunks(1_201) {
            let _ = socket.send_to(datagram, address);
        }
        return;
    }
    // The server is there as long as the process is: a refusal is its death.
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    let _ = stream.set_read_timeout(Some(SHORT * 20));
    if stream.write_all(bytes).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
        let _ = std::io::copy(&mut stream.take(ANSWER_BYTES_MAX), &mut std::io::sink());
    }
});
