//! `run --dry-run`: what would be measured, what of it can be judged, and how long it takes.

use std::fmt::Write as _;

use judge::ROUNDS_FOR_A_VERDICT;
use matrices::MatrixScenario;
use scenarios::{Cell, Plan, Scenario};
use terms::{Claim, Test, text};

use crate::columns::{COLUMNS, wrapped};

/// Columns of one condition in the grid, where conditions have numbers for names.
const NUMBERED_COLUMNS: usize = 4;

/// Everything that was planned; with `orders`, each round's order too.
pub(super) fn in_words(matrices: &[MatrixScenario], planned: &[(&Scenario, &Plan)], orders: bool) -> String {
    let mut words: Vec<String> = matrices.iter().map(matrix_in_words).collect();
    words.extend(planned.iter().map(|(scenario, plan)| plan_in_words(scenario, plan, orders)));
    if planned.len() > 1 {
        let time = text::about(planned.iter().map(|(_, plan)| plan.time()).sum());
        words.push(format!("{} measured scenarios: about {time}\n", planned.len()));
    }
    words.join("\n")
}

fn matrix_in_words(matrix: &MatrixScenario) -> String {
    let head = wrapped("", &format!("{}: {}", matrix.name, matrix.question));
    head + &wrapped("  ", &format!("a matrix; its columns: {}", matrix.columns().join(", ")))
}

fn plan_in_words(scenario: &Scenario, plan: &Plan, orders: bool) -> String {
    let mut words = wrapped("", &format!("{}: {}", scenario.name, scenario.question));
    let Plan { rounds, warm_up, duration, seed, .. } = plan;
    let (measurements, time) = (plan.measurements(), text::about(plan.time()));
    let how = format!(
        "{} rounds × ({warm_up:?} warm-up + {duration:?} measured), {measurements} measurements, seed {seed}",
        rounds.len()
    );
    words += &wrapped("  ", &how);
    let acts: Vec<&str> = plan.acts.iter().map(|act| act.key()).collect();
    if !acts.is_empty() {
        words += &wrapped("  ", &format!("then: {}", acts.join(", ")));
    }
    let _ = writeln!(words, "  about {time}\n");
    words += &grid(&plan.cells);
    words += &claims(scenario, plan);
    let _ = writeln!(words, "\n  plan {}", plan.sha256(scenario));
    if orders {
        words += &order(plan);
    }
    words
}

/// Contenders in rows, conditions in columns; and why a cell is not measured.
fn grid(cells: &[Cell]) -> String {
    let contenders = once(cells.iter().map(|cell| cell.contender.name.as_str()));
    let conditions = once(cells.iter().map(|cell| cell.condition.name.as_str()));
    let first = 2 + contenders.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = conditions.iter().map(|name| name.chars().count() + 2).collect();
    let named = first + widths.iter().sum::<usize>() <= COLUMNS;
    let mut words = String::new();
    let heads: Vec<(String, usize)> = if named {
        conditions.iter().map(|name| (*name).to_owned()).zip(widths).collect()
    } else {
        for (name, nth) in conditions.iter().zip(1..) {
            words += &wrapped(&format!("  {nth:>3}  "), name);
        }
        words.push('\n');
        (1..=conditions.len()).map(|nth| (nth.to_string(), NUMBERED_COLUMNS)).collect()
    };
    let at_once = if named { heads.len() } else { (COLUMNS - first) / NUMBERED_COLUMNS };
    for (heads, conditions) in heads.chunks(at_once.max(1)).zip(conditions.chunks(at_once.max(1))) {
        words += &rows(cells, &contenders, conditions, heads, first);
    }
    words + &reasons(cells)
}

