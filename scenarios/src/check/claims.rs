//! Claims: a value or a comparison, and only what the scenario has.

use std::time::Duration;

use terms::{Claim, Contender, Expression, Figure, Rule, Test, Through};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::asked::WireClaim;

/// A histogram knows a time to three digits: so far below the time-out is below it.
const WITHIN_OF_TIME_OUT: f64 = 1.01;

impl Check<'_> {
    pub(super) fn claim(
        &self,
        wire: WireClaim,
        conditions: &[String],
        contenders: &[Contender],
        time_out: Duration,
    ) -> Result<Claim, ScenarioError> {
        let names: Vec<String> = contenders.iter().map(|contender| contender.name.clone()).collect();
        self.known("condition", &wire.condition, conditions)?;
        self.known("contender", &wire.contender, &names)?;
        let test = match &wire.holds {
            Some(holds) => {
                let judged = contenders.iter().find(|contender| contender.name == *wire.contender.get_ref());
                self.absolute(&wire, holds, judged.map_or(0, Contender::flows), time_out)?
            }
            None => self.compared(&wire, conditions, &names)?,
        };
        let figure = match &test {
            Test::Absolute { holds } => holds.figure,
            Test::Compared { metric, .. } => *metric,
        };
        let judged = contenders.iter().find(|contender| contender.name == *wire.contender.get_ref());
        let has_front =
            judged.and_then(Contender::access).is_some_and(|access| access.through == Some(Through::Front));
        let right = !has_front || !matches!(figure, Figure::AttemptsPerCall | Figure::PeakPer10Ms);
        self.require(&wire.contender, right, "what a front attempts is not counted: judge another figure")?;
        Ok(Claim {
            id: wire.id.map(Spanned::into_inner),
            card: wire.card,
            sentence: wire.sentence,
            condition: wire.condition.into_inner(),
            contender: wire.contender.into_inner(),
            test,
            prediction: wire.prediction,
            turns: wire.turns.map(Spanned::into_inner),
            so: wire.so,
        })
    }

    /// A claim turns at one that there is, of the same line of the card.
    pub(super) fn turns(&self, claims: &[WireClaim]) -> Result<(), ScenarioError> {
        self.unique("claim", claims.iter().filter_map(|claim| claim.id.as_ref()))?;
        let ids: Vec<String> =
            claims.iter().filter_map(|claim| Some(claim.id.as_ref()?.get_ref().clone())).collect();
        for claim in claims {
            let Some(turns) = &claim.turns else { continue };
            self.known("claim with the id", turns, &ids)?;
            let of = |other: &&WireClaim| other.id.as_ref().map(Spanned::get_ref) == Some(turns.get_ref());
            let other = claims.iter().find(of);
            let itself = claim.id.as_ref().map(Spanned::get_ref) == Some(turns.get_ref());
            self.require(turns, !itself, "a claim does not turn at itself: name another")?;
            let turns_back = other.is_some_and(|other| other.turns.is_some());
            self.require(
                turns,
                !turns_back,
                "a claim that turns is not where another turns: name one without `turns`",
            )?;
            let same = other.is_some_and(|other| other.card == claim.card);
            self.require(turns, same, "a claim turns at one of the same line of the card")?;
        }
        Ok(())
    }

    fn absolute(
        &self,
        wire: &WireClaim,
        holds: &Spanned<String>,
        flows: usize,
        time_out: Duration,
    ) -> Result<Test, ScenarioError> {
        let rules = [&wire.holds_below, &wire.holds_above, &wire.same_within];
        let alone = wire.metric.is_none()
            && wire.against.is_none()
            && wire.against_condition.is_none()
            && rules.into_iter().all(Option::is_none);
        self.require(
            holds,
            alone,
            "`holds` names the figure and the value: no metric, against or ratio beside it",
        )?;
        let at = |message: String| ScenarioError::at(self.file, self.text, holds.span(), &message, None);
        let expression = Expression::parse_absolute(holds.get_ref()).map_err(at)?;
        self.require(
            holds,
            expression.limit() > 0.0,
            "the value must be greater than 0, such as `failed < 0.1%`",
        )?;
        if let Figure::Within(us) = expression.figure {
            let right = us * WITHIN_OF_TIME_OUT < time_out.as_nanos() as f64 / 1e3;
            self.require(
                holds,
                right,
                "`within` takes a time below the time-out, at which what never came is counted",
            )?;
        }
        let needed = match expression.figure {
            Figure::Jain => 2,
            Figure::FlowShare(nth) => nth,
            _ => 0,
        };
        self.require(holds, flows >= needed, "the contender has not so many flows")?;
        Ok(Test::Absolute { holds: expression })
    }

    fn compared(
        &self,
        wire: &WireClaim,
        conditions: &[String],
        contenders: &[String],
    ) -> Result<Test, ScenarioError> {
        let other_condition = wire.against_condition.as_ref();
        let own = other_condition.map(|_| &wire.contender);
        let (Some(metric), Some(against)) = (wire.metric, wire.against.as_ref().or(own)) else {
            let message =
                "a claim has `holds`; or `metric` with a ratio, and `against` or `against_condition`";
            return Err(ScenarioError::at(self.file, self.text, wire.contender.span(), message, None));
        };
        self.known("contender", against, contenders)?;
        if let Some(condition) = other_condition {
            self.known("condition", condition, conditions)?;
        }
        let elsewhere = other_condition.filter(|other| other.get_ref() != wire.condition.get_ref());
        let differ = wire.contender.get_ref() != against.get_ref() || elsewhere.is_some();
        self.require(
            against,
            differ,
            "a contender is not compared with itself under one condition: name another, or an `against_condition`",
        )?;
        let rules = [
            (&wire.holds_below, Rule::HoldsBelow as fn(f64) -> Rule),
            (&wire.holds_above, Rule::HoldsAbove),
            (&wire.same_within, Rule::SameWithin),
        ];
        let mut given = rules.into_iter().filter_map(|(value, rule)| Some((value.as_ref()?, rule)));
        let one = "a claim has one of holds_below, holds_above and same_within";
        let Some((value, rule)) = given.next() else {
            return Err(ScenarioError::at(self.file, self.text, wire.contender.span(), one, None));
        };
        if let Some((second, _)) = given.next() {
            self.require(second, false, one)?;
        }
        let right = value.get_ref().is_finite() && *value.get_ref() > 0.0;
        self.require(value, right, "a ratio, or a margin of one: above 0")?;
        Ok(Test::Compared {
            metric,
            against: against.get_ref().clone(),
            against_condition: elsewhere.map(|condition| condition.get_ref().clone()),
            rule: rule(*value.get_ref()),
        })
    }
}
