//! UDP: one frame a datagram, nothing sent twice. A lost datagram is a call that times out or an
//! event that is missed; a reply that comes after its call was given up is counted and not taken
//! for another's.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::bounds::LEASE;
use proto::encoding::Encoding;
use proto::frame::{self, DATAGRAM_BYTES_MAX, Frame, FrameHead, HEADER_BYTES, Kind, TIME_LEFT_BYTES};
use socket2::{Domain, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::connection::{CallError, Connector};
use crate::endpoint::Endpoint;
use crate::multiplex::{Multiplexed, RENEWALS_A_LEASE, Wire};

/// Bytes that the kernel is asked to hold of what has arrived and is not read; it gives what
/// `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How long an answer to a Hello is waited for, and how often it is asked again.
const HELLO_TIME_MAX: Duration = Duration::from_millis(500);
const HELLOS_MAX: usize = 6;
/// What a Hello has before there is a cookie.
const NO_COOKIE: [u8; 8] = [0; 8];

/// Opens UDP sockets.
#[derive(Debug, Clone)]
pub struct UdpConnector {
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// Prove this address to the server first. Not needed on loopback, where none can be forged.
    pub proves_itself: bool,
}

impl UdpConnector {
    /// To a server at this address.
    pub fn new(endpoint: Endpoint) -> UdpConnector {
        let proves_itself = !endpoint.address.ip().is_loopback();
        UdpConnector { endpoint, proves_itself }
    }

    async fn open(&self) -> Result<UdpSocket, CallError> {
        let address = self.endpoint.resolve().await?;
        connect_udp(self.endpoint.local(address), address).await
    }
}

impl Connector for UdpConnector {
    type Connection = Multiplexed<UdpWire>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        let socket = self.open().await?;
        let proof = if self.proves_itself {
            prove(&socket).await?;
            Proof::Given { hello_after: hello_timer() }
        } else {
            Proof::NotAsked
        };
        Ok(UdpWire::over(socket, proof))
    }

    async fn connect_for_one_call(&self) -> Result<Self::Connection, CallError> {
        let proof = if self.proves_itself { Proof::OmittedFor(BytesMut::new()) } else { Proof::NotAsked };
        Ok(UdpWire::over(self.open().await?, proof))
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

/// Any address of ours, to reach this one from.
pub(crate) fn any_to(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

/// Opens a socket with a buffer that holds what comes while the client is busy.
pub(crate) fn bind_udp(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Opens such a socket that hears this server only.
pub(crate) async fn connect_udp(local: SocketAddr, address: SocketAddr) -> Result<UdpSocket, CallError> {
    let socket = bind_udp(local).and_then(UdpSocket::from_std).map_err(|error| CallError::from_io(&error))?;
    socket.connect(address).await.map_err(|error| CallError::from_io(&error))?;
    Ok(socket)
}

/// Sends Hellos until the server says Welcome: first with zeros, then with the cookie that it gave.
async fn prove(socket: &UdpSocket) -> Result<(), CallError> {
    let mut cookie = Bytes::from_static(&NO_COOKIE);
    let mut datagram = BytesMut::new();
    for _ in 0..HELLOS_MAX {
        datagram.clear();
        frame::put_encoded(&mut datagram, FrameHead::of(0, Kind::Hello), &cookie);
        socket.send(&datagram).await.map_err(|error| CallError::from_io(&error))?;
        let mut answer = [0; DATAGRAM_BYTES_MAX];
        let Ok(received) = clock::limit(HELLO_TIME_MAX, socket.recv(&mut answer)).await else { continue };
        let bytes = received.map_err(|error| CallError::from_io(&error))?;
        match Frame::from_datagram(&answer[..bytes]) {
            Ok(Frame { kind: Kind::Welcome, .. }) => return Ok(()),
            Ok(Frame { kind: Kind::Challenge, payload, .. }) => cookie = payload,
            _ => return Err(CallError::Protocol("no answer to a Hello".to_owned())),
        }
    }
    Err(CallError::Refused("nobody answers a Hello".to_owned()))
}

type Timer = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn hello_timer() -> Timer {
    Box::pin(clock::pause(LEASE / RENEWALS_A_LEASE))
}

/// What the server knows of this address.
enum Proof {
    /// It does not ask.
    NotAsked,
    /// That it is not forged; when to say Hello again, so as to stay known.
    Given { hello_after: Timer },
    /// Nothing. This is for one call, whose datagram is filled up so that it is answered all the
    /// same; it is kept here, to be sent again if the server wants the proof first.
    OmittedFor(BytesMut),
}

/// Frames in datagrams.
pub struct UdpWire {
    socket: UdpSocket,
    outbound: VecDeque<BytesMut>,
    waiting: usize,
    proof: Proof,
}

impl UdpWire {
    fn over(socket: UdpSocket, proof: Proof) -> Multiplexed<UdpWire> {
        Multiplexed::new(UdpWire { socket, outbound: VecDeque::new(), waiting: 0, proof })
    }

    fn queue(&mut self, datagram: BytesMut) {
        self.waiting += datagram.len();
        self.outbound.push_back(datagram);
    }

    /// Unless something waits to be sent already: a server that asks for a proof again and again
    /// gets one at a time.
    fn say_hello(&mut self, cookie: &[u8]) {
        if self.waiting > 0 {
            return;
        }
        let mut datagram = BytesMut::new();
        frame::put_encoded(&mut datagram, FrameHead::of(0, Kind::Hello), cookie);
        self.queue(datagram);
    }
}

impl Wire for UdpWire {
    const PAYLOAD_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - HEADER_BYTES - TIME_LEFT_BYTES;
    const LEASE: Option<Duration> = Some(LEASE);

    fn encoding(&self) -> Encoding {
        Encoding::Protobuf
    }

    fn push(&mut self, head: FrameHead, payload: &[u8]) {
        let mut datagram = BytesMut::new();
        frame::put_encoded(&mut datagram, head, payload);
        if let Proof::OmittedFor(call) = &mut self.proof {
            datagram.resize(DATAGRAM_BYTES_MAX, 0);
            call.clone_from(&datagram);
        }
        self.queue(datagram);
    }

    fn waiting(&self) -> usize {
        self.waiting
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), CallError> {
        if let Proof::Given { hello_after } = &mut self.proof
            && hello_after.as_mut().poll(context).is_ready()
        {
            *hello_after = hello_timer();
            context.waker().wake_by_ref();
            self.say_hello(&NO_COOKIE);
        }
        while let Some(datagram) = self.outbound.front() {
            match self.socket.poll_send(context, datagram) {
                Poll::Pending => break,
                Poll::Ready(Ok(_)) => {
                    self.waiting -= datagram.len();
                    self.outbound.pop_front();
                }
                Poll::Ready(Err(error)) => return Err(CallError::from_io(&error)),
            }
        }
        Ok(())
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        loop {
            let mut datagram = [0; DATAGRAM_BYTES_MAX];
            let mut buffer = ReadBuf::new(&mut datagram);
            ready!(self.socket.poll_recv(context, &mut buffer))
                .map_err(|error| CallError::from_io(&error))?;
            let frame = Frame::from_datagram(buffer.filled());
            let frame = frame.map_err(|error| CallError::Protocol(error.to_string()))?;
            match (frame.kind, &self.proof) {
                // It does not know this address, or has forgotten it: too many Hellos in a row were
                // lost.
                (Kind::Challenge, _) => self.say_hello(&frame.payload),
                (Kind::Welcome, Proof::OmittedFor(call)) if self.waiting == 0 => {
                    let call = call.clone();
                    self.queue(call);
                }
                (Kind::Welcome, Proof::OmittedFor(_)) => {}
                _ => return Poll::Ready(Ok(frame)),
            }
            context.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::Operation;
    use proto::v1::QuoteRequest;

    use super::*;
    use crate::connection::Connection as _;

    /// A server that forgets, and answers a call once it knows again who calls.
    #[test]
    fn who_is_forgotten_proves_itself_again() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let mut heard = Vec::new();
            let mut bytes = [0; DATAGRAM_BYTES_MAX];
            for answer in [(Kind::Welcome, &b""[..]), (Kind::Challenge, b"a cookie"), (Kind::Welcome, b"")] {
                let (received, from) = socket.recv_from(&mut bytes).unwrap();
                let frame = Frame::from_datagram(&bytes[..received]).unwrap();
                heard.push((frame.kind, frame.payload.clone()));
                let mut datagram = BytesMut::new();
                frame::put_encoded(&mut datagram, FrameHead::of(0, answer.0), answer.1);
                socket.send_to(&datagram, from).unwrap();
            }
            heard
        });
        let runtime = crate::local_runtime().unwrap();
        runtime.block_on(async {
            let connector = UdpConnector { endpoint: Endpoint::from(address), proves_itself: true };
            let connection = connector.connect().await.unwrap();
            let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() });
            let prepared = connection.prepare(&quote).unwrap();
            // It is lost on who does not know the caller; the proof goes out all the same.
            let _ = clock::limit(Duration::from_millis(200), connection.call(&prepared, None)).await;
        });
        let heard = serving.join().unwrap();
        assert_eq!(heard[0], (Kind::Hello, Bytes::from_static(&[0; 8])));
        assert_eq!(heard[1].0, Kind::QuoteRequest);
        assert_eq!(heard[2], (Kind::Hello, Bytes::from_static(b"a cookie")));
    }
}
