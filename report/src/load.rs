//! The page of a load: the headline, the command, the load along its seconds, its distributions and
//! its failures.

use askama::Template;
use record::Tool;
use terms::{Outcome, Phase, Point, Quantiles, TimeSlice, Timeline, printable, text};

use crate::chart::tick_label;
use crate::policy::with_policy;
use crate::seconds::{Course, Frame, LOW, LOW_NARROW, courses};
use crate::utc;

/// What a load leaves for its page.
#[derive(Debug)]
pub struct LoadFacts<'a> {
    /// What was loaded.
    pub target: &'a str,
    /// The command that loads it again.
    pub command: &'a str,
    /// When the measured time began, in µs since 1970.
    pub began_us: u64,
    /// What measured it.
    pub tool: &'a Tool,
    /// Calls per second that were asked for; nothing in the closed model.
    pub asked_per_s: Option<f64>,
    /// Calls per second that succeeded.
    pub ok_per_s: f64,
    /// How it was loaded: a term, and what there is to say of it.
    pub settings: Vec<(&'static str, String)>,
    /// What must be known to read the figures.
    pub notes: Vec<String>,
    /// Stages, in their order.
    pub stages: Vec<LoadStage<'a>>,
    /// Requests that have names, the slowest first.
    pub requests: Vec<LoadRequest<'a>>,
    /// What came of it.
    pub outcome: &'a Outcome,
}

/// A stage of a load. A percentile that falls on a failed call is nothing.
#[derive(Debug)]
pub struct LoadStage<'a> {
    /// As it was typed.
    pub words: &'a str,
    /// Calls that were due.
    pub due: u64,
    /// Calls per second that succeeded.
    pub ok_per_s: f64,
    /// The median of the response, in µs.
    pub p50_us: Option<f64>,
    /// The 99th percentile of the response, in µs.
    pub p99_us: Option<f64>,
}

/// What came of the requests of a name.
#[derive(Debug)]
pub struct LoadRequest<'a> {
    /// Their name.
    pub name: &'a str,
    /// Calls that were due.
    pub due: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The response, failed calls too.
    pub response_us: &'a Quantiles,
}

/// The page of a load.
///
/// # Errors
/// Where the template cannot be filled, which is a bug.
pub fn load_page(facts: &LoadFacts<'_>) -> Result<String, askama::Error> {
    let outcome = facts.outcome;
    let page = LoadPage {
        headline: text::unbroken(&headline(facts)),
        began: utc(facts.began_us),
        figures: outcome.timeline.as_ref().map(|line| figures(facts, line)).unwrap_or_default(),
        distributions: distributions(outcome),
        statuses: statuses(outcome),
        failures: failures(outcome),
        stages: facts.stages.iter().map(stage).collect(),
        requests: facts.requests.iter().map(request).collect(),
        phases: phases(outcome),
        facts,
    };
    Ok(with_policy(&page.render()?))
}

#[derive(Template)]
#[template(path = "load.html")]
struct LoadPage<'a> {
    facts: &'a LoadFacts<'a>,
    headline: String,
    began: String,
    figures: Vec<Figure>,
    distributions: Vec<Row<5>>,
    /// Status, replies, and their share.
    statuses: Vec<(u16, String, String)>,
    failures: Vec<FailureRow>,
    stages: Vec<Row<3>>,
    requests: Vec<Row<6>>,
    phases: Vec<Row<5>>,
}

struct Row<const CELLS: usize> {
    name: String,
    n: String,
    cells: [String; CELLS],
}

struct FailureRow {
    kind: &'static str,
    n: String,
    mean: String,
    max: String,
    sample: String,
}

