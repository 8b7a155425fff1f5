//! Flows that share a link: how much of it each had, along the measured time, and in a table.

use std::fmt::Write as _;

use record::{CellPart, FlowPart, Merged};
use terms::text;

use super::chart::{Axis, Size, escape, open};
use super::look::Look;
use super::plot::step;

/// What a contender's flows came to.
pub(super) struct FlowsView {
    pub(super) name: String,
    /// Goodput along the measured time, for each width.
    pub(super) charts: [String; 2],
    pub(super) rows: Vec<FlowRow>,
    /// What is to be said of all of them together.
    pub(super) words: String,
}

/// A flow's line of the table.
pub(super) struct FlowRow {
    pub(super) sign: String,
    pub(super) flow: String,
    pub(super) goodput: String,
    pub(super) share: String,
    pub(super) sent: String,
    pub(super) lost: String,
    pub(super) blocked: String,
    pub(super) held: String,
}

/// `seconds` is the measured time of a round.
pub(super) fn flows_view(
    cell: &CellPart,
    merged: &Merged,
    seconds: f64,
    sizes: [Size; 2],
) -> Option<FlowsView> {
    let flows = &merged.flows;
    let measured = seconds * merged.rounds as f64;
    let all: f64 = flows.iter().map(|flow| flow.goodput_bits_per_s).sum();
    let row = |(flow, look): (&FlowPart, Look)| FlowRow {
        sign: look.sign(),
        flow: flow.flow.clone(),
        goodput: megabits(flow.goodput_bits_per_s),
        share: percent(flow.goodput_bits_per_s / all.max(1.0)),
        sent: if measured > 0.0 { megabits(flow.sent_bits_per_s(measured)) } else { "–".to_owned() },
        lost: percent(flow.lost_share()),
        blocked: percent(flow.blocked_share),
        held: format!("{:.0} KB", flow.held_bytes_max as f64 / 1e3),
    };
    let title = format!("Goodput of {}", cell.contender);
    (!flows.is_empty()).then(|| FlowsView {
        name: cell.contender.clone(),
        // One alone has what it sends or what the link has, and a line in the table says it, unless
        // the link changes.
        charts: if flows.len() > 1 || !cell.changes.is_empty() {
            sizes.map(|size| goodput(flows, size, &title))
        } else {
            Default::default()
        },
        rows: flows.iter().zip(looks(flows)).map(row).collect(),
        words: in_words(merged),
    })
}

/// Jain's index and the queue, as far as there is one.
pub(super) fn in_words(merged: &Merged) -> String {
    let fairness = merged.jain_index.map(|index| format!("Jain’s index {index:.3}, mean of the rounds"));
    // A link without a rate has no queue.
    let queued = merged.queue.as_ref().filter(|queue| queue.wait_mean_us > 0.0 || queue.dropped > 0);
    let queue = queued.map(|queue| {
        format!(
            "a packet waited {} in the queue on average, and {} of {} found it full",
            text::micros(queue.wait_mean_us),
            text::count(queue.dropped),
            text::count(queue.packets)
        )
    });
    fairness.into_iter().chain(queue).collect::<Vec<_>>().join("; ")
}

/// Ticks of an axis, at most: the step of a range that is next to nothing is nothing.
const TICKS_MAX: u32 = 50;

pub(super) fn megabits(bits_per_s: f64) -> String {
    format!("{:.2} Mbit/s", bits_per_s / 1e6)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The looks of flows: one hue a carrier, later ones of it dashed.
pub(super) fn looks(flows: &[FlowPart]) -> Vec<Look> {
    let carrier = |flow: &FlowPart| flow.flow.split(' ').next().unwrap_or_default().to_owned();
    let nth = |at: usize| flows[..at].iter().filter(|other| carrier(other) == carrier(&flows[at])).count();
    (0..flows.len()).map(|at| Look::of_flow(&flows[at].flow, nth(at))).collect()
}

/// Goodput by when it came, mean of the rounds; a line a flow.
fn goodput(flows: &[FlowPart], size: Size, title: &str) -> String {
    let slice_s = terms::FlowOutcome::SLICE.as_secs_f64();
    let longest = flows.iter().map(|flow| flow.course_bits_per_s.len()).max().unwrap_or(0);
    let highest =
        flows.iter().flat_map(|flow| &flow.course_bits_per_s).fold(0.0_f64, |high, bits| high.max(*bits));
    if longest < 2 || highest <= 0.0 {
        return String::new();
    }
    let (left, right, top, bottom) = (58.0, size.width - 24.0, 10.0, 190.0);
    let size = Size { height: bottom + 38.0, ..size };
    let seconds = longest as f64 * slice_s;
    let across = Axis::new(0.0, seconds, left + 8.0, right);
    let up = Axis::new(0.0, highest * 1.05, bottom, top);
    let said: Vec<String> =
        flows.iter().map(|flow| format!("{}: {}", flow.flow, megabits(flow.goodput_bits_per_s))).collect();
    let mut svg = open(size, title, &said.join("; "));
    let level = step(highest / 1e6, 4.0);
    for tick in
        (0..TICKS_MAX).map(|nth| f64::from(nth) * level).take_while(|tick| tick * 1e6 <= highest * 1.05)
    {
        let y = up.at(tick * 1e6);
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{tick}</text>"#,
            left - 8.0,
            y + 4.0
        );
    }
    let every = step(seconds, if size.width < 500.0 { 5.0 } else { 10.0 });
    for tick in (0..TICKS_MAX).map(|nth| f64::from(nth) * every).take_while(|tick| *tick <= seconds) {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            across.at(tick),
            bottom + 18.0,
            (tick * 100.0).round() / 100.0
        );
    }
    for (flow, look) in flows.iter().zip(looks(flows)) {
        let middle = |slice: usize| across.at((slice as f64 + 0.5) * slice_s);
        let points = flow.course_bits_per_s.iter().enumerate();
        let path: Vec<String> =
            points.map(|(slice, bits)| format!("{:.1} {:.1}", middle(slice), up.at(*bits))).collect();
        let _ = write!(
            svg,
            r#"<path class="line" {} d="M{}"><title>{}</title></path>"#,
            look.stroke(),
            path.join("L"),
            escape(&flow.flow)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">Mbit/s, by seconds of the measured time</text></svg>"#,
        f64::midpoint(left, right),
        size.height - 4.0
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::WIDE;

    #[test]
    fn a_chart_of_flows_says_in_words_what_it_shows() {
        let flow = |of: &str, bits| FlowPart {
            flow: of.to_owned(),
            sent_blocks: 10,
            received_blocks: 10,
            goodput_bits_per_s: bits,
            blocked_share: 0.0,
            held_bytes_max: 0,
            course_bits_per_s: vec![bits; 20],
        };
        let two_alike = goodput(&[flow("tcp cubic", 12e6), flow("tcp bbr", 8e6)], WIDE, "Goodput");
        assert_eq!(two_alike.matches("stroke-dasharray").count(), 1, "{two_alike}");
        let svg = goodput(&[flow("tcp cubic", 12e6), flow("udp", 8e6)], WIDE, "Goodput");
        assert!(svg.contains(r#"aria-label="Goodput. tcp cubic: 12.00 Mbit/s; udp: 8.00 Mbit/s""#), "{svg}");
        assert_eq!(svg.matches("stroke-dasharray").count(), 0, "{svg}");
        assert!(goodput(&[flow("tcp", 0.0)], WIDE, "t").is_empty());
    }
}
