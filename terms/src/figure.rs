//! Figures: what can be read off a measurement, named by a path in the results without its unit.

use std::fmt;

use crate::{Counted, Quantiles, text};

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

/// A figure by its path: `response`, `lag`, `wait` or `service` with `.p50`, `.p90`, `.p95`,
/// `.p99`, `.p999`, `.max` or `.mean`; `cpu_per_call`, `client_cpu_per_call`,
/// `server_cpu_per_call`, `cpu_per_s`; `bytes_per_call`; `attempts_per_call`; `peak_per_10ms`;
/// `orders_per_call`; `duplicates`;
/// `calls_in_trouble`; `time_to_recover`; of several markets `time_to_move`, `last_call`,
/// `imbalance`, `share.market.1`; `failed`; `within.60ms`; `rate_per_s`; of
/// flows `jain`, `share.1`, `share.2`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
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
    /// Attempts per call, those of calls that failed too.
    AttemptsPerCall,
    /// The most attempts that were made again within 10 ms.
    PeakPer10Ms,
    /// Orders in the market's ledger per call that was sent.
    OrdersPerCall,
    /// Orders in the market's ledger beyond one for each call that was sent, as a share of these.
    Duplicates,
    /// Calls that came to markets while something happened to them.
    CallsInTrouble,
    /// From the end of the last trouble of a market until calls that need it succeed again, in µs.
    TimeToRecover,
    /// From the beginning of the first trouble of one of several markets until calls have left it,
    /// in µs.
    TimeToMove,
    /// From the beginning of that trouble until the last call comes to that market, in µs.
    LastCall,
    /// The share of calls that the n-th market has, from 1: in the second half of the first trouble
    /// of one of them, or all the time.
    MarketShare(usize),
    /// The most calls of one of several markets, in those that each would have were they even.
    Imbalance,
    /// The share of arrivals that failed.
    Failed,
    /// The share of arrivals that were done so many µs after they were due, less than the time-out;
    /// what failed stands at the time-out or more, and is not among them.
    Within(f64),
    /// Calls that succeeded per second.
    RatePerS,
    /// Jain's index of the flows' goodput.
    Jain,
    /// The share of all goodput that the n-th flow has, from 1.
    FlowShare(usize),
}

/// The share of failed calls above which the others are not what a contender is judged by.
pub const FAILED_SHARE_MAX: f64 = 0.01;

/// Paths that a figure can have.
const PATHS: &str = "response, lag, wait or service with .p50, .p90, .p95, .p99, .p999, .max or .mean; cpu_per_call, \
                     client_cpu_per_call, server_cpu_per_call, cpu_per_s; bytes_per_call; attempts_per_call; peak_per_10ms; \
                     orders_per_call; duplicates; calls_in_trouble; time_to_recover; of several markets time_to_move, last_call, imbalance, share.market.1; failed; within.TIME; rate_per_s; of flows jain, share.1, share.2";

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

