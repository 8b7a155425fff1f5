//! Numbers for people: never without their unit.

/// A time given in µs, in the unit that suits it.
pub fn micros(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} s", three_digits(value / 1e6)),
        value if value >= 1e3 => format!("{} ms", three_digits(value / 1e3)),
        value => format!("{} µs", three_digits(value)),
    }
}

/// Three significant digits, as far as they stand behind the point.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A ratio, or a percentage of one: as many digits as it is worth, and no more than anybody reads.
pub fn ratio(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => "> 1000".to_owned(),
        value if value >= 10.0 => format!("{value:.0}"),
        value if value < 0.005 => "< 0.01".to_owned(),
        value => format!("{value:.2}"),
    }
}

/// A share of all as per cent: more digits near none and all, where they tell.
pub fn percent_of_all(share: f64) -> String {
    let percent = share * 100.0;
    if (0.5..=99.5).contains(&percent) { format!("{percent:.1} %") } else { format!("{percent:.3} %") }
}

/// Reads a share from `0%` to `100%`; `None` where it is none.
pub fn parse_percent(text: &str) -> Option<f64> {
    let percent = text.strip_suffix('%')?.trim().parse::<f64>().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// A share that somebody wrote in percent, as it was written: `7`, though 0.07 × 100 is more.
pub fn rounded_percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

/// A number as people write it: no more digits than it has.
pub fn plain_number(value: f64) -> String {
    if value.fract() == 0.0 && (0.0..1e15).contains(&value) {
        count(value as u64)
    } else {
        three_digits(value)
    }
}

/// A number that was estimated: two digits that are worth something.
pub fn rounded(value: f64) -> String {
    if value <= 0.0 || !value.is_finite() {
        return plain_number(value);
    }
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    let rounded = (value / unit).round() * unit;
    // Two digits, and no third that is made up.
    if (1.0..9.95).contains(&rounded) { format!("{rounded:.1}") } else { plain_number(rounded) }
}

/// A count, its thousands set apart by a thin space at which no line breaks.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A stretch of time that somebody chose, as they would write it.
pub fn exact(span: std::time::Duration) -> String {
    match span.as_nanos() {
        nanos if nanos > 0 && nanos.is_multiple_of(1_000_000_000) => format!("{} s", span.as_secs()),
        nanos if nanos > 0 && nanos.is_multiple_of(1_000_000) => format!("{} ms", span.as_millis()),
        _ => micros(span.as_secs_f64() * 1e6),
    }
}

/// A stretch of time, for an estimate.
pub fn about(span: std::time::Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds.saturating_add(30) / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Words with a capital letter in front.
pub fn capitalized(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

/// The same, and no line of a page ends within `95 %`, `0.89 ×`, `92.5 ± 1.0` or `n = 10`.
pub fn unbroken(words: &str) -> String {
    let signs = [(" %", "\u{a0}%"), (" ×", "\u{a0}×"), (" ± ", "\u{a0}±\u{a0}"), ("n = ", "n\u{a0}=\u{a0}")];
    let whole = signs.into_iter().fold(words.to_owned(), |words, (of, whole)| words.replace(of, whole));
    let mut words = whole.split(' ');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let unit = word.trim_end_matches([',', '.', ';', ':', ')', '?']);
        let thousands = unit.len() == 3 && unit.bytes().all(|of| of.is_ascii_digit());
        let is_of_number =
            out.ends_with(|of: char| of.is_ascii_digit()) && (thousands || UNITS.contains(&unit));
        out.push(if is_of_number { '\u{a0}' } else { ' ' });
        out.push_str(word);
    }
    out
}

/// Units that do not leave their number.
const UNITS: [&str; 10] = ["ns", "µs", "ms", "s", "B", "KB", "KiB", "MiB", "MB", "Mbit/s"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_their_unit() {
        assert_eq!(micros(0.5), "0.50 µs");
        assert_eq!(micros(41.23), "41.2 µs");
        assert_eq!(micros(999.96), "1000 µs");
        assert_eq!(micros(2_345.0), "2.35 ms");
        assert_eq!(micros(1.5e6), "1.50 s");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
        assert_eq!(unbroken("0.9 × it, 95 %, n = 10"), "0.9\u{a0}× it, 95\u{a0}%, n\u{a0}=\u{a0}10");
        assert_eq!(unbroken("in 20 ms, 1 000 times"), "in 20\u{a0}ms, 1\u{a0}000 times");
        assert_eq!((capitalized("share of"), capitalized("")), ("Share of".to_owned(), String::new()));
        assert_eq!([12_345.0, 87.6, 7.12, 0.123].map(rounded), ["12\u{202f}000", "88", "7.1", "0.12"]);
        assert_eq!([0.001, 1.026, 36.4, 2e5].map(ratio), ["< 0.01", "1.03", "36", "> 1000"]);
    }
}
