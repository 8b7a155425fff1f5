//! The one grammar for thresholds: a path in the results without its unit, an operator, a value with its unit:
//! `response.p99 > 20ms`, `cpu_per_call > 10%`, `failed > 1%`, `rate_per_s < 900`.

use hdrhistogram::Histogram;

use crate::record::Quantiles;
use crate::text;

/// One of the four distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Done − scheduled.
    Response,
    /// Picked up − scheduled.
    Lag,
    /// Sent − picked up.
    Wait,
    /// Done − sent.
    Service,
}

/// A point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    /// A percentile, as a share below.
    Percentile(f64),
    /// The largest value.
    Max,
    /// The mean.
    Mean,
}

/// A figure that an expression can name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// A point of a distribution, in µs.
    Time(Distribution, Point),
    /// Processor time per call, both ends, in µs.
    CpuPerCall,
    /// Of the client alone.
    ClientCpuPerCall,
    /// Of the server alone.
    ServerCpuPerCall,
    /// Processor time that both ends used in a second, in µs.
    CpuPerS,
    /// Bytes on the wire per call, both ways.
    BytesPerCall,
    /// The share of arrivals that failed.
    Failed,
    /// The share of arrivals that were done so many µs after they were due, less than the time-out; what failed stands at the time-out
    /// or more, and is not among them.
    Within(f64),
    /// Calls that succeeded per second.
    RatePerS,
    /// Jain's index of the flows' goodput.
    Jain,
    /// The share of all goodput that the n-th flow has, from 1.
    FlowShare(usize),
}

/// Paths that a figure can have.
const PATHS: &str = "response, lag, wait or service with .p50, .p90, .p95, .p99, .p999, .max or .mean; cpu_per_call, \
                     client_cpu_per_call, server_cpu_per_call, cpu_per_s; bytes_per_call; failed; within.TIME; rate_per_s; of flows \
                     jain, share.1, share.2";

const DISTRIBUTIONS: [(&str, Distribution); 4] = [
    ("response", Distribution::Response),
    ("lag", Distribution::Lag),
    ("wait", Distribution::Wait),
    ("service", Distribution::Service),
];
const POINTS: [(&str, Point); 7] = [
    ("p50", Point::Percentile(0.5)),
    ("p90", Point::Percentile(0.9)),
    ("p95", Point::Percentile(0.95)),
    ("p99", Point::Percentile(0.99)),
    ("p999", Point::Percentile(0.999)),
    ("max", Point::Max),
    ("mean", Point::Mean),
];
const PLAIN: [(&str, Figure); 8] = [
    ("cpu_per_s", Figure::CpuPerS),
    ("cpu_per_call", Figure::CpuPerCall),
    ("client_cpu_per_call", Figure::ClientCpuPerCall),
    ("server_cpu_per_call", Figure::ServerCpuPerCall),
    ("bytes_per_call", Figure::BytesPerCall),
    ("failed", Figure::Failed),
    ("rate_per_s", Figure::RatePerS),
    ("jain", Figure::Jain),
];

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl Distribution {
    /// The one of four that it is.
    pub fn of<'a, T>(self, response: &'a T, lag: &'a T, wait: &'a T, service: &'a T) -> &'a T {
        match self {
            Distribution::Response => response,
            Distribution::Lag => lag,
            Distribution::Wait => wait,
            Distribution::Service => service,
        }
    }
}

