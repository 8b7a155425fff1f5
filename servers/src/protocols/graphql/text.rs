//! A query's text, looked at before anything parses it: how deep its brackets nest, how many tokens
//! it has and how long its names are. Parsers recurse into brackets, and a stack that overflows
//! ends the process; an alias stands in the answer as often as its field.

/// What a text may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextBounds {
    /// Brackets of any kind that are open at once.
    pub(super) nesting_max: usize,
    /// Names, numbers, strings and punctuation marks.
    pub(super) tokens_max: usize,
    /// Bytes of a name or a number.
    pub(super) name_bytes_max: usize,
}

/// Counts the tokens of a text.
///
/// # Errors
/// What the text has too much of.
pub(super) fn tokens(text: &str, bounds: TextBounds) -> Result<usize, String> {
    let TextBounds { nesting_max, tokens_max, name_bytes_max } = bounds;
    let (mut rest, mut tokens, mut open) = (text.as_bytes(), 0_usize, 0_usize);
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            b' ' | b',' | b'\t' | b'\r' | b'\n' => {
                rest = behind;
                continue;
            }
            b'#' => {
                rest = after_comment(behind);
                continue;
            }
            b'[' | b'{' | b'(' => {
                open += 1;
                behind
            }
            b']' | b'}' | b')' => {
                open = open.saturating_sub(1);
                behind
            }
            b'"' => after_string(rest),
            _ if is_of_word(byte) => {
                let bytes = rest.iter().take_while(|byte| is_of_word(**byte)).count();
                if bytes > name_bytes_max {
                    return Err(format!("a name or a number has at most {name_bytes_max} bytes"));
                }
                &rest[bytes..]
            }
            _ => behind,
        };
        tokens += 1;
        if open > nesting_max {
            return Err(format!("nested too deep: at most {nesting_max} brackets may be open at once"));
        }
        if tokens > tokens_max {
            return Err(format!("too long: a query has at most {tokens_max} tokens"));
        }
    }
    Ok(tokens)
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn after_comment(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| !matches!(byte, b'\r' | b'\n')).count()..]
}

/// What comes behind the string that begins here. Where no string does, the parser stops here too,
/// or reads three quotes as an empty string and a quote: so a quote alone is passed.
fn after_string(text: &[u8]) -> &[u8] {
    if let Some(block) = text.strip_prefix(b"\"\"\"")
        && let Some(end) = block_end(block)
    {
        return &block[end..];
    }
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return &text[at + 1..],
            b'\\' => at += 2,
            b'\r' | b'\n' => break,
            _ => at += 1,
        }
    }
    &text[1..]
}

/// Where the text behind a block string begins.
fn block_end(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < block.len() {
        if block[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if block[at..].starts_with(b"\"\"\"") {
            return Some(at + 3);
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: TextBounds = TextBounds { nesting_max: 4, tokens_max: 20, name_bytes_max: 8 };

    #[test]
    fn brackets_count_outside_strings_and_comments_only() {
        for (text, expected) in [
            ("{quote(symbol:\"AAAA\"){last}}", Ok(11)),
            ("[[[[", Ok(4)),
            ("[[[[[", Err(())),
            ("{({[(", Err(())),
            ("\"[[[[[\"", Ok(1)),
            ("\"\\\"[[[[[\"", Ok(1)),
            ("\"\"\"[[[[[\"\"\"", Ok(1)),
            ("\"\"\"\\\"\"\"[[[[[\"\"\"", Ok(1)),
            ("#[[[[[\n a", Ok(1)),
            ("#[[[[[\r a", Ok(1)),
            ("#[[\n[[[[[", Err(())),
            // Three quotes that no three others end: the parser reads an empty string, another one
            // and then the brackets.
            ("\"\"\" \" [[[[[", Err(())),
            // A string ends with its line.
            ("\"\n[[[[[", Err(())),
            ("[][][][][]", Ok(10)),
            ("\u{feff}é", Ok(5)),
            ("\\", Ok(1)),
            ("\"\\", Ok(2)),
        ] {
            assert_eq!(tokens(text, BOUNDS).map_err(|_| ()), expected, "{text}");
        }
        assert_eq!(tokens(&"a ".repeat(20), BOUNDS), Ok(20));
        assert_eq!(tokens("12345678:_a345678", BOUNDS), Ok(3));
        assert!(tokens("{a123456789}", BOUNDS).is_err_and(|said| said.contains("at most 8 bytes")));
        assert!(tokens(&"a ".repeat(21), BOUNDS).is_err_and(|said| said.contains("at most 20 tokens")));
    }
}
