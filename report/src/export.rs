//! Records in other people's formats.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use record::{Record, RoundPart, VoidFor};
use serde_json::json;
use terms::Quantiles;
use terms::escape::terminal_line;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line a measurement, figures with their unit in the head.
    Csv,
    /// HdrHistogram's log: the response histogram of each measurement in ns, tagged with contender
    /// and condition.
    Hlog,
    /// An object a measurement.
    Jsonl,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Csv, Format::Hlog, Format::Jsonl];

    /// The format of a name.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.extension() == name)
    }

    /// What it is, in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Format::Csv => "A line a measurement, figures with their unit in the head",
            Format::Hlog => {
                "HdrHistogram's log: the response histogram of each measurement in ns, tagged with contender and condition"
            }
            Format::Jsonl => "An object a measurement",
        }
    }

    /// How its files end, which is its name.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Hlog => "hlog",
            Format::Jsonl => "jsonl",
        }
    }
}

/// Writes every measurement of a record, void ones too and marked so (but for `hlog`, which has no
/// place for a mark: they are left out).
///
/// # Errors
/// In words, where a histogram or its tag does not fit the format.
pub fn export(record: &Record, format: Format) -> Result<String, String> {
    match format {
        Format::Csv => Ok(csv(record)),
        Format::Hlog => hlog(record),
        Format::Jsonl => Ok(jsonl(record)),
    }
}

const COLUMNS: &str = "scenario,contender,condition,round,void,void_for,arrivals,ok,failed,ok_per_s,client_cpu_us,server_cpu_us,wire_bytes,\
                       wire_packets,response_p50_us,response_p90_us,response_p99_us,response_p999_us,response_max_us,lag_p99_us,\
                       wait_p99_us,service_p50_us,service_p99_us,attempts,peak_per_10ms,orders,calls_in_trouble,time_to_recover_us";

fn csv(record: &Record) -> String {
    let mut out = format!("{COLUMNS}\n");
    for round in &record.rounds {
        let (contender, condition) = names(record, round);
        let at = |quantiles: &Quantiles, share| {
            quantiles.shown(share).map_or_else(String::new, |us| us.to_string())
        };
        let (response, service) = (&round.response_us, &round.service_us);
        let cells = [
            record.scenario.name.clone(),
            contender.to_owned(),
            condition.to_owned(),
            (round.round + 1).to_string(),
            round.void.is_some().to_string(),
            void_for(round).to_owned(),
            round.counts.arrivals.to_string(),
            round.counts.ok.to_string(),
            round.counts.failures().to_string(),
            round.counts.ok_per_s.to_string(),
            round.client.cpu_us.to_string(),
            round.server.cpu_us.to_string(),
            round.wire.total.bytes.to_string(),
            round.wire.total.packets.to_string(),
            at(response, 0.5),
            at(response, 0.9),
            at(response, 0.99),
            at(response, 0.999),
            response.max.to_string(),
            at(&round.lag_us, 0.99),
            at(&round.wait_us, 0.99),
            at(service, 0.5),
            at(service, 0.99),
            round.counts.attempts.max(round.counts.sent).to_string(),
            given(round.peak_per_10ms),
            given(round.orders),
            given(round.calls_in_trouble),
            given(round.time_to_recover_us),
        ];
        let _ = writeln!(out, "{}", cells.map(|cell| quoted(&cell)).join(","));
    }
    out
}

/// Nothing where there is no such figure.
fn given(figure: Option<impl ToString>) -> String {
    figure.map_or_else(String::new, |figure| figure.to_string())
}

/// Which figures of a measurement are void.
fn void_for(round: &RoundPart) -> &'static str {
    match (&round.void, round.void_for) {
        (None, _) => "",
        (Some(_), VoidFor::Everything) => "everything",
        (Some(_), VoidFor::Times) => "times",
    }
}

/// What a spreadsheet takes for the beginning of a formula, in the two widths that some have.
const FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// RFC 4180: quotes around what has a comma, a quote or a line's end in it; and an apostrophe
/// before what a spreadsheet would reckon with, unless it is a number.
fn quoted(cell: &str) -> String {
    let is_formula =
        cell.trim_start_matches([' ', '\u{a0}']).starts_with(FORMULAS) && cell.parse::<f64>().is_err();
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', ';', '"', '\t', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

fn jsonl(record: &Record) -> String {
    let line = |round: &RoundPart| {
        let (contender, condition) = names(record, round);
        let mut value = json!(round);
        if let Some(object) = value.as_object_mut() {
            object.insert("scenario".to_owned(), json!(record.scenario.name));
            object.insert("contender".to_owned(), json!(contender));
            object.insert("condition".to_owned(), json!(condition));
        }
        format!("{value}\n")
    };
    record.rounds.iter().map(line).collect()
}

fn hlog(record: &Record) -> Result<String, String> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let began = UNIX_EPOCH + Duration::from_micros(record.started_at_us);
    let comment =
        format!("wirebench {}, response times in nanoseconds; {}", record.scenario.name, record.command);
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&terminal_line(&comment))
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(1e6)
        .begin_log_with(&mut out, &mut serializer)
        .map_err(|error| error.to_string())?;
    let span =
        Duration::try_from_secs_f64(record.plan.duration_ms / 1e3).map_err(|error| error.to_string())?;
    for (nth, round) in record.rounds.iter().enumerate().filter(|(_, round)| round.void.is_none()) {
        let (contender, condition) = names(record, round);
        let name = format!("{contender}/{condition}")
            .replace(|of: char| of == ',' || of.is_whitespace() || of.is_control(), "_");
        let tag = Tag::new(&name).ok_or_else(|| format!("'{name}' cannot be a tag"))?;
        // Measurements follow each other; the gaps between them are not kept.
        let start = span.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX));
        log.write_histogram(&round.histograms_ns.response, start, span, Some(tag))
            .map_err(|error| format!("{error:?}"))?;
    }
    String::from_utf8(out).map_err(|error| error.to_string())
}

fn names<'a>(record: &'a Record, round: &RoundPart) -> (&'a str, &'a str) {
    record.cells.get(round.cell).map_or(("", ""), |cell| (&cell.contender, &cell.condition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_a_number_stays_one() {
        for (cell, written) in [
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "\"'\t=1\""),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("-2.5", "-2.5"),
            ("-1e-3", "-1e-3"),
            ("rest-h1", "rest-h1"),
            ("a;=1", "\"a;=1\""),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
