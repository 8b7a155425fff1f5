//! A comparison for people: as text, and as markdown for a pull request.

use terms::Figure;
use terms::escape::markdown;

use super::{FigureChange, MARGIN, RunComparison, Word};

impl Word {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Word::Better => "better",
            Word::Worse => "worse",
            Word::Same => "same",
            Word::Undecided => "undecided",
        }
    }
}

/// Rows that a summary shows at most.
const WORST_MAX: usize = 10;

/// What became of all figures, worst first: the counts, and the rows that became worse.
pub fn summary(comparisons: &[RunComparison]) -> Vec<String> {
    let rows = || comparisons.iter().flat_map(|of| of.rows.iter().map(move |row| (&of.scenario, row)));
    let counted = [Word::Worse, Word::Better, Word::Same, Word::Undecided].map(|word| {
        let count = rows().filter(|(_, row)| row.word == word).count();
        format!("{count} {}", word.in_words())
    });
    let scenarios = match comparisons {
        [one] => one.scenario.clone(),
        several => format!("{} scenarios", several.len()),
    };
    let mut lines = vec![format!("{scenarios}: {}", counted.join(", "))];
    let voids = comparisons.iter().filter_map(|of| Some((&of.scenario, of.void.as_ref()?)));
    lines.extend(
        voids.map(|(scenario, why)| format!("  {scenario} decides nothing, because a run is void: {why}")),
    );
    let notes = comparisons.iter().flat_map(|of| of.notes.iter().map(move |note| (&of.scenario, note)));
    lines.extend(notes.take(WORST_MAX).map(|(scenario, note)| format!("  {scenario}, {note}")));
    let mut worse: Vec<_> = rows().filter(|(_, row)| row.word == Word::Worse).collect();
    worse.sort_by(|(_, left), (_, right)| times_worse(right).total_cmp(&times_worse(left)));
    for (scenario, row) in worse.iter().take(WORST_MAX) {
        lines.push(format!("  worse: {scenario}, {} under {}", row.contender, row.condition));
        lines.push(format!("    {}", figures(row)));
    }
    if worse.len() > WORST_MAX {
        lines.push(format!("  and {} more that became worse", worse.len() - WORST_MAX));
    }
    lines
}

/// The factor by which a row became worse.
fn times_worse(row: &FigureChange) -> f64 {
    match Figure::parse(row.figure) {
        Ok(figure) if !figure.less_is_better() => 1.0 / row.ratio.ratio,
        _ => row.ratio.ratio,
    }
}

impl RunComparison {
    /// Lines for a terminal: every figure, cell by cell.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.head()];
        lines.extend(self.differences.iter().map(|difference| format!("  plans differ: {difference}")));
        let mut cell = None;
        for row in &self.rows {
            let here = (&row.contender, &row.condition);
            if cell.replace(here) != Some(here) {
                lines.push(format!("  {} under {}", row.contender, row.condition));
            }
            lines.push(format!("    {:<63} {}", figures(row), row.word.in_words()));
        }
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.extend(self.void.iter().map(|void| format!("  void: {void}")));
        lines.extend(self.foot().map(|line| format!("  {line}")));
        lines
    }

    /// A table.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            format!("**{}**", markdown(&self.head())),
            String::new(),
            "| contender | condition | figure | old | new | new ÷ old (95 %) | |".to_owned(),
            "|---|---|---|---:|---:|---|---|".to_owned(),
        ];
        for row in &self.rows {
            let [old, new] = shown(row);
            lines.push(format!(
                "| {} | {} | `{}` | {old} | {new} | {} | {} |",
                markdown(&row.contender),
                markdown(&row.condition),
                row.figure,
                interval(row),
                row.word.in_words()
            ));
        }
        lines.push(String::new());
        let differences = self.differences.iter();
        lines.extend(differences.map(|difference| format!("- plans differ: {}", markdown(difference))));
        lines.extend(self.notes.iter().map(|note| format!("- {}", markdown(note))));
        lines.extend(self.void.iter().map(|void| format!("- void: {}", markdown(void))));
        lines.push(self.foot().join(" "));
        lines.join("\n")
    }

    fn head(&self) -> String {
        let runs = |n: usize| if n == 1 { "1 run".to_owned() } else { format!("{n} runs") };
        format!("{}: {} against {}", self.scenario, runs(self.new_runs), runs(self.old_runs))
    }

    fn foot(&self) -> [String; 2] {
        let same = format!("Same: the 90 % interval of new ÷ old is within {:.0} % of 1.", MARGIN * 100.0);
        let between = if !self.rows.is_empty() && self.rows.iter().all(|row| row.of_runs) {
            "The intervals include what differs from run to run."
        } else {
            "The intervals are of rounds: give three runs a side to include runs, too."
        };
        [same, between.to_owned()]
    }
}

