//! An interval beside its threshold: the small chart of a line of the card.

use std::fmt::Write as _;

use record::Ratio;
use terms::Rule;

use crate::escape;

const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 44.0;
/// Left and right of the axis.
const MARGIN: f64 = 10.0;
/// The line on which the interval lies, and the foot of the scale.
const MIDDLE: f64 = 15.0;
const FOOT: f64 = 26.0;

/// What the axis says.
pub(crate) struct Scale {
    /// Where the claim holds.
    pub(crate) rule: Rule,
    /// A ratio as it is written at the axis.
    pub(crate) show: Box<dyn Fn(f64) -> String>,
}

/// Draws the interval on a logarithmic axis, the side on which the claim holds shaded.
pub(crate) fn interval(ratio: &Ratio, scale: &Scale, predicted: Option<f64>, title: &str) -> String {
    let (from, to) = match scale.rule {
        Rule::HoldsBelow(limit) => (0.0, limit),
        Rule::HoldsAbove(limit) => (limit, f64::INFINITY),
        Rule::SameWithin(margin) => (1.0 / (1.0 + margin), 1.0 + margin),
    };
    // A share may be nothing, which has no logarithm.
    let log = |value: f64| value.max(1e-4).ln();
    let limits = [from, to].into_iter().filter(|end| end.is_finite() && *end > 0.0);
    let ends = limits.clone().chain([ratio.low, ratio.high, ratio.ratio]).chain(predicted);
    let (low, high) =
        ends.fold((f64::MAX, f64::MIN), |(low, high), end| (low.min(log(end)), high.max(log(end))));
    let room = ((high - low) * 0.18).max(0.04);
    let (low, high) = (low - room, high + room);
    let at = |value: f64| {
        let share = (log(value) - low) / (high - low);
        MARGIN + share.clamp(0.0, 1.0) * (WIDTH - 2.0 * MARGIN)
    };
    let (shade_from, shade_to) =
        (if from > 0.0 { at(from) } else { MARGIN }, if to.is_finite() { at(to) } else { WIDTH - MARGIN });
    let show = |value: f64| escape(&(scale.show)(value));
    let said = format!(
        "{} (95 % interval {} to {}), {}",
        show(ratio.ratio),
        show(ratio.low),
        show(ratio.high),
        escape(title)
    );
    let mut svg = format!(
        r#"<svg class="interval-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}"><title>{said}</title><rect class="side" x="{shade_from:.1}" y="4" width="{:.1}" height="{:.1}"/><path class="grid" d="M{MARGIN} {FOOT}H{:.1}"/>"#,
        shade_to - shade_from,
        FOOT - 4.0,
        WIDTH - MARGIN
    );
    for limit in limits {
        let x = at(limit);
        let anchor = if x < 40.0 {
            "start"
        } else if x > WIDTH - 40.0 {
            "end"
        } else {
            "middle"
        };
        let _ = write!(
            svg,
            r#"<path class="limit" d="M{x:.1} 4V{FOOT}"/><text class="tick" x="{x:.1}" y="39" text-anchor="{anchor}">{}</text>"#,
            show(limit)
        );
    }
    if let Some(predicted) = predicted {
        let x = at(predicted);
        let _ = write!(svg, r#"<path class="predicted" d="M{:.1} {MIDDLE}l4 -5 4 5 -4 5z"/>"#, x - 4.0);
    }
    let _ = write!(
        svg,
        r#"<path class="span" d="M{:.1} {MIDDLE}H{:.1}"/><circle class="dot" cx="{:.1}" cy="{MIDDLE}" r="4"/></svg>"#,
        at(ratio.low),
        at(ratio.high).max(at(ratio.low) + 0.5),
        at(ratio.ratio)
    );
    svg
}
