//! The router of a topology: one thread that reads every host's device, asks the way what becomes
//! of each packet, and writes it to its host when it is due.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use clock::{Clock, Mono};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use terms::{Way, WayCount};

use super::capture::Capture;
use super::way::{Carrier, Verdict};
use super::{Join, Wan, packet};

/// Packets on all ways together, at most: 1 Gbit/s for a second and a half.
const HELD_MAX: usize = 1 << 17;
/// Packets that are read from one host before the others have their turn.
const BATCH: usize = 64;
/// The largest packet that IP allows.
const PACKET_MAX: usize = 65_535;
/// A packet is released this long before its time at most: less than a wake-up takes to reach the
/// host.
const EARLY: Duration = Duration::from_micros(10);
/// What the router takes for the time of a wake-up before it has measured one, and at least: 20 µs
/// on hardware.
const WAKING_MIN: Duration = Duration::from_micros(20);
/// And at most: a virtual core that has been idle for long takes 50 to 150 µs.
const WAKING_MAX: Duration = Duration::from_micros(200);
/// Buffers that are kept for the next packets.
const SPARE_MAX: usize = 1 << 12;

/// How late the router was, and what it could not carry.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RouterCount {
    /// Packets that it released.
    pub released: u64,
    /// Released more than 0.1 ms after they were due.
    pub late_100_us: u64,
    /// More than 0.5 ms.
    pub late_500_us: u64,
    /// The latest, in µs.
    pub latest_us: u64,
    /// Packets that are not IPv4, or are cut short.
    pub not_ipv4: u64,
    /// Packets for an address that no link leads to.
    pub no_link: u64,
    /// Packets that a host did not take, having no room or being gone.
    pub refused: u64,
    /// Packets dropped because too many were on their way.
    pub too_many: u64,
}

/// The thread, and what it shares.
#[derive(Debug)]
pub(super) struct Router {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread: something was changed, or it shall end.
    wake: EventFd,
}

#[derive(Debug)]
struct State {
    ends: bool,
    carriers: Vec<Carrier>,
    changes: BinaryHeap<Reverse<Due<(usize, Way)>>>,
    captures: HashMap<usize, Capture>,
    on_the_way: BinaryHeap<Reverse<Due<Held>>>,
    held: u64,
    count: RouterCount,
    spare: Vec<Vec<u8>>,
}

/// A packet on its way.
#[derive(Debug)]
struct Held {
    way: usize,
    host: usize,
    bytes: Vec<u8>,
}

/// Something for a time, in the order it came for those of one time.
#[derive(Debug)]
struct Due<T> {
    at: Mono,
    nth: u64,
    what: T,
}

impl<T> Due<T> {
    fn key(&self) -> (Mono, u64) {
        (self.at, self.nth)
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Due<T>) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Due<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Due<T>) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        // A full counter has woken it already.
        let _ = self.wake.write(1);
    }
}

impl Router {
    /// Starts on devices, one a host.
    pub(super) fn start(devices: Vec<OwnedFd>, joins: &[Join], seed: u64) -> io::Result<Router> {
        let ways = joins.iter().flat_map(|join| [join.link.up, join.link.down]);
        let carriers = ways.enumerate().map(|(place, way)| Carrier::new(way, seed, place)).collect();
        let mut routes = HashMap::new();
        for (nth, join) in joins.iter().enumerate() {
            for (way, from, to) in [(nth * 2, join.from, join.to), (nth * 2 + 1, join.to, join.from)] {
                routes.insert((from, Wan::address(to)), (way, to));
            }
        }
        let state = State {
            ends: false,
            carriers,
            changes: BinaryHeap::new(),
            captures: HashMap::new(),
            on_the_way: BinaryHeap::new(),
            held: 0,
            count: RouterCount::default(),
            spare: Vec::new(),
        };
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let shared = Arc::new(Shared { state: Mutex::new(state), wake });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("router".to_owned()).spawn(move || {
            let devices = devices.into_iter().map(Some).collect();
            Rounds { waking: Waking(WAKING_MIN), devices, routes, shared: &theirs }.run();
        })?;
        Ok(Router { shared, thread: Some(thread) })
    }

    pub(super) fn change(&self, changes: impl Iterator<Item = (Mono, usize, Way)>) {
        self.shared.change(|state| {
            for (at, place, way) in changes {
                let nth = state.next();
                state.changes.push(Reverse(Due { at, nth, what: (place, way) }));
            }
        });
    }

