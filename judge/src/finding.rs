//! What was found, as a sentence: its subject is a contender, then a verb, the number, whom it is
//! compared with, the condition, and last the interval with n. No reader has to turn it round.

use record::{CellPart, Ratio, Record};
use terms::{Claim, Counted, Distribution, Expression, FAILED_SHARE_MAX, Figure, Point, Test, text};

use crate::statistics::tells;

/// What stands in place of an interval that tells nothing.
const NO_INTERVAL: &str = "no useful interval";

/// `0.98 × (0.94–1.03, 10 rounds)`.
pub fn ratio_in_words(ratio: &Ratio) -> String {
    let [middle, low, high] = [ratio.ratio, ratio.low, ratio.high].map(text::ratio);
    let interval = if tells(ratio) { format!("{low}–{high}") } else { NO_INTERVAL.to_owned() };
    format!("{middle} × ({interval}, {} rounds)", ratio.n)
}

/// The finding of a claim, from its ratio.
pub fn finding(record: &Record, claim: &Claim, ratio: &Ratio) -> String {
    let found = match &claim.test {
        Test::Compared { metric, .. } => compared(record, claim, *metric, ratio),
        Test::Absolute { holds } => absolute(record, claim, holds, ratio),
    };
    found + &failures(record, claim)
}

/// A contender as a sentence begins with it: with a capital letter, where it is a word of ours and
/// not a name (`Polling every 1 s`, and never `GRPC`).
pub(crate) fn subject(record: &Record, contender: &str) -> String {
    let label = record.label(contender);
    let is_a_word = label.split_whitespace().next().is_some_and(|word| word.chars().all(char::is_lowercase));
    if is_a_word && label != contender { text::capitalized(label) } else { label.to_owned() }
}

/// `gRPC costs 29 % more CPU per call than REST with JSON on small replies (20–40 %, 10 rounds,
/// n = 21 001 calls each)`.
fn compared(record: &Record, claim: &Claim, metric: Figure, ratio: &Ratio) -> String {
    let (against, against_condition) = claim.against().unwrap_or((&claim.contender, &claim.condition));
    let noun = record.counted();
    let (here, there) = (&claim.condition[..], against_condition);
    let subject = subject(record, &claim.contender);
    let (subject, object, condition) = if here == there {
        (subject, record.label(against).to_owned(), condition(record, here))
    } else {
        let [here, there] = told_apart(record, &claim.contender, [here, there]);
        let object =
            if against == claim.contender { there } else { format!("{} {there}", record.label(against)) };
        (format!("{subject} {here}"), object, String::new())
    };
    let change = Phrase::of(metric, noun).compared(ratio.ratio, &object);
    let interval = interval_of_change(ratio);
    let n = n_of(record, claim, ratio.n);
    format!("{subject} {change}{condition} ({interval}, {n})")
}

/// `TCP answers 99 % of its calls within 548 µs (500–600 µs, 10 rounds, n = 2 000 calls)`.
fn absolute(record: &Record, claim: &Claim, holds: &Expression, ratio: &Ratio) -> String {
    let figure = holds.figure;
    let show = |ratio: f64| figure.show(ratio * holds.limit());
    let subject = subject(record, &claim.contender);
    let noun = record.counted();
    let (what, interval) = match (figure, counted_share(record, claim)) {
        // Nothing, or everything: a count says more than 0.000 %.
        (Figure::Failed, Some((0, of))) => (
            format!("{} 0 of {} {noun}s", fails(noun), text::count(of)),
            format!("at most {}", show(ratio.high)),
        ),
        (Figure::Duplicates, Some((0, of))) => (
            format!("places one order for each of {} {noun}s", text::count(of)),
            format!("a second one for at most {}", show(ratio.high)),
        ),
        (Figure::Within(us), Some((within, of))) if within == of => (
            format!("{} all {} {noun}s within {}", delivers(noun), text::count(of), text::micros(us)),
            format!("at least {}", show(ratio.low)),
        ),
        _ => (states(figure, noun, &show(ratio.ratio)), span(&show(ratio.low), &show(ratio.high))),
    };
    let condition = condition(record, &claim.condition);
    format!("{subject} {what}{condition} ({interval}, {})", n_of(record, claim, ratio.n))
}

