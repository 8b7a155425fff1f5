//! What came from outside the contenders: whether a measurement counts.
//!
//! Failures and slowness of a contender never make a measurement void. What does is found by
//! measuring: the engine's lag, the hypervisor's steal (`/proc/stat`), and processor time that
//! something else had on the pinned cores.

use std::time::Duration;

use hdrhistogram::Histogram;
use lab::wan::RouterCount;

use judge::capacity::SATURATED_SHARE;
use lab::neighbours::Neighbour;
use record::{EndPart, VoidFor};

use crate::cast::Taken;

/// The share of calls, or of a router's packets, that may be late: one in a hundred, so that their
/// p99 is in time.
const LATE_SHARE_MAX: f64 = 0.01;
/// The engine's own lateness from which on a call is late: ten times what a waking core takes here.
const LAG_MAX: Duration = Duration::from_millis(2);
/// One late call is one stall, and not a late engine: a few dozen calls have no p99.
const LATE_STALLS: u64 = 1;
/// The share of a core that the hypervisor may take.
const STEAL_SHARE_MAX: f64 = 0.05;
/// The share of a core that others may use.
const FOREIGN_SHARE_MAX: f64 = 0.1;
/// As many late packets are a few stalls, and not a late router: each holds up all that wait behind
/// it.
const ROUTER_LATE_STALLS: u64 = 20;
/// The share of foreign time that a process must have used to be named.
const NAMED_SHARE_MIN: f64 = 0.3;
/// How late meters may be read: what they say is then of another time than what was counted.
const READ_LATE_MAX: Duration = Duration::from_millis(100);
/// The same in shares of the measured time, where that is more.
const READ_LATE_SHARE_MAX: f64 = 0.1;

