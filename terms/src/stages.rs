//! Rates that change along time: stages, each from one rate to another.

use std::time::Duration;

use crate::text;

/// The highest rate that a stage may have, arrivals per second.
const RATE_MAX_PER_S: f64 = 1e9;
/// The longest stage.
const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A stretch in which the rate goes evenly from one to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Arrivals per second at its start.
    pub from_per_s: f64,
    /// Arrivals per second at its end.
    pub to_per_s: f64,
    /// How long it takes.
    pub duration: Duration,
}

impl Stage {
    /// Arrivals of its first part, up to a time after its start: the area under its rate.
    fn arrivals_until(&self, seconds: f64) -> f64 {
        let slope = (self.to_per_s - self.from_per_s) / self.duration.as_secs_f64();
        self.from_per_s * seconds + slope * seconds * seconds / 2.0
    }

    /// All its arrivals.
    pub fn arrivals(&self) -> f64 {
        self.arrivals_until(self.duration.as_secs_f64())
    }

    /// When so many of its arrivals have come, in seconds after its start.
    pub(crate) fn when(&self, arrivals: f64) -> f64 {
        let slope = (self.to_per_s - self.from_per_s) / self.duration.as_secs_f64();
        if slope == 0.0 {
            return arrivals / self.from_per_s;
        }
        // The root of slope/2 · t² + from · t = arrivals that lies within the stage, in the form
        // that does not lose digits where the slope is small.
        let root = (self.from_per_s * self.from_per_s + 2.0 * slope * arrivals).max(0.0).sqrt();
        2.0 * arrivals / (self.from_per_s + root)
    }

    /// `100/s for 10s`, or `to 1000/s over 30s`.
    pub fn in_words(&self) -> String {
        let rate = |per_s: f64| format!("{}/s", text::plain_number(per_s));
        let time = text::exact(self.duration);
        if self.from_per_s == self.to_per_s {
            format!("{} for {time}", rate(self.to_per_s))
        } else {
            format!("{} to {} over {time}", rate(self.from_per_s), rate(self.to_per_s))
        }
    }
}

/// Reads stages, separated by commas: `100/s for 10s, to 1000/s over 30s`.
///
/// # Errors
/// What would be right.
pub fn parse_stages(text: &str) -> Result<Vec<Stage>, String> {
    let mut stages: Vec<Stage> = Vec::new();
    for part in text.split(',') {
        let wrong = || format!("'{}': write stages such as '100/s for 10s, to 1000/s over 30s'", part.trim());
        let words: Vec<&str> = part.split_whitespace().collect();
        let (rate, time, goes) = match words[..] {
            [rate, "for", time] => (rate, time, false),
            ["to", rate, "over", time] => (rate, time, true),
            _ => return Err(wrong()),
        };
        let rate = rate.strip_suffix("/s").and_then(|digits| digits.parse::<f64>().ok()).ok_or_else(wrong)?;
        let duration = humantime::parse_duration(time).map_err(|_| wrong())?;
        if !(0.0..=RATE_MAX_PER_S).contains(&rate) || duration.is_zero() || duration > TIME_MAX {
            return Err(format!(
                "'{}': a rate is 0/s to 1000000000/s, and a time longer than 0 and at most 30 days",
                part.trim()
            ));
        }
        let before = stages.last().map_or(0.0, |stage| stage.to_per_s);
        stages.push(Stage { from_per_s: if goes { before } else { rate }, to_per_s: rate, duration });
    }
    if stages.iter().all(|stage| stage.to_per_s == 0.0 && stage.from_per_s == 0.0) {
        return Err("a stage must have a rate above 0/s".to_owned());
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_as_they_are_written() {
        let stages = parse_stages("100/s for 10s, to 1000/s over 30s,to 0/s over 500ms").unwrap();
        assert_eq!(stages.iter().map(Stage::arrivals).collect::<Vec<_>>(), [1_000.0, 16_500.0, 250.0]);
        assert_eq!(stages[1].in_words(), "100/s to 1\u{202f}000/s over 30 s");
        assert_eq!((stages[1].when(16_500.0), stages[0].when(50.0)), (30.0, 0.5));
        for wrong in
            ["", "100/s", "100 for 10s", "to 5/s for 1s", "100/s for 0s", "0/s for 5s", "-1/s for 5s"]
        {
            assert!(parse_stages(wrong).is_err(), "{wrong}");
        }
    }
}
