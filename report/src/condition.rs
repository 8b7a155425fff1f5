//! What a page says of one condition: charts, tables, sentences.

use hdrhistogram::Histogram;
use record::{AaPair, CellPart, Difference, Merged, Record, SlicePart};
use scenarios::Scenario;
use terms::{Activity, Changes, Counted, FAILED_SHARE_MAX, Figure, printable, text};

use super::acts::{CapacityView, capacity};
use super::chart::{self, Bar, Line, NARROW, WIDE};
use super::claimed;
use super::curve::{Along, Curve, ROUNDS, time_line};
use super::findings::condition_anchor;
use super::forest::{self, forest};
use super::goodput::{FlowsView, flows_view};
use super::look::Looks;
use super::marks::Mark;
use super::numbers::{Row, TicksRow, interval, row, ticks_row};
use super::received::{Received, received};
use super::reconnections::{ReconnectionRow, reconnection_row};
use super::retries::{RetryRow, retries};
use super::shares::{ShareRow, shares};
use super::tables::{CostRow, DistanceRow, cost_row, distance_row};

/// Conditions that a page shows whole; of more, the points of axes are folded up.
const CONDITIONS_OPEN: usize = 2;

/// What was measured under one condition.
pub(super) struct ConditionView {
    pub(super) name: String,
    /// Where it stands on the page.
    pub(super) anchor: String,
    /// How sentences say it; empty where nothing was written.
    pub(super) label: String,
    pub(super) words: String,
    /// A sign, a name and what sentences call it, a contender; the baseline's twin is left out.
    pub(super) legend: Vec<(String, String, String)>,
    /// Charts of the figures that claims judge here: a title, and the chart for each width.
    pub(super) claimed: Vec<(String, [String; 2])>,
    /// Whether something here stands in grey, being void.
    pub(super) void: bool,
    pub(super) percentiles: [String; 2],
    /// The slowest response of each measurement, round by round.
    pub(super) time_line: [String; 2],
    /// Response times while the link changed.
    pub(super) course: [String; 2],
    /// What changed on the link in the course of it.
    pub(super) changes: bool,
    /// What subscribers received of what was due.
    pub(super) received: [String; 2],
    /// When attempts were made again.
    pub(super) retries: [String; 2],
    /// What each of several markets had of the calls.
    pub(super) shares: [String; 2],
    pub(super) bars: [String; 2],
    /// Ratios to the baseline: a metric, and its chart for each width.
    pub(super) forests: Vec<(String, [String; 2])>,
    /// What the baseline against itself says of the noise.
    pub(super) aa: Vec<String>,
    /// Latency against rate, where capacity was searched for: the objective, the chart, a sentence
    /// a contender.
    pub(super) capacity: Option<CapacityView>,
    /// Where the two ends lie apart: the link and its round trip, and a line a contender.
    pub(super) distance: Option<(String, Vec<DistanceRow>)>,
    /// Each call opens a connection of its own.
    pub(super) cold: bool,
    /// One of many points of an axis: it is folded up.
    pub(super) folded: bool,
    pub(super) rows: Vec<Row>,
    pub(super) costs: Vec<CostRow>,
    pub(super) not_offered: Vec<(String, String)>,
    pub(super) failures: Vec<String>,
    pub(super) n: String,
    /// What is counted: a call, an event or a block.
    pub(super) noun: Counted,
    /// The same, one of them.
    pub(super) a_noun: String,
    /// Whether servers send it of themselves.
    pub(super) pushed: bool,
    /// Flows that share the link, contender by contender.
    pub(super) flows: Vec<FlowsView>,
    /// The ticks of sessions, a line a contender.
    pub(super) ticks: Vec<TicksRow>,
    /// How subscribers came through what stood between, a line a contender.
    pub(super) reconnections: Vec<ReconnectionRow>,
}

