//! The far end of a connection: where a server listens, and whether the way to it is TLS. Every
//! client opens its connections here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use proto::MARKET_NAME;
use proto::flow::Congestion;
use socket2::SockRef;
use terms::Phase;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::connection::CallError;
use crate::names;
use crate::phases::during;
use crate::protocols::udp::any_to;
use crate::tls::Tls;
use crate::turns::InTurns;

/// A server as clients know it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// How connections to it are secured; `None` for plain text.
    pub tls: Option<Tls>,
    /// Who decides how much is on its way; `None` for the system's own choice, and for the
    /// library's over QUIC.
    pub congestion: Option<Congestion>,
    /// Who is asked for the server's address by its name ([`MARKET_NAME`]), for each connection
    /// anew; `None` where `address` is known.
    pub names: Option<Names>,
    /// From where connections are made; `None` where the system chooses.
    pub sources: Option<Sources>,
    /// A Unix socket that stands for the address, for what is spoken over TCP.
    pub unix_socket: Option<Arc<Path>>,
}

/// Addresses of this machine, from which connections are made in turn: each has 64 thousand ports
/// to one server.
#[derive(Debug, Clone)]
pub struct Sources {
    addresses: Arc<[IpAddr]>,
    turn: Arc<AtomicUsize>,
}

impl Sources {
    /// These in turn; nothing where there are none.
    pub fn of(addresses: &[IpAddr]) -> Option<Sources> {
        (!addresses.is_empty()).then(|| Sources { addresses: addresses.into(), turn: Arc::default() })
    }

    fn next(&self) -> SocketAddr {
        let nth = self.turn.fetch_add(1, Ordering::Relaxed) % self.addresses.len();
        SocketAddr::new(self.addresses[nth], 0)
    }
}

/// Who knows a server's name.
#[derive(Debug, Clone)]
pub struct Names {
    /// Name servers, resolver caches among them; each connection asks the next.
    servers: Arc<[SocketAddr]>,
    turn: Arc<AtomicUsize>,
    /// Whether the name's next address is tried where one cannot be connected to, over TCP.
    tries_next: bool,
}

impl Names {
    /// Asks these in turn; nothing where there are none.
    pub fn asked_of(servers: &[SocketAddr], tries_next: bool) -> Option<Names> {
        let turn = Arc::new(AtomicUsize::new(0));
        (!servers.is_empty()).then(|| Names { servers: servers.into(), turn, tries_next })
    }

    fn next_server(&self) -> SocketAddr {
        self.servers[self.turn.fetch_add(1, Ordering::Relaxed) % self.servers.len()]
    }
}

fn no_address() -> CallError {
    CallError::Refused(format!("{MARKET_NAME} has no address"))
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Endpoint {
        Endpoint { address, tls: None, congestion: None, names: None, sources: None, unix_socket: None }
    }
}

impl Endpoint {
    /// Opens a connection as every client of wirebench does: `TCP_NODELAY`, the congestion control
    /// that is asked for, and TLS where it is asked for, in which `alpn` is the one protocol that
    /// is offered, if any is.
    pub(crate) async fn connect(&self, alpn: Option<&'static [u8]>) -> Result<Stream, CallError> {
        let failed = |error: io::Error| CallError::from_io(&error);
        let stream = match &self.unix_socket {
            None => Either::Left(self.connect_tcp().await?),
            Some(path) => {
                let connecting = UnixStream::connect(path);
                Either::Right(during(Phase::Connect, connecting).await.map_err(failed)?)
            }
        };
        let Some(tls) = &self.tls else { return Ok(InTurns::new(Either::Left(stream))) };
        let connector = TlsConnector::from(tls.config.clone()).early_data(tls.early_data);
        let connector = connector.with_alpn(alpn.iter().map(|name| name.to_vec()).collect());
        let shaking_hands = connector.connect(tls.server_name.clone(), stream);
        let stream = during(Phase::Tls, shaking_hands).await.map_err(failed)?;
        let agreed = stream.get_ref().1.alpn_protocol();
        // With early data it is not known yet.
        if alpn == Some(HTTP2) && agreed != alpn && !tls.early_data {
            let other = "the server does not agree on HTTP/2 in TLS (ALPN): it may speak HTTP/1.1 only";
            return Err(CallError::Protocol(other.to_owned()));
        }
        Ok(InTurns::new(Either::Right(Box::new(stream))))
    }

