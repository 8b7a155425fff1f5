//! The receiving end of flows: reads blocks as fast as they come or at a reader's pace, and counts
//! what each flow brought.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono, Timer};
use futures::future::try_join_all;
use proto::flow::{BLOCK_BYTES, BLOCKS_MAX, Block, Flow, FlowCarrier, block_interval_ns};
use socket2::{Domain, SockRef, Socket, Type};
use terms::{Failure, FlowOutcome, Outcome, Schedule, Shape};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::recorder::{CallTimes, Recording as _};
use super::round::END_PRECISION;
use super::{Job, Live, Round, Worker};
use crate::connection::CallError;

/// What is read from a connection at once.
const READ_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;
/// What a sender's socket still holds at the end of the sending is read for so long at most, or for
/// the time-out where that is longer.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);

/// Where flows arrive.
#[derive(Debug, Clone)]
pub struct Flows {
    sockets: Arc<[Bound]>,
    /// Bits of blocks that are read a second while senders send; `None` for as fast as they come.
    read_bits_per_s: Option<f64>,
}

#[derive(Debug)]
enum Bound {
    Tcp { listener: TcpListener, reset_after: Option<Duration> },
    Udp(UdpSocket),
}

impl Flows {
    /// Binds a socket for each flow, with a receive buffer of this size where one is given; says
    /// where they are.
    ///
    /// # Errors
    /// The system's.
    pub fn bind(
        flows: &[Flow],
        address: IpAddr,
        buffer_bytes: Option<usize>,
        read_bits_per_s: Option<f64>,
    ) -> io::Result<(Flows, Vec<SocketAddr>)> {
        let any_port = SocketAddr::new(address, 0);
        let bind = |flow: &Flow| {
            let kind = match flow.carrier {
                FlowCarrier::Tcp(_) => Type::STREAM,
                FlowCarrier::Udp => Type::DGRAM,
            };
            let socket = Socket::new(Domain::for_address(any_port), kind, None)?;
            if let Some(bytes) = buffer_bytes {
                // Before it listens, so that accepted connections have it too.
                socket.set_recv_buffer_size(bytes)?;
            }
            socket.bind(&any_port.into())?;
            socket.set_nonblocking(true)?;
            Ok(match flow.carrier {
                FlowCarrier::Tcp(_) => {
                    socket.listen(BACKLOG)?;
                    let listener = TcpListener::from(socket);
                    (listener.local_addr()?, Bound::Tcp { listener, reset_after: flow.reset_after })
                }
                FlowCarrier::Udp => {
                    let socket = UdpSocket::from(socket);
                    (socket.local_addr()?, Bound::Udp(socket))
                }
            })
        };
        let bound: io::Result<Vec<(SocketAddr, Bound)>> = flows.iter().map(bind).collect();
        let (addresses, sockets): (Vec<_>, Vec<_>) = bound?.into_iter().unzip();
        Ok((Flows { sockets: sockets.into(), read_bits_per_s }, addresses))
    }
}

impl Job for Flows {
    type Worker = Receivers;

    async fn open(&self, clock: Clock, _: Shape, live: Arc<Live>) -> Result<Receivers, CallError> {
        let arrive = |bound: &Bound| {
            Ok(match bound {
                Bound::Tcp { listener, reset_after } => {
                    let listener = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
                    Arrives::Tcp { listener, reset_after: *reset_after }
                }
                Bound::Udp(socket) => Arrives::Udp(tokio::net::UdpSocket::from_std(socket.try_clone()?)?),
            })
        };
        let sockets: io::Result<Vec<Arrives>> = self.sockets.iter().map(arrive).collect();
        let sockets = sockets.map_err(|error| CallError::from_io(&error))?;
        Ok(Receivers { clock, live, sockets, read_bits_per_s: self.read_bits_per_s })
    }
}

/// All flows of a round, on one thread.
#[derive(Debug)]
pub struct Receivers {
    clock: Clock,
    live: Arc<Live>,
    sockets: Vec<Arrives>,
    read_bits_per_s: Option<f64>,
}

#[derive(Debug)]
enum Arrives {
    Tcp { listener: tokio::net::TcpListener, reset_after: Option<Duration> },
    Udp(tokio::net::UdpSocket),
}

impl Worker for Receivers {
    /// Until every sender has closed its connection, or nothing has come for the time-out after the
    /// end of the sending.
    async fn run(&self, round: &Round, _: &Schedule) -> io::Result<Outcome> {
        self.live.clear();
        let flows = try_join_all(self.sockets.iter().map(|socket| self.receive(socket, round))).await?;
        let mut flows = flows.into_iter();
        let mut all = flows.next().ok_or_else(|| io::Error::other("no flows to receive"))?;
        for outcome in flows {
            join(&mut all, outcome);
        }
        Ok(all)
    }
}

