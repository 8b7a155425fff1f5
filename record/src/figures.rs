//! What is read out of a record: figures round by round, pairs of them, shares.

use std::collections::{BTreeMap, BTreeSet};

use proto::Capability;
use terms::{Activity, Counted, Distribution, Figure, Point, count_within, printable, share_within};

use super::flows::{jain, share};
use super::{Counts, Distance, MarketsPart, Record, RoundPart, VoidFor};

impl Distance {
    /// How far off a prediction of round trips may be.
    pub const TOLERANCE: f64 = 0.15;

    /// Whether what was measured is what arithmetic says; `None` where one of them is missing.
    pub fn as_predicted(&self) -> Option<bool> {
        let off = self.round_trips? - f64::from(self.predicted?);
        Some(off.abs() <= Distance::TOLERANCE)
    }
}

impl Counts {
    /// All failures.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Attempts per call that was due.
    pub fn attempts_per_call(&self) -> Option<f64> {
        let attempts = self.attempts.max(self.sent);
        (self.arrivals > 0).then(|| attempts as f64 / self.arrivals as f64)
    }

    /// Whether there were calls and none succeeded: then no time is one of a reply.
    pub fn all_failed(&self) -> bool {
        self.ok == 0 && self.arrivals > 0
    }

    /// The share of arrivals that failed.
    pub fn failed_share(&self) -> f64 {
        self.failures() as f64 / self.arrivals.max(1) as f64
    }
}

impl RoundPart {
    /// Whether a figure of this measurement counts.
    pub fn counts_for(&self, figure: Figure) -> bool {
        self.void.is_none() || (self.void_for == VoidFor::Times && !figure.depends_on_timing())
    }

    /// Orders in the ledger per call that was sent.
    fn orders_per_call(&self) -> Option<f64> {
        self.orders.filter(|_| self.counts.sent > 0).map(|orders| orders as f64 / self.counts.sent as f64)
    }

    /// A figure of this measurement; `None` where there were too few calls to give it. A response
    /// or service time at which a call stands that failed is infinite: no bound has it.
    pub fn figure(&self, figure: Figure) -> Option<f64> {
        // Processor time and bytes are of all calls, those that are counted apart too.
        let succeeded = self.counts.ok + self.apart.as_ref().map_or(0, |apart| apart.counts.ok);
        let per_call = |total: f64| (succeeded > 0).then(|| total / succeeded as f64);
        match figure {
            Figure::Time(distribution, point) => {
                let quantiles =
                    distribution.of(&self.response_us, &self.lag_us, &self.wait_us, &self.service_us);
                let is_of_whole_calls =
                    matches!(distribution, Distribution::Response | Distribution::Service);
                if is_of_whole_calls && point.is_a_failure(self.counts.failed_share()) {
                    // Those that failed are among the responses, and among no service times.
                    let calls = self.counts.arrivals;
                    let is_given = match point {
                        Point::Percentile(share) => printable(calls, share),
                        _ => calls > 0,
                    };
                    return is_given.then_some(f64::INFINITY);
                }
                match point {
                    Point::Percentile(share) => quantiles.shown(share),
                    _ => (quantiles.n > 0).then(|| point.of(quantiles)),
                }
            }
            Figure::CpuPerCall => per_call(self.client.cpu_us + self.server.cpu_us),
            Figure::ClientCpuPerCall => per_call(self.client.cpu_us),
            Figure::ServerCpuPerCall => per_call(self.server.cpu_us),
            Figure::CpuPerS => Some((self.client.own_share + self.server.own_share) * 1e6),
            Figure::BytesPerCall => per_call(self.wire.total.bytes as f64),
            Figure::AttemptsPerCall => self.counts.attempts_per_call(),
            Figure::PeakPer10Ms => self.peak_per_10ms.map(|peak| peak as f64),
            Figure::OrdersPerCall => self.orders_per_call(),
            Figure::Duplicates => self.orders_per_call().map(|orders| (orders - 1.0).max(0.0)),
            Figure::CallsInTrouble => self.calls_in_trouble.map(|calls| calls as f64),
            Figure::TimeToMove => self.markets.as_ref().and_then(|markets| match markets.never_moved {
                true => Some(f64::INFINITY),
                false => markets.time_to_move_us,
            }),
            Figure::LastCall => self.markets.as_ref().and_then(|markets| match markets.called_to_the_end {
                true => Some(f64::INFINITY),
                false => markets.last_call_us,
            }),
            Figure::MarketShare(nth) => {
                self.markets.as_ref().and_then(|markets| markets.shares.get(nth.checked_sub(1)?).copied())
            }
            Figure::Imbalance => self.markets.as_ref().and_then(MarketsPart::imbalance),
            Figure::TimeToRecover if self.never_recovered => Some(f64::INFINITY),
            Figure::TimeToRecover => self.time_to_recover_us,
            Figure::Failed => Some(self.counts.failed_share()),
            // What failed stands at the time-out, which may lie below that time.
            Figure::Within(us) => share_within(&self.histograms_ns.response, us)
                .map(|share| share.min(1.0 - self.counts.failed_share())),
            Figure::RatePerS => Some(self.counts.ok_per_s),
            Figure::Jain => jain(&self.flows),
            Figure::FlowShare(nth) => share(&self.flows, nth),
        }
    }
}