    pub(super) fn capture(&self, join: usize, capture: Capture) {
        self.shared.change(|state| drop(state.captures.insert(join, capture)));
    }

    pub(super) fn count(&self, place: usize) -> WayCount {
        self.shared.state().carriers.get(place).map(|carrier| carrier.count).unwrap_or_default()
    }

    pub(super) fn take_count(&self) -> RouterCount {
        std::mem::take(&mut self.shared.state().count)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.shared.change(|state| state.ends = true);
        if let Some(thread) = self.thread.take() {
            // Its panic was printed by itself.
            let _ = thread.join();
        }
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.held += 1;
        self.held
    }

    /// Applies the changes that are due.
    fn apply(&mut self, now: Mono) {
        while self.changes.peek().is_some_and(|Reverse(change)| change.at <= now) {
            let Some(Reverse(Due { what: (place, way), .. })) = self.changes.pop() else { return };
            if let Some(carrier) = self.carriers.get_mut(place) {
                carrier.way = way;
            }
        }
    }

    /// When there is something to do next.
    fn next_due(&self) -> Option<Mono> {
        let packet = self.on_the_way.peek().map(|Reverse(held)| held.at);
        let change = self.changes.peek().map(|Reverse(change)| change.at);
        packet.into_iter().chain(change).min()
    }

    /// Keeps a packet until it is due; says what to answer its sender with, if anything.
    fn accept(&mut self, now: Mono, way: usize, host: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let carrier = self.carriers.get_mut(way)?;
        match carrier.offer(now, bytes.len()) {
            Verdict::Gone => None,
            Verdict::TooBig => packet::fragmentation_needed(bytes, carrier.way.mtu),
            Verdict::Arrives { at, again } => {
                for _ in 0..1 + u8::from(again) {
                    self.hold(at, way, host, bytes);
                }
                None
            }
        }
    }

    fn hold(&mut self, at: Mono, way: usize, host: usize, bytes: &[u8]) {
        if self.on_the_way.len() >= HELD_MAX {
            self.count.too_many += 1;
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let nth = self.next();
        self.on_the_way.push(Reverse(Due { at, nth, what: Held { way, host, bytes: buffer } }));
    }

    fn spare(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    fn was_late(&mut self, late: Duration) {
        self.count.released += 1;
        self.count.late_100_us += u64::from(late > Duration::from_micros(100));
        self.count.late_500_us += u64::from(late > Duration::from_micros(500));
        self.count.latest_us = self.count.latest_us.max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Has the scheduler run the calling thread before the clients on its core: what is due leaves
/// before they go on. A real-time thread interrupts them, a nice one only has more of the core:
/// behind clients that shake hands over QUIC, it was late by more than 0.5 ms with four packets in
/// a hundred. Where neither is allowed it waits its turn, and what is late for it is counted.
fn hurry() {
    const NICE_MIN: i32 = -20;
    let lowest = nix::libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter lives until the call returns; 0 is the calling thread, to which alone
    // it applies on Linux.
    let refused = unsafe {
        nix::libc::sched_setscheduler(
            0,
            nix::libc::SCHED_FIFO | nix::libc::SCHED_RESET_ON_FORK,
            &raw const lowest,
        )
    };
    if refused != 0 {
        // SAFETY: setpriority has no memory arguments; 0 is the calling thread, likewise.
        let _ = unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, NICE_MIN) };
    }
}

/// How long this machine takes to wake a thread: what the router's own timers are late, as a moving
/// average.
struct Waking(Duration);

impl Waking {
    /// A new reading counts for an eighth.
    fn add(&mut self, late: Duration) {
        self.0 = (self.0 * 7 + late.clamp(WAKING_MIN, WAKING_MAX)) / 8;
    }
}

/// What ended the router's sleep.
struct Woken {
    /// Hosts that have sent something.
    readable: Vec<usize>,
    /// Nothing: its time was over.
    in_vain: bool,
}

/// The thread's own.
struct Rounds<'a> {
    waking: Waking,
    /// `None` where a host is gone.
    devices: Vec<Option<OwnedFd>>,
    routes: HashMap<(usize, Ipv4Addr), (usize, usize)>,
    shared: &'a Shared,
}

impl Rounds<'_> {
    fn run(&mut self) {
        // Timers of this thread fire when they are due, and not up to 50 µs later.
        let _ = nix::sys::prctl::set_timerslack(1);
        hurry();
        let clock = Clock::System;
        let mut scratch = vec![0; PACKET_MAX];
        loop {
            let next = {
                let mut state = self.shared.state();
                if state.ends {
                    return;
                }
                let now = clock.now();
                state.apply(now);
                self.release(&mut state, &clock);
                state.next_due()
            };
            // Woken a little before a packet is due, it polls: late wake-ups then do not make late
            // packets.
            let asleep = clock.now();
            let wait = next.map(|due| due.since(asleep).saturating_sub(self.waking.0 + EARLY));
            let Woken { readable, in_vain } = self.readable(wait);
            let slept = clock.now().since(asleep);
            // A time-out that it slept for says how late it woke; anything else does not.
            if let Some(wait) = wait.filter(|wait| in_vain && !wait.is_zero()) {
                self.waking.add(slept.saturating_sub(wait));
            }
            // What woke it was sent as long ago as waking takes.
            let ago = self.waking.0.min(slept);
            for host in readable {
                let mut state = self.shared.state();
                self.read(&mut state, &clock, host, ago, &mut scratch);
            }
        }
    }