const PLAIN: [(&str, Figure); 17] = [
    ("cpu_per_s", Figure::CpuPerS),
    ("cpu_per_call", Figure::CpuPerCall),
    ("client_cpu_per_call", Figure::ClientCpuPerCall),
    ("server_cpu_per_call", Figure::ServerCpuPerCall),
    ("bytes_per_call", Figure::BytesPerCall),
    ("attempts_per_call", Figure::AttemptsPerCall),
    ("peak_per_10ms", Figure::PeakPer10Ms),
    ("orders_per_call", Figure::OrdersPerCall),
    ("duplicates", Figure::Duplicates),
    ("calls_in_trouble", Figure::CallsInTrouble),
    ("time_to_recover", Figure::TimeToRecover),
    ("time_to_move", Figure::TimeToMove),
    ("last_call", Figure::LastCall),
    ("imbalance", Figure::Imbalance),
    ("failed", Figure::Failed),
    ("rate_per_s", Figure::RatePerS),
    ("jain", Figure::Jain),
];

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl Distribution {
    /// Its name in paths.
    pub fn name(self) -> &'static str {
        DISTRIBUTIONS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

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

/// Names that stood in scenarios and records before a claim could name any figure.
const FORMER: [(&str, &str); 2] = [("response_p50", "response.p50"), ("response_p99", "response.p99")];

impl Figure {
    /// Those in which every contender is compared with the baseline.
    pub const COMPARED: [Figure; 3] = [
        Figure::CpuPerCall,
        Figure::Time(Distribution::Response, Point::Percentile(0.5)),
        Figure::Time(Distribution::Response, Point::Percentile(0.99)),
    ];

    /// Reads a path.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(path: &str) -> Result<Figure, String> {
        let path = named(&FORMER, path).unwrap_or(path);
        let figure = match path.split_once('.') {
            Some(("within", time)) => {
                humantime::parse_duration(time).ok().map(|time| Figure::Within(time.as_nanos() as f64 / 1e3))
            }
            Some(("share", nth)) => match nth.strip_prefix("market.") {
                None => nth.parse().ok().filter(|nth| *nth > 0).map(Figure::FlowShare),
                Some(nth) => nth.parse().ok().filter(|nth| *nth > 0).map(Figure::MarketShare),
            },
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
            Figure::Failed
            | Figure::Duplicates
            | Figure::Within(_)
            | Figure::FlowShare(_)
            | Figure::MarketShare(_) => text::percent_of_all(value.clamp(0.0, 1.0)),
            Figure::Jain | Figure::AttemptsPerCall | Figure::Imbalance => format!("{value:.3}"),
            // One order too many in thousands is to be seen.
            Figure::OrdersPerCall => format!("{value:.4}"),
            Figure::PeakPer10Ms | Figure::CallsInTrouble => format!("{value:.0}"),
            Figure::RatePerS => format!("{value:.1}/s"),
            Figure::CpuPerS => format!("{}/s", text::micros(value)),
            Figure::BytesPerCall => format!("{value:.0} B"),
            _ => text::micros(value),
        }
    }

    /// In words, where this is what is counted.
    pub fn in_words(self, noun: Counted) -> String {
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
            Figure::AttemptsPerCall => format!("attempts per {noun}"),
            Figure::PeakPer10Ms => "the most retries within 10 ms".to_owned(),
            Figure::OrdersPerCall => format!("orders per {noun}"),
            Figure::Duplicates => format!("the share of {noun}s that placed another order"),
            Figure::CallsInTrouble => format!("{noun}s that reach a service in trouble"),
            Figure::TimeToRecover => "the time to recover".to_owned(),
            Figure::TimeToMove => format!("the time until {noun}s have moved"),
            Figure::LastCall => format!("the time until the last {noun} comes to it"),
            Figure::MarketShare(nth) => format!("the share of {noun}s that market {nth} has"),
            Figure::Imbalance => "the most that one market has, of an even share".to_owned(),
            Figure::Failed => format!("the share of {noun}s that failed"),
            Figure::Within(us) => format!("the share of {noun}s within {}", text::micros(us)),
            Figure::RatePerS => format!("{noun}s per second"),
            Figure::Jain => "Jain's index of the flows".to_owned(),
            Figure::FlowShare(nth) => format!("the share that flow {nth} has of all goodput"),
        }
    }

    /// Whether failed calls are in it, so that a contender who fails some can be judged by it.
    pub fn counts_failures(self) -> bool {
        self.is_share()
            || self.is_a_count()
            || matches!(
                self,
                Figure::Jain
                    | Figure::TimeToRecover
                    | Figure::TimeToMove
                    | Figure::LastCall
                    | Figure::Time(Distribution::Response | Distribution::Service, _)
            )
    }

    /// Whether it is a share: of all arrivals, or of all goodput.
    pub fn is_share(self) -> bool {
        matches!(
            self,
            Figure::Failed
                | Figure::Duplicates
                | Figure::Within(_)
                | Figure::FlowShare(_)
                | Figure::MarketShare(_)
        )
    }

    /// Whether it changes where something else has the core for a moment: times, what has to come
    /// in time, and what is carried in a given time. What is not, processor time and bytes, is in
    /// an account of its own, which other work does not enter.
    pub fn depends_on_timing(self) -> bool {
        !self.is_processor_time() && self != Figure::BytesPerCall
    }

    /// Whether it is processor time. Other work does not enter that account, and moves it all the
    /// same: a call costs less beside it.
    pub fn is_processor_time(self) -> bool {
        matches!(
            self,
            Figure::CpuPerCall | Figure::ClientCpuPerCall | Figure::ServerCpuPerCall | Figure::CpuPerS
        )
    }

    /// Whether it is a number without a unit: attempts, retries, orders, calls or a ratio of these.
    fn is_a_count(self) -> bool {
        matches!(
            self,
            Figure::AttemptsPerCall
                | Figure::PeakPer10Ms
                | Figure::OrdersPerCall
                | Figure::CallsInTrouble
                | Figure::Imbalance
        )
    }

    pub(crate) fn is_time(self) -> bool {
        !self.is_share()
            && !self.is_a_count()
            && !matches!(self, Figure::RatePerS | Figure::BytesPerCall | Figure::Jain)
    }
}

