//! The socket of a QUIC client: quinn's, without the kernel joining datagrams before they are read.
//!
//! quinn keeps room for 32 reads of 64 joined datagrams each, 3 MB, zeroed, for every socket. A
//! client that serves one connection a socket would pay for that with each: a cold call over QUIC
//! spent more on it than on its handshake, up to 9 ms where the memory was new to the machine.
//! Single datagrams need 47 KB. A large body costs more by the byte so; the market's answers are a
//! datagram or three.

use std::fmt::{self, Debug};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::sys::socket::{setsockopt, sockopt};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};

/// A socket that reads datagrams as they came.
pub(crate) struct QuicSocket(Arc<dyn AsyncUdpSocket>);

impl QuicSocket {
    /// Takes a bound socket over; it must not block. On a runtime.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn of(socket: UdpSocket) -> io::Result<Arc<QuicSocket>> {
        let ours = socket.try_clone()?;
        let theirs = TokioRuntime.wrap_udp_socket(socket)?;
        // Which asked for it; a kernel that cannot do it cannot stop it either.
        let _ = setsockopt(&ours, sockopt::UdpGroSegment, &false);
        Ok(Arc::new(QuicSocket(theirs)))
    }
}

impl Debug for QuicSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, formatter)
    }
}

impl AsyncUdpSocket for QuicSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        received: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_recv(context, buffers, received)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        1
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}