pub(super) fn condition(record: &Record, name: &str, looks: &Looks<'_>) -> ConditionView {
    let twin = Scenario::again(&record.plan.baseline);
    let cells: Vec<(usize, &CellPart)> =
        record.cells.iter().enumerate().filter(|(_, cell)| cell.condition == name).collect();
    let measured: Vec<(usize, &CellPart, &Merged)> =
        cells.iter().filter_map(|(index, cell)| Some((*index, *cell, cell.merged.as_ref()?))).collect();
    let lines: Vec<Line> = measured
        .iter()
        .map(|(index, cell, merged)| Line {
            name: cell.contender.clone(),
            look: looks.get(&cell.contender).faint_if(merged.times_void()),
            points: percentile_points(&merged_response(record, *index)),
        })
        .collect();
    let bars: Vec<Bar> = measured
        .iter()
        .map(|(index, cell, merged)| Bar {
            name: cell.contender.clone(),
            look: looks.get(&cell.contender).faint_if(merged.costs_void()),
            parts: [merged.client.cpu_us_per_call, merged.server.cpu_us_per_call],
            half_interval: interval(record, *index, Figure::CpuPerCall).map(|(_, half)| half),
        })
        .collect();
    let draw = |size| chart::percentiles(&lines, size, "Response time by percentile");
    let noun = record.counted();
    let bars_title = format!("Processor time per {noun}, client and server");
    let draw_bars = |size| chart::stacked_bars(&bars, ["client", "server"], size, &bars_title);
    let n = measured.iter().map(|(_, _, merged)| merged.counts.arrivals).min().unwrap_or(0);
    let rounds = measured.iter().map(|(_, _, merged)| merged.rounds).min().unwrap_or(0);
    ConditionView {
        name: name.to_owned(),
        anchor: condition_anchor(name),
        label: cells.first().and_then(|(_, cell)| cell.condition_label.clone()).unwrap_or_default(),
        words: cells
            .first()
            .map(|(_, cell)| condition_in_words(cell, &record.plan.operation))
            .unwrap_or_default(),
        legend: measured
            .iter()
            .filter(|(_, cell, _)| cell.contender != twin)
            .map(|(_, cell, _)| {
                let label = cell.label.clone().unwrap_or_default();
                (looks.get(&cell.contender).sign(), cell.contender.clone(), label)
            })
            .collect(),
        claimed: claimed::charts(record, name, looks),
        void: measured.iter().any(|(_, _, merged)| merged.times_void() || merged.costs_void()),
        percentiles: [draw(WIDE), draw(NARROW)],
        time_line: time_lines(record, &measured, looks),
        course: course(record.plan.duration_ms / 1e3, &measured, looks),
        changes: measured.iter().any(|(_, cell, _)| !cell.changes.is_empty()),
        received: received_of(record, &measured, looks),
        retries: retries_of(record, &measured, looks),
        shares: shares_of(record, &measured, looks),
        bars: [draw_bars(WIDE), draw_bars(NARROW)],
        forests: forests(record, name, looks),
        aa: aa_lines(record, name),
        capacity: capacity(record, name, looks),
        costs: measured.iter().map(|(_, cell, merged)| cost_row(cell, merged)).collect(),
        distance: distance(&cells),
        folded: cells.iter().any(|(_, cell)| !cell.axes.is_empty())
            && record.conditions().len() > CONDITIONS_OPEN,
        cold: measured.iter().any(|(_, _, merged)| !merged.phases.is_empty()),
        rows: measured
            .iter()
            .map(|(index, cell, merged)| row(record, *index, cell, merged, looks.get(&cell.contender).sign()))
            .collect(),
        not_offered: cells
            .iter()
            .filter_map(|(_, cell)| Some((cell.contender.clone(), cell.not_offered.clone()?)))
            .collect(),
        failures: measured.iter().flat_map(|(_, cell, merged)| failures(cell, merged)).collect(),
        n: match rounds {
            0 => format!(
                "n ≥ {} {noun}s per contender, of which every round was disturbed for one",
                text::count(n)
            ),
            rounds => format!("n ≥ {} {noun}s per contender, in {rounds} rounds", text::count(n)),
        },
        ticks: measured.iter().filter_map(|(_, cell, merged)| ticks_row(cell, merged)).collect(),
        reconnections: measured
            .iter()
            .filter_map(|(_, cell, merged)| reconnection_row(cell, merged, noun))
            .collect(),
        a_noun: if noun == Counted::Event { format!("an {noun}") } else { format!("a {noun}") },
        pushed: noun != Counted::Call,
        flows: measured
            .iter()
            .filter_map(|(_, cell, merged)| {
                flows_view(cell, merged, record.plan.duration_ms / 1e3, [WIDE, NARROW])
            })
            .collect(),
        noun,
    }
}

