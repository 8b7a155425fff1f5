//! Text in columns: what is printed for people fits a terminal of 80.

use textwrap::Options;

/// Columns of the smallest terminal that everything fits.
pub(crate) const COLUMNS: usize = 80;

/// Words in lines of at most [`COLUMNS`], each line ended: `first` stands before the first one, and
/// as many spaces before the others.
pub(crate) fn wrapped(first: &str, words: &str) -> String {
    let others = " ".repeat(first.chars().count());
    let options = Options::new(COLUMNS).initial_indent(first).subsequent_indent(&others);
    textwrap::wrap(words, options).into_iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hang_below_what_stands_before_the_first() {
        let text = wrapped("  A2  ", &"word ".repeat(30));
        assert!(text.starts_with("  A2  word") && text.lines().nth(1).unwrap().starts_with("      word"));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }
}
