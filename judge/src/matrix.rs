//! Claims of a matrix: what is counted of whom, and when that makes the claim true.

use record::VerdictWord;
use record::matrix::{Apart, Column, MatrixCell, MatrixClaim, MatrixRecord, MatrixRow, MatrixRule, Seen};

/// The verdict of a claim, and why.
pub fn judge(record: &MatrixRecord, claim: &MatrixClaim) -> (VerdictWord, String) {
    let rows: Vec<&MatrixRow> = record
        .rows
        .iter()
        .filter(|row| claim.groups.is_empty() || claim.groups.contains(&row.group))
        .collect();
    let names: Vec<&str> =
        std::iter::once(&claim.contender).chain(&claim.against).map(String::as_str).collect();
    if let Some(why) = not_tried(record, claim, &rows, &names) {
        return (VerdictWord::Undecided, why);
    }
    let apart = |row: &&MatrixRow| {
        names.iter().any(|name| is_apart(record, claim, record.cell(&row.name, name), Apart::NotApplicable))
    };
    let (left_out, common): (Vec<&MatrixRow>, Vec<&MatrixRow>) = rows.into_iter().partition(apart);
    if common.is_empty() {
        return (VerdictWord::Undecided, "there is no row that all of them have".to_owned());
    }
    let count = |name: &str| {
        let counted = |row: &&&MatrixRow| {
            let cell = record.cell(&row.name, name);
            cell.is_some_and(|cell| claim.counts.iter().any(|outcome| outcome == seen(claim, cell)))
        };
        common.iter().filter(counted).count()
    };
    let own = count(&claim.contender);
    let others: Vec<(&str, usize)> = claim.against.iter().map(|name| (name.as_str(), count(name))).collect();
    let n = common.len();
    let holds = match claim.holds {
        MatrixRule::More => others.iter().all(|(_, other)| own > *other),
        MatrixRule::Fewer => others.iter().all(|(_, other)| own < *other),
        MatrixRule::All => own == n,
        MatrixRule::OnlyAll => own == n && others.iter().all(|(_, other)| *other < n),
    };
    let word = if holds { VerdictWord::Holds } else { VerdictWord::DoesNotHold };
    (word, because(record, claim, (own, n), &others, left_out.len()))
}

fn because(
    record: &MatrixRecord,
    claim: &MatrixClaim,
    (own, n): (usize, usize),
    others: &[(&str, usize)],
    left_out: usize,
) -> String {
    let what = claim.counts.iter().map(|outcome| format!("‘{outcome}’")).collect::<Vec<_>>().join(" or ");
    let wire = if claim.seen == Seen::OnTheWire { " by the bytes alone" } else { "" };
    let words = |name: &str| {
        let column = record.columns.iter().find(|column| column.name == name);
        column.map_or_else(|| name.to_owned(), |column| column.words.clone())
    };
    let others: Vec<String> = others.iter().map(|(name, count)| format!("{} {count}", words(name))).collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let left_out = match left_out {
        0 => String::new(),
        1 => "; 1 row that one of them cannot have is left out".to_owned(),
        rows => format!("; {rows} rows that one of them cannot have are left out"),
    };
    let says = match &claim.says {
        Some(says) => says.replace("{n}", &own.to_string()).replace("{of}", &n.to_string()),
        None => format!("has {what} in {own} of {n} rows{wire}"),
    };
    format!("{} {says}{others}{left_out}", words(&claim.contender))
}

/// What could not be tried on this machine, where something could not.
fn not_tried(
    record: &MatrixRecord,
    claim: &MatrixClaim,
    rows: &[&MatrixRow],
    names: &[&str],
) -> Option<String> {
    let untried: Vec<&str> = rows
        .iter()
        .filter(|row| {
            names.iter().any(|name| is_apart(record, claim, record.cell(&row.name, name), Apart::NotFound))
        })
        .map(|row| row.name.as_str())
        .collect();
    if untried.is_empty() {
        return None;
    }
    let missing: Vec<&str> = record.missing.iter().map(|missing| missing.what.as_str()).collect();
    Some(format!("not tried on this machine: {}; not found: {}", untried.join(", "), missing.join(", ")))
}