/// `cpu_per_call      41.2 µs → 60.1 µs    1.459 × (1.400–1.523)`.
fn figures(row: &FigureChange) -> String {
    let [old, new] = shown(row);
    format!("{:<15}{old:>10} → {new:<10} {}", row.figure, interval(row))
}

fn shown(row: &FigureChange) -> [String; 2] {
    let figure = Figure::parse(row.figure);
    [row.old, row.new]
        .map(|value| figure.as_ref().map_or_else(|_| value.to_string(), |figure| figure.show(value)))
}

fn interval(row: &FigureChange) -> String {
    format!("{:.3} × ({:.3}–{:.3})", row.ratio.ratio, row.ratio.low, row.ratio.high)
}

#[cfg(test)]
mod tests {
    use record::{Method, Ratio};

    use super::*;

    fn row(contender: &str, figure: &'static str, ratio: f64, word: Word) -> FigureChange {
        let [low, high] = [0.98, 1.02].map(|by| ratio * by);
        let ratio = Ratio { ratio, low, high, low_90: low, high_90: high, n: 12, method: Method::StudentT };
        let (old, new) = (100.0, 100.0 * ratio.ratio);
        let (contender, condition) = (contender.to_owned(), "8x1".to_owned());
        FigureChange { contender, condition, figure, old, new, ratio, word, of_runs: false }
    }

    fn comparison() -> RunComparison {
        RunComparison {
            scenario: "rest-vs-grpc".to_owned(),
            old_runs: 1,
            new_runs: 1,
            void: None,
            differences: Vec::new(),
            notes: Vec::new(),
            rows: vec![
                row("rest", "cpu_per_call", 1.2, Word::Worse),
                row("rest", "response.p50", 1.0, Word::Same),
                row("grpc", "cpu_per_call", 2.0, Word::Worse),
                row("grpc", "response.p99", 0.5, Word::Better),
            ],
        }
    }

    #[test]
    fn a_summary_counts_and_begins_with_the_worst() {
        let lines = summary(&[comparison()]);
        assert_eq!(lines[0], "rest-vs-grpc: 2 worse, 1 better, 1 same, 0 undecided");
        assert_eq!(lines[1], "  worse: rest-vs-grpc, grpc under 8x1");
        assert!(lines[2].contains("cpu_per_call") && lines[2].contains("2.000 ×"), "{lines:?}");
        assert_eq!(lines[3], "  worse: rest-vs-grpc, rest under 8x1");
        let void = RunComparison { void: Some("late".to_owned()), rows: Vec::new(), ..comparison() };
        let lines = summary(&[comparison(), void]);
        assert!(
            lines[0].starts_with("2 scenarios: 2 worse") && lines[1].ends_with("is void: late"),
            "{lines:?}"
        );
        let many =
            RunComparison { rows: vec![row("a", "response.p99", 1.5, Word::Worse); 12], ..comparison() };
        assert_eq!(summary(&[many]).last().unwrap(), "  and 2 more that became worse");
    }

    #[test]
    fn the_table_fits_and_names_each_cell_once() {
        let lines = comparison().lines();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.ends_with("grpc under 8x1")).count(), 1);
        assert!(lines.iter().any(|line| line.ends_with(" worse")), "{lines:#?}");
    }
}
