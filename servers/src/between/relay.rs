//! A middlebox: a relay of TCP connections that passes bytes on until its policy says otherwise, as
//! proxies and firewalls do that close, reset or forget what is old or idle, and as proxies do that
//! buffer. It reads nothing of what it passes on, so that TLS goes through it too, and it is on the
//! server's host: only the client's part of the way crosses the link.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use clock::{Clock, Mono};
use proto::flow::Congestion;
use socket2::SockRef;
use terms::{HELD_BYTES_MAX, RelayPolicy};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Backends;
use crate::accept::{accept_plain, listen};
use crate::{Limits, Shutdown};

/// Bytes that wait in one direction of a connection, at most, beside what a policy holds back.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// Time to write the rest to a connection that is closed, and for its ends to hear of it.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);
/// Time for the server behind it to accept.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A relay that is listening.
#[derive(Debug)]
pub struct Relay {
    /// Where clients connect.
    pub address: SocketAddr,
    /// What it does from now on, with connections that are open too.
    pub policy: watch::Sender<RelayPolicy>,
    /// Ends after its shutdown, when its connections have: by themselves, or after the time to
    /// drain.
    pub task: JoinHandle<()>,
}

impl Relay {
    /// Listens at an address for the servers behind it, and lets everything pass. Of the limits it
    /// has `connections_max`, over which a connection is closed untold, and `drain_time_max`. The
    /// congestion control is that of its connections to clients.
    ///
    /// # Errors
    /// The system's, where it refuses the address or the congestion control.
    pub async fn start(
        address: SocketAddr,
        backends: impl Into<Backends>,
        congestion: Option<Congestion>,
        limits: Limits,
        shutdown: Shutdown,
    ) -> io::Result<Relay> {
        let socket = listen(address)?;
        if let Some(congestion) = congestion {
            // Accepted connections have it too.
            SockRef::from(&socket).set_tcp_congestion(congestion.name().as_bytes())?;
        }
        let address = socket.local_addr()?;
        let (policy, followed) = watch::channel(RelayPolicy::default());
        let stop = shutdown.clone();
        let backends = backends.into();
        let begin = move |client| {
            // Of none, the client's connection is closed.
            let server = backends.next()?;
            let (clock, policy, shutdown) = (Clock::System, followed.clone(), shutdown.clone());
            let accepted_at = clock.now();
            Some(async move {
                let connection =
                    Between { client, policy, shutdown, accepted_at, moved_at: accepted_at, clock };
                if let Err(error) = connection.run(server).await {
                    // An end that is gone, or has reset: the other has heard of it.
                    tracing::debug!("a connection through the relay: {error}");
                }
            })
        };
        let task = tokio::spawn(accept_plain(socket, limits, None, stop, begin));
        Ok(Relay { address, policy, task })
    }
}

/// Bytes in one direction.
#[derive(Default)]
struct Way {
    /// Read, and not to be passed on yet.
    held: BytesMut,
    /// To be written.
    out: BytesMut,
    /// Nothing more comes.
    ended: bool,
    /// The other end was told so.
    told: bool,
}

impl Way {
    /// Whether more may be read: what waits and what is held back are both bounded.
    fn has_room(&self, unit: usize) -> bool {
        !self.ended && self.out.len() < WAITING_BYTES_MAX && self.held.len() < unit.max(1)
    }

    /// Passes on what is read in whole units, and the rest of it when there is no more.
    fn pass_on(&mut self, unit: usize) {
        let whole = self.held.len() - if self.ended { 0 } else { self.held.len() % unit.max(1) };
        if whole == self.held.len() && self.out.is_empty() {
            std::mem::swap(&mut self.held, &mut self.out);
        } else {
            self.out.extend_from_slice(&self.held.split_to(whole));
        }
    }

    fn is_over(&self) -> bool {
        self.ended && self.held.is_empty() && self.out.is_empty()
    }
}

/// How a policy ends a connection.
enum Ending {
    /// The two ends did it themselves.
    Theirs,
    Close,
    Reset,
    Silence,
}

/// One connection.
struct Between {
    client: TcpStream,
    policy: watch::Receiver<RelayPolicy>,
    shutdown: Shutdown,
    clock: Clock,
    accepted_at: Mono,
    /// When a byte last came, from either end.
    moved_at: Mono,
}

