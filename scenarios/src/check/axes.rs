//! Axes: lists in a condition, of which each combination is a condition of its own.

use terms::{Axis, Condition, Coordinate, Workload};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::values::Span;
use crate::wire::{WireAxes, WireCondition, WireScenario};

/// Combinations of a condition's axes: bounds a slip of the finger.
const POINTS_MAX: usize = 100;

/// One value of one axis.
#[derive(Clone)]
struct Setting<'a> {
    coordinate: Coordinate,
    value: Value<'a>,
}

/// What a condition says instead.
#[derive(Clone)]
enum Value<'a> {
    RatePerS(&'a Spanned<f64>),
    Connections(&'a Spanned<usize>),
    InFlight(&'a Spanned<usize>),
    Symbols(&'a Spanned<usize>),
    Candles(&'a Spanned<u32>),
    HandlerWait(Span),
    HandlerCpu(Span),
    Link(&'a Spanned<String>),
}

impl Check<'_> {
    /// The conditions that a condition stands for: itself, or one for each combination.
    pub(super) fn points(
        &self,
        wire: &WireScenario,
        condition: &WireCondition,
        workload: &Workload,
    ) -> Result<Vec<Condition>, ScenarioError> {
        let Some(axes) = &condition.axes else {
            return Ok(vec![self.condition(wire, condition, workload)?]);
        };
        let lists = settings(axes.get_ref());
        let whole = lists.iter().all(|list| !list.is_empty()) && !lists.is_empty();
        self.require(axes, whole, "an axis needs values: axes = { rate_per_s = [100, 1000] }")?;
        let few = count(axes.get_ref()).is_some_and(|count| count <= POINTS_MAX);
        self.require(axes, few, "axes must have at most 100 combinations")?;
        combinations(&lists)
            .into_iter()
            .map(|chosen| {
                let mut point = condition.clone();
                for Setting { value, .. } in &chosen {
                    match value {
                        Value::RatePerS(rate) => point.rate_per_s = Some((*rate).clone()),
                        Value::Connections(connections) => point.connections = Some((*connections).clone()),
                        Value::InFlight(in_flight) => point.in_flight = Some((*in_flight).clone()),
                        Value::Symbols(symbols) => point.symbols = Some((*symbols).clone()),
                        Value::Candles(candles) => point.candles = Some((*candles).clone()),
                        Value::HandlerWait(wait) => point.handler_wait = Some(*wait),
                        Value::HandlerCpu(cpu) => point.handler_cpu = Some(*cpu),
                        Value::Link(words) => point.link = Some((*words).clone()),
                    }
                }
                let mut point = self.condition(wire, &point, workload)?;
                let family = std::mem::take(&mut point.name);
                let coordinates: Vec<Coordinate> =
                    chosen.into_iter().map(|setting| setting.coordinate).collect();
                point.name = coordinates
                    .iter()
                    .fold(family.clone(), |name, at| format!("{name} {}={}", at.axis.name(), at.label));
                let places = coordinates.iter().map(|at| at.axis.condition(at.value, &at.label));
                point.label =
                    Some(point.label.take().into_iter().chain(places).collect::<Vec<_>>().join(" "));
                point.family = Some((family, coordinates));
                Ok(point)
            })
            .collect()
    }
}

/// How many combinations there are; `None` where there are more than can be counted.
pub(super) fn count(axes: &WireAxes) -> Option<usize> {
    let WireAxes { rate_per_s, connections, in_flight, symbols, candles, handler_wait, handler_cpu, link } =
        axes;
    let lists = [
        rate_per_s.as_ref().map(Vec::len),
        connections.as_ref().map(Vec::len),
        in_flight.as_ref().map(Vec::len),
        symbols.as_ref().map(Vec::len),
        candles.as_ref().map(Vec::len),
        handler_wait.as_ref().map(Vec::len),
        handler_cpu.as_ref().map(Vec::len),
        link.as_ref().map(Vec::len),
    ];
    lists.into_iter().flatten().try_fold(1_usize, usize::checked_mul)
}

fn settings(axes: &WireAxes) -> Vec<Vec<Setting<'_>>> {
    let WireAxes { rate_per_s, connections, in_flight, symbols, candles, handler_wait, handler_cpu, link } =
        axes;
    fn list<'a, T>(
        axis: Axis,
        values: Option<&'a Vec<T>>,
        setting: impl Fn(usize, &'a T) -> (f64, String, Value<'a>),
    ) -> Option<Vec<Setting<'a>>> {
        let values = values?.iter().enumerate();
        let settings = values.map(|(nth, value)| {
            let (at, label, value) = setting(nth, value);
            Setting { coordinate: Coordinate { axis, value: at, label }, value }
        });
        Some(settings.collect())
    }
    let micros = |span: &Span| span.0.as_nanos() as f64 / 1e3;
    let time = |span: &Span| humantime::format_duration(span.0).to_string().replace(' ', "");
    [
        list(Axis::RatePerS, rate_per_s.as_ref(), |_, rate| {
            (*rate.get_ref(), rate.get_ref().to_string(), Value::RatePerS(rate))
        }),
        list(Axis::Connections, connections.as_ref(), |_, number| {
            (*number.get_ref() as f64, number.get_ref().to_string(), Value::Connections(number))
        }),
        list(Axis::InFlight, in_flight.as_ref(), |_, number| {
            (*number.get_ref() as f64, number.get_ref().to_string(), Value::InFlight(number))
        }),
        list(Axis::Symbols, symbols.as_ref(), |_, number| {
            (*number.get_ref() as f64, number.get_ref().to_string(), Value::Symbols(number))
        }),
        list(Axis::Candles, candles.as_ref(), |_, number| {
            (f64::from(*number.get_ref()), number.get_ref().to_string(), Value::Candles(number))
        }),
        list(Axis::HandlerWait, handler_wait.as_ref(), |_, span| {
            (micros(span), time(span), Value::HandlerWait(*span))
        }),
        list(Axis::HandlerCpu, handler_cpu.as_ref(), |_, span| {
            (micros(span), time(span), Value::HandlerCpu(*span))
        }),
        list(Axis::Link, link.as_ref(), |nth, words| {
            (nth as f64, words.get_ref().clone(), Value::Link(words))
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One of each list, the last varying fastest.
fn combinations<T: Clone>(lists: &[Vec<T>]) -> Vec<Vec<T>> {
    lists.iter().fold(vec![Vec::new()], |done, list| {
        let with = |chosen: &Vec<T>| {
            let chosen = chosen.clone();
            list.iter().map(move |value| [&chosen[..], std::slice::from_ref(value)].concat())
        };
        done.iter().flat_map(with).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_multiply() {
        assert_eq!(combinations(&[vec![1, 2], vec![3, 4]]), [[1, 3], [1, 4], [2, 3], [2, 4]]);
    }
}
