//! Bars of one figure: every contender with its interval, and the bound that a claim sets.

use std::fmt::Write as _;

use super::chart::{Axis, Size, escape, open, room_for_names};
use super::look::Look;

/// A bar.
#[derive(Debug, Clone)]
pub(super) struct FigureBar {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) value: f64,
    /// The ends of its 95 % interval, where it has one.
    pub(super) interval: Option<(f64, f64)>,
}

/// Draws bars from zero, and a bound, with what it is, as a dashed line.
pub(super) fn figure_bars(
    bars: &[FigureBar],
    bound: Option<(f64, &str)>,
    show: &dyn Fn(f64) -> String,
    size: Size,
    title: &str,
) -> String {
    let ends = bars.iter().flat_map(|bar| [bar.value, bar.interval.map_or(0.0, |(_, high)| high)]);
    let highest =
        ends.chain(bound.map(|(at, _)| at)).filter(|value| value.is_finite()).fold(0.0_f64, f64::max);
    if bars.is_empty() || highest <= 0.0 {
        return String::new();
    }
    let narrow = size.width < 500.0;
    let (left, row) =
        if narrow { (4.0, 46.0) } else { (room_for_names(bars.iter().map(|bar| &bar.name[..])), 32.0) };
    let bottom = 8.0 + row * bars.len() as f64;
    let across = Axis::new(0.0, highest, left, size.width - 96.0);
    let said: Vec<String> = bars.iter().map(|bar| format!("{}: {}", bar.name, show(bar.value))).collect();
    let foot = if bound.is_some() { 20.0 } else { 4.0 };
    let mut svg = open(Size { height: bottom + foot, ..size }, title, &said.join("; "));
    for (nth, bar) in bars.iter().enumerate() {
        let y = 8.0 + row * nth as f64 + if narrow { 16.0 } else { 0.0 };
        let (name_x, name_y, anchor) =
            if narrow { (left, y - 4.0, "start") } else { (left - 10.0, y + 15.0, "end") };
        let value = if bar.value.is_finite() { bar.value.max(0.0) } else { highest };
        let end = across.at(value);
        let _ = write!(
            svg,
            r#"<g data-s="{0}"><text class="name" x="{name_x:.1}" y="{name_y:.1}" text-anchor="{anchor}">{0}</text><rect x="{left:.1}" y="{y:.1}" width="{1:.1}" height="20" fill="{2}"><title>{0}: {3}</title></rect>"#,
            escape(&bar.name),
            (end - left).max(0.5),
            bar.look.colour(),
            show(bar.value)
        );
        let mut past = end;
        if let Some((low, high)) = bar.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
            let (low, high) = (across.at(low.max(0.0)), across.at(high));
            past = past.max(high);
            let _ = write!(
                svg,
                r#"<path class="whisker" d="M{low:.1} {m:.1}H{high:.1}M{low:.1} {a:.1}v8M{high:.1} {a:.1}v8"/>"#,
                m = y + 10.0,
                a = y + 6.0
            );
        }
        let _ = write!(
            svg,
            r#"<text class="value" x="{:.1}" y="{:.1}">{}</text></g>"#,
            past + 7.0,
            y + 15.0,
            show(bar.value)
        );
    }
    if let Some((bound, what)) = bound {
        let x = across.at(bound);
        let _ = write!(
            svg,
            r#"<path class="one" stroke-dasharray="5 4" d="M{x:.1} 2V{bottom:.1}"/><text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{what}: {}</text>"#,
            bottom + 15.0,
            show(bound)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{NARROW, WIDE};

    #[test]
    fn bars_say_in_words_what_they_show() {
        let bar = |name: &str, value: f64| FigureBar {
            name: name.into(),
            look: Look::PLAIN,
            value,
            interval: Some((value * 0.9, value * 1.1)),
        };
        let show = |value: f64| format!("{value} B");
        for size in [WIDE, NARROW] {
            let svg = figure_bars(
                &[bar("a<b", 10.0), bar("c", 20.0)],
                Some((15.0, "claimed")),
                &show,
                size,
                "Bytes",
            );
            assert!(svg.contains(r#"aria-label="Bytes. a&lt;b: 10 B; c: 20 B""#), "{svg}");
            assert!(svg.contains("claimed: 15 B") && svg.matches("whisker").count() == 2, "{svg}");
        }
        assert!(figure_bars(&[], None, &show, WIDE, "t").is_empty());
        assert!(figure_bars(&[bar("a", 0.0)], None, &show, WIDE, "t").is_empty());
        let failed = figure_bars(&[bar("a", f64::INFINITY), bar("b", 1.0)], None, &show, WIDE, "t");
        assert!(!failed.contains("NaN") && !failed.contains("inf\""), "{failed}");
    }
}