/// A chart, wide and narrow, with its legend: names and pieces of their lines.
struct Figure {
    title: String,
    charts: [String; 2],
    legend: Vec<(&'static str, String)>,
    caption: String,
}

/// What came of it, in a sentence.
fn headline(facts: &LoadFacts<'_>) -> String {
    let outcome = facts.outcome;
    let n = text::count(outcome.arrivals);
    if outcome.ok == 0 {
        return match outcome.arrivals {
            0 => "No call was made in the measured time".to_owned(),
            _ => format!("None of {n} calls succeeded"),
        };
    }
    let reached = match facts.asked_per_s {
        Some(asked) => format!("{} of {} calls/s asked for", rate(facts.ok_per_s), rate(asked)),
        None => format!("{} calls/s", rate(facts.ok_per_s)),
    };
    let failed = match outcome.failures() {
        0 => "no call failed".to_owned(),
        failed => {
            format!("{} calls failed ({})", text::count(failed), text::percent_of_all(failed_share(outcome)))
        }
    };
    let quantiles = Quantiles::of(&outcome.histograms.response);
    let at = |name: &str, share| match shown(&quantiles, share, failed_share(outcome)) {
        Shown::Time(us) => format!("{name} was {}", text::micros(us)),
        Shown::Failed => format!("{name} falls on failed calls"),
        Shown::TooFew => format!("{name} needs {} calls", text::count(terms::calls_needed(share))),
    };
    format!("The server answered {reached}; {failed}; {}, and {} (n = {n})", at("p50", 0.5), at("p99", 0.99))
}

fn rate(per_s: f64) -> String {
    if per_s >= 99.95 { text::count(per_s.round() as u64) } else { text::plain_number(per_s) }
}

fn failed_share(outcome: &Outcome) -> f64 {
    outcome.failures() as f64 / outcome.arrivals.max(1) as f64
}

/// What there is to show of a percentile.
enum Shown {
    Time(f64),
    /// It is a failed call's.
    Failed,
    /// There are too few values beyond it.
    TooFew,
}

impl Shown {
    fn in_words(self) -> String {
        match self {
            Shown::Time(us) => text::micros(us),
            Shown::Failed => "failed".to_owned(),
            Shown::TooFew => "–".to_owned(),
        }
    }
}

fn shown(quantiles: &Quantiles, share: f64, failed_share: f64) -> Shown {
    match quantiles.shown(share) {
        _ if quantiles.n > 0 && Point::Percentile(share).is_a_failure(failed_share) => Shown::Failed,
        Some(us) => Shown::Time(us),
        None => Shown::TooFew,
    }
}

/// p50, p90, p99, p99.9 and the maximum.
fn cells(quantiles: &Quantiles, failed_share: f64) -> [String; 5] {
    let at = |share| shown(quantiles, share, failed_share).in_words();
    let max = match quantiles.n {
        0 => Shown::TooFew,
        _ if failed_share > 0.0 => Shown::Failed,
        _ => Shown::Time(quantiles.max),
    };
    [at(0.5), at(0.9), at(0.99), at(0.999), max.in_words()]
}

fn row(name: &str, quantiles: &Quantiles, failed_share: f64) -> Row<5> {
    Row { name: name.to_owned(), n: text::count(quantiles.n), cells: cells(quantiles, failed_share) }
}

fn distributions(outcome: &Outcome) -> Vec<Row<5>> {
    let all = outcome.histograms.all().map(|(name, histogram)| (name, Quantiles::of(histogram)));
    let filled = all.iter().filter(|(_, quantiles)| quantiles.n > 0);
    let share = |name: &str| if name == "response" { failed_share(outcome) } else { 0.0 };
    filled.map(|(name, quantiles)| row(name, quantiles, share(name))).collect()
}

fn phases(outcome: &Outcome) -> Vec<Row<5>> {
    let of = |phase: Phase| {
        let quantiles = Quantiles::of(&outcome.phases.get(&phase)?.0);
        (quantiles.n > 0).then(|| row(phase.name(), &quantiles, 0.0))
    };
    Phase::ALL.into_iter().filter_map(of).collect()
}

fn statuses(outcome: &Outcome) -> Vec<(u16, String, String)> {
    let all: u64 = outcome.statuses.values().sum();
    let share = |count: u64| match count == all {
        true => "100 %".to_owned(),
        false => text::percent_of_all(count as f64 / all.max(1) as f64),
    };
    outcome.statuses.iter().map(|(status, count)| (*status, text::count(*count), share(*count))).collect()
}

fn failures(outcome: &Outcome) -> Vec<FailureRow> {
    let row = |(kind, count): (&terms::Failure, &u64)| {
        let after = outcome.failed_after.get(kind).filter(|after| after.n > 0);
        let time = |ns: Option<f64>| ns.map_or_else(|| "–".to_owned(), |ns| text::micros(ns / 1e3));
        FailureRow {
            kind: kind.name(),
            n: text::count(*count),
            mean: time(after.map(|after| after.sum_ns as f64 / after.n as f64)),
            max: time(after.map(|after| after.max_ns as f64)),
            sample: outcome.samples.get(kind).cloned().unwrap_or_default(),
        }
    };
    outcome.failed.iter().filter(|(_, count)| **count > 0).map(row).collect()
}

fn stage(stage: &LoadStage<'_>) -> Row<3> {
    let at = |share: f64, us: Option<f64>| match us {
        _ if !printable(stage.due, share) => Shown::TooFew.in_words(),
        us => us.map_or(Shown::Failed, Shown::Time).in_words(),
    };
    Row {
        name: stage.words.to_owned(),
        n: text::count(stage.due),
        cells: [rate(stage.ok_per_s), at(0.5, stage.p50_us), at(0.99, stage.p99_us)],
    }
}

fn request(request: &LoadRequest<'_>) -> Row<6> {
    let failed_share = request.failed as f64 / request.due.max(1) as f64;
    let [p50, p90, p99, p999, max] = cells(request.response_us, failed_share);
    Row {
        name: request.name.to_owned(),
        n: text::count(request.due),
        cells: [text::count(request.failed), p50, p90, p99, p999, max],
    }
}

/// A slice of the measured time, cut off where that ends.
struct Part {
    from_s: f64,
    long_s: f64,
    slice: TimeSlice,
}

/// The least of a slice that has a rate.
const RATE_SHARE_MIN: f64 = 0.25;

/// All slices of the measured time, those too in which no call was due.
fn parts(line: &Timeline, measured_s: f64) -> Vec<Part> {
    let slice_s = line.slice.as_secs_f64();
    let count = line.slices.len().max((measured_s / slice_s).ceil() as usize);
    let part = |nth: usize| {
        let from_s = nth as f64 * slice_s;
        let slice = line.slices.get(nth).cloned().unwrap_or_default();
        Part { from_s, long_s: (measured_s - from_s).clamp(0.0, slice_s), slice }
    };
    (0..count).map(part).collect()
}

/// The course of percentiles, and that of rates; only those that show something.
fn figures(facts: &LoadFacts<'_>, line: &Timeline) -> Vec<Figure> {
    let measured_s = facts.outcome.measured.as_secs_f64();
    if line.slice.is_zero() || measured_s <= 0.0 {
        return Vec::new();
    }
    let parts = parts(line, measured_s);
    let slice = match line.slice.as_secs() {
        1 => "second".to_owned(),
        seconds => format!("{seconds} seconds"),
    };
    let all = [responses(&parts, &slice, measured_s), rates(facts, &parts, &slice, measured_s)];
    all.into_iter().filter(|figure| !figure.charts[0].is_empty()).collect()
}

fn responses(parts: &[Part], slice: &str, seconds: f64) -> Figure {
    let course = |name, colour, share| {
        let at = |part: &Part| (part.from_s + part.long_s / 2.0, part.slice.response_us(share));
        Course { name, colour, dashed: false, points: parts.iter().map(at).collect() }
    };
    let lines = [course("p50", "--c0", 0.5), course("p99", "--c1", 0.99)];
    let failed =
        parts.iter().filter(|part| part.slice.arrivals > 0 && part.slice.response_us(0.99).is_none());
    let shaded: Vec<(f64, f64)> = failed.map(|part| (part.from_s, part.from_s + part.long_s)).collect();
    let mut caption = "Times are known to within 1.6 %.".to_owned();
    if !shaded.is_empty() {
        caption += " Shaded: p99 falls on failed calls, and has no time.";
    }
    let most = parts.iter().map(|part| part.slice.arrivals).max().unwrap_or(0);
    if most < 100 {
        caption += &format!(" Of at most {most} calls each, p99 is the slowest.");
    }
    let title = format!("Response time of the calls due in each {slice}");
    let frame = Frame { title: &title, up: "response time", value: &tick_label, seconds, shaded: &shaded };
    figure(&lines, &frame, caption)
}

fn rates(facts: &LoadFacts<'_>, parts: &[Part], slice: &str, seconds: f64) -> Figure {
    let longest_s = parts.iter().map(|part| part.long_s).fold(0.0, f64::max);
    let course = |name, colour, dashed, count: &dyn Fn(&TimeSlice) -> u64| {
        let at = |part: &Part| {
            let long_enough = part.long_s > 0.0 && part.long_s >= longest_s * RATE_SHARE_MIN;
            let rate = long_enough.then(|| count(&part.slice) as f64 / part.long_s);
            (part.from_s + part.long_s / 2.0, rate)
        };
        Course { name, colour, dashed, points: parts.iter().map(at).collect() }
    };
    let failed = facts.outcome.failures() > 0;
    let mut lines = Vec::new();
    if facts.asked_per_s.is_some() {
        lines.push(course("asked", "--c5", true, &|slice| slice.arrivals));
    }
    lines.push(course("ok", "--c3", false, &|slice| slice.ok));
    if failed {
        lines.push(course("failed", "--bad", false, &|slice| slice.arrivals - slice.ok));
    }
    let caption = if failed { "A failed call counts where it was due." } else { "No call failed." };
    let title = format!("Calls per second, by the {slice} in which they were due");
    let frame = Frame { title: &title, up: "calls/s", value: &rate, seconds, shaded: &[] };
    figure(&lines, &frame, caption.to_owned())
}

fn figure(lines: &[Course], frame: &Frame<'_>, caption: String) -> Figure {
    Figure {
        title: frame.title.to_owned(),
        charts: [LOW, LOW_NARROW].map(|size| courses(lines, frame, size)),
        legend: lines.iter().map(|line| (line.name, line.sign())).collect(),
        caption,
    }
}

#[cfg(test)]
mod tests;