/// The link, and the round trips over it; `None` where nothing counts them, as of flows.
fn distance(cells: &[(usize, &CellPart)]) -> Option<(String, Vec<DistanceRow>)> {
    let distance = cells.iter().find_map(|(_, cell)| cell.distance.as_ref())?;
    let link = format!("'{}', {} there and back", distance.link, text::micros(distance.round_trip_us));
    let rows: Vec<DistanceRow> = cells.iter().filter_map(|(_, cell)| distance_row(cell)).collect();
    (!rows.is_empty()).then_some((link, rows))
}

/// The slowest response of each measurement of these cells.
fn time_lines(record: &Record, measured: &[(usize, &CellPart, &Merged)], looks: &Looks<'_>) -> [String; 2] {
    let curve = |(index, cell, merged): &(usize, &CellPart, &Merged)| {
        let rounds = record.rounds.iter().filter(|round| round.cell == *index);
        Curve {
            name: cell.contender.clone(),
            look: looks.get(&cell.contender),
            points: rounds
                .map(|round| (round.round as f64 + 1.0, round.response_us.max, round.void.is_none()))
                .collect(),
            words: format!("slowest {}", text::micros(merged.response_us.max)),
        }
    };
    let lines: Vec<Curve> = measured.iter().map(curve).collect();
    [WIDE, NARROW].map(|size| time_line(&lines, ROUNDS, size, "Slowest response, round by round"))
}

/// What subscribers received along the measured time, where they missed something; or what callers
/// were answered in time, where something changed and more than a few calls failed.
fn received_of(record: &Record, measured: &[(usize, &CellPart, &Merged)], looks: &Looks<'_>) -> [String; 2] {
    let title = match record.counted() {
        Counted::Event => "Events received, by when they were due",
        Counted::Call if measured.iter().any(|(_, cell, merged)| changed_and_failed(cell, merged)) => {
            "Calls answered in time, by when they were due"
        }
        Counted::Call | Counted::Block => return Default::default(),
    };
    let row = |(_, cell, merged): &(usize, &CellPart, &Merged)| {
        let (name, look) = (cell.contender.clone(), looks.get(&cell.contender));
        Received { label: label(cell), name, look, slices: merged.course.clone() }
    };
    let rows: Vec<Received> = without_the_twin(record, measured).map(row).collect();
    let seconds = record.plan.duration_ms / 1e3;
    let marks = marks(changes_of(measured));
    [WIDE, NARROW].map(|size| received(&rows, seconds, &marks, size, title))
}

/// When contenders made attempts again; the baseline's twin is left out.
fn retries_of(record: &Record, measured: &[(usize, &CellPart, &Merged)], looks: &Looks<'_>) -> [String; 2] {
    let row = |(_, cell, merged): &(usize, &CellPart, &Merged)| RetryRow {
        name: cell.contender.clone(),
        label: label(cell),
        look: looks.get(&cell.contender),
        per_10ms: merged.retries_per_10ms.clone(),
    };
    let rows: Vec<RetryRow> = without_the_twin(record, measured).map(row).collect();
    [WIDE, NARROW].map(|size| retries(&rows, size, "Retries per 10 ms, by when they were due"))
}