impl Receivers {
    async fn receive(&self, socket: &Arrives, round: &Round) -> io::Result<Outcome> {
        let heard = Cell::new(Mono::default());
        let mut tally = Tally::of(round, &self.live, &heard)?;
        let silence = self.silence(&heard, tally.until, round.time_out);
        let mut pace = Pace::of(self, round.start)?;
        let read = async {
            match socket {
                Arrives::Tcp { listener, reset_after } => {
                    let reset_at = reset_after.map(|after| tally.measured_from + after);
                    // A connection of an earlier round, whose handshake took longer than the round,
                    // brings nothing of this one.
                    while heard.get() < round.start {
                        let (stream, _) = listener.accept().await?;
                        self.read_until_reset(stream, reset_at, &mut pace, &mut tally).await?;
                    }
                    Ok(())
                }
                Arrives::Udp(socket) => self.read_datagrams(socket, &mut pace, &mut tally).await,
            }
        };
        tokio::select! {
            read = read => read?,
            silent = silence => silent?,
        }
        Ok(tally.into_outcome())
    }

    /// Returns once nothing has been heard for a time-out since the end of the sending, or when
    /// that is long past.
    async fn silence(&self, heard: &Cell<Mono>, until: Mono, time_out: Duration) -> io::Result<()> {
        let mut timer = self.clock.timer(END_PRECISION)?;
        let last = until + time_out.max(DRAIN_TIME_MAX);
        loop {
            let at = (heard.get().max(until) + time_out).min(last);
            if self.clock.now() >= at {
                return Ok(());
            }
            timer.sleep_until(at).await;
        }
    }

    /// Reads to the end of a connection, or resets it when it is time to.
    async fn read_until_reset(
        &self,
        mut stream: TcpStream,
        reset_at: Option<Mono>,
        pace: &mut Option<Pace>,
        tally: &mut Tally<'_>,
    ) -> io::Result<()> {
        let Some(reset_at) = reset_at else { return self.read_connection(&mut stream, pace, tally).await };
        let mut timer = self.clock.timer(END_PRECISION)?;
        tokio::select! {
            read = self.read_connection(&mut stream, pace, tally) => read,
            // A close that does not wait for what is unsent or unread is a reset (RFC 9293, 3.5.3).
            () = timer.sleep_until(reset_at) => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        }
    }

    async fn read_connection(
        &self,
        stream: &mut TcpStream,
        pace: &mut Option<Pace>,
        tally: &mut Tally<'_>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES + BLOCK_BYTES];
        let mut filled = 0;
        loop {
            // A reader with a pace takes a block at a time: what it does not take stays in the
            // socket.
            let most = match pace {
                Some(pace) => match pace.wait(tally.until).await {
                    ControlFlow::Continue(()) => BLOCK_BYTES - filled,
                    ControlFlow::Break(()) => READ_BYTES,
                },
                None => READ_BYTES,
            };
            // A peer that resets has said no more than one that closes.
            let Ok(read) = stream.read(&mut buffer[filled..filled + most]).await else { return Ok(()) };
            if read == 0 {
                return Ok(());
            }
            filled += read;
            let whole = filled / BLOCK_BYTES * BLOCK_BYTES;
            for bytes in buffer[..whole].chunks_exact(BLOCK_BYTES) {
                tally.take(bytes, self.clock.now())?;
            }
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
            if let Some(pace) = pace {
                pace.taken += (whole / BLOCK_BYTES) as u64;
            }
        }
    }

    async fn read_datagrams(
        &self,
        socket: &tokio::net::UdpSocket,
        pace: &mut Option<Pace>,
        tally: &mut Tally<'_>,
    ) -> io::Result<()> {
        let mut buffer = [0; BLOCK_BYTES + 1];
        loop {
            if let Some(pace) = pace {
                let _ = pace.wait(tally.until).await;
                pace.taken += 1;
            }
            let bytes = socket.recv(&mut buffer).await?;
            tally.take(&buffer[..bytes], self.clock.now())?;
        }
    }
}

/// A reader's pace: when it may take its next block.
struct Pace {
    clock: Clock,
    timer: Timer,
    from: Mono,
    interval_ns: f64,
    taken: u64,
}

impl Pace {
    fn of(receivers: &Receivers, from: Mono) -> io::Result<Option<Pace>> {
        let clock = &receivers.clock;
        let pace = |bits: f64| {
            let (clock, timer) = (clock.clone(), clock.timer(END_PRECISION)?);
            Ok(Pace { clock, timer, from, interval_ns: block_interval_ns(bits), taken: 0 })
        };
        receivers.read_bits_per_s.map(pace).transpose()
    }

