//! How load lay when servers joined others: a table, and the same in words.

use record::{LoadPart, ScaleOutPart};
use terms::{ScaleOut, text};

use crate::chart::{NARROW, Size, WIDE};
use crate::figure_bars::{FigureBar, figure_bars};
use crate::look::Look;

use super::restart::{seconds, with_half};

/// The table.
pub(crate) struct ScaleOutView {
    /// Servers before and after.
    pub(crate) asked: ScaleOut,
    pub(crate) rows: Vec<ScaleOutRow>,
    /// The load of the servers that joined, for each width.
    pub(crate) charts: [String; 2],
}

pub(super) fn view(asked: &ScaleOut, parts: &[ScaleOutPart]) -> ScaleOutView {
    ScaleOutView {
        asked: asked.clone(),
        rows: parts.iter().map(scale_out_row).collect(),
        charts: [WIDE, NARROW].map(|size| joined(asked, parts, size)),
    }
}

/// How much of the load lies at the servers that joined, beside an even share.
fn joined(asked: &ScaleOut, parts: &[ScaleOutPart], size: Size) -> String {
    let even = (asked.to - asked.from) as f64 / asked.to as f64;
    let bar = |part: &ScaleOutPart| FigureBar {
        name: part.contender.clone(),
        look: Look::PLAIN,
        value: part.after.shares.iter().skip(asked.from).sum(),
        interval: None,
    };
    let bars: Vec<FigureBar> = parts.iter().map(bar).collect();
    let show = |share: f64| format!("{:.0} %", share * 100.0);
    figure_bars(&bars, Some((even, "an even share")), &show, size, "Load at the servers that joined")
}

/// How load lay when servers joined others, contender by contender, in sentences.
pub(super) fn number(asked: &ScaleOut, parts: &[ScaleOutPart]) -> String {
    format!(
        "Shares of the servers behind a balancer of connections, which gives each new one to the next; ± half the 95 % interval. {}",
        scale_outs_in_words(parts, asked).join(". ")
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

/// How it lay after, and once all had been sent away:
/// `Half a second after 2 servers became 3, n = 3 each: sse 50 · 50 · 0 %, …`.
pub(super) fn scale_outs_in_words(parts: &[ScaleOutPart], asked: &ScaleOut) -> Vec<String> {
    let n = parts.first().map_or(0, |part| part.after.imbalance.n);
    let after = parts.iter().map(|part| format!("{} {}", part.contender, shares(&part.after)));
    let evened = parts.iter().filter_map(|part| {
        let (load, back) = part.evened.as_ref().zip(part.back_ms.as_ref())?;
        Some(format!("{} {} after {}", part.contender, shares(load), seconds(back)))
    });
    let [after, evened] = [after.collect::<Vec<_>>(), evened.collect()].map(|parts| parts.join(", "));
    vec![
        format!("Half a second after {} servers became {}, n = {n} each: {after}", asked.from, asked.to),
        format!("Once all {} had been sent away: {evened}", text::count(asked.connections as u64)),
    ]
}

/// `50 · 50 · 0 %`.
fn shares(load: &LoadPart) -> String {
    let shares: Vec<String> = load.shares.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
    format!("{} %", shares.join(" · "))
}
