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

/// A line in as many as a terminal of some columns needs, broken between words; what follows the
/// first hangs below it. Rows of a table stay as they are.
pub(crate) fn broken(line: &str, columns: usize) -> Vec<String> {
    let words = line.trim_start();
    if words.contains("   ") {
        return vec![line.to_owned()];
    }
    let indent = " ".repeat(line.len() - words.len() + 2);
    let options = Options::new(columns).initial_indent(&indent[2..]).subsequent_indent(&indent);
    textwrap::wrap(words, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words_and_a_row_is_not() {
        assert_eq!(broken("  one two three", 10), ["  one two", "    three"]);
        assert_eq!(broken("short", 10), ["short"]);
        assert_eq!(broken("tcp      12    34    56", 10), ["tcp      12    34    56"]);
    }

    #[test]
    fn lines_hang_below_what_stands_before_the_first() {
        let text = wrapped("  A2  ", &"word ".repeat(30));
        assert!(text.starts_with("  A2  word") && text.lines().nth(1).unwrap().starts_with("      word"));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }
}