/// `; 3.2 % of the calls of REST failed`, where that is more than one in a hundred and not what is
/// judged.
fn failures(record: &Record, claim: &Claim) -> String {
    // A share of all has them in it.
    if claim.figure().is_share() {
        return String::new();
    }
    let told = claim.cells().filter_map(|(contender, condition)| {
        let share = record.cells[record.cell(contender, condition)?].merged.as_ref()?.counts.failed_share();
        let words = || {
            format!("; {} of the {}s of {} failed", percent(share), record.counted(), record.label(contender))
        };
        (share > FAILED_SHARE_MAX).then(words)
    });
    told.collect()
}

/// What was counted of a share, in all rounds: how many, of how many.
fn counted_share(record: &Record, claim: &Claim) -> Option<(u64, u64)> {
    let cell = record.cell(&claim.contender, &claim.condition)?;
    let rounds = record.shares(cell, claim.figure())?;
    Some(rounds.iter().fold((0, 0), |(some, all), (k, n)| (some + k, all + n)))
}

/// `10 rounds, n = 21 001 calls each`.
fn n_of(record: &Record, claim: &Claim, rounds: usize) -> String {
    let calls = |(contender, condition): (&str, &str)| {
        let cell = record.cell(contender, condition)?;
        let counted = record.counted_rounds(cell, claim.figure());
        Some(counted.values().map(|round| round.counts.arrivals).sum::<u64>())
    };
    let least = claim.cells().filter_map(calls).min().unwrap_or(0);
    let each = if claim.against().is_some() { " each" } else { "" };
    let cells: Vec<(&str, &str)> = claim.cells().collect();
    let rounds = match record.disturbed_rounds(&cells, claim.figure()) {
        0 => format!("{rounds} rounds"),
        disturbed => format!("{rounds} rounds, {disturbed} of them disturbed"),
    };
    format!("{rounds}, n = {} {}s{each}", text::count(least), record.counted())
}

/// ` on small replies`; nothing where it is the only condition.
fn condition(record: &Record, name: &str) -> String {
    let cell = record.cells.iter().find(|cell| cell.condition == name);
    match cell.and_then(|cell| cell.condition_label.as_ref()) {
        Some(label) => format!(" {label}"),
        None if record.conditions().len() < 2 => String::new(),
        None => format!(" under {name}"),
    }
}

/// Two conditions of one contender by what differs between them: `with 64 connections`.
fn told_apart(record: &Record, contender: &str, names: [&str; 2]) -> [String; 2] {
    let cell = |name| record.cell(contender, name).map(|index| &record.cells[index]);
    let (Some(left), Some(right)) = (cell(names[0]), cell(names[1])) else {
        return names.map(|name| format!("under {name}"));
    };
    let by_label = left.condition_label.clone().zip(right.condition_label.clone());
    let by_load = || Some((load(left, right)?, load(right, left)?));
    match by_label.or_else(by_load) {
        Some((left, right)) => [left, right],
        None => names.map(|name| format!("under {name}")),
    }
}

/// The load of a cell by what another has differently: `with 64 connections`.
fn load(cell: &CellPart, other: &CellPart) -> Option<String> {
    if cell.connections != other.connections {
        return Some(with(cell.connections as u64, "connection"));
    }
    if cell.in_flight != other.in_flight {
        return Some(format!("{} in flight", with(cell.in_flight as u64, "call")));
    }
    (cell.rate_per_s != other.rate_per_s).then(|| match cell.rate_per_s {
        Some(rate) => format!("at {}/s", text::plain_number(rate)),
        None => "in a closed loop".to_owned(),
    })
}

fn with(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("with {} {noun}{plural}", text::count(number))
}

/// How a figure is compared in words: `costs` … `CPU per call`.
pub(crate) struct Phrase {
    verb: String,
    quantity: String,
    /// It is counted, and not measured: fewer, many.
    counted: bool,
}