    /// To where the server listens; by its name to the first of its addresses, and to the next one
    /// where nobody is there and that is asked for.
    async fn connect_tcp(&self) -> Result<TcpStream, CallError> {
        let Some(names) = &self.names else { return self.connect_to(self.address).await };
        let mut failed = None;
        for address in self.look_up(names).await? {
            match self.connect_to(address).await {
                Err(error) if names.tries_next => failed = Some(error),
                tried => return tried,
            }
        }
        Err(failed.unwrap_or_else(no_address))
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, CallError> {
        let failed = |error: io::Error| CallError::from_io(&error);
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(failed)?;
        if let Some(congestion) = self.congestion {
            SockRef::from(&socket).set_tcp_congestion(congestion.name().as_bytes()).map_err(failed)?;
        }
        if let Some(sources) = &self.sources {
            // The port is chosen with the far end in mind, so that each pair has all of them.
            let _ = setsockopt(&socket, sockopt::IpBindAddressNoPort, &true);
            socket.bind(sources.next()).map_err(failed)?;
        }
        let stream = during(Phase::Connect, socket.connect(address)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    /// Where the server listens, by its name if it is to be looked up.
    pub(crate) async fn resolve(&self) -> Result<SocketAddr, CallError> {
        let Some(names) = &self.names else { return Ok(self.address) };
        self.look_up(names).await?.next().ok_or_else(no_address)
    }

    /// What a socket of UDP is bound to.
    pub(crate) fn local(&self, far: SocketAddr) -> SocketAddr {
        self.sources.as_ref().map_or_else(|| any_to(far), Sources::next)
    }

    async fn look_up(&self, names: &Names) -> Result<impl Iterator<Item = SocketAddr>, CallError> {
        let found = during(Phase::Dns, names::look_up(names.next_server(), MARKET_NAME)).await?;
        let port = self.address.port();
        Ok(found.into_iter().map(move |found| SocketAddr::new(found, port)))
    }

    /// The scheme of URIs that name it in HTTP.
    pub(crate) fn http_scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// A connection as protocols read and write it: in plain text, or over TLS, in which what is
/// written must be flushed; read in turns.
pub type Stream = InTurns<Either<Socket, Box<TlsStream<Socket>>>>;

/// What a connection runs on.
pub type Socket = Either<TcpStream, UnixStream>;

/// HTTP/2, as TLS names it (RFC 9113, section 3.2).
const HTTP2: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use proto::{Protocol, Transport};
    use rustls::HandshakeKind;
    use servers::MarketConfig;
    use servers::background::Background;
    use servers::tls::Identity;
    use terms::{TlsOptions, TlsVersion};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_connection_has_the_congestion_control_that_is_asked_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = crate::local_runtime().unwrap();
        // Every kernel has reno, and gives it to everybody.
        let endpoint = Endpoint { congestion: Some(Congestion::Reno), ..Endpoint::from(address) };
        let Either::Left(Either::Left(stream)) =
            runtime.block_on(endpoint.connect(None)).unwrap().into_inner()
        else {
            panic!("over TLS")
        };
        let got = SockRef::from(&stream).tcp_congestion().unwrap();
        assert!(got.starts_with(b"reno"), "{got:?}");
    }

    /// A quote of AAAA under id 7, as `docs/PROTOCOLS.md` prints it.
    const ASK: &[u8] = b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA";

    /// Calls over three connections, one after the other: how each shook hands, and whether its
    /// early data was taken.
    async fn handshakes(endpoint: &Endpoint) -> Vec<(HandshakeKind, bool)> {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut stream = endpoint.connect(Some(Protocol::Tcp.alpn(Transport::Tls)[0])).await.unwrap();
            stream.write_all(ASK).await.unwrap();
            stream.flush().await.unwrap();
            let mut reply = [0; 15];
            stream.read_exact(&mut reply).await.unwrap();
            assert_eq!(&reply[4..], b"\x00\x00\x00\x07\x81\x0a\x04AAAA");
            let Either::Right(stream) = stream.into_inner() else { panic!("not over TLS") };
            let session = stream.get_ref().1;
            seen.push((session.handshake_kind().unwrap(), session.is_early_data_accepted()));
        }
        seen
    }

    #[test]
    fn sessions_are_resumed_and_early_data_taken_where_they_are_asked_for() {
        use HandshakeKind::{Full, Resumed};
        let identity = Identity::generate(&[]).map(Arc::new).unwrap();
        let servers = Background::over(Transport::Tls, &identity, MarketConfig::default()).unwrap();
        let address = servers.address(Protocol::Tcp).unwrap();
        let runtime = crate::local_runtime().unwrap();
        let full = |version| TlsOptions { version, ..TlsOptions::default() };
        let resumed = |version| TlsOptions { resume: true, ..full(version) };
        for (options, wanted) in [
            (full(TlsVersion::Tls13), [(Full, false), (Full, false), (Full, false)]),
            (full(TlsVersion::Tls12), [(Full, false), (Full, false), (Full, false)]),
            (resumed(TlsVersion::Tls12), [(Full, false), (Resumed, false), (Resumed, false)]),
            (resumed(TlsVersion::Tls13), [(Full, false), (Resumed, false), (Resumed, false)]),
            (
                TlsOptions { early_data: true, ..resumed(TlsVersion::Tls13) },
                [(Full, false), (Resumed, true), (Resumed, true)],
            ),
        ] {
            let tls = Some(Tls::to_market(options, identity.root()).unwrap());
            let seen = runtime.block_on(handshakes(&Endpoint { tls, ..Endpoint::from(address) }));
            assert_eq!(seen, wanted, "{options:?}");
        }
    }
}
