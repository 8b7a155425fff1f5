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

impl RunComparison {
    /// Lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.head()];
        lines.extend(self.differences.iter().map(|difference| format!("  plans differ: {difference}")));
        for row in &self.rows {
            let [old, new] = shown(row);
            lines.push(format!(
                "  {:<20}{:<18}{:<15}{old:>10} → {new:<10} {:<24} {}",
                row.contender,
                row.condition,
                row.figure,
                interval(row),
                row.word.in_words()
            ));
        }
        lines.extend(self.void.iter().map(|void| format!("  void: {void}")));
        lines.push(format!("  {}", self.foot()));
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
        lines.extend(self.void.iter().map(|void| format!("- void: {}", markdown(void))));
        lines.push(self.foot());
        lines.join("\n")
    }

    fn head(&self) -> String {
        let runs = |n: usize| if n == 1 { "1 run".to_owned() } else { format!("{n} runs") };
        format!("{}: {} against {}", self.scenario, runs(self.new_runs), runs(self.old_runs))
    }

    fn foot(&self) -> String {
        let between = if !self.rows.is_empty() && self.rows.iter().all(|row| row.of_runs) {
            "the intervals contain what differs from run to run"
        } else {
            "the intervals are of the rounds: what differs from run to run is not in them, give three repeats of a side for that"
        };
        format!("same: the 90 % interval within {:.0} %; {between}.", MARGIN * 100.0)
    }
}

fn shown(row: &FigureChange) -> [String; 2] {
    let figure = Figure::parse(row.figure);
    [row.old, row.new]
        .map(|value| figure.as_ref().map_or_else(|_| value.to_string(), |figure| figure.show(value)))
}

fn interval(row: &FigureChange) -> String {
    format!("{:.3} × ({:.3}–{:.3})", row.ratio.ratio, row.ratio.low, row.ratio.high)
}