fn rows(
    cells: &[Cell],
    contenders: &[&str],
    conditions: &[&str],
    heads: &[(String, usize)],
    first: usize,
) -> String {
    let mut words = " ".repeat(first);
    for (head, width) in heads {
        let _ = write!(words, "{head:>width$}");
    }
    words.push('\n');
    for contender in contenders {
        let _ = write!(words, "  {contender:<width$}", width = first - 2);
        for (condition, (_, width)) in conditions.iter().zip(heads) {
            let found = cells
                .iter()
                .find(|cell| cell.contender.name == *contender && cell.condition.name == *condition);
            let mark = if found.is_some_and(|cell| cell.not_offered.is_none()) { "x" } else { "–" };
            let _ = write!(words, "{mark:>width$}");
        }
        words.push('\n');
    }
    words
}

/// `– sse: sse does not offer quote`, each once.
fn reasons(cells: &[Cell]) -> String {
    let reasons = cells.iter().filter_map(|cell| Some((&cell.contender.name, cell.not_offered.as_ref()?)));
    let lines = reasons.map(|(contender, why)| wrapped("  – ", &format!("{contender}: {why}")));
    lines.fold(String::new(), |all, line| if all.contains(&line) { all } else { all + &line })
}

/// The claims, and why those that this plan cannot judge cannot be.
fn claims(scenario: &Scenario, plan: &Plan) -> String {
    let sought =
        scenario.break_evens.iter().map(|sought| (&sought.card, &sought.sentence, &sought.condition));
    let sought = sought.chain(scenario.map.iter().map(|map| (&map.card, &map.sentence, &map.condition)));
    let judged = scenario
        .claims
        .iter()
        .map(|claim| (&claim.card, &claim.sentence, in_figures(claim), unjudged(plan, claim)));
    let sought = sought
        .map(|(card, sentence, family)| (card, sentence, format!("along {family}"), unsought(plan, family)));
    let all: Vec<_> = judged.chain(sought).collect();
    if all.is_empty() {
        return "\n  No claims: this run measures, but judges nothing.\n".to_owned();
    }
    let width = all.iter().map(|(card, ..)| card.chars().count()).max().unwrap_or(0);
    let mut words = "\n  Claims:\n".to_owned();
    for (card, sentence, figures, why) in all {
        words += &wrapped(&format!("  {card:<width$}  "), sentence);
        let indent = " ".repeat(width + 4);
        words += &match why {
            Some(why) => wrapped(&format!("{indent}✗ "), &format!("cannot be judged: {why}")),
            None => wrapped(&format!("{indent}✓ "), &format!("can be judged: {figures}")),
        };
    }
    words
}

/// What is compared: `cpu_per_call of rest under many, against rest under few; holds below 1.00 ×`.
fn in_figures(claim: &Claim) -> String {
    let Claim { contender, condition, .. } = claim;
    match &claim.test {
        Test::Absolute { holds } => format!("{} of {contender} under {condition}", holds.text),
        Test::Compared { metric, rule, .. } => {
            let (against, other) = claim.against().unwrap_or((contender, condition));
            format!(
                "{metric} of {contender} under {condition}, against {against} under {other}; holds {}",
                rule.in_words()
            )
        }
    }
}

/// Why a plan cannot judge a claim, if it cannot.
fn unjudged(plan: &Plan, claim: &Claim) -> Option<String> {
    let why_not = |(name, condition): (&str, &str)| {
        let mut cells = plan.cells.iter().filter(|cell| cell.condition.name == condition).peekable();
        if cells.peek().is_none() {
            return Some(format!("the condition '{condition}' is not measured"));
        }
        match cells.find(|cell| cell.contender.name == name) {
            Some(cell) => cell.not_offered.as_ref().map(|why| format!("{name}: {why}")),
            None => Some(format!("the contender '{name}' is not measured")),
        }
    };
    claim.cells().find_map(why_not).or_else(|| too_few_rounds(plan))
}

