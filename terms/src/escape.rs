//! Words of somebody else's, where they mean nothing but themselves: on a terminal, and in
//! Markdown.
//! Pages escape theirs by their templates, JSON by its writer.

use std::borrow::Cow;

/// What stands where a character was that a terminal obeys.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a terminal obeys the character, or draws what follows it in another order than it is
/// read.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line for a terminal: whatever words of a record, a peer or a file are in it, it stays one line
/// and moves, colours and names nothing.
pub fn terminal_line(line: &str) -> Cow<'_, str> {
    replaced(line, |letter| if matches!(letter, '\n' | '\t' | '\r') { ' ' } else { REPLACEMENT })
}

/// Several lines for a terminal: the same, but for the ends of lines and tabs, which are kept.
pub fn terminal_text(text: &str) -> Cow<'_, str> {
    replaced(text, |letter| if matches!(letter, '\n' | '\t') { letter } else { REPLACEMENT })
}

/// The same for a text into which byte positions point: each character is replaced by one that is
/// as long.
pub fn terminal_source(text: &str) -> Cow<'_, str> {
    replaced(text, |letter| match (letter, letter.len_utf8()) {
        ('\n' | '\t' | '\r', _) => letter,
        (_, 1) => '?',
        (_, 2) => '¿',
        _ => REPLACEMENT,
    })
}

fn replaced(text: &str, by: impl Fn(char) -> char) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|letter| if is_obeyed(letter) { by(letter) } else { letter }).collect())
}

/// Words in a line or a cell of Markdown: no markup, no link, no HTML, and no end of the line or of
/// the cell.
pub fn markdown(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let mut before = ' ';
    let mut letters = terminal_line(words).chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied().unwrap_or(' ');
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Addresses become links by themselves.
            '/' if before == '/' => out.push_str("&#47;"),
            '.' if ends_with_www(&out) => out.push_str("&#46;"),
            '\\' | '|' | '`' | '[' | ']' | '*' | '~' => out.extend(['\\', letter]),
            // Within a word it marks nothing.
            '_' if !(before.is_alphanumeric() && next.is_alphanumeric()) => out.push_str("\\_"),
            _ => out.push(letter),
        }
        before = letter;
    }
    out
}

fn ends_with_www(text: &str) -> bool {
    text.get(text.len().saturating_sub(3)..).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

/// Words as code in a line or a cell of Markdown. Nothing can be escaped there, so that words which
/// would need it are no code.
pub fn markdown_code(words: &str) -> String {
    let words = terminal_line(words);
    if words.contains(['`', '|', '<', '>', '&']) { markdown(&words) } else { format!("`{words}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nobodys_words() {
        let words = "a\u{1b}[2Jb\u{7}\u{9b}1m\r\nwirebench: fine\u{202e}c";
        assert_eq!(terminal_line(words), "a\u{fffd}[2Jb\u{fffd}\u{fffd}1m  wirebench: fine\u{fffd}c");
        assert_eq!(terminal_text("a\r\nb\u{8}"), "a\u{fffd}\nb\u{fffd}");
        let source = "name = \"\u{1b}\u{85}\u{202e}\"\r\n";
        assert_eq!(terminal_source(source), "name = \"?¿\u{fffd}\"\r\n");
        assert_eq!(terminal_source(source).len(), source.len());
        let right = "CPU per call: 0.89 × it, 95 % of ‘1x8’\u{202f}µs é 漢";
        assert!(matches!(terminal_line(right), Cow::Borrowed(_)));
    }

    #[test]
    fn markdown_takes_words_for_words() {
        assert_eq!(markdown("<img src=x> & |\n"), "&lt;img src=x&gt; &amp; \\| ");
        assert_eq!(markdown("[a](javascript:b) ![c](d)"), "\\[a\\](javascript:b) !\\[c\\](d)");
        assert_eq!(markdown("**b** _c_ `d` ~~e~~ \\"), "\\*\\*b\\*\\* \\_c\\_ \\`d\\` \\~\\~e\\~\\~ \\\\");
        assert_eq!(markdown("http://x.y www.x.y"), "http:/&#47;x.y www&#46;x.y");
        assert_eq!(
            markdown("rate_per_s of rest-h1 is slow. 0.9 × it"),
            "rate_per_s of rest-h1 is slow. 0.9 × it"
        );
        assert_eq!(markdown_code("run --full\n"), "`run --full `");
        assert_eq!(markdown_code("run `a` '<b>'"), "run \\`a\\` '&lt;b&gt;'");
    }
}