impl Phrase {
    pub(crate) fn of(metric: Figure, noun: Counted) -> Phrase {
        let (verb, quantity, counted) = match metric {
            Figure::CpuPerCall => ("costs", format!("CPU per {noun}"), false),
            Figure::ClientCpuPerCall => ("costs", format!("client CPU per {noun}"), false),
            Figure::ServerCpuPerCall => ("costs", format!("server CPU per {noun}"), false),
            Figure::CpuPerS => ("uses", "CPU per second".to_owned(), false),
            Figure::BytesPerCall => ("sends", format!("bytes per {noun}"), true),
            Figure::AttemptsPerCall => ("makes", format!("attempts per {noun}"), true),
            Figure::PeakPer10Ms => ("makes", "retries within 10 ms at its peak".to_owned(), true),
            Figure::OrdersPerCall => ("places", format!("orders per {noun}"), true),
            Figure::Duplicates => ("places", format!("{noun}s' orders twice"), true),
            Figure::CallsInTrouble => ("sends", format!("{noun}s to a service in trouble"), true),
            Figure::TimeToRecover => ("takes", "time to recover".to_owned(), false),
            Figure::TimeToMove => ("takes", format!("time until its {noun}s have moved"), false),
            Figure::LastCall => {
                ("takes", format!("time until its last {noun} comes to a market that left"), false)
            }
            Figure::MarketShare(nth) => ("sends", format!("{noun}s to market {nth}"), true),
            Figure::Imbalance => ("has", "imbalance".to_owned(), false),
            Figure::Failed => (fails(noun), format!("{noun}s"), true),
            Figure::Within(us) => (delivers(noun), format!("{noun}s within {}", text::micros(us)), true),
            Figure::RatePerS => ("completes", format!("{noun}s per second"), true),
            Figure::Jain => ("has", "fairness (Jain's index)".to_owned(), false),
            Figure::FlowShare(nth) => {
                let verb = format!("gives flow {nth}");
                return Phrase { verb, quantity: "of the link".to_owned(), counted: false };
            }
            Figure::Time(Distribution::Response, point) => {
                ("takes", format!("time per {noun} {}", at(point)), false)
            }
            Figure::Time(distribution, point) => {
                ("has", format!("{} {}", span_of(distribution), at(point)), false)
            }
        };
        Phrase { verb: verb.to_owned(), quantity, counted }
    }

    /// `costs 29 % more CPU per call than REST`; `costs 3.1 times as much CPU per call as REST`.
    fn compared(&self, ratio: f64, object: &str) -> String {
        let Phrase { verb, quantity, counted } = self;
        let (less, much) = if *counted { ("fewer", "many") } else { ("less", "much") };
        match Change::of(ratio) {
            Change::None => format!("{verb} as {much} {quantity} as {object}"),
            Change::More(share) => format!("{verb} {} more {quantity} than {object}", percent(share)),
            Change::Less(share) => format!("{verb} {} {less} {quantity} than {object}", percent(share)),
            Change::Times(times) => {
                format!("{verb} {} times as {much} {quantity} as {object}", digits(times))
            }
        }
    }

    /// `costs less CPU per call than REST`.
    pub(crate) fn is_less(&self, limit: f64, object: &str) -> String {
        let Phrase { verb, quantity, counted } = self;
        let less = if *counted { "fewer" } else { "less" };
        match Change::of(limit) {
            Change::None => format!("{verb} {less} {quantity} than {object}"),
            Change::More(share) => {
                format!("{verb} at most {} more {quantity} than {object}", percent(share))
            }
            Change::Less(share) => {
                format!("{verb} at least {} {less} {quantity} than {object}", percent(share))
            }
            Change::Times(times) => {
                format!("{verb} at most {} times the {quantity} of {object}", digits(times))
            }
        }
    }
}

/// A ratio, the way people say it.
enum Change {
    None,
    More(f64),
    Less(f64),
    Times(f64),
}

impl Change {
    /// From this on, times are said and not per cent.
    const TIMES_FROM: f64 = 2.0;
    /// What is shown as 0.0 %.
    const NONE: f64 = 0.000_5;

    fn of(ratio: f64) -> Change {
        match ratio {
            ratio if (ratio - 1.0).abs() < Change::NONE => Change::None,
            ratio if ratio >= Change::TIMES_FROM => Change::Times(ratio),
            ratio if ratio > 1.0 => Change::More(ratio - 1.0),
            ratio => Change::Less(1.0 - ratio),
        }
    }
}

/// The interval of a change, in the words of its middle: `20–40 %`, `3 % less to 11 % more`,
/// `2.9–3.4 times`.
fn interval_of_change(ratio: &Ratio) -> String {
    if !tells(ratio) {
        return NO_INTERVAL.to_owned();
    }
    let Ratio { low, high, .. } = *ratio;
    match Change::of(ratio.ratio) {
        Change::Times(_) => format!("{} times", span(&digits(low), &digits(high))),
        _ if low >= 1.0 && high < Change::TIMES_FROM => span(&percent(low - 1.0), &percent(high - 1.0)),
        _ if high <= 1.0 => span(&percent(1.0 - high), &percent(1.0 - low)),
        _ => format!("{} to {}", side(low), side(high)),
    }
}