    /// Waits for the next block's turn; breaks once `until` has passed, after which there are no
    /// turns.
    async fn wait(&mut self, until: Mono) -> ControlFlow<()> {
        let due = self.from + Duration::from_nanos((self.taken as f64 * self.interval_ns) as u64);
        self.timer.sleep_until(due.min(until)).await;
        if self.clock.now() < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// What a flow has brought so far.
struct Tally<'a> {
    live: &'a Live,
    /// When something last came.
    heard: &'a Cell<Mono>,
    start: Mono,
    measured_from: Mono,
    until: Mono,
    /// By sequence: when it was sent, and when it came.
    times: Vec<Option<(Mono, Mono)>>,
    next: usize,
    flow: FlowOutcome,
    outcome: Outcome,
}

impl Tally<'_> {
    fn of<'a>(round: &Round, live: &'a Live, heard: &'a Cell<Mono>) -> io::Result<Tally<'a>> {
        let measured_from = round.start + round.warm_up;
        let slices = round.duration.div_duration_f64(FlowOutcome::SLICE).ceil() as usize;
        Ok(Tally {
            live,
            heard,
            start: round.start,
            measured_from,
            until: measured_from + round.duration,
            times: Vec::new(),
            next: 0,
            flow: FlowOutcome { course: vec![0; slices], ..FlowOutcome::default() },
            outcome: Outcome::over(measured_from, round.duration).map_err(io::Error::other)?,
        })
    }

    fn take(&mut self, bytes: &[u8], now: Mono) -> io::Result<()> {
        let Some(block) = Block::read(bytes).filter(|block| block.sequence < BLOCKS_MAX) else {
            return Err(io::Error::other("what came is no block of this flow"));
        };
        let (due, sent) = (Mono(block.due_ns), Mono(block.sent_ns));
        // A datagram of an earlier round, which took longer than its time-out.
        if sent < self.start {
            return Ok(());
        }
        self.heard.set(now);
        let place = block.sequence as usize;
        if self.times.len() <= place {
            self.times.resize(place + 1, None);
        }
        if self.times[place].replace((sent, now)).is_some() {
            self.outcome.duplicates += 1;
            return Ok(());
        }
        self.outcome.out_of_order += u64::from(place < self.next);
        self.next = self.next.max(place + 1);
        if now >= self.measured_from && now < self.until {
            self.flow.bytes += bytes.len() as u64;
            let slice = now.since(self.measured_from).div_duration_f64(FlowOutcome::SLICE) as usize;
            if let Some(slice) = self.flow.course.get_mut(slice) {
                *slice += bytes.len() as u64;
            }
        }
        if sent >= self.measured_from {
            self.flow.blocks += 1;
            let times =
                CallTimes { scheduled: due, picked_up: sent, sent: Some(sent), attempts: 1, done: now };
            self.outcome.record(&times, None, Duration::MAX);
            self.live.count(now.nanos_since(due), 0, None);
        }
        Ok(())
    }

    fn into_outcome(mut self) -> Outcome {
        self.flow.held_bytes_max = held_max(&self.times) * BLOCK_BYTES as u64;
        self.outcome.flows = vec![self.flow];
        self.outcome
    }
}

/// The most blocks that were sent and had not come, of those that came.
fn held_max(times: &[Option<(Mono, Mono)>]) -> u64 {
    let came = || times.iter().flatten();
    let mut sent: Vec<Mono> = came().map(|(sent, _)| *sent).collect();
    let mut received: Vec<Mono> = came().map(|(_, received)| *received).collect();
    sent.sort_unstable();
    received.sort_unstable();
    let mut sent_before = 0;
    let held = |(received_before, at): (usize, &Mono)| {
        while sent.get(sent_before).is_some_and(|sent| sent <= at) {
            sent_before += 1;
        }
        sent_before - received_before
    };
    received.iter().enumerate().map(held).max().unwrap_or(0) as u64
}

/// Adds another flow of the same round.
fn join(all: &mut Outcome, mut other: Outcome) {
    all.flows.append(&mut other.flows);
    all.merge(&other);
}

/// Counts blocks that a sender's socket had taken and that never came: in the response distribution
/// at the time-out, or at the longest response where that is more, so that what is lost is never
/// sooner than what came.
pub fn record_lost_blocks(outcome: &mut Outcome, blocks: u64, time_out: Duration) {
    outcome.arrivals += blocks;
    if blocks > 0 {
        *outcome.failed.entry(Failure::Missed).or_default() += blocks;
        let response = &mut outcome.histograms.response;
        response.saturating_record_n(clock::nanos(time_out).max(response.max()), blocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_what_was_sent_and_has_not_come() {
        let at = |sent: u64, received: u64| Some((Mono(sent), Mono(received)));
        assert_eq!(held_max(&[at(1, 5), at(2, 6), None, at(3, 7), at(9, 10)]), 3);
        assert_eq!(held_max(&[]), 0);
    }
}
