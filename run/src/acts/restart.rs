//! A restart: the server dies with everybody's connections, and all subscribers come back to the
//! next one at once.
//!
//! Each contender has a cast of its own for it, at other ports. The thousands of connections that
//! were held before keep their clients' ports from a server for a minute (TIME-WAIT), and looking
//! for free ones would take longer than coming back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use clock::{Clock, Mono};
use lab::meter::{accept_queue_overflows, connections_attempted, cpu_time};
use record::{ActPart, RestartPart, RestartTrial};
use terms::{Restart, Shape, text};

use crate::cast::Cast;
use crate::meters::micros;
use crate::rounds::OnSite;
use crate::site::Site;
use crate::{Ended, Watcher};

/// Time that all have to come in, and to come back in.
pub(super) const BACK_TIME_MAX: Duration = Duration::from_secs(60);
/// How closely it is known when attempts were made.
const ATTEMPTS_COUNTED_EVERY: Duration = Duration::from_millis(10);

/// Restarts every server under its subscribers.
pub(super) fn restart(
    run: &OnSite<'_>,
    asked: &Restart,
    parts: &mut Vec<RestartPart>,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<()> {
    for &connections in &asked.connections {
        // Of contenders that cannot run here there are no casts.
        for contender in run.plan.contenders_once().into_iter().filter(|of| run.cast_of(&of.name).is_ok()) {
            let name = &contender.name;
            let subscribers = text::count(connections as u64);
            watcher.stage(&format!("restarting the server of {name} under {subscribers} subscribers"));
            let (mut cast, _) = run.open(contender, false)?;
            cast.connect(Shape { connections, in_flight: 1, cold: false })?;
            cast.await_subscribers(connections, BACK_TIME_MAX)?;
            let mut trials = Vec::new();
            for _ in 0..asked.times {
                if run.is_stopped() {
                    return Ok(());
                }
                trials.push(storm(&run.site, &mut cast, connections, asked.down)?);
                // What there is stays, whatever the next one comes to.
                if trials.len() > 1 {
                    parts.pop();
                }
                parts.extend(judge::acts::restart_part(name, connections, &trials));
                let so_far = ActPart::Restart { asked: asked.clone(), restarts: parts.clone() };
                watcher.keep(Ended::Trial(&so_far))?;
            }
        }
    }
    Ok(())
}

/// Restarts the server under so many subscribers, and waits until all are back.
fn storm(
    site: &Site<'_>,
    cast: &mut Cast,
    connections: usize,
    down: Duration,
) -> anyhow::Result<RestartTrial> {
    let (client, server) = (cast.client.pid(), cast.server.pid());
    let dropped_before = accept_queue_overflows(server)?;
    let cpu_before = cpu_time(client)?;
    let over = AtomicBool::new(false);
    let (back, attempts) = std::thread::scope(|scope| {
        let counting = scope.spawn(|| count_attempts(client, &over));
        let back = come_back(site, cast, connections, down);
        over.store(true, Ordering::Relaxed);
        let attempts = counting.join().map_err(|_| anyhow!("the count of attempts panicked"))?;
        anyhow::Ok((back?, attempts?))
    })?;
    let ms = |from: Mono, to: Mono| to.since(from).as_secs_f64() * 1e3;
    Ok(RestartTrial {
        down_ms: ms(back.killed, back.listening_since),
        most_ms: ms(back.listening_since, back.most_since),
        storm_ms: ms(back.listening_since, back.complete_since),
        attempts: attempts.last().map_or(0, |(_, last)| last - attempts[0].1),
        attempts_per_s_max: per_s_max(&attempts),
        dropped: accept_queue_overflows(cast.server.pid())?.saturating_sub(dropped_before),
        client_cpu_us: micros(cpu_time(client)?.saturating_sub(cpu_before)),
        server_cpu_us: micros(back.server_cpu),
    })
}

fn come_back(site: &Site<'_>, cast: &mut Cast, connections: usize, down: Duration) -> anyhow::Result<Back> {
    let (killed, listening_since) = cast.restart(site, down)?;
    let server = cast.server.pid();
    let cpu_before = cpu_time(server)?;
    let time_left = || (listening_since + BACK_TIME_MAX).since(Clock::System.now());
    let most_since = cast.await_subscribers((connections * 9).div_ceil(10), time_left())?;
    let complete_since = cast.await_subscribers(connections, time_left())?;
    let server_cpu = cpu_time(server)?.saturating_sub(cpu_before);
    Ok(Back { killed, listening_since, most_since, complete_since, server_cpu })
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

/// The steepest rise between two counts; the last of them may follow at once on the one before, and
/// is left out.
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
