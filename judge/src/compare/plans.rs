//! Whether two records answer the same question: what was decided before either had data.

use record::{CellPart, Record};
use terms::Concurrency;

/// How the plans of two records differ, in sentences; empty where they do not. Seeds may differ:
/// repeats have others.
pub fn differences(old: &Record, new: &Record) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |what: &str, old: String, new: String| {
        if old != new {
            found.push(format!("{what}: {old} in the old, {new} in the new"));
        }
    };
    look("scenario", old.scenario.name.clone(), new.scenario.name.clone());
    let build = |tool: &record::Tool| tool.build.in_words().to_owned();
    look("build", build(&old.tool), build(&new.tool));
    let link = |record: &Record| record.link.as_ref().map_or("none", |used| used.link.name()).to_owned();
    look("link", link(old), link(new));
    let (was, is) = (&old.plan, &new.plan);
    look("operation", was.operation.clone(), is.operation.clone());
    look("market's seed", was.market_seed.to_string(), is.market_seed.to_string());
    look("symbols", was.symbols.to_string(), is.symbols.to_string());
    look("candles", was.candles.to_string(), is.candles.to_string());
    for (what, was, is, unit) in [
        ("ticks", was.ticks_per_s, is.ticks_per_s, "per second"),
        ("time-out", was.time_out_us, is.time_out_us, "µs"),
        ("handler's wait", was.handler_wait_us, is.handler_wait_us, "µs"),
        ("handler's CPU", was.handler_cpu_us, is.handler_cpu_us, "µs"),
        ("warm-up", was.warm_up_ms, is.warm_up_ms, "ms"),
        ("measured time a round", was.duration_ms, is.duration_ms, "ms"),
    ] {
        look(what, format!("{was} {unit}"), format!("{is} {unit}"));
    }
    for cell in &old.cells {
        let name = format!("{} under {}", cell.contender, cell.condition);
        let Some(other) = new.cell(&cell.contender, &cell.condition).map(|index| &new.cells[index]) else {
            found.push(format!("{name} is in the old only"));
            continue;
        };
        let words = |cell: &record::CellPart| {
            let rate = cell.rate_per_s.map_or("as fast as it goes".to_owned(), |rate| format!("{rate}/s"));
            let cold = if cell.cold { "cold " } else { "" };
            let over = cell
                .distance
                .as_ref()
                .map_or_else(String::new, |distance| format!(", over '{}'", distance.link));
            let between =
                cell.between.as_ref().map_or_else(String::new, |words| format!(", a relay that {words}"));
            format!(
                "{}, {} {cold}connections × {} in flight, {rate} ({}){over}{between}",
                cell.carriage, cell.connections, cell.in_flight, cell.arrivals
            )
        };
        if let Some((was, is)) = cell.amount.zip(other.amount).filter(|(was, is)| was != is) {
            found.push(format!(
                "{name} asks for {} symbols and {} candles in the old, {} and {} in the new",
                was.symbols, was.candles, is.symbols, is.candles
            ));
        }
        let [was, is] = [cell, other].map(behaviour);
        if was != is {
            found.push(format!("{name}: {was} in the old, {is} in the new"));
        }
        if words(cell) != words(other) {
            found.push(format!("{name}: {} in the old, {} in the new", words(cell), words(other)));
        }
    }
    for cell in &new.cells {
        if old.cell(&cell.contender, &cell.condition).is_none() {
            found.push(format!("{} under {} is in the new only", cell.contender, cell.condition));
        }
    }
    found
}

/// What the market and what lies before it do to calls, and what happens meanwhile; a market that
/// only answers has none of it.
fn behaviour(cell: &CellPart) -> String {
    let share = |what: &str, share: f64| (share > 0.0).then(|| format!("{what} {}", crate::percent(share)));
    let at_once = |what: &str, bounds: Option<Concurrency>| {
        bounds.map(|Concurrency { at_once, queue, drops_abandoned }| {
            let drops = if drops_abandoned { ", and drops abandoned work" } else { "" };
            format!("{what} has {at_once} calls at once and {queue} waiting{drops}")
        })
    };
    let parts = [
        share("its handler fails", cell.handler_fails),
        share("its handler loses", cell.handler_loses),
        at_once("its handler", cell.handler_concurrency),
        at_once("its front", cell.front),
        cell.second_handler_wait_us.map(|us| format!("its second market waits {us} µs")),
        cell.market_link.as_ref().map(|link| format!("its market is behind {}", link.name())),
        (!cell.changes.is_empty()).then(|| format!("meanwhile {}", cell.changes.join(", "))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "a market that only answers".to_owned() } else { parts.join("; ") }
}
