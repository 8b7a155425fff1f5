//! The sending end of flows: blocks, as fast as the socket takes them or at a pace.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clock::{Clock, Mono, Precision, Timer};
use futures::future::try_join_all;
use proto::flow::{BLOCK_BYTES, BLOCKS_MAX, Block, Congestion, Flow, FlowCarrier};
use socket2::{Domain, SockRef, Socket, Type};
use terms::Sent;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// When a round of flows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FlowTimes {
    /// When connections are opened, and senders begin.
    pub start: Mono,
    /// From when on blocks are counted.
    pub measured_from: Mono,
    /// When senders end.
    pub until: Mono,
}

/// Sends one round of flows, each to its receiver, and closes their connections.
///
/// # Errors
/// The system's, where it refuses a socket, a congestion control or a connection; where a flow
/// sends more blocks than are counted. A peer that goes away ends its flow.
pub async fn send(
    flows: &[(Flow, SocketAddr)],
    times: FlowTimes,
    buffer_bytes: Option<usize>,
    clock: &Clock,
) -> io::Result<Vec<Sent>> {
    let flow = |(flow, to): &(Flow, SocketAddr)| {
        let (flow, to) = (*flow, *to);
        async move {
            let mut sender =
                Sender { clock, times, timer: clock.timer(Precision::Sleep)?, sent: Sent::default() };
            sender.timer.sleep_until(times.start).await;
            let out = match flow.carrier {
                FlowCarrier::Tcp(congestion) => {
                    let connecting = connect(to, congestion, buffer_bytes);
                    match sender.in_time(connecting).await {
                        Some(connected) => Out::Tcp(connected?),
                        None => return Ok(sender.sent),
                    }
                }
                FlowCarrier::Udp => Out::Udp(datagrams(to, buffer_bytes)?),
            };
            sender.send(&out, flow).await?;
            Ok(sender.sent)
        }
    };
    try_join_all(flows.iter().map(flow)).await
}

/// Opens a connection with this congestion control, which the socket must confirm.
async fn connect(
    to: SocketAddr,
    congestion: Congestion,
    buffer_bytes: Option<usize>,
) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    SockRef::from(&socket).set_tcp_congestion(congestion.name().as_bytes()).map_err(|error| {
        io::Error::new(error.kind(), format!("this machine gives a socket no {}: {error}", congestion.name()))
    })?;
    if let Some(bytes) = buffer_bytes {
        SockRef::from(&socket).set_send_buffer_size(bytes)?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn datagrams(to: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<UdpSocket> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    if let Some(bytes) = buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    socket.connect(&to.into())?;
    UdpSocket::from_std(socket.into())
}

enum Out {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Out {
    fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Tcp(stream) => stream.try_write(bytes),
            Out::Udp(socket) => match socket.try_send(bytes) {
                // The answer to an earlier datagram: nobody is there, which a sender of datagrams
                // does not ask.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(bytes.len()),
                sent => sent,
            },
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Out::Tcp(stream) => stream.writable().await,
            Out::Udp(socket) => socket.writable().await,
        }
    }
}

struct Sender<'a> {
    clock: &'a Clock,
    times: FlowTimes,
    timer: Timer,
    sent: Sent,
}

impl Sender<'_> {
    /// What a future comes to before the end of the sending.
    async fn in_time<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = future => Some(done),
            () = self.timer.sleep_until(self.times.until) => None,
        }
    }

    /// Sends until the end, or until the peer is gone.
    async fn send(&mut self, out: &Out, flow: Flow) -> io::Result<()> {
        let mut bytes = [0; BLOCK_BYTES];
        let (began, interval_ns) = (self.clock.now(), flow.interval_ns());
        for sequence in 0..BLOCKS_MAX {
            let due = match interval_ns {
                Some(interval_ns) => {
                    let due = began + Duration::from_nanos((sequence as f64 * interval_ns) as u64);
                    self.timer.sleep_until(due.min(self.times.until)).await;
                    due
                }
                None => self.clock.now(),
            };
            let now = self.clock.now();
            if now >= self.times.until {
                return Ok(());
            }
            Block { sequence, due_ns: due.0, sent_ns: now.0 }.write(&mut bytes);
            if !self.send_block(out, &bytes).await {
                return Ok(());
            }
            self.sent.blocks += u64::from(now >= self.times.measured_from);
            if sequence % 64 == 0 {
                // So that another flow has its turn where the socket takes everything.
                tokio::task::yield_now().await;
            }
        }
        Err(io::Error::other(format!(
            "'{}' sent {BLOCKS_MAX} blocks, of which no more are counted: make the round shorter, or give the flow a rate",
            flow.in_words()
        )))
    }

    /// Gives a whole block to the socket; false where the time or the peer went first.
    async fn send_block(&mut self, out: &Out, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            match out.try_send(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let from = self.clock.now().max(self.times.measured_from);
                    let writable = self.in_time(out.writable()).await;
                    self.sent.blocked += self.clock.now().min(self.times.until).since(from);
                    if !matches!(writable, Some(Ok(()))) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }
}