impl Between {
    async fn run(mut self, server: SocketAddr) -> io::Result<()> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let server = clock::limit(CONNECT_TIME_MAX, TcpStream::connect(server)).await.map_err(late)??;
        server.set_nodelay(true)?;
        let (mut up, mut down) = (Way::default(), Way::default());
        match self.relay(&server, &mut up, &mut down).await? {
            Ending::Theirs => Ok(()),
            Ending::Close => {
                let goodbye = async {
                    // What was read was taken, and is passed on.
                    tokio::try_join!(finish(&server, &mut up), finish(&self.client, &mut down))?;
                    // Unread bytes would make of the end a reset.
                    tokio::try_join!(discard(&server), discard(&self.client))
                };
                let _ = clock::limit(GOODBYE_TIME_MAX, goodbye).await;
                Ok(())
            }
            Ending::Reset => {
                SockRef::from(&self.client).set_linger(Some(Duration::ZERO))?;
                SockRef::from(&server).set_linger(Some(Duration::ZERO))
            }
            Ending::Silence => {
                tokio::select! {
                    // Neither end hears of the other's.
                    () = async { let _ = discard(&server).await; std::future::pending::<()>().await } => {}
                    _ = discard(&self.client) => {}
                    () = self.shutdown.cancelled() => {}
                }
                Ok(())
            }
        }
    }

    /// Passes bytes on until the two ends are done, or the policy has it otherwise.
    async fn relay(&mut self, server: &TcpStream, up: &mut Way, down: &mut Way) -> io::Result<Ending> {
        loop {
            let policy = *self.policy.borrow_and_update();
            let unit = match policy {
                RelayPolicy::Buffers(bytes) => bytes.clamp(1, HELD_BYTES_MAX),
                _ => 1,
            };
            up.pass_on(1);
            down.pass_on(unit);
            tell_end(server, up)?;
            tell_end(&self.client, down)?;
            if up.told && down.told {
                return Ok(Ending::Theirs);
            }
            if let Some(ending) = self.due(policy) {
                return Ok(ending);
            }
            let (until, now) = (self.deadline(policy), self.clock.now());
            let read = tokio::select! {
                read = read(&self.client, &mut up.held), if up.has_room(1) => Some((read?, &mut *up)),
                read = read(server, &mut down.held), if down.has_room(unit) => Some((read?, &mut *down)),
                written = write(server, &mut up.out), if !up.out.is_empty() => { written?; None }
                written = write(&self.client, &mut down.out), if !down.out.is_empty() => { written?; None }
                // Where the relay is gone, nobody changes its policy any more.
                changed = self.policy.changed() => {
                    if changed.is_err() {
                        return Ok(Ending::Theirs);
                    }
                    None
                }
                () = clock::pause(until.map_or(Duration::ZERO, |until| until.since(now))), if until.is_some() => None,
            };
            if let Some((read, way)) = read {
                way.ended = read == 0;
                self.moved_at = self.clock.now();
            }
        }
    }

    /// When a policy ends this connection, if nothing more happens.
    fn deadline(&self, policy: RelayPolicy) -> Option<Mono> {
        match policy {
            RelayPolicy::Closes(age) | RelayPolicy::Resets(age) | RelayPolicy::Silent(age) => {
                Some(self.accepted_at + age)
            }
            RelayPolicy::ClosesIdle(span) => Some(self.moved_at + span),
            RelayPolicy::Passes | RelayPolicy::Buffers(_) => None,
        }
    }

    fn due(&self, policy: RelayPolicy) -> Option<Ending> {
        if self.deadline(policy)? > self.clock.now() {
            return None;
        }
        match policy {
            RelayPolicy::Closes(_) | RelayPolicy::ClosesIdle(_) => Some(Ending::Close),
            RelayPolicy::Resets(_) => Some(Ending::Reset),
            RelayPolicy::Silent(_) => Some(Ending::Silence),
            RelayPolicy::Passes | RelayPolicy::Buffers(_) => None,
        }
    }
}

/// Reads some bytes; 0 at the end. Cancelling loses nothing.
async fn read(from: &TcpStream, into: &mut BytesMut) -> io::Result<usize> {
    loop {
        from.readable().await?;
        into.reserve(WAITING_BYTES_MAX / 4);
        match from.try_read_buf(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Writes some of it. Cancelling loses nothing.
async fn write(to: &TcpStream, out: &mut BytesMut) -> io::Result<()> {
    loop {
        to.writable().await?;
        match to.try_write(out) {
            Ok(written) => {
                let _ = out.split_to(written);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tells an end that nothing more comes, once all that did is written.
fn tell_end(to: &TcpStream, way: &mut Way) -> io::Result<()> {
    if way.is_over() && !way.told {
        way.told = true;
        SockRef::from(to).shutdown(std::net::Shutdown::Write)?;
    }
    Ok(())
}

/// Writes all that was read, and says that it is the end.
async fn finish(to: &TcpStream, way: &mut Way) -> io::Result<()> {
    way.ended = true;
    way.pass_on(1);
    while !way.out.is_empty() {
        write(to, &mut way.out).await?;
    }
    tell_end(to, way)
}

/// Throws away what comes, until its end.
async fn discard(from: &TcpStream) -> io::Result<()> {
    let mut nothing = BytesMut::new();
    while read(from, &mut nothing).await? > 0 {
        nothing.clear();
    }
    Ok(())
}