    /// Waits until hosts have sent something, or for that long; says which.
    fn readable(&mut self, wait: Option<Duration>) -> Woken {
        let hosts: Vec<usize> =
            (0..self.devices.len()).filter(|host| self.devices[*host].is_some()).collect();
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN)];
        let devices = self.devices.iter().flatten();
        fds.extend(devices.map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN)));
        // Interrupted, it looks again.
        let woken = ppoll(&mut fds, wait.map(TimeSpec::from_duration), None);
        let in_vain = woken == Ok(0);
        let woken: Vec<PollFlags> = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        if woken[0].contains(PollFlags::POLLIN) {
            // Read to be woken again; it never blocks.
            let _ = self.shared.wake.read();
        }
        let mut readable = Vec::new();
        for (host, woken) in hosts.into_iter().zip(&woken[1..]) {
            if woken.contains(PollFlags::POLLIN) {
                readable.push(host);
            } else if !woken.is_empty() {
                // Its namespace is gone, and its device with it.
                self.devices[host] = None;
            }
        }
        Woken { readable, in_vain }
    }

    fn read(&self, state: &mut State, clock: &Clock, host: usize, ago: Duration, scratch: &mut [u8]) {
        let Some(device) = &self.devices[host] else { return };
        for _ in 0..BATCH {
            let Ok(length) = nix::unistd::read(device, scratch) else { return };
            let bytes = &scratch[..length];
            let Some(destination) = packet::destination(bytes) else {
                state.count.not_ipv4 += 1;
                continue;
            };
            let Some((way, to)) = self.routes.get(&(host, destination)) else {
                state.count.no_link += 1;
                continue;
            };
            let answer = state.accept(clock.now() - ago, *way, *to, bytes);
            if let Some(answer) = answer {
                self.write(state, host, &answer);
            }
        }
    }

    /// Writes every packet that is due.
    fn release(&self, state: &mut State, clock: &Clock) {
        loop {
            let now = clock.now();
            if state.on_the_way.peek().is_none_or(|Reverse(held)| held.at > now + EARLY) {
                return;
            }
            let Some(Reverse(Due { at, what: held, .. })) = state.on_the_way.pop() else { return };
            state.was_late(now.since(at));
            if self.write(state, held.host, &held.bytes) {
                if let Some(carrier) = state.carriers.get_mut(held.way) {
                    carrier.delivered(held.bytes.len());
                }
                let captured =
                    state.captures.get_mut(&(held.way / 2)).map(|capture| capture.write(now, &held.bytes));
                if let Some(Err(error)) = captured {
                    crate::words::tell(&format!(
                        "the capture ends here, its file cannot be written: {error}"
                    ));
                    state.captures.remove(&(held.way / 2));
                }
            }
            state.spare(held.bytes);
        }
    }

    /// Hands a packet to a host; says whether it took it.
    fn write(&self, state: &mut State, host: usize, bytes: &[u8]) -> bool {
        let written =
            self.devices[host].as_ref().map_or(Err(Errno::ENODEV), |fd| nix::unistd::write(fd, bytes));
        state.count.refused += u64::from(written.is_err());
        written.is_ok()
    }
}