fn side(ratio: f64) -> String {
    match Change::of(ratio) {
        Change::None => "no difference".to_owned(),
        Change::More(share) => format!("{} more", percent(share)),
        Change::Less(share) => format!("{} less", percent(share)),
        Change::Times(times) => format!("{} times", digits(times)),
    }
}

/// `20–40 %` of `20 %` and `40 %`: the unit once where both have the same, one where they are
/// equal.
fn span(low: &str, high: &str) -> String {
    if low == high {
        return low.to_owned();
    }
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((low, unit)), Some((_, same))) if unit == same => format!("{low}–{high}"),
        (Some(_), _) | (_, Some(_)) => format!("{low} to {high}"),
        _ => format!("{low}–{high}"),
    }
}

/// A share as per cent: two digits or so, which is what these intervals are worth.
pub fn percent(share: f64) -> String {
    match share.abs() * 100.0 {
        // 99.6 % less is not 100 % less.
        percent if (99.5..100.0).contains(&percent) => format!("{:.1} %", share * 100.0),
        percent if percent >= 9.95 => format!("{:.0} %", share * 100.0),
        percent if percent >= 0.095 || percent == 0.0 => format!("{:.1} %", share * 100.0),
        _ => format!("{:.2} %", share * 100.0),
    }
}

fn digits(times: f64) -> String {
    if times < 9.95 { format!("{times:.1}") } else { text::plain_number(times.round()) }
}

/// A value of a figure with its verb: `answers 99 % of its calls within 548 µs`.
fn states(figure: Figure, noun: Counted, value: &str) -> String {
    match figure {
        Figure::CpuPerCall => format!("costs {value} of CPU per {noun}"),
        Figure::ClientCpuPerCall => format!("costs its client {value} of CPU per {noun}"),
        Figure::ServerCpuPerCall => format!("costs its server {value} of CPU per {noun}"),
        Figure::CpuPerS => format!("uses {value} of CPU"),
        Figure::BytesPerCall => format!("sends {value} per {noun}"),
        Figure::AttemptsPerCall => format!("makes {value} attempts per {noun}"),
        Figure::PeakPer10Ms => format!("makes {value} retries within 10 ms at its peak"),
        Figure::OrdersPerCall => format!("places {value} orders per {noun}"),
        Figure::Duplicates => format!("places another order for {value} of its {noun}s"),
        Figure::CallsInTrouble => format!("sends {value} {noun}s to a service in trouble"),
        Figure::TimeToRecover => format!("recovers within {value}"),
        Figure::TimeToMove => format!("has moved its {noun}s within {value}"),
        Figure::LastCall => format!("sends its last {noun} to a market that left within {value}"),
        Figure::MarketShare(nth) => format!("sends {value} of its {noun}s to market {nth}"),
        Figure::Imbalance => format!("sends one market {value} times an even share of its {noun}s"),
        Figure::Failed => format!("{} {value} of its {noun}s", fails(noun)),
        Figure::Within(us) => {
            format!("{} {value} of its {noun}s within {}", delivers(noun), text::micros(us))
        }
        Figure::RatePerS => format!("completes {}", value.replace("/s", &format!(" {noun}s/s"))),
        Figure::Jain => format!("shares the link with a Jain's index of {value}"),
        Figure::FlowShare(nth) => format!("gives {value} of the link to flow {nth}"),
        Figure::Time(Distribution::Response, point) => {
            let delivers = delivers(noun);
            match point {
                Point::Percentile(share) => {
                    format!("{delivers} {} of its {noun}s within {value}", percent_of_calls(share))
                }
                Point::Max => format!("{delivers} its slowest {noun} in {value}"),
                Point::Mean => format!("{delivers} a {noun} in {value} on average"),
            }
        }
        Figure::Time(distribution, point) => {
            format!("has a {} of {value} {}", distribution.name(), at(point))
        }
    }
}

fn percent_of_calls(share: f64) -> String {
    if share == 0.5 { "half".to_owned() } else { format!("{} %", text::plain_number(share * 100.0)) }
}