impl Figure {
    /// Reads a path.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(path: &str) -> Result<Figure, String> {
        let figure = match path.split_once('.') {
            Some(("within", time)) => {
                humantime::parse_duration(time).ok().map(|time| Figure::Within(time.as_nanos() as f64 / 1e3))
            }
            Some(("share", nth)) => nth.parse().ok().filter(|nth| *nth > 0).map(Figure::FlowShare),
            Some((distribution, point)) => named(&DISTRIBUTIONS, distribution)
                .and_then(|distribution| Some(Figure::Time(distribution, named(&POINTS, point)?))),
            None => named(&PLAIN, path),
        };
        figure.ok_or_else(|| format!("there is no '{path}': {PATHS}"))
    }

    /// Whether the server's processor time is in it, which of a target is not known.
    pub fn needs_the_server(self) -> bool {
        matches!(self, Figure::CpuPerCall | Figure::ServerCpuPerCall | Figure::CpuPerS)
    }

    /// Whether less of it is better.
    pub fn less_is_better(self) -> bool {
        !matches!(self, Figure::RatePerS | Figure::Within(_) | Figure::Jain | Figure::FlowShare(_))
    }

    /// A value of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            // The interval of a share may reach beyond what a share can be.
            Figure::Failed | Figure::Within(_) | Figure::FlowShare(_) => {
                format!("{:.3} %", value.clamp(0.0, 1.0) * 100.0)
            }
            Figure::Jain => format!("{value:.3}"),
            Figure::RatePerS => format!("{value:.1}/s"),
            Figure::CpuPerS => format!("{}/s", text::micros(value)),
            Figure::BytesPerCall => format!("{value:.0} B"),
            _ => text::micros(value),
        }
    }

    /// In words, where a call is called this.
    pub fn in_words(self, noun: &str) -> String {
        match self {
            Figure::Time(distribution, point) => {
                let of = DISTRIBUTIONS.iter().find(|(_, known)| *known == distribution);
                let at = POINTS.iter().find(|(_, known)| *known == point);
                format!("{} {}", of.map_or("", |(name, _)| *name), at.map_or("", |(name, _)| *name))
            }
            Figure::CpuPerCall => format!("CPU per {noun}"),
            Figure::ClientCpuPerCall => format!("the client's CPU per {noun}"),
            Figure::ServerCpuPerCall => format!("the server's CPU per {noun}"),
            Figure::CpuPerS => "CPU per second".to_owned(),
            Figure::BytesPerCall => format!("bytes per {noun}"),
            Figure::Failed => format!("the share of {noun}s that failed"),
            Figure::Within(us) => format!("the share of {noun}s within {}", text::micros(us)),
            Figure::RatePerS => format!("{noun}s per second"),
            Figure::Jain => "Jain's index of the flows".to_owned(),
            Figure::FlowShare(nth) => format!("the share that flow {nth} has of all goodput"),
        }
    }

    /// Whether failed calls are in it, so that a contender who fails some can be judged by it.
    pub fn counts_failures(self) -> bool {
        self.is_share() || self == Figure::Jain || matches!(self, Figure::Time(Distribution::Response, _))
    }

    /// Whether it is a share: of all arrivals, or of all goodput.
    pub fn is_share(self) -> bool {
        matches!(self, Figure::Failed | Figure::Within(_) | Figure::FlowShare(_))
    }

    fn is_time(self) -> bool {
        !self.is_share() && !matches!(self, Figure::RatePerS | Figure::BytesPerCall | Figure::Jain)
    }
}

impl Point {
    /// Reads it off a distribution, whatever its number of values.
    pub fn of(self, quantiles: &Quantiles) -> f64 {
        match self {
            Point::Percentile(share) => quantiles.at(share).unwrap_or(quantiles.max),
            Point::Max => quantiles.max,
            Point::Mean => quantiles.mean,
        }
    }
}

/// The share of a distribution of nanoseconds that is at most so many µs; `None` of an empty one.
pub(crate) fn share_within(histogram: &Histogram<u64>, us: f64) -> Option<f64> {
    let within = || histogram.count_between(0, (us * 1e3) as u64) as f64 / histogram.len() as f64;
    (!histogram.is_empty()).then(within)
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Itself: µs, a share, a number.
    Absolute(f64),
    /// The change from an older record, as a share of it.
    Change(f64),
}