/// What each of several markets had of the calls; the baseline's twin is left out.
fn shares_of(record: &Record, measured: &[(usize, &CellPart, &Merged)], looks: &Looks<'_>) -> [String; 2] {
    let row = |(_, cell, merged): &(usize, &CellPart, &Merged)| ShareRow {
        name: cell.contender.clone(),
        label: label(cell),
        look: looks.get(&cell.contender),
        calls: merged.calls_by_market.clone(),
    };
    let rows: Vec<ShareRow> = without_the_twin(record, measured).map(row).collect();
    let changes = changes_of(measured);
    let marks = marks(changes);
    let troubled = Changes::first_of_one(changes).and_then(|trouble| trouble.market).unwrap_or(1) - 1;
    let title = format!("Who got the calls: dark is market {}", troubled + 1);
    [WIDE, NARROW].map(|size| shares(&rows, record.plan.duration_ms / 1e3, troubled, &marks, size, &title))
}

/// All contenders but the baseline's twin, which would say the same again.
fn without_the_twin<'a>(
    record: &Record,
    measured: &'a [(usize, &'a CellPart, &'a Merged)],
) -> impl Iterator<Item = &'a (usize, &'a CellPart, &'a Merged)> {
    let twin = Scenario::again(&record.plan.baseline);
    measured.iter().filter(move |(_, cell, _)| cell.contender != twin)
}

/// What changes meanwhile, the same for all contenders of a condition.
fn changes_of<'a>(measured: &[(usize, &'a CellPart, &Merged)]) -> &'a [String] {
    measured.first().map(|(_, cell, _)| &cell.changes[..]).unwrap_or_default()
}

/// The marks of these changes.
fn marks(changes: &[String]) -> Vec<Mark> {
    changes.iter().filter_map(|change| Mark::of(change)).collect()
}

/// What sentences call a contender.
fn label(cell: &CellPart) -> String {
    cell.label.clone().unwrap_or_else(|| cell.contender.clone())
}

fn changed_and_failed(cell: &CellPart, merged: &Merged) -> bool {
    !cell.changes.is_empty() && merged.counts.failed_share() > FAILED_SHARE_MAX
}

/// Points of a line along the measured time: fewer are no line, more are no easier to read.
const POINTS: std::ops::RangeInclusive<usize> = 5..=20;

/// Mean responses by when calls were due, slice by slice, or of several slices together.
fn along_time(slices: &[SlicePart]) -> Vec<(f64, f64, bool)> {
    let together = slices.len().div_ceil(*POINTS.end()).max(1);
    let mean = |of: &[SlicePart]| {
        let arrivals: u64 = of.iter().map(|slice| slice.arrivals).sum();
        let sum: f64 = of.iter().map(|slice| slice.response_mean_us * slice.arrivals as f64).sum();
        Some((of.first()?.from_s, sum / arrivals.max(1) as f64, true))
    };
    slices.chunks(together).filter_map(mean).collect()
}

/// Response times along the measured time, all rounds together, and what changed on the link;
/// nothing for flows, whose goodput along the time says it.
fn course(seconds: f64, measured: &[(usize, &CellPart, &Merged)], looks: &Looks<'_>) -> [String; 2] {
    let changes = measured.first().map(|(_, cell, _)| &cell.changes[..]).unwrap_or_default();
    let are_flows = measured.iter().any(|(_, _, merged)| !merged.flows.is_empty());
    let are_long = measured.iter().any(|(_, _, merged)| merged.course.len() >= *POINTS.start());
    if are_flows || !are_long {
        return Default::default();
    }
    let marks: Vec<Mark> = changes.iter().filter_map(|change| Mark::of(change)).collect();
    let curve = |(_, cell, merged): &(usize, &CellPart, &Merged)| Curve {
        name: cell.contender.clone(),
        look: looks.get(&cell.contender),
        points: along_time(&merged.course),
        words: format!("mean {}", text::micros(merged.response_us.mean)),
    };
    let curves: Vec<Curve> = measured.iter().map(curve).collect();
    let along = Along { words: "seconds of the measured time", from: 0.0, to: Some(seconds), marks: &marks };
    [WIDE, NARROW].map(|size| time_line(&curves, along, size, "Mean response, by when it was due"))
}

