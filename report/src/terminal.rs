//! What a run came to, in lines for a terminal.

use record::{CellPart, Merged, Record};
use terms::text;

use super::acts;
use super::condition::aa_lines;
use super::findings::{self, Finding, failed_pairs};
use super::goodput::{in_words, megabits};
use super::reconnections::reconnection_lines;
use super::tables::round_trips;

/// What a run came to, for the terminal.
pub fn summary_lines(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    for condition in record.conditions() {
        lines.push(format!(
            "{condition:<18}{:>8}{:>8}{:>7}{:>11}{:>9}{:>9}{:>9}",
            "n",
            "ok/s",
            "failed",
            format!("CPU/{}", record.counted()),
            "p50",
            "p99",
            "p99.9"
        ));
        for cell in record.cells.iter().filter(|cell| cell.condition == condition) {
            lines.push(match &cell.merged {
                Some(merged) => summary_line(cell, merged),
                None if cell.not_offered.is_none() => {
                    format!("{:<18} nothing was measured", cell.contender)
                }
                None => format!(
                    "{:<18} not measured: {}",
                    cell.contender,
                    cell.not_offered.as_deref().unwrap_or("–")
                ),
            });
        }
    }
    for cell in &record.cells {
        let Some((distance, measured)) =
            cell.distance.as_ref().and_then(|distance| Some((distance, round_trips(distance)?)))
        else {
            continue;
        };
        let predicted = distance.predicted.map_or_else(String::new, |trips| format!(", predicted {trips}"));
        let phases = cell.merged.as_ref().map_or_else(String::new, phases_in_words);
        lines.push(format!(
            "round trips {}: {} {measured}{predicted}{phases}",
            cell.condition, cell.contender
        ));
    }
    for cell in &record.cells {
        let Some(merged) = cell.merged.as_ref().filter(|merged| !merged.flows.is_empty()) else { continue };
        let flows: Vec<String> = merged
            .flows
            .iter()
            .map(|flow| format!("{} {}", flow.flow, megabits(flow.goodput_bits_per_s)))
            .collect();
        let words = in_words(merged);
        let words = if words.is_empty() { words } else { format!("; {words}") };
        lines.push(format!("flows {}: {}: {}{words}", cell.condition, cell.contender, flows.join(", ")));
    }
    lines.extend(reconnection_lines(record));
    for condition in record.conditions() {
        lines.extend(aa_lines(record, condition).into_iter().map(|line| format!("A/A {condition}: {line}")));
    }
    for limited in
        record.cells.iter().filter_map(|cell| Some((cell, cell.merged.as_ref()?.client_limited.as_ref()?)))
    {
        lines.push(format!(
            "client-limited: {} under {}: {}",
            limited.0.contender, limited.0.condition, limited.1
        ));
    }
    if let Some(void) = &record.void {
        lines.push(format!("void: {void}"));
    }
    for warning in &record.warnings {
        lines.push(format!("warning: {warning}"));
    }
    lines.extend(failed_pairs(record).into_iter().map(|pair| format!("warning: {pair}")));
    lines.extend(acts::capacity_lines(record));
    lines
}

/// What was found, for a terminal: a verdict's class, and its lines, the first of them with the
/// badge.
pub fn finding_lines(record: &Record) -> Vec<(&'static str, Vec<String>)> {
    findings::of_record(record).iter().map(|found| (found.class, lines_of(found))).collect()
}

/// The badge and the finding, and what to do about it.
pub(crate) fn lines_of(found: &Finding) -> Vec<String> {
    let under = [&found.turn, &found.because].into_iter().filter(|words| !words.is_empty());
    let under = under.map(|words| format!("   {words}"));
    let so = (!found.so.is_empty()).then(|| format!("   So: {}", found.so));
    let head = format!("{} {}: {}", found.card, found.word.to_uppercase(), found.sentence);
    let head = head.trim_start().to_owned();
    std::iter::once(head).chain(under).chain(so).collect()
}

/// `; dns 80.2 ms, connect 80.1 ms, request 80.3 ms`; nothing of warm calls.
fn phases_in_words(merged: &Merged) -> String {
    let words = merged.phases.iter().filter_map(|part| {
        let median = part.time_us.shown(0.5)?;
        Some(format!("{} {}", part.phase, text::micros(median)))
    });
    let words = words.collect::<Vec<_>>().join(", ");
    if words.is_empty() { words } else { format!("; {words}") }
}

fn summary_line(cell: &CellPart, merged: &Merged) -> String {
    // What is void stands in brackets.
    let void = |is: bool, words: String| if is { format!("[{words}]") } else { words };
    let nothing = merged.counts.all_failed();
    let at = |share| {
        if nothing {
            return "failed".to_owned();
        }
        let shown = merged.response_us.shown(share);
        shown.map_or_else(|| "–".to_owned(), |us| void(merged.times_void(), text::micros(us)))
    };
    format!(
        "{:<18}{:>8}{:>8}{:>7}{:>11}{:>9}{:>9}{:>9}",
        cell.contender,
        text::count(merged.counts.arrivals),
        text::three_digits(merged.counts.ok_per_s),
        text::count(merged.counts.failures()),
        void(
            merged.costs_void(),
            if nothing {
                "–".to_owned()
            } else {
                text::micros(merged.client.cpu_us_per_call + merged.server.cpu_us_per_call)
            }
        ),
        at(0.5),
        at(0.99),
        at(0.999)
    )
}
