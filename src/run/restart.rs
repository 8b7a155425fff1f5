//! A restart: the server dies with everybody's connections, and all subscribers come back to the next one at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use clients::load::Shape;
use clock::{Clock, Mono};
use lab::meter::{accept_queue_overflows, connections_attempted, cpu_time};

use super::{Pair, Place};

/// Time that all have to come in, and to come back in.
pub(super) const BACK_TIME_MAX: Duration = Duration::from_secs(60);
/// How closely it is known when attempts were made.
const ATTEMPTS_COUNTED_EVERY: Duration = Duration::from_millis(10);

/// What the restarts of a contender's server came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Restarted {
    /// Who.
    pub contender: String,
    /// Subscribers that came back, each over a connection of its own.
    pub connections: usize,
    /// One a restart.
    pub storms: Vec<Storm>,
}

/// How everybody came back after one restart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storm {
    /// From the kill until another server listened.
    pub down: Duration,
    /// From then until nine in ten subscriptions waited for ticks there.
    pub most: Duration,
    /// Until the last did.
    pub length: Duration,
    /// Connections that the client's host asked for since the kill.
    pub attempts: u64,
    /// The most of them in a second, over at least 10 ms; what was refused while nobody listened is among them.
    pub attempts_per_s_max: f64,
    /// SYNs and ends of handshakes that the server's host threw away because too many were waiting to be accepted.
    pub dropped: u64,
    /// Processor time of the client since the kill.
    pub client_cpu: Duration,
    /// Processor time of the new server while they came back.
    pub server_cpu: Duration,
}

impl Place<'_> {
    /// Has so many subscribers come and wait.
    pub(crate) fn gather(&self, pair: &mut Pair, connections: usize) -> anyhow::Result<()> {
        pair.connect(Shape { connections, in_flight: 1, cold: false })?;
        pair.await_subscribers(connections, BACK_TIME_MAX).map(drop)
    }

    /// Restarts the server under so many subscribers, and waits until all are back.
    pub(crate) fn storm(&self, pair: &mut Pair, connections: usize, down: Duration) -> anyhow::Result<Storm> {
        let (client, server) = pair.pids();
        let dropped_before = accept_queue_overflows(server)?;
        let cpu_before = cpu_time(client)?;
        let over = AtomicBool::new(false);
        let (back, attempts) = std::thread::scope(|scope| {
            let counting = scope.spawn(|| count_attempts(client, &over));
            let back = self.come_back(pair, connections, down);
            over.store(true, Ordering::Relaxed);
            let attempts = counting.join().map_err(|_| anyhow!("the count of attempts panicked"))?;
            anyhow::Ok((back?, attempts?))
        })?;
        let (_, server) = pair.pids();
        Ok(Storm {
            down: back.listening_since.since(back.killed),
            most: back.most_since.since(back.listening_since),
            length: back.complete_since.since(back.listening_since),
            attempts: attempts.last().map_or(0, |(_, last)| last - attempts[0].1),
            attempts_per_s_max: per_s_max(&attempts),
            dropped: accept_queue_overflows(server)?.saturating_sub(dropped_before),
            client_cpu: cpu_time(client)?.saturating_sub(cpu_before),
            server_cpu: back.server_cpu,
        })
    }

    fn come_back(&self, pair: &mut Pair, connections: usize, down: Duration) -> anyhow::Result<Back> {
        let (killed, listening_since) = pair.restart(self.network.server_host(), down)?;
        let (_, server) = pair.pids();
        let cpu_before = cpu_time(server)?;
        let time_left = || (listening_since + BACK_TIME_MAX).since(Clock::System.now());
        let most_since = pair.await_subscribers((connections * 9).div_ceil(10), time_left())?;
        let complete_since = pair.await_subscribers(connections, time_left())?;
        let server_cpu = cpu_time(server)?.saturating_sub(cpu_before);
        Ok(Back { killed, listening_since, most_since, complete_since, server_cpu })
    }
}

/// When what happened.
struct Back {
    killed: Mono,
    listening_since: Mono,
    most_since: Mono,
    complete_since: Mono,
    server_cpu: Duration,
}

/// Connections that a process's host has asked for, now and then until it is over.
fn count_attempts(pid: u32, over: &AtomicBool) -> std::io::Result<Vec<(Mono, u64)>> {
    let clock = Clock::System;
    let mut counts = Vec::new();
    loop {
        let is_over = over.load(Ordering::Relaxed);
        counts.push((clock.now(), connections_attempted(pid)?));
        if is_over {
            return Ok(counts);
        }
        clock::pause_thread(ATTEMPTS_COUNTED_EVERY);
    }
}

/// The steepest rise between two counts; the last of them may follow at once on the one before, and is left out.
fn per_s_max(counts: &[(Mono, u64)]) -> f64 {
    let rates = counts.windows(2).filter_map(|pair| {
        let ((from, before), (to, after)) = (pair[0], pair[1]);
        let span = to.since(from);
        (span >= ATTEMPTS_COUNTED_EVERY).then(|| (after - before) as f64 / span.as_secs_f64())
    });
    rates.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_steepest_rise_over_ten_milliseconds() {
        let ms = |ms: u64| Mono(ms * 1_000_000);
        let counts = [(ms(0), 5), (ms(10), 25), (ms(30), 105), (ms(31), 155)];
        assert!((per_s_max(&counts) - 4_000.0).abs() < 1e-9, "{}", per_s_max(&counts));
        assert!(per_s_max(&counts[..1]).abs() < 1e-9);
    }
}
