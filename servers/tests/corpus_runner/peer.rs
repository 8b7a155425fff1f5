//! The hostile end of a connection: does what a script says, and hears what comes back.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use clock::Clock;
use proto::{Protocol, Transport};

use super::heard::{Heard, Speech};
use super::input::Served;
use super::script::Step;

/// Between two looks at what came.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);
/// For a server that does not take what is sent: it may hold a caller back for ever.
const SEND_TIME_MAX: Duration = Duration::from_secs(2);
/// For the 101 of a WebSocket.
const UPGRADE_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 16 << 10;
/// Bytes that are kept of what a server says.
const HEARD_BYTES_MAX: usize = 32 << 20;

#[derive(Debug)]
enum Socket {
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: Socket,
    reads: bool,
    /// What is read at a time.
    chunk: Vec<u8>,
    pub(crate) heard: Heard,
}

impl Peer {
    /// Connects to a server. `by_preface` says that the script begins as HTTP/2 does.
    pub(crate) fn connect(
        served: Served,
        address: SocketAddr,
        by_preface: bool,
        reads: bool,
    ) -> io::Result<Peer> {
        let speech = match (served.protocol, served.transport) {
            (_, Transport::Tls | Transport::Quic) => Speech::Secured,
            (Protocol::Udp, _) => Speech::FrameDatagrams,
            (Protocol::Tcp, _) => Speech::Frames,
            _ => Speech::Http { by_preface },
        };
        let socket = if served.is_datagrams() {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(address)?;
            socket.set_nonblocking(true)?;
            Socket::Datagrams(socket)
        } else {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Socket::Stream(stream)
        };
        Ok(Peer { socket, reads, chunk: vec![0; CHUNK_BYTES], heard: Heard::new(speech) })
    }

    /// Does a step; a pause is not for one peer alone, and is left out.
    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Send(bytes) => self.send(bytes),
            Step::Upgraded => self.upgrade(),
            Step::HalfClose => {
                if let Socket::Stream(stream) = &self.socket {
                    // The server may have closed it: what it said is what counts.
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
            Step::Pause(_) => {}
        }
    }

    /// Sends as much as the server takes. It may have closed: what it said is what counts.
    fn send(&mut self, bytes: &[u8]) {
        let (mut rest, end) = (bytes, Clock::System.now() + SEND_TIME_MAX);
        loop {
            let sent = match &mut self.socket {
                Socket::Stream(_) if rest.is_empty() => return,
                Socket::Stream(stream) => stream.write(rest),
                // Refused is what an earlier datagram met.
                Socket::Datagrams(socket) => socket.send(rest).or_else(|_| socket.send(rest)),
            };
            match sent {
                Ok(sent) if sent < rest.len() => rest = &rest[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock && Clock::System.now() < end => {
                    self.listen();
                    clock::pause_thread(LOOK_EVERY);
                }
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Waits for the 101, and takes its head away: frames come behind it.
    fn upgrade(&mut self) {
        const END: &[u8] = b"\r\n\r\n";
        let end = Clock::System.now() + UPGRADE_TIME_MAX;
        while !self.heard.closed && Clock::System.now() < end {
            self.hear();
            let head = self.heard.bytes.windows(END.len()).position(|window| window == END);
            if let Some(head) = head {
                if self.heard.bytes.starts_with(b"HTTP/1.1 101") {
                    self.heard.bytes.drain(..head + END.len());
                    self.heard.speech = Speech::WebSocket;
                }
                return;
            }
            clock::pause_thread(LOOK_EVERY);
        }
    }

    /// How much was heard: bytes, datagrams, and whether that is all.
    pub(crate) fn heard_so_far(&self) -> (usize, usize, bool) {
        (self.heard.bytes.len(), self.heard.datagrams.len(), self.heard.closed)
    }

    /// Takes what came, unless the script says that nothing is read.
    pub(crate) fn listen(&mut self) {
        if self.reads {
            self.hear();
        }
    }

    fn hear(&mut self) {
        let chunk = &mut self.chunk;
        while !self.heard.closed {
            let read = match &mut self.socket {
                Socket::Stream(stream) => stream.read(chunk),
                Socket::Datagrams(socket) => match socket.recv(chunk) {
                    Ok(read) => {
                        self.heard.datagrams.push(chunk[..read].to_vec());
                        continue;
                    }
                    error => error,
                },
            };
            match read {
                Ok(0) => self.heard.closed = true,
                Ok(read) if self.heard.bytes.len() < HEARD_BYTES_MAX => {
                    self.heard.bytes.extend(&chunk[..read]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.heard.closed = true,
            }
        }
    }
}
