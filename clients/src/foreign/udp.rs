//! Any UDP server that answers a datagram with a datagram; one call in flight on a socket. A call
//! that is given up takes its socket with it, so that a late reply finds nobody.

use std::cell::Cell;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported};
use crate::endpoint::Endpoint;
use crate::protocols::udp::connect_udp;

/// Bytes of the largest datagram that UDP has.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Opens sockets to a UDP server.
#[derive(Debug, Clone)]
pub struct RawUdpConnector {
    /// The server.
    pub endpoint: Endpoint,
}

/// A socket that hears one server.
pub struct RawUdp {
    socket: UdpSocket,
    broken: Cell<bool>,
}

impl Connector for RawUdpConnector {
    type Connection = RawUdp;

    async fn connect(&self) -> Result<RawUdp, CallError> {
        Ok(RawUdp {
            socket: connect_udp(self.endpoint.local(self.endpoint.address), self.endpoint.address).await?,
            broken: Cell::new(false),
        })
    }

    fn in_flight_max(&self) -> Option<usize> {
        Some(1)
    }
}

impl Connection for RawUdp {
    type Request = Bytes;
    type Prepared = Bytes;
    type Reply = usize;

    fn prepare(&self, request: &Bytes) -> Result<Bytes, Unsupported> {
        if request.len() > DATAGRAM_BYTES_MAX {
            return Err(Unsupported(format!("{} bytes do not fit a datagram", request.len())));
        }
        Ok(request.clone())
    }

    async fn call(&self, request: &Bytes, _: Option<Duration>) -> Result<usize, CallError> {
        // Until the reply is here: if the call is given up, or fails, the socket is not used again.
        self.broken.set(true);
        let mut reply = [0; 2_048];
        // What is here already answers nothing that is asked now. The reading that finds nothing
        // takes the place of the one that the reply would be waited for with.
        if let Ok(bytes) = self.socket.try_recv(&mut reply) {
            return Err(CallError::Protocol(format!("a datagram of {bytes} bytes before it was asked for")));
        }
        self.socket.send(request).await.map_err(|error| CallError::from_io(&error))?;
        // A longer reply is cut off by the kernel, which says how long it was.
        let whole = || Ok(recv(self.socket.as_raw_fd(), &mut reply, MsgFlags::MSG_TRUNC)?);
        let bytes = self.socket.async_io(Interest::READABLE | Interest::ERROR, whole).await;
        let bytes = bytes.map_err(|error| CallError::from_io(&error))?;
        self.broken.set(false);
        Ok(bytes)
    }

    fn facts(bytes: usize) -> ReplyFacts {
        ReplyFacts { bytes, ..ReplyFacts::default() }
    }

    fn is_open(&self) -> bool {
        !self.broken.get()
    }
}