fn at(point: Point) -> String {
    match point {
        Point::Percentile(0.5) => "at the median".to_owned(),
        Point::Percentile(share) => format!("at p{}", text::plain_number(share * 100.0)),
        Point::Max => "at the slowest".to_owned(),
        Point::Mean => "on average".to_owned(),
    }
}

/// A distribution as a sentence says it.
fn span_of(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Response => "response time",
        Distribution::Lag => "lag",
        Distribution::Wait => "wait for a connection",
        Distribution::Service => "service time",
    }
}

fn delivers(noun: Counted) -> &'static str {
    if noun == Counted::Call { "answers" } else { "delivers" }
}

fn fails(noun: Counted) -> &'static str {
    if noun == Counted::Call { "fails" } else { "loses" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(metric: Figure, ratio: f64) -> String {
        Phrase::of(metric, Counted::Call).compared(ratio, "REST")
    }

    fn ratio(low: f64, high: f64, n: usize) -> Ratio {
        let method = record::Method::StudentT;
        Ratio { ratio: (low * high).sqrt(), low, high, low_90: low, high_90: high, n, method }
    }

    #[test]
    fn an_interval_that_tells_nothing_is_not_told() {
        let said = "no useful interval";
        assert_eq!(interval_of_change(&ratio(1e-3, 2e3, 2)), said);
        assert_eq!(ratio_in_words(&ratio(1e-3, 2e3, 2)), format!("1.41 × ({said}, 2 rounds)"));
        assert_eq!(ratio_in_words(&ratio(0.5, 2.0, 2)), "1.00 × (0.50–2.00, 2 rounds)");
    }

    #[test]
    fn a_ratio_is_told_with_its_side() {
        let p99 = Figure::Time(Distribution::Response, Point::Percentile(0.99));
        for (metric, ratio, says) in [
            (Figure::CpuPerCall, 1.294, "costs 29 % more CPU per call than REST"),
            (Figure::CpuPerCall, 0.96, "costs 4.0 % less CPU per call than REST"),
            (Figure::CpuPerCall, 3.12, "costs 3.1 times as much CPU per call as REST"),
            (Figure::CpuPerCall, 1.0001, "costs as much CPU per call as REST"),
            (Figure::BytesPerCall, 0.2, "sends 80 % fewer bytes per call than REST"),
            (Figure::PeakPer10Ms, 0.125, "makes 88 % fewer retries within 10 ms at its peak than REST"),
            (Figure::AttemptsPerCall, 0.9, "makes 10 % fewer attempts per call than REST"),
            (Figure::BytesPerCall, 12.3, "sends 12 times as many bytes per call as REST"),
            (p99, 1.5, "takes 50 % more time per call at p99 than REST"),
            (Figure::Failed, 2.5, "fails 2.5 times as many calls as REST"),
        ] {
            assert_eq!(change(metric, ratio), says);
        }
    }

    #[test]
    fn an_interval_is_told_in_the_words_of_its_middle() {
        let interval = |low: f64, high: f64| interval_of_change(&ratio(low, high, 10));
        assert_eq!(interval(1.2, 1.4), "20–40 %");
        assert_eq!(interval(0.6, 0.73), "27–40 %");
        assert_eq!(interval(0.97, 1.11), "3.0 % less to 11 % more");
        assert_eq!(interval(2.9, 3.4), "2.9–3.4 times");
        assert_eq!(interval(1.5, 2.2), "50 % more to 2.2 times");
        assert_eq!(
            (span("340 µs", "1.2 ms"), span("9.9 %", "12 %")),
            ("340 µs to 1.2 ms".into(), "9.9–12 %".into())
        );
    }

    #[test]
    fn a_value_is_told_with_its_verb() {
        let figure = |path: &str| Figure::parse(path).unwrap();
        for (path, noun, says) in [
            ("response.p99", Counted::Call, "answers 99 % of its calls within X"),
            ("response.p50", Counted::Event, "delivers half of its events within X"),
            ("response.p999", Counted::Call, "answers 99.9 % of its calls within X"),
            ("lag.p99", Counted::Call, "has a lag of X at p99"),
            ("failed", Counted::Event, "loses X of its events"),
            ("within.60ms", Counted::Event, "delivers X of its events within 60.0 ms"),
            ("jain", Counted::Block, "shares the link with a Jain's index of X"),
            ("share.2", Counted::Block, "gives X of the link to flow 2"),
        ] {
            assert_eq!(states(figure(path), noun, "X"), says);
        }
    }
}
