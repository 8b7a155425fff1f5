//! Servers with known answers: what they do to a request is a formula, so that what a client measures can be
//! checked against arithmetic. They do no work, and reply at a time computed from the arrival alone.

pub mod http;
pub mod tcp;

use std::time::Duration;

use clock::{Clock, Mono};

/// What a reference server does to every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Behaviour {
    /// The time from a request's arrival to its reply.
    pub delay: Duration,
    /// If any, when the server stands still.
    pub freeze: Option<Freeze>,
}

/// The server does nothing for `span` at the start of every `period`, as under a garbage collection or SIGSTOP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Freeze {
    /// How long it stands still.
    pub span: Duration,
    /// From the start of one freeze to the start of the next.
    pub period: Duration,
}

/// A behaviour in time: when the first period began, and what it does.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) clock: Clock,
    pub(crate) delays: clock::Delays,
    behaviour: Behaviour,
    origin: Mono,
}

impl Reference {
    pub(crate) fn start(behaviour: Behaviour) -> std::io::Result<Reference> {
        let clock = Clock::System;
        // It has a core to itself: spinning for the last microseconds buys exactness.
        let delays = clock::Delays::start(&clock, clock::Precision::Spin)?;
        Ok(Reference { origin: clock.now(), clock, delays, behaviour })
    }

    /// Waits until the reply to a request that has just arrived is due.
    pub(crate) async fn reply_time(&self) {
        let due = self.behaviour.reply_time(self.origin, self.clock.now());
        self.delays.sleep_until(due).await;
    }
}

impl Behaviour {
    /// When a request that arrived at `arrival` is answered: a frozen server begins on it when it thaws, and a
    /// reply that falls due in a freeze leaves at its end.
    pub fn reply_time(&self, origin: Mono, arrival: Mono) -> Mono {
        let begun = self.thawed(origin, arrival);
        self.thawed(origin, begun + self.delay)
    }

    fn thawed(&self, origin: Mono, time: Mono) -> Mono {
        let Some(freeze) = self.freeze else { return time };
        let period = clock::nanos(freeze.period).max(1);
        let into_period = time.nanos_since(origin) % period;
        let frozen = clock::nanos(freeze.span);
        if into_period < frozen { Mono(time.0 + frozen - into_period) } else { time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn reply_ms(arrival_ms: u64) -> u64 {
        let freeze = Freeze { span: Duration::from_millis(500), period: Duration::from_secs(5) };
        let behaviour = Behaviour { delay: Duration::from_millis(2), freeze: Some(freeze) };
        behaviour.reply_time(Mono(7 * MS), Mono((7 + arrival_ms) * MS)).0 / MS - 7
    }

    #[test]
    fn a_request_in_a_freeze_waits_for_its_end_and_then_takes_its_delay() {
        assert_eq!(reply_ms(600), 602);
        assert_eq!(reply_ms(0), 502);
        assert_eq!(reply_ms(499), 502);
        assert_eq!(reply_ms(4_999), 5_500);
        assert_eq!(reply_ms(5_250), 5_502);
    }
}
