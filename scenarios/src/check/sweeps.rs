//! Break-even points and maps: an axis that a condition has, and contenders that there are.

use terms::{Axis, BreakEven, Condition, Figure, Map, Sought};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::asked::{WireBreakEven, WireMap};

impl Check<'_> {
    pub(super) fn break_even(
        &self,
        wire: WireBreakEven,
        conditions: &[Condition],
        contenders: &[String],
    ) -> Result<BreakEven, ScenarioError> {
        self.known("contender", &wire.contender, contenders)?;
        self.known("contender", &wire.against, contenders)?;
        let differ = wire.contender.get_ref() != wire.against.get_ref();
        self.require(&wire.against, differ, "a contender is not compared with itself: name another")?;
        let axis = self.one_axis(&wire.condition, conditions)?;
        let one = "a break-even point needs either crosses with metric, or saves_cores";
        let sought = match (&wire.crosses, &wire.saves_cores, wire.metric) {
            (Some(ratio), None, Some(metric)) => {
                let right = ratio.get_ref().is_finite() && *ratio.get_ref() > 0.0;
                self.require(ratio, right, "crosses must be greater than 0")?;
                Sought::Crossing { metric, ratio: *ratio.get_ref() }
            }
            (None, Some(cores), None | Some(Figure::CpuPerCall)) => {
                let right = cores.get_ref().is_finite() && *cores.get_ref() > 0.0;
                self.require(cores, right, "saves_cores must be greater than 0")?;
                self.require(
                    cores,
                    axis == Axis::RatePerS,
                    "saves_cores needs a condition whose axis is rate_per_s",
                )?;
                Sought::CoresSaved(*cores.get_ref())
            }
            _ => {
                return Err(ScenarioError::at(self.file, self.text, wire.contender.span(), one, None));
            }
        };
        Ok(BreakEven {
            card: wire.card,
            sentence: wire.sentence,
            condition: wire.condition.into_inner(),
            axis,
            contender: wire.contender.into_inner(),
            against: wire.against.into_inner(),
            sought,
        })
    }

    pub(super) fn map(&self, wire: WireMap, conditions: &[Condition]) -> Result<Map, ScenarioError> {
        let axis = self.one_axis(&wire.condition, conditions)?;
        let tolerances = wire.tolerances.get_ref();
        let right = !tolerances.is_empty() && tolerances.iter().all(|span| !span.0.is_zero());
        self.require(
            &wire.tolerances,
            right,
            "tolerances must be times greater than 0, such as [\"100ms\", \"1s\"]",
        )?;
        Ok(Map {
            card: wire.card,
            sentence: wire.sentence,
            condition: wire.condition.into_inner(),
            axis,
            metric: wire.metric,
            tolerances_us: tolerances.iter().map(|span| span.0.as_nanos() as f64 / 1e3).collect(),
        })
    }

    /// The axis along which a condition varies, if it is one with an order.
    fn one_axis(&self, name: &Spanned<String>, conditions: &[Condition]) -> Result<Axis, ScenarioError> {
        let families = conditions.iter().filter_map(|condition| condition.family.as_ref());
        let known: Vec<String> = families.clone().map(|(family, _)| family.clone()).collect();
        self.known("condition with axes", name, &known)?;
        let mut points = families.filter(|(family, _)| family == name.get_ref()).map(|(_, at)| at);
        match points.next().map(Vec::as_slice) {
            Some([only]) if only.axis != Axis::Link => Ok(only.axis),
            _ => {
                let message = "this needs a condition with one axis, of numbers or times";
                Err(ScenarioError::at(self.file, self.text, name.span(), message, None))
            }
        }
    }
}
