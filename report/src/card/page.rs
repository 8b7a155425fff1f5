//! The card's page, and the same as a table for a README.

use std::fmt::Write as _;

use askama::Template;
use record::Record;
use terms::escape::{markdown, markdown_code};

use super::{Group, Line, State, evidence, groups, known};
use crate::findings::{Finding, failed_pairs};
use crate::policy::with_policy;
use crate::{Done, utc};

/// The page.
#[derive(Template)]
#[template(path = "card.html")]
struct CardPage<'a> {
    groups: Vec<GroupView>,
    counts: Vec<(usize, &'static str, &'static str)>,
    started: String,
    command: &'a str,
    machine: String,
    how_much: &'static str,
    void: usize,
}

struct GroupView {
    name: String,
    lines: Vec<LineView>,
}

struct LineView {
    line: Line,
    word: &'static str,
    class: &'static str,
    /// The deciding finding.
    first: Option<Finding>,
    /// The line's other findings.
    others: Vec<Finding>,
    /// Where the evidence is: scenarios, each once, and how many warnings the report of each begins
    /// with.
    scenarios: Vec<(String, usize)>,
    /// What to do where there is nothing.
    absent: String,
}

/// The page of a run's records.
///
/// # Errors
/// Where the card's file is broken or the template cannot be filled, which is a bug.
pub fn card_page(done: &Done) -> anyhow::Result<String> {
    let records = &done.records;
    let first = first(done);
    let groups = views(done)?;
    let lines = || groups.iter().flat_map(|group| &group.lines);
    // Evidence that stands in two lines is counted once.
    let counted = || lines().filter(|view| view.line.borrows().is_none());
    let count = |class: &str| counted().filter(|line| line.class == class).count();
    let by_number = |class, one, many| (count(class), if count(class) == 1 { one } else { many }, class);
    let counts = [
        by_number("holds", "holds", "hold"),
        by_number("fails", "does not hold", "do not hold"),
        by_number("depends", "depends", "depend"),
        (count("open"), "undecided", "open"),
        (count("found"), "answered by a number or a map", "found"),
        (count("cited"), "computed", "cited"),
        (count("absent"), "not measured", "absent"),
    ];
    let page = CardPage {
        counts: counts.into_iter().filter(|(count, _, _)| *count > 0).collect(),
        started: first.map(|record| utc(record.started_at_us)).unwrap_or_default(),
        command: first.map(|record| record.command.as_str()).unwrap_or_default(),
        machine: first.map(|record| record.environment.in_words()).unwrap_or_default(),
        how_much: first.map_or("", |record| record.plan.extent.in_words()),
        void: records.iter().filter(|record| record.void.is_some()).count(),
        groups,
    };
    Ok(with_policy(&page.render()?))
}

/// The same as a table in Markdown.
///
/// # Errors
/// As [`card_page`].
pub fn card_markdown(done: &Done) -> anyhow::Result<String> {
    let mut text = String::from("| | the card says | verdict | measured |\n|---|---|---|---|\n");
    for group in views(done)? {
        let _ = writeln!(text, "| | **{}** | | |", group.name);
        for view in group.lines {
            let measured = match &view.first {
                Some(first) => {
                    let folder = format!("{}/report.html", first.scenario);
                    let word = if view.line.cited { format!("{}: ", first.word) } else { String::new() };
                    let turn = match first.turn.as_str() {
                        "" => String::new(),
                        turn => format!(" {turn}."),
                    };
                    // The name of a scenario was checked when its record was read.
                    format!(
                        "{word}{}.{} ([{}]({folder}))",
                        markdown(&first.sentence),
                        markdown(&turn),
                        first.scenario
                    )
                }
                None => markdown(&view.absent),
            };
            let (id, claim) = (&view.line.id, markdown(&view.line.claim));
            let _ = writeln!(text, "| {id} | {claim} | **{}** | {measured} |", view.word);
        }
    }
    if let Some(record) = first(done) {
        let _ = writeln!(
            text,
            "\n{}, {} UTC, {}. Intervals are of 95 %, over rounds.",
            markdown_code(&record.command),
            utc(record.started_at_us),
            markdown(&record.environment.in_words())
        );
    }
    Ok(text)
}

/// The record that was begun before the others, in whatever order they were read.
fn first(done: &Done) -> Option<&Record> {
    done.records.iter().min_by_key(|record| record.started_at_us)
}

fn views(done: &Done) -> anyhow::Result<Vec<GroupView>> {
    let known = known()?;
    let line_view = |line: Line| {
        let state = evidence::state(&line, done, &known);
        let (word, class, judged, absent) = match state {
            State::Judged(judged) if line.cited => ("computed", "cited", judged, String::new()),
            State::Judged(judged) => {
                let first = judged.first();
                let word = first.map_or("", |first| first.word);
                (word, first.map_or("absent", |first| first.class), judged, String::new())
            }
            State::NotRun(scenario) => {
                let absent = format!("Not in this run: wirebench run {scenario}");
                ("not measured", "absent", Vec::new(), absent)
            }
            State::Refused(scenario, why) => {
                let absent = format!("{scenario} could not be measured: {why}");
                ("not measured", "absent", Vec::new(), absent)
            }
            State::NoScenario => {
                ("no scenario yet", "absent", Vec::new(), "No scenario tests it yet.".to_owned())
            }
        };
        let mut scenarios: Vec<(String, usize)> = Vec::new();
        for Finding { scenario, .. } in &judged {
            if !scenarios.iter().any(|(listed, _)| listed == scenario) {
                let record = done.records.iter().find(|record| record.scenario.name == *scenario);
                let warned = |record: &Record| record.warnings.len() + failed_pairs(record).len();
                scenarios.push((scenario.clone(), record.map_or(0, warned)));
            }
        }
        let mut judged = judged.into_iter();
        LineView { line, word, class, first: judged.next(), others: judged.collect(), scenarios, absent }
    };
    let group_view =
        |Group { name, lines }| GroupView { name, lines: lines.into_iter().map(line_view).collect() };
    Ok(groups()?.into_iter().map(group_view).collect())
}
