//! How load lay when servers joined others: a table, and the same in words.

use record::{LoadPart, Record, ScaleOutPart};
use terms::{ScaleOut, text};

use crate::chart::{NARROW, Size, WIDE};
use crate::figure_bars::{FigureBar, figure_bars};
use crate::look::Looks;

use super::restart::{seconds, with_half};

/// The table.
pub(crate) struct ScaleOutView {
    /// Servers before and after.
    pub(crate) asked: ScaleOut,
    pub(crate) rows: Vec<ScaleOutRow>,
    /// The load of the servers that joined, for each width.
    pub(crate) charts: [String; 2],
}

pub(super) fn view(asked: &ScaleOut, parts: &[ScaleOutPart], looks: &Looks<'_>) -> ScaleOutView {
    ScaleOutView {
        asked: asked.clone(),
        rows: parts.iter().map(scale_out_row).collect(),
        charts: [WIDE, NARROW].map(|size| joined(asked, parts, looks, size)),
    }
}

/// How much of the load lies at the servers that joined, beside an even share.
fn joined(asked: &ScaleOut, parts: &[ScaleOutPart], looks: &Looks<'_>, size: Size) -> String {
    let even = asked.to.saturating_sub(asked.from) as f64 / asked.to.max(1) as f64;
    let bar = |part: &ScaleOutPart| FigureBar {
        name: part.contender.clone(),
        look: looks.get(&part.contender),
        value: part.after.shares.iter().skip(asked.from).sum(),
        interval: None,
    };
    let bars: Vec<FigureBar> = parts.iter().map(bar).collect();
    let show = |share: f64| format!("{:.0} %", share * 100.0);
    figure_bars(&bars, Some((even, "an even share")), &show, size, "Load at the servers that joined")
}

/// How much of the load the servers that joined get, contender by contender, in sentences.
pub(super) fn number(record: &Record, asked: &ScaleOut, parts: &[ScaleOutPart]) -> String {
    let joined = |load: &LoadPart| load.shares.iter().skip(asked.from).sum::<f64>() * 100.0;
    let after =
        parts.iter().map(|part| format!("{:.0} % of {}", joined(&part.after), record.label(&part.contender)));
    let evened = parts.iter().filter_map(|part| {
        let (load, back) = part.evened.as_ref().zip(part.back_ms.as_ref())?;
        Some(format!("{:.0} % of {} in {}", joined(load), record.label(&part.contender), seconds(back)))
    });
    let [after, evened] = [after.collect::<Vec<_>>(), evened.collect()].map(|parts| parts.join(", "));
    let n = parts.first().map_or(0, |part| part.after.imbalance.n);
    let one = asked.to.saturating_sub(asked.from) == 1;
    let (servers, get) = if one { ("server that joins", "gets") } else { ("servers that join", "get") };
    let evened = if evened.is_empty() { evened } else { format!(". After all reconnected: {evened}") };
    format!(
        "The {servers} {} others {get} {after} within half a second{evened} ({n} scale-outs each)",
        asked.from
    )
}

/// A contender's line.
pub(crate) struct ScaleOutRow {
    pub(crate) name: String,
    pub(crate) connections: String,
    /// Scale-outs.
    pub(crate) n: usize,
    /// Shares and imbalance before, after, and once all had been sent away.
    pub(crate) stages: Vec<Option<[String; 2]>>,
    pub(crate) back: Option<String>,
}

fn scale_out_row(part: &ScaleOutPart) -> ScaleOutRow {
    let stage = |load: &LoadPart| [shares(load), with_half(&load.imbalance, "", 2)];
    ScaleOutRow {
        name: part.contender.clone(),
        connections: text::count(part.connections as u64),
        n: part.after.imbalance.n,
        stages: vec![Some(stage(&part.before)), Some(stage(&part.after)), part.evened.as_ref().map(stage)],
        back: part.back_ms.as_ref().map(seconds),
    }
}

/// `50 · 50 · 0 %`.
fn shares(load: &LoadPart) -> String {
    let shares: Vec<String> = load.shares.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
    format!("{} %", shares.join(" · "))
}