/// Why a measurement is void, and what to change, and which figures are; `None` where it counts.
/// Where ticks are pushed, lag is the server's.
///
/// A core that the hypervisor takes computes slower, in everybody's account, and a process that is
/// stopped is in no state to be measured: both touch every figure, as does a router that drops.
/// Other work on a core, a late engine and a late router make calls late, and touch figures that
/// depend on timing.
pub(crate) fn void_reason(taken: &Taken, pushes: bool) -> Option<(String, VoidFor)> {
    let ends = [("server", &taken.server), ("client", &taken.client)];
    let everything = halted(taken)
        .or_else(|| ends.into_iter().find_map(|(end, used)| stolen(end, used)))
        .or_else(|| taken.router.as_ref().and_then(router_dropped));
    let engine_counts = !pushes && !client_limited(&taken.client);
    let times = || {
        ends.into_iter()
            .find_map(|(end, used)| foreign(end, used, taken.busiest.as_ref()))
            .or_else(|| taken.router.as_ref().and_then(router_late))
            .or_else(|| engine_late(&taken.outcome.histograms.lag).filter(|_| engine_counts))
    };
    everything.map(|why| (why, VoidFor::Everything)).or_else(|| Some((times()?, VoidFor::Times)))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn stolen(end: &str, used: &EndPart) -> Option<String> {
    (used.core_steal_share > STEAL_SHARE_MAX).then(|| {
        format!(
            "the hypervisor took {} of the {end}'s core: measure when the host is quieter, or elsewhere",
            percent(used.core_steal_share)
        )
    })
}

fn foreign(end: &str, used: &EndPart, busiest: Option<&Neighbour>) -> Option<String> {
    (used.core_foreign_share > FOREIGN_SHARE_MAX).then(|| {
        let foreign_us = used.core_foreign_share * used.window_us;
        // Who used a tenth of it was not the one.
        let is_it = |of: &&Neighbour| of.cpu.as_secs_f64() * 1e6 >= NAMED_SHARE_MIN * foreign_us;
        let who = busiest.filter(is_it).map_or_else(
            || "no process here accounts for it".to_owned(),
            |of| format!("busiest on the machine: {}, process {}", of.name, of.pid),
        );
        format!(
            "other work used {} of the {end}'s core ({who}): stop it, or give wirebench other cores (taskset)",
            percent(used.core_foreign_share)
        )
    })
}

/// Whether a process was stopped meanwhile: one of the two ends, or the command, which then read
/// the meters late.
fn halted(taken: &Taken) -> Option<String> {
    if let Some(end) = taken.stopped {
        return Some(format!(
            "the {end}'s process was stopped for a while (SIGSTOP) and went on: let wirebench's processes be while it measures"
        ));
    }
    let window = Duration::from_secs_f64(taken.server.window_us.max(0.0) / 1e6);
    let late = taken.read_late;
    (late > READ_LATE_MAX.max(window.mul_f64(READ_LATE_SHARE_MAX))).then(|| {
        format!(
            "the command read the meters {} ms late: it was stopped (Ctrl-Z, SIGSTOP), or something kept it from its core",
            late.as_millis()
        )
    })
}

/// Whether so many are late that it is no stall or two.
fn too_many_late(late: u64, of: u64, stalls: u64) -> bool {
    late > stalls && late as f64 > of as f64 * LATE_SHARE_MAX
}

fn engine_late(lag: &Histogram<u64>) -> Option<String> {
    let late = lag.count_between(clock::nanos(LAG_MAX) + 1, u64::MAX);
    too_many_late(late, lag.len(), LATE_STALLS).then(|| {
        format!(
            "the load engine picked {late} of {} calls up more than {} ms late: something kept the client's core from waking, \
             see `wirebench doctor`",
            lag.len(),
            LAG_MAX.as_millis()
        )
    })
}

fn router_dropped(router: &RouterCount) -> Option<String> {
    (router.too_many > 0).then(|| {
        format!(
            "the router itself dropped {} packets, more being on their way than it holds: load the link less",
            router.too_many
        )
    })
}

fn router_late(router: &RouterCount) -> Option<String> {
    too_many_late(router.late_500_us, router.released, ROUTER_LATE_STALLS).then(|| {
        format!(
            "the router released {:.1} % of {} packets more than 0.5 ms late: load the link less, or measure when the machine \
             is quieter",
            router.late_500_us as f64 / router.released as f64 * 100.0,
            router.released
        )
    })
}

/// Whether the client had no processor time to spare: what was measured is then at most its own
/// limit.
pub(crate) fn client_limited(client: &EndPart) -> bool {
    client.own_share > SATURATED_SHARE
}

#[cfg(test)]
mod tests {
    use terms::Outcome;

    use super::*;

    fn taken(lag: Duration, client: EndPart, server: EndPart) -> Taken {
        let mut outcome = Outcome::new().unwrap();
        outcome.histograms.lag.record_n(u64::try_from(lag.as_nanos()).unwrap(), 100).unwrap();
        Taken {
            orders: None,
            calls_in_trouble: None,
            happened: Vec::new(),
            calls_by_market: Vec::new(),
            start: clock::Mono(0),
            outcome,
            sent: Vec::new(),
            client,
            server,
            wire: record::WirePart::default(),
            router: None,
            way: None,
            read_late: Duration::ZERO,
            stopped: None,
            busiest: None,
        }
    }

    /// Other work makes calls late and is in nobody's processor time; a core that is taken below us
    /// computes slower.
    #[test]
    fn other_work_voids_times_and_steal_voids_everything() {
        let with = |server: EndPart| {
            let (name, cpu) = ("cargo".to_owned(), Duration::from_secs(1));
            let neighbour = Neighbour { pid: 7, name, started: 1, cpu };
            let quiet = taken(Duration::ZERO, EndPart::default(), server);
            void_reason(&Taken { busiest: Some(neighbour), ..quiet }, false).unwrap()
        };
        let (why, of) = with(EndPart { core_foreign_share: 0.3, window_us: 1e6, ..EndPart::default() });
        assert_eq!(of, VoidFor::Times);
        let says = "other work used 30 % of the server's core (busiest on the machine: cargo, process 7): ";
        assert!(why.starts_with(says), "{why}");
        // One that used a second of nine is not named.
        let (why, _) = with(EndPart { core_foreign_share: 0.9, window_us: 1e7, ..EndPart::default() });
        assert!(why.contains("(no process here accounts for it)"), "{why}");
        let both = EndPart { core_foreign_share: 0.3, core_steal_share: 0.3, ..EndPart::default() };
        assert_eq!(with(both).1, VoidFor::Everything);
    }

    #[test]
    fn a_process_that_was_stopped_meanwhile_makes_a_measurement_void() {
        let with = |stopped, late_ms| {
            let server = EndPart { window_us: 4e6, ..EndPart::default() };
            let read_late = Duration::from_millis(late_ms);
            let taken = Taken { stopped, read_late, ..taken(Duration::ZERO, EndPart::default(), server) };
            void_reason(&taken, true).unwrap_or_default().0
        };
        assert!(with(Some("server"), 0).starts_with("the server's process was stopped for a while"));
        assert_eq!(with(None, 399), "");
        assert!(with(None, 401).contains("401 ms late"));
    }

    #[test]
    fn only_causes_outside_the_contender_make_a_measurement_void() {
        let quiet = EndPart::default();
        let reason = |lag_us, client, server| {
            void_reason(&taken(Duration::from_micros(lag_us), client, server), false).unwrap_or_default().0
        };
        assert_eq!(reason(100, quiet, quiet), "");
        // A server that burns its core is a contender that costs much.
        assert_eq!(reason(100, quiet, EndPart { own_share: 1.0, ..quiet }), "");
        assert!(reason(30_000, quiet, quiet).contains("picked 100 of 100 calls up more than 2 ms late"));
        // A saturated client is late by itself: the cell says so instead.
        assert_eq!(reason(30_000, EndPart { own_share: 0.99, ..quiet }, quiet), "");
        assert!(
            reason(100, quiet, EndPart { core_steal_share: 0.2, ..quiet })
                .contains("20 % of the server's core")
        );
        assert!(
            reason(100, EndPart { core_foreign_share: 0.5, ..quiet }, quiet)
                .contains("50 % of the client's core")
        );
    }

    #[test]
    fn an_engine_is_late_where_its_p99_is_and_no_single_stall_is_that() {
        let with = |late: u64, calls: u64| {
            let mut lag = Histogram::new(3).unwrap();
            lag.record_n(100_000, calls - late).unwrap();
            lag.record_n(5_000_000, late).unwrap();
            engine_late(&lag).is_some()
        };
        assert!(!with(1, 60));
        assert!(with(2, 60));
        assert!(!with(2, 200));
        assert!(with(3, 200));
        assert!(!with(20, 2_000));
        assert!(with(21, 2_000));
    }

    #[test]
    fn a_late_router_makes_a_measurement_void() {
        let with = |late_500_us| {
            let quiet = EndPart::default();
            let router = Some(RouterCount { released: 3_000, late_500_us, ..RouterCount::default() });
            void_reason(&Taken { router, ..taken(Duration::ZERO, quiet, quiet) }, false)
        };
        assert_eq!(with(30), None);
        assert!(with(33).unwrap().0.contains("1.1 % of 3000 packets"));
    }

    #[test]
    fn where_ticks_are_pushed_lag_is_the_servers() {
        let late = taken(Duration::from_millis(30), EndPart::default(), EndPart::default());
        assert_eq!(void_reason(&late, true), None);
    }
}