/// What a claim looks at of a cell.
fn seen<'a>(claim: &MatrixClaim, cell: &'a MatrixCell) -> &'a str {
    match (claim.seen, &cell.on_the_wire) {
        (Seen::OnTheWire, Some(outcome)) => outcome,
        _ => &cell.outcome,
    }
}

/// Whether a cell's outcome stands apart in this way; a cell that is not there was not tried.
fn is_apart(record: &MatrixRecord, claim: &MatrixClaim, cell: Option<&MatrixCell>, apart: Apart) -> bool {
    let Some(cell) = cell else { return apart == Apart::NotFound };
    let outcome = record.outcomes.iter().find(|outcome| outcome.name == seen(claim, cell));
    outcome.is_some_and(|outcome| outcome.apart == Some(apart))
}

/// The names of columns.
pub fn names(columns: &[Column]) -> Vec<&str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use record::samples::small;

    use super::*;

    fn claim(holds: MatrixRule) -> MatrixClaim {
        MatrixClaim {
            card: "A5".into(),
            sentence: "a catches more".into(),
            says: None,
            contender: "a".into(),
            counts: vec!["stack".into()],
            seen: Seen::First,
            groups: Vec::new(),
            against: vec!["b".into()],
            holds,
            so: terms::So::default(),
        }
    }

    #[test]
    fn claims_are_judged_by_counting() {
        use VerdictWord::{DoesNotHold, Holds};
        let record = small(&[("a", ["stack", "stack", "nobody"]), ("b", ["stack", "nobody", "nobody"])]);
        let word = |rule| judge(&record, &claim(rule)).0;
        assert_eq!([word(MatrixRule::More), word(MatrixRule::Fewer)], [Holds, DoesNotHold]);
        assert_eq!([word(MatrixRule::All), word(MatrixRule::OnlyAll)], [DoesNotHold; 2]);
        let (_, because) = judge(&record, &claim(MatrixRule::More));
        assert_eq!(because, "the a has ‘stack’ in 2 of 3 rows; the b 1");
        let tie = small(&[("a", ["stack"; 3]), ("b", ["stack"; 3])]);
        assert_eq!(judge(&tie, &claim(MatrixRule::More)).0, DoesNotHold, "a tie is not more");
        assert_eq!(judge(&tie, &claim(MatrixRule::All)).0, Holds);
        assert_eq!(judge(&tie, &claim(MatrixRule::OnlyAll)).0, DoesNotHold);
    }

    #[test]
    fn what_cannot_be_is_left_out_and_what_was_not_tried_is_undecided() {
        let record =
            small(&[("a", ["stack", "nobody", "not expressible"]), ("b", ["nobody", "nobody", "stack"])]);
        let (word, because) = judge(&record, &claim(MatrixRule::More));
        assert_eq!(word, VerdictWord::Holds, "{because}");
        assert!(because.contains("of 2 rows") && because.contains("1 row"), "{because}");
        let record = small(&[("a", ["stack"; 3]), ("b", ["nobody", "not installed", "nobody"])]);
        let (word, because) = judge(&record, &claim(MatrixRule::More));
        assert_eq!(word, VerdictWord::Undecided);
        assert!(because.contains("row 1") && because.contains("nginx"), "{because}");
        let only = MatrixClaim { groups: vec!["odd".into()], ..claim(MatrixRule::More) };
        assert!(judge(&record, &only).1.contains("row 1"), "groups choose rows");
        let even = MatrixClaim { groups: vec!["even".into()], ..claim(MatrixRule::More) };
        assert_eq!(judge(&record, &even).0, VerdictWord::Holds);
    }

    #[test]
    fn the_bytes_alone_are_another_count() {
        let mut record = small(&[("a", ["client library"; 3]), ("b", ["stack"; 3])]);
        for cell in record.cells.iter_mut().filter(|cell| cell.column == "a") {
            cell.on_the_wire = Some("nobody".into());
        }
        let wire = MatrixClaim { seen: Seen::OnTheWire, ..claim(MatrixRule::Fewer) };
        let (word, because) = judge(&record, &wire);
        assert_eq!(word, VerdictWord::Holds, "{because}");
        assert!(because.contains("by the bytes alone"), "{because}");
    }
}