impl Record {
    /// What is counted.
    pub fn counted(&self) -> Counted {
        match self.plan.operation.as_str() {
            of if of == Capability::Subscribe.name() => Counted::Event,
            Activity::FLOW => Counted::Block,
            _ => Counted::Call,
        }
    }

    /// A cell by contender and condition.
    pub fn cell(&self, contender: &str, condition: &str) -> Option<usize> {
        self.cells.iter().position(|cell| cell.contender == contender && cell.condition == condition)
    }

    /// The measurement of each round of a cell in which a figure counts: the last, where one was
    /// taken again.
    pub fn counted_rounds(&self, cell: usize, figure: Figure) -> BTreeMap<usize, &RoundPart> {
        // In a closed loop other work takes calls away, and with them what they cost in a second.
        let is_closed = self.cells.get(cell).is_some_and(|cell| cell.rate_per_s.is_none());
        let timed = figure == Figure::CpuPerS && is_closed;
        let counts = |round: &&RoundPart| round.counts_for(figure) && (!timed || round.void.is_none());
        let rounds = self.rounds.iter().filter(|round| round.cell == cell).filter(counts);
        rounds.map(|round| (round.round, round)).collect()
    }

    /// A figure of a cell, round by round; void measurements left out.
    pub fn figures(&self, cell: usize, figure: Figure) -> BTreeMap<usize, f64> {
        let rounds = self.counted_rounds(cell, figure).into_iter();
        rounds.filter_map(|(nth, round)| Some((nth, round.figure(figure)?))).collect()
    }

    /// What a share of a cell is of: how many, of how many, round by round. `None` of a figure that
    /// is no share of what is counted.
    pub fn shares(&self, cell: usize, figure: Figure) -> Option<Vec<(u64, u64)>> {
        let rounds = self.counted_rounds(cell, figure).into_values();
        let of = |round: &RoundPart| match figure {
            Figure::Failed => Some((round.counts.failures(), round.counts.arrivals)),
            Figure::Duplicates => {
                let surplus = round.orders.unwrap_or_default().saturating_sub(round.counts.sent);
                Some((surplus.min(round.counts.sent), round.counts.sent))
            }
            Figure::Within(us) => {
                let response = &round.histograms_ns.response;
                let succeeded = response.len().saturating_sub(round.counts.failures());
                Some((count_within(response, us).min(succeeded), response.len()))
            }
            _ => None,
        };
        let shares: Option<Vec<(u64, u64)>> = rounds.map(of).collect();
        // Of nothing there is no share.
        shares.map(|shares| shares.into_iter().filter(|(_, all)| *all > 0).collect())
    }

    /// A figure of two cells, contender and condition of each, in every round that has both.
    pub fn paired_figures(&self, left: (&str, &str), right: (&str, &str), figure: Figure) -> Vec<(f64, f64)> {
        let figures = |(contender, condition): (&str, &str)| {
            self.cell(contender, condition).map(|cell| self.figures(cell, figure))
        };
        let (Some(left), Some(right)) = (figures(left), figures(right)) else { return Vec::new() };
        left.iter().filter_map(|(round, value)| Some((*value, *right.get(round)?))).collect()
    }

    /// Rounds in which a figure of processor time counts although other work disturbed one of these
    /// cells, contender and condition of each; 0 of another figure.
    pub fn disturbed_rounds(&self, cells: &[(&str, &str)], figure: Figure) -> usize {
        if !figure.is_processor_time() {
            return 0;
        }
        let cells = cells.iter().filter_map(|(contender, condition)| self.cell(contender, condition));
        let rounds = cells.flat_map(|cell| self.counted_rounds(cell, figure));
        let disturbed = rounds.filter(|(_, round)| round.void.is_some()).map(|(nth, _)| nth);
        disturbed.collect::<BTreeSet<usize>>().len()
    }

    /// What sentences call a contender.
    pub fn label<'a>(&'a self, contender: &'a str) -> &'a str {
        let cell = self.cells.iter().find(|cell| cell.contender == contender);
        cell.and_then(|cell| cell.label.as_deref()).unwrap_or(contender)
    }

    /// Conditions in which something was measured, in the plan's order.
    pub fn conditions(&self) -> Vec<&str> {
        let mut conditions: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !conditions.contains(&cell.condition.as_str()) {
                conditions.push(&cell.condition);
            }
        }
        conditions
    }
}
