//! UDP: one frame a datagram. A call is answered by one datagram or not at all; what does not fit 1
//! 200 bytes is refused, never cut up. Subscriptions and sessions live on a lease that the caller
//! renews. Nothing is sent twice: loss is the caller's to see. An address that could be forged gets
//! no more bytes than came from it: that is enough for the answer to a call that changes nothing,
//! in a datagram that was filled up; for all else it has to send back a cookie first.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use proto::encoding::Encoding;
use proto::frame::{DATAGRAM_BYTES_MAX, Frame, Kind};
use proto::v1::{FaultCode, SessionRequest, SubscribeRequest};
use proto::{Fault, MarketResult, Operation, Reply};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::conversation::{Event, Feed, Outbound as _, admit_feed, decode, put_answer, reply_bytes};
use crate::market::Answer;
use crate::turn::Turn;
use crate::{Limits, Market, Shutdown};

/// Bytes that the kernel is asked to hold of what has arrived and is not read; it gives what
/// `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams taken between two turns for others, at most.
const DATAGRAMS_A_TURN: usize = 64;
/// Events of all subscriptions and sessions that may wait to be sent.
const EVENTS_MAX: usize = 4_096;
/// How often in a lease it is looked at who has not renewed.
const SWEEPS_A_LEASE: u8 = 4;
/// Bytes of a cookie.
const COOKIE_BYTES: usize = 8;

/// Binds a socket as `bind_std` does, for this runtime.
///
/// # Errors
/// The system's.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(bind_std(address)?)
}

