//! What was measured says what it said: the published records are read, judged again from their
//! rounds and drawn again, and every verdict, number and sentence is what stands in `tests/golden`.
//! Markup may change; words and numbers may not.
//!
//! `UPDATE_FILES=1 cargo test -p wirebench --test all golden` writes the files anew, where a change
//! of words is meant.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use judge::judge_all;
use report::{
    Done, card_markdown, card_page, finding_lines, index_page, matrix_finding_lines, matrix_page,
    matrix_summary_lines, scenario_page, summary_lines,
};
use scenarios::Scenario;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn lines_of(findings: &[(&str, Vec<String>)]) -> String {
    findings.iter().flat_map(|(_, lines)| lines).cloned().collect::<Vec<_>>().join("\n")
}

/// Every published record, in the order of the card's folder.
fn published() -> Done {
    let mut done = Done::default();
    for file in record::files(&root().join("results/published")).unwrap() {
        match record::read(&file) {
            Ok(record) => done.records.push(record),
            Err(_) => done.matrices.push(record::matrix::read(&file).unwrap()),
        }
    }
    assert!(done.records.len() >= 22 && done.matrices.len() == 2, "records of results/published are missing");
    done
}

/// The words of a page, a line each piece of text: no tags, no styles, white space folded.
fn words(page: &str) -> String {
    let mut words = String::new();
    let without_style = page.split("<style").enumerate().map(|(nth, part)| match nth {
        0 => part,
        _ => part.split_once("</style>").map_or("", |(_, after)| after),
    });
    for part in without_style {
        for piece in part.split('<').enumerate().map(|(nth, piece)| match nth {
            0 => piece,
            _ => piece.split_once('>').map_or("", |(_, text)| text),
        }) {
            let folded = piece.split_whitespace().collect::<Vec<_>>().join(" ");
            if !folded.is_empty() {
                let _ = writeln!(words, "{folded}");
            }
        }
    }
    words
}

/// Where a text first differs from what it was.
fn first_difference(was: &str, is: &str) -> String {
    let mut lines = was.lines().zip(is.lines()).zip(1..);
    match lines.find(|((was, is), _)| was != is) {
        Some(((was, is), line)) => format!("line {line}: it was\n  {was}\nand is\n  {is}"),
        None => format!("it had {} lines, and has {}", was.lines().count(), is.lines().count()),
    }
}

/// Holds a text to the file of its name.
fn hold(name: &str, text: &str) {
    let file: PathBuf = root().join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let was = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(was == text, "{name} says something else: {}", first_difference(&was, text));
}

#[test]
fn published_records_say_what_they_said() {
    let done = published();
    for record in &done.records {
        let page = words(&scenario_page(record).unwrap());
        let found = lines_of(&finding_lines(record));
        hold(&record.scenario.name, &format!("{page}---\n{}\n{found}\n", summary_lines(record).join("\n")));
    }
    for record in &done.matrices {
        let page = words(&matrix_page(record).unwrap());
        let found = lines_of(&matrix_finding_lines(record));
        let lines = matrix_summary_lines(record).join("\n");
        hold(&record.scenario.name, &format!("{page}---\n{lines}\n{found}\n"));
    }
    hold("card", &words(&card_page(&done).unwrap()));
    hold("card-markdown", &card_markdown(&done).unwrap());
    hold("index", &words(&index_page(&done, true).unwrap()));
}

/// The same, judged again from the rounds by the scenarios of today.
#[test]
fn published_rounds_are_judged_as_they_were() {
    let mut judged = String::new();
    for mut record in published().records {
        let scenario = Scenario::find(&record.scenario.name, &[]).unwrap();
        judge_all(&mut record, &scenario);
        let name = &record.scenario.name;
        let _ = writeln!(judged, "# {name}");
        for verdict in &record.verdicts {
            let word = verdict.verdict.in_words();
            let _ = writeln!(judged, "{} {word}: {}", verdict.claim.card, verdict.because);
        }
        for part in &record.break_evens {
            let _ = writeln!(judged, "{} {}: {}", part.break_even.card, part.in_words(), part.because);
        }
        for row in record.map.iter().flat_map(|map| &map.rows) {
            let cells: Vec<String> = row.cells.iter().map(|cell| cell.in_words()).collect();
            let _ = writeln!(judged, "map {}: {}", row.at.label, cells.join("; "));
        }
        for pair in &record.aa {
            let (word, ratio) = (pair.word.in_words(), &pair.ratio);
            let _ = writeln!(
                judged,
                "A/A {} {}: {word}, {:.4} ({:.4} to {:.4}), detectable {:.4}",
                pair.condition,
                pair.metric.in_words(terms::Counted::Call),
                ratio.ratio,
                ratio.low,
                ratio.high,
                pair.detectable_ratio
            );
        }
        for of in &record.comparisons {
            let (word, ratio) = (of.word.in_words(), &of.ratio);
            let _ = writeln!(
                judged,
                "{} {} {}: {word}, {:.4} ({:.4} to {:.4}), p {:.4}",
                of.contender,
                of.condition,
                of.metric.in_words(terms::Counted::Call),
                ratio.ratio,
                ratio.low,
                ratio.high,
                of.p_holm
            );
        }
    }
    hold("judged-again", &judged);
}