/// The same of what is sought along an axis.
fn unsought(plan: &Plan, family: &str) -> Option<String> {
    let points = plan.cells.iter().filter(|cell| {
        cell.condition.family.as_ref().is_some_and(|(name, _)| name == family) && cell.not_offered.is_none()
    });
    match once(points.map(|cell| cell.condition.name.as_str())).len() {
        0 => Some(format!("no point of '{family}' is measured")),
        1 => Some(format!("only one point of '{family}' is measured")),
        _ => too_few_rounds(plan),
    }
}

fn too_few_rounds(plan: &Plan) -> Option<String> {
    let rounds = plan.rounds.len();
    (rounds < ROUNDS_FOR_A_VERDICT)
        .then(|| format!("{rounds} rounds, and a verdict needs {ROUNDS_FOR_A_VERDICT}"))
}

/// The cells by number, and each round's order of them.
fn order(plan: &Plan) -> String {
    let mut words = "\n  Order of measurements:\n".to_owned();
    for (index, cell) in plan.cells.iter().enumerate().filter(|(_, cell)| cell.not_offered.is_none()) {
        words += &wrapped(
            &format!("  {index:>4}  "),
            &format!("{} under {}", cell.contender.name, cell.condition.name),
        );
    }
    for (round, order) in plan.rounds.iter().enumerate() {
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        words += &wrapped(&format!("  round {}: ", round + 1), &order.join(" "));
    }
    words
}

/// Names in their order, each once.
fn once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use scenarios::PlanOptions;
    use terms::Extent;

    use super::*;

    fn planned(name: &str, extent: Extent, rounds: Option<u32>) -> (Scenario, Plan) {
        let scenario = Scenario::find(name, &[]).unwrap();
        let plan = Plan::make(&scenario, &PlanOptions { rounds, ..PlanOptions::of(extent) }).unwrap();
        (scenario, plan)
    }

    #[test]
    fn what_a_profile_cannot_judge_is_said_with_its_reason() {
        let whys = |name, extent, rounds| {
            let (scenario, plan) = planned(name, extent, rounds);
            let whys: Vec<String> =
                scenario.claims.iter().filter_map(|claim| unjudged(&plan, claim)).collect();
            whys
        };
        assert!(whys("rest-vs-grpc", Extent::Full, None).is_empty());
        let few = whys("rest-vs-grpc", Extent::Full, Some(9));
        assert!(few.iter().all(|why| why == "9 rounds, and a verdict needs 10") && !few.is_empty());
        let (scenario, mut plan) = planned("rest-vs-grpc", Extent::Quick, None);
        let claim = &scenario.claims[0];
        plan.cells.retain(|cell| cell.contender.name != claim.contender);
        let why = unjudged(&plan, claim).unwrap();
        assert_eq!(why, format!("the contender '{}' is not measured", claim.contender));
        plan.cells.clear();
        let why = unjudged(&plan, claim).unwrap();
        assert_eq!(why, format!("the condition '{}' is not measured", claim.condition));
        let (scenario, mut plan) = planned("rest-vs-grpc", Extent::Quick, None);
        let family = &scenario.break_evens[0].condition;
        assert_eq!(unsought(&plan, family).unwrap(), "no point of 'wait' is measured");
        plan = planned("rest-vs-grpc", Extent::Standard, None).1;
        assert_eq!(unsought(&plan, family), None);
        let first = plan.cells.iter().position(|cell| cell.condition.family.is_some()).unwrap();
        plan.cells.truncate(first + 1);
        assert_eq!(unsought(&plan, family).unwrap(), "only one point of 'wait' is measured");
    }

    #[test]
    fn every_plan_fits_80_columns() {
        for scenario in Scenario::built_in().unwrap() {
            for extent in [Extent::Quick, Extent::Standard, Extent::Full] {
                let plan = Plan::make(&scenario, &PlanOptions::of(extent)).unwrap();
                for line in plan_in_words(&scenario, &plan, true).lines() {
                    assert!(line.chars().count() <= COLUMNS, "{}: {line}", scenario.name);
                }
            }
        }
    }
}