/// Binds a socket with a buffer that holds what comes while the server is busy.
pub(crate) fn bind_std(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Serves until `shutdown`, then ends every subscription and answers the calls in flight.
pub async fn serve(socket: UdpSocket, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    let (events_in, events) = mpsc::channel(EVENTS_MAX);
    let server = Server {
        socket,
        market,
        limits,
        known: Known::default(),
        calls: FuturesUnordered::new(),
        leases: BTreeMap::new(),
        events,
        events_in,
        out: BytesMut::new(),
    };
    server.run(shutdown).await;
}

/// Who asks, and under which correlation id.
type Caller = (SocketAddr, u32);

/// A call, how many bytes its answer may have, and how long its caller waits, where it said so.
#[derive(Debug, Clone, Copy)]
struct Asked {
    by: Caller,
    room: usize,
    time_left: Option<Duration>,
}

struct Server {
    socket: UdpSocket,
    market: Arc<Market>,
    limits: Limits,
    known: Known,
    /// Calls whose handler still waits.
    calls: FuturesUnordered<BoxFuture<'static, (Asked, MarketResult<Reply>)>>,
    /// In order, so that those of one address are found together.
    leases: BTreeMap<Caller, Lease>,
    events: mpsc::Receiver<Event<Caller>>,
    events_in: mpsc::Sender<Event<Caller>>,
    /// The datagram being made.
    out: BytesMut,
}

/// A subscription or a session, for as long as it is renewed.
struct Lease {
    feed: Feed,
    sweeps_left: u8,
}

impl Server {
    async fn run(mut self, shutdown: Shutdown) {
        // One byte more than may come, to see that more came.
        let mut inbound = [0; DATAGRAM_BYTES_MAX + 1];
        let mut sweep = Box::pin(clock::pause(self.limits.lease / u32::from(SWEEPS_A_LEASE)));
        let mut turn = Turn::default();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                // Before the events: a lease that ends is what makes them fewer.
                () = &mut sweep => {
                    self.sweep();
                    sweep.set(clock::pause(self.limits.lease / u32::from(SWEEPS_A_LEASE)));
                }
                Some((asked, answer)) = self.calls.next(), if !self.calls.is_empty() => self.answer(asked, answer),
                Some(((address, id), kind, payload)) = self.events.recv(), if turn.has_room() => {
                    turn.take();
                    self.out.put_encoded(id, kind, &payload);
                    self.send(address, id);
                }
                received = self.socket.recv_from(&mut inbound) => {
                    turn = Turn::default();
                    self.received(received, &mut inbound);
                }
                () = turn.over() => turn = Turn::default(),
            }
        }
        for (address, id) in std::mem::take(&mut self.leases).into_keys() {
            self.out.put_encoded(id, Kind::End, &[]);
            self.send(address, id);
        }
        let drained = clock::limit(self.limits.drain_time_max, async {
            while let Some((asked, answer)) = self.calls.next().await {
                self.answer(asked, answer);
            }
        });
        let _ = drained.await;
    }

    /// Takes the datagram that came, and those behind it.
    fn received(&mut self, first: io::Result<(usize, SocketAddr)>, inbound: &mut [u8]) {
        let mut next = first;
        for _ in 0..DATAGRAMS_A_TURN {
            match next {
                Ok((bytes, address)) => self.take(&inbound[..bytes], address),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What an earlier datagram of ours met (nobody listens there any more): it says
                // nothing about this one.
                Err(error) => tracing::debug!("udp: {error}"),
            }
            next = self.socket.try_recv_from(inbound);
        }
        if let Ok((bytes, address)) = next {
            self.take(&inbound[..bytes], address);
        }
    }

    fn take(&mut self, datagram: &[u8], address: SocketAddr) {
        let trusted = self.limits.trust_loopback && is_loopback(address.ip());
        let frame = Frame::from_datagram(datagram);
        // Two servers would answer each other for ever, with one forged datagram to begin with.
        if frame.as_ref().is_ok_and(|frame| frame.kind.is_a_servers()) {
            return;
        }
        if !trusted && !self.known.has(&address) {
            if let Ok(frame) = frame
                && datagram.len() <= DATAGRAM_BYTES_MAX
            {
                self.take_unproven(address, datagram.len(), &frame);
            }
            return;
        }
        let frame = match frame {
            Ok(frame) if datagram.len() <= DATAGRAM_BYTES_MAX => frame,
            Ok(_) => return self.refuse(address, 0, too_large(datagram.len(), DATAGRAM_BYTES_MAX)),
            Err(error) => {
                return self.refuse(address, 0, Fault::new(FaultCode::InvalidArgument, error.to_string()));
            }
        };
        let (id, caller) = (frame.id, (address, frame.id));
        let taken = match frame.kind {
            Kind::SubscribeRequest => self.subscribe(caller, &frame.payload),
            Kind::SessionRequest => self.session(caller, &frame.payload),
            Kind::Renew => self.renew(caller),
            Kind::Cancel => {
                self.leases.remove(&caller);
                self.out.put_encoded(id, Kind::End, &[]);
                Ok(())
            }
            Kind::Hello => {
                self.out.put_encoded(id, Kind::Welcome, &[]);
                Ok(())
            }
            kind => {
                let asked = Asked { by: caller, room: DATAGRAM_BYTES_MAX, time_left: frame.time_left };
                Operation::decode(kind, Encoding::Protobuf, &frame.payload)
                    .and_then(|operation| self.call(asked, operation))
            }
        };
        match taken {
            Ok(()) => self.send(address, id),
            Err(fault) => self.refuse(address, id, fault),
        }
    }

    /// What came from an address that could be forged. Of it, nothing is kept but calls that wait,
    /// and of those no more than leave room for as many from proven ones.
    fn take_unproven(&mut self, address: SocketAddr, room: usize, frame: &Frame) {
        let asked = Asked { by: (address, frame.id), room, time_left: frame.time_left };
        if frame.kind == Kind::Hello && self.known.proves(&address, &frame.payload) {
            if self.known.admit(address, self.limits.datagram_peers_max) {
                self.out.put_encoded(frame.id, Kind::Welcome, &[]);
                self.send(address, frame.id);
            }
            return;
        }
        let operation = Operation::decode(frame.kind, Encoding::Protobuf, &frame.payload);
        match operation {
            Ok(read) if read.is_read() && self.calls.len() < self.limits.datagram_peers_max / 2 => {
                if let Ok(()) = self.call(asked, read) {
                    self.send_within(asked);
                }
            }
            _ => self.challenge(asked),
        }
    }

    /// Asks for a proof, where that fits what may be sent.
    fn challenge(&mut self, asked: Asked) {
        let Asked { by: (address, id), room, .. } = asked;
        self.out.clear();
        self.out.put_encoded(id, Kind::Challenge, &self.known.cookie(&address, 0));
        if self.out.waiting() <= room {
            self.send(address, id);
        } else {
            self.out.clear();
        }
    }

    /// Sends the datagram that was made, if one was and it fits; asks for a proof where it does
    /// not.
    fn send_within(&mut self, asked: Asked) {
        if self.out.waiting().min(DATAGRAM_BYTES_MAX) <= asked.room {
            self.send(asked.by.0, asked.by.1);
        } else {
            self.challenge(asked);
        }
    }

    fn call(&mut self, asked: Asked, operation: Operation) -> MarketResult<()> {
        if self.calls.len() >= self.limits.datagram_peers_max {
            return Err(Fault::new(FaultCode::Limit, "too many calls in flight"));
        }
        match self.market.answer(operation, asked.time_left) {
            Answer::Now(answer) => put_answer(&mut self.out, asked.by.1, answer.and_then(that_fits)),
            Answer::Waits(waiting) => {
                let market = Arc::clone(&self.market);
                self.calls.push(Box::pin(async move { (asked, market.finish(waiting).await) }));
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, caller: Caller, payload: &[u8]) -> MarketResult<()> {
        self.admit_lease(caller)?;
        let request = decode::<SubscribeRequest>(Encoding::Protobuf, payload)?;
        let feed =
            Feed::subscribe(&self.market, &request, Encoding::Protobuf, caller, self.events_in.clone())?;
        self.leases.insert(caller, Lease { feed, sweeps_left: SWEEPS_A_LEASE });
        Ok(())
    }

    /// The first request under an id opens the session, the others go to it; each renews the lease.
    fn session(&mut self, caller: Caller, payload: &[u8]) -> MarketResult<()> {
        let request = decode::<SessionRequest>(Encoding::Protobuf, payload)?;
        if !self.leases.contains_key(&caller) {
            self.admit_lease(caller)?;
            let (in_flight, events) = (self.limits.in_flight_max, self.events_in.clone());
            let feed = Feed::session(&self.market, in_flight, Encoding::Protobuf, caller, events);
            self.leases.insert(caller, Lease { feed, sweeps_left: SWEEPS_A_LEASE });
        }
        match self.leases.get_mut(&caller) {
            Some(lease) => {
                lease.sweeps_left = SWEEPS_A_LEASE;
                lease.feed.request(request)
            }
            None => Ok(()),
        }
    }

    fn renew(&mut self, caller: Caller) -> MarketResult<()> {
        let Some(lease) = self.leases.get_mut(&caller) else {
            let detail = "this id has no subscription or session, or its lease ran out";
            return Err(Fault::new(FaultCode::NotFound, detail));
        };
        lease.sweeps_left = SWEEPS_A_LEASE;
        self.out.put_encoded(caller.1, Kind::Renewed, &[]);
        Ok(())
    }

    fn admit_lease(&self, caller: Caller) -> MarketResult<()> {
        if self.leases.len() >= self.limits.datagram_peers_max {
            return Err(Fault::new(FaultCode::Limit, "too many subscriptions of all callers together"));
        }
        let held = self.leases.range((caller.0, 0)..=(caller.0, u32::MAX)).count();
        admit_feed(self.leases.contains_key(&caller), held, self.limits.subscriptions_max)
    }

    /// Forgets who has not renewed.
    fn sweep(&mut self) {
        self.leases.retain(|_, lease| {
            lease.sweeps_left = lease.sweeps_left.saturating_sub(1);
            lease.sweeps_left > 0
        });
        self.known.sweep();
    }

    fn answer(&mut self, asked: Asked, answer: MarketResult<Reply>) {
        put_answer(&mut self.out, asked.by.1, answer.and_then(that_fits));
        self.send_within(asked);
    }

    fn refuse(&mut self, address: SocketAddr, id: u32, fault: Fault) {
        self.out.clear();
        put_answer(&mut self.out, id, Err(fault));
        self.send(address, id);
    }

    /// Sends the datagram that was made, if one was.
    fn send(&mut self, address: SocketAddr, id: u32) {
        if self.out.waiting() > DATAGRAM_BYTES_MAX {
            let fault = too_large(self.out.waiting(), DATAGRAM_BYTES_MAX);
            self.out.clear();
            put_answer(&mut self.out, id, Err(fault));
        }
        if self.out.waiting() > 0 {
            // A full send buffer is a lost datagram: to wait for room would hold up all the others.
            if let Err(error) = self.socket.try_send_to(&self.out, address) {
                tracing::debug!("udp to {address}: {error}");
            }
            self.out.clear();
        }
    }
}

/// A reply, where it fits a datagram: what does not need not be encoded.
fn that_fits(reply: Reply) -> MarketResult<Reply> {
    match reply_bytes(&reply) {
        bytes if bytes > DATAGRAM_BYTES_MAX => Err(too_large(bytes, DATAGRAM_BYTES_MAX)),
        _ => Ok(reply),
    }
}

/// What is said of an answer that is not cut up.
pub(crate) fn too_large(bytes: usize, max: usize) -> Fault {
    let detail = format!("{bytes} bytes do not fit a datagram of {max}: ask for less, or over a stream");
    Fault::new(FaultCode::Limit, detail)
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

/// Addresses that have sent back the cookie that was sent to them.
#[derive(Default)]
struct Known {
    sweeps_left: HashMap<SocketAddr, u8>,
    /// Keys the cookies: `SipHash` of the address and the time, of which only this server knows the
    /// key.
    secret: RandomState,
    sweeps: u64,
}

impl Known {
    /// Whether the address is known; it stays so for a lease from now.
    fn has(&mut self, address: &SocketAddr) -> bool {
        let known = self.sweeps_left.get_mut(address);
        known.map(|sweeps| *sweeps = SWEEPS_A_LEASE).is_some()
    }

    fn admit(&mut self, address: SocketAddr, max: usize) -> bool {
        let room = self.sweeps_left.len() < max;
        if room {
            self.sweeps_left.insert(address, SWEEPS_A_LEASE);
        }
        room
    }

    /// The cookie of an address, of so many leases ago.
    fn cookie(&self, address: &SocketAddr, leases_ago: u64) -> [u8; COOKIE_BYTES] {
        let epoch = (self.sweeps / u64::from(SWEEPS_A_LEASE)).wrapping_sub(leases_ago);
        self.secret.hash_one((address, epoch)).to_be_bytes()
    }

    fn proves(&self, address: &SocketAddr, cookie: &[u8]) -> bool {
        (0..2).any(|leases_ago| self.cookie(address, leases_ago) == cookie)
    }

    fn sweep(&mut self) {
        self.sweeps += 1;
        self.sweeps_left.retain(|_, left| {
            *left = left.saturating_sub(1);
            *left > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_of_one_address_and_runs_out() {
        let mut known = Known::default();
        let (mine, other) = (SocketAddr::from(([10, 0, 0, 1], 9)), SocketAddr::from(([10, 0, 0, 2], 9)));
        let cookie = known.cookie(&mine, 0);
        assert!(known.proves(&mine, &cookie) && !known.proves(&other, &cookie) && !known.proves(&mine, &[]));
        (0..SWEEPS_A_LEASE).for_each(|_| known.sweep());
        assert!(known.proves(&mine, &cookie), "it must last a lease");
        (0..SWEEPS_A_LEASE).for_each(|_| known.sweep());
        assert!(!known.proves(&mine, &cookie), "it must not last for ever");
    }

    #[test]
    fn a_known_address_is_forgotten_after_a_lease_of_silence() {
        let mut known = Known::default();
        let address = SocketAddr::from(([10, 0, 0, 1], 9));
        assert!(known.admit(address, 1) && !known.admit(SocketAddr::from(([10, 0, 0, 2], 9)), 1));
        (1..SWEEPS_A_LEASE).for_each(|_| known.sweep());
        assert!(known.has(&address), "spoke in time");
        (0..SWEEPS_A_LEASE).for_each(|_| known.sweep());
        assert!(!known.has(&address));
    }
}