/// Everybody against the baseline, the baseline's twin first, in processor time and in the tail.
fn forests(record: &Record, condition: &str, looks: &Looks<'_>) -> Vec<(String, [String; 2])> {
    let baseline = &record.plan.baseline;
    let mut charts = Vec::new();
    for metric in [Figure::CpuPerCall, Figure::COMPARED[2]] {
        let row = |name: &str, ratio, differs| {
            let pairs = record.paired_figures((name, condition), (baseline, condition), metric);
            let rounds = pairs.iter().map(|(left, right)| left / right).collect();
            forest::Row { name: name.to_owned(), look: looks.get(name), ratio, rounds, differs }
        };
        let here = |other: &str, in_metric| other == condition && in_metric == metric;
        let twin = record.aa.iter().find(|pair| here(&pair.condition, pair.metric));
        let others = record.comparisons.iter().filter(|other| here(&other.condition, other.metric));
        let others =
            others.map(|other| row(&other.contender, other.ratio, other.word == Difference::Differs));
        let rows: Vec<forest::Row> = twin
            .iter()
            .map(|pair| row(&Scenario::again(baseline), pair.ratio, false))
            .chain(others)
            // An interval of a hundredfold is no picture: there were too few rounds.
            .filter(|row: &forest::Row| row.ratio.high < row.ratio.low * 100.0)
            .collect();
        let title = text::capitalized(&format!("{} against {baseline}", metric.in_words(record.counted())));
        let detectable = twin.map(|pair| pair.detectable_ratio);
        let draw = |size| forest(&rows, detectable, size, &title);
        if !rows.is_empty() {
            charts.push((title.clone(), [draw(WIDE), draw(NARROW)]));
        }
    }
    charts
}

/// What the baseline against itself came to.
pub(super) fn aa_lines(record: &Record, condition: &str) -> Vec<String> {
    let pairs = record.aa.iter().filter(|pair| pair.condition == condition);
    let line = |pair: &AaPair| {
        format!(
            "{} of {} measured twice: {}, {}. Differences below {} are too small to see here (80 % power)",
            text::capitalized(&pair.metric.in_words(record.counted())),
            record.label(&record.plan.baseline),
            judge::ratio_in_words(&pair.ratio),
            pair.word.in_words(),
            detectable(pair.detectable_ratio)
        )
    };
    pairs.map(line).collect()
}

/// The smallest difference that could have been seen: `16 %`, or `a factor of 3`.
fn detectable(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 2.0 => judge::percent(ratio - 1.0),
        ratio if ratio < 100.0 => format!("a factor of {ratio:.1}"),
        _ => "any factor".to_owned(),
    }
}

/// Connections, calls in flight, arrivals, and what the handler does.
pub(crate) fn condition_in_words(cell: &CellPart, operation: &str) -> String {
    let connections = if cell.connections == 1 { "connection" } else { "connections" };
    let n = text::count(cell.connections as u64);
    if let ("subscribe", Some(rate)) = (operation, cell.rate_per_s) {
        let subscribers = if cell.connections == 1 { "subscriber" } else { "subscribers" };
        let rate = text::plain_number(rate);
        let between =
            cell.between.as_ref().map_or_else(String::new, |words| format!(", behind a relay: {words}"));
        return format!("{n} {subscribers}, {rate} ticks per second ({}){between}", cell.arrivals);
    }
    if operation == Activity::FLOW {
        let link = cell.distance.as_ref().map_or_else(|| "nothing but a cable between", |of| &of.link);
        return format!("flows over {link}");
    }
    let load = match cell.rate_per_s {
        Some(rate) => format!("{} arrivals per second ({})", text::plain_number(rate), cell.arrivals),
        None => "closed loop: each slot calls again when its call is done".to_owned(),
    };
    if cell.cold {
        return format!("{n} callers, each call on a connection of its own, {load}");
    }
    let handler = match (cell.handler_wait_us, cell.handler_cpu_us) {
        (0.0, 0.0) => String::new(),
        (wait, 0.0) => format!(", the handler waits {}", text::micros(wait)),
        (wait, cpu) => format!(", the handler waits {} and burns {}", text::micros(wait), text::micros(cpu)),
    };
    let share = |share: f64, does: &str| match share {
        0.0 => String::new(),
        share => format!(", the handler {does} {} of the calls", text::percent_of_all(share)),
    };
    let fails = share(cell.handler_fails, "fails") + &share(cell.handler_loses, "loses the replies to");
    let concurrency = cell.handler_concurrency.map_or_else(String::new, |of| {
        let abandoned = if of.drops_abandoned { ", abandoned work is dropped" } else { "" };
        format!(", {} calls at once and {} waiting{abandoned}", of.at_once, text::count(of.queue as u64))
    });
    let second = cell
        .second_handler_wait_us
        .map_or_else(String::new, |wait| format!(", that of the second market {}", text::micros(wait)));
    let behind = cell.market_link.as_ref().map(|link| format!(", {} from front to market", link.name()));
    let behind = behind.unwrap_or_default();
    let front = cell.front.map_or_else(String::new, |of| {
        format!(", a front with {} calls at once and {} waiting", of.at_once, text::count(of.queue as u64))
    });
    format!(
        "{n} {connections} × {} in flight, {load}{behind}{front}{handler}{second}{concurrency}{fails}",
        cell.in_flight
    )
}

