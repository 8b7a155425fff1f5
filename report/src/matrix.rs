//! The page of a matrix: verdicts, the matrix, the counts, the analysis, the method, the command.

use askama::Template;
use record::matrix::{MatrixCell, MatrixOutcome, MatrixRecord, MatrixRow};

use super::matrix_bars::{NARROW, WIDE, bars, class as tone_class};
use crate::findings::{Finding, of_matrix_record};
use crate::policy::with_policy;
use crate::terminal::lines_of;
use crate::{place, utc};

/// Cells, up to which each says under its word what was seen; of more it stands in a list below.
const CELLS_WITH_DETAIL_MAX: usize = 60;

#[derive(Template)]
#[template(path = "matrix.html")]
struct MatrixPage<'a> {
    record: &'a MatrixRecord,
    findings: Vec<Finding>,
    legend: Vec<(&'a MatrixOutcome, &'static str)>,
    groups: Vec<Group<'a>>,
    /// Whether each cell has room to say what was seen.
    roomy: bool,
    counts: Vec<(&'a str, Vec<usize>)>,
    charts: [String; 2],
    analysis: Vec<&'a str>,
    environment: Vec<(&'static str, String)>,
    started: String,
}

/// Rows that belong together.
struct Group<'a> {
    name: &'a str,
    rows: Vec<(&'a MatrixRow, Vec<Cell<'a>>)>,
}

struct Cell<'a> {
    cell: &'a MatrixCell,
    glyph: &'a str,
    class: &'static str,
}

/// Draws the page of a matrix.
///
/// # Errors
/// Where the template cannot be filled, which is a bug.
pub fn matrix_page(record: &MatrixRecord) -> anyhow::Result<String> {
    let used = |outcome: &&MatrixOutcome| record.cells.iter().any(|cell| cell.outcome == outcome.name);
    let counts = |name: &str| record.counts(name).into_iter().map(|(_, count)| count).collect();
    let page = MatrixPage {
        findings: of_matrix_record(record),
        legend: record
            .outcomes
            .iter()
            .filter(used)
            .map(|outcome| (outcome, tone_class(outcome.tone)))
            .collect(),
        groups: groups(record),
        roomy: record.cells.len() <= CELLS_WITH_DETAIL_MAX,
        counts: record.columns.iter().map(|column| (column.name.as_str(), counts(&column.name))).collect(),
        charts: [bars(record, WIDE), bars(record, NARROW)],
        analysis: record.scenario.analysis.split("\n\n").collect(),
        environment: place(&record.tool, &record.environment),
        started: utc(record.started_at_us),
        record,
    };
    Ok(with_policy(&page.render()?))
}

/// The rows by their groups, in the order in which groups first come.
fn groups(record: &MatrixRecord) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in &record.rows {
        let cells = record.columns.iter().filter_map(|column| {
            let cell = record.cell(&row.name, &column.name)?;
            let outcome = record.outcomes.iter().find(|outcome| outcome.name == cell.outcome)?;
            Some(Cell { cell, glyph: &outcome.glyph, class: tone_class(outcome.tone) })
        });
        let drawn = (row, cells.collect());
        match groups.iter_mut().find(|group| group.name == row.group) {
            Some(group) => group.rows.push(drawn),
            None => groups.push(Group { name: &row.group, rows: vec![drawn] }),
        }
    }
    groups
}

/// What a matrix came to, in lines for a terminal.
pub fn summary_lines(record: &MatrixRecord) -> Vec<String> {
    let mut lines = Vec::new();
    for column in &record.columns {
        let counts: Vec<String> = record
            .counts(&column.name)
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| format!("{count} {}", outcome.name))
            .collect();
        lines.push(format!("{:<20}{}", column.name, counts.join(", ")));
    }
    for missing in &record.missing {
        lines.push(format!("missing: {}: {}", missing.what, missing.get));
    }
    lines
}

/// What was found, as of a scenario that is measured.
pub fn finding_lines(record: &MatrixRecord) -> Vec<(&'static str, Vec<String>)> {
    of_matrix_record(record).iter().map(|found| (found.class, lines_of(found))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::samples::small;

    #[test]
    fn the_page_shows_every_cell_in_words_and_escapes_what_it_quotes() {
        let record = small(&[("a", ["stack", "nobody", "stack"]), ("b", ["not installed"; 3])]);
        let page = matrix_page(&record).unwrap();
        assert!(page.matches(r#"<td class="cell"#).count() == 6, "{page}");
        assert!(page.contains("apt-get install nginx"), "what is missing");
        assert!(page.contains("d &#38; &#60;i&#62;") || page.contains("d &amp; &lt;i&gt;"), "{page}");
        assert!(
            !page.contains("<i>") && page.contains("<desc>a: stack 2, nobody 1; b: not installed 3</desc>")
        );
    }
}