impl Point {
    /// Whether a call that failed stands there, where this share of calls failed: a failed call is
    /// later than any that succeeded. A mean stands for one in a hundred.
    pub fn is_a_failure(self, failed_share: f64) -> bool {
        match self {
            Point::Percentile(share) => failed_share > 1.0 - share,
            Point::Max => failed_share > 0.0,
            Point::Mean => failed_share > FAILED_SHARE_MAX,
        }
    }

    /// Reads it off a distribution, whatever its number of values.
    pub fn of(self, quantiles: &Quantiles) -> f64 {
        match self {
            Point::Percentile(share) => quantiles.at(share).unwrap_or(quantiles.max),
            Point::Max => quantiles.max,
            Point::Mean => quantiles.mean,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn name<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
            table.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
        }
        match *self {
            Figure::Time(distribution, point) => {
                write!(out, "{}.{}", name(&DISTRIBUTIONS, distribution), name(&POINTS, point))
            }
            Figure::Within(us) => {
                let time = std::time::Duration::from_nanos((us * 1e3).round() as u64);
                write!(out, "within.{}", humantime::format_duration(time).to_string().replace(' ', ""))
            }
            Figure::FlowShare(nth) => write!(out, "share.{nth}"),
            Figure::MarketShare(nth) => write!(out, "share.market.{nth}"),
            plain => out.write_str(name(&PLAIN, plain)),
        }
    }
}

impl TryFrom<String> for Figure {
    type Error = String;

    fn try_from(path: String) -> Result<Figure, String> {
        Figure::parse(&path)
    }
}

impl From<Figure> for String {
    fn from(figure: Figure) -> String {
        figure.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_failure_where_more_calls_failed_than_lie_beyond_it() {
        let p99 = Point::Percentile(0.99);
        assert!([0.02, 1.0].iter().all(|share| p99.is_a_failure(*share)));
        assert!([0.0, 0.005].iter().all(|share| !p99.is_a_failure(*share)));
        assert!(!Point::Percentile(0.5).is_a_failure(0.4) && Point::Percentile(0.5).is_a_failure(0.6));
        assert!(Point::Max.is_a_failure(1e-9) && !Point::Max.is_a_failure(0.0));
        assert!(Point::Mean.is_a_failure(0.02) && !Point::Mean.is_a_failure(0.01));
    }

    #[test]
    fn a_figure_travels_as_its_path_and_its_former_names_are_read() {
        for path in
            ["response.p99", "service.mean", "cpu_per_call", "within.1s500ms", "share.2", "jain", "failed"]
        {
            assert_eq!(Figure::parse(path).unwrap().to_string(), path);
        }
        assert_eq!(Figure::parse("response_p99"), Figure::parse("response.p99"));
        assert!(Figure::parse("cpu").unwrap_err().contains("cpu_per_call"));
    }
}