fn failures(cell: &CellPart, merged: &Merged) -> Vec<String> {
    let sample = |kind: &String| {
        merged.counts.failure_samples.get(kind).map(|text| format!(", such as “{text}”")).unwrap_or_default()
    };
    let counts = &merged.counts;
    let odd = [
        (counts.late_replies, "late replies"),
        (counts.duplicates, "that came again"),
        (counts.out_of_order, "that came after a later one"),
    ];
    let odd = odd.into_iter().filter(|(count, _)| *count > 0);
    let odd = odd.map(|(count, what)| format!("{}: {} {what}", cell.contender, text::count(count)));
    let repeated = counts.attempts_per_call().filter(|_| counts.attempts > counts.sent);
    let repeated = repeated.map(|attempts| format!("{}: {attempts:.3} attempts per call", cell.contender));
    let limited =
        merged.client_limited.iter().map(|limited| format!("{}: client-limited, {limited}", cell.contender));
    let failed = counts.failed.iter();
    let failed = failed
        .map(|(kind, count)| format!("{}: {} {kind}{}", cell.contender, text::count(*count), sample(kind)));
    let apart = merged.apart.as_ref().map(|calls| {
        format!(
            "{}: {} of the {} calls that need the second market failed",
            cell.contender,
            text::count(calls.counts.failures()),
            text::count(calls.counts.arrivals)
        )
    });
    failed.chain(apart).chain(repeated).chain(odd).chain(limited).collect()
}

fn merged_response(record: &Record, cell: usize) -> Option<Histogram<u64>> {
    let of_cell = || record.rounds.iter().filter(|round| round.cell == cell);
    let any_counts = of_cell().any(|round| round.void.is_none());
    let mut rounds = of_cell().filter(|round| round.void.is_none() || !any_counts);
    let mut all = rounds.next()?.histograms_ns.response.clone();
    for round in rounds {
        // Equal bounds, so that it cannot fail.
        let _ = all.add(&round.histograms_ns.response);
    }
    Some(all)
}

/// Points of the percentile line, as deep as the number of values allows.
fn percentile_points(histogram: &Option<Histogram<u64>>) -> Vec<(f64, f64)> {
    const STEPS_A_DECADE: u32 = 20;
    let Some(histogram) = histogram else { return Vec::new() };
    let fine =
        (0..=3 * STEPS_A_DECADE).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(STEPS_A_DECADE)));
    let mut shares: Vec<f64> = fine.filter(|share| *share > 0.5).chain([0.5, 0.9, 0.99, 0.999]).collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup_by(|left, right| (*left - *right).abs() < 1e-9);
    shares.retain(|share| printable(histogram.len(), *share));
    shares.into_iter().map(|share| (share, histogram.value_at_quantile(share) as f64 / 1e3)).collect()
}