/// A condition on a figure. It travels as its text.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Expression {
    /// As it was written.
    pub text: String,
    /// What it is about.
    pub figure: Figure,
    /// True where the figure is above the value; else where it is below.
    pub above: bool,
    /// The value.
    pub value: Value,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// In words, with what would be right.
    pub fn parse(text: &str) -> Result<Expression, String> {
        let at = text.find(['<', '>']).ok_or("write PATH > VALUE or PATH < VALUE")?;
        let (path, rest) = text.split_at(at);
        let figure = Figure::parse(path.trim())?;
        let value = rest[1..].trim();
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let parsed = match value.strip_suffix('%') {
            Some(percent) if figure.is_share() => number(percent).map(|p| Value::Absolute(p / 100.0)),
            Some(percent) => number(percent).map(|p| Value::Change(p / 100.0)),
            None if figure.is_time() => humantime::parse_duration(value)
                .ok()
                .map(|span| Value::Absolute(span.as_nanos() as f64 / 1e3)),
            None if figure.is_share() && number(value).is_some_and(|share| share > 1.0) => {
                return Err(format!("this is a share of all calls: write {value}% or a number up to 1"));
            }
            None => number(value).map(Value::Absolute),
        };
        let value = parsed.ok_or_else(|| {
            let unit = if figure.is_time() {
                "a time with its unit, such as 20ms"
            } else {
                "a number, or a share such as 1%"
            };
            format!("'{value}' is not {unit}")
        })?;
        Ok(Expression { text: text.to_owned(), figure, above: rest.starts_with('>'), value })
    }

    /// Reads one that stands alone, without an older record to compare with.
    ///
    /// # Errors
    /// As [`Expression::parse`], and where it is about a change.
    pub fn parse_absolute(text: &str) -> Result<Expression, String> {
        let expression = Expression::parse(text)?;
        match expression.value {
            Value::Absolute(_) => Ok(expression),
            Value::Change(_) => {
                Err("a percentage needs something to compare with: only `failed` and `within` are shares"
                    .to_owned())
            }
        }
    }

    /// The value that a figure is held against; of a change, the share.
    pub fn limit(&self) -> f64 {
        match self.value {
            Value::Absolute(value) | Value::Change(value) => value,
        }
    }

    /// Whether a figure makes it true; a change is never true of a figure alone.
    pub fn is_true_of(&self, figure: f64) -> bool {
        match self.value {
            Value::Absolute(value) => {
                if self.above {
                    figure > value
                } else {
                    figure < value
                }
            }
            Value::Change(_) => false,
        }
    }
}

impl TryFrom<String> for Expression {
    type Error = String;
    fn try_from(text: String) -> Result<Expression, String> {
        Expression::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> String {
        expression.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_a_path_an_operator_and_a_value_with_its_unit() {
        let expression = Expression::parse("response.p99 > 20ms").unwrap();
        assert_eq!(expression.figure, Figure::Time(Distribution::Response, Point::Percentile(0.99)));
        assert!(expression.above && expression.value == Value::Absolute(20_000.0));
        assert_eq!(Expression::parse("failed>1%").unwrap().value, Value::Absolute(0.01));
        assert_eq!(Expression::parse("cpu_per_call > 10%").unwrap().value, Value::Change(0.1));
        assert!(!Expression::parse("rate_per_s < 900").unwrap().above);
        let within = Expression::parse("within.60ms > 98.5%").unwrap();
        assert_eq!((within.figure, within.value), (Figure::Within(60_000.0), Value::Absolute(0.985)));
        for wrong in [
            "response.p99 > 20",
            "response.p98 > 1ms",
            "p99 > 1ms",
            "response.p99",
            "rate_per_s > NaN",
            "failed > 5",
            "within > 5%",
            "within.5 > 5%",
            "share.0 > 5%",
        ] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Expression::parse_absolute("rate_per_s > 5%").is_err());
        assert!(Expression::parse_absolute("failed > 5%").is_ok());
    }
}
