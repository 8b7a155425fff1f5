//! Text as the files of the corpus write it: escapes for bytes, and places that are filled in.

/// A part of a text line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Bytes as they go out.
    Bytes(Vec<u8>),
    /// The number of the round of the innermost `times`, as `a * n + b`.
    Round(Line),
    /// The address of the server: what is right in a `Host` field.
    Host,
}

/// `a * n + b`, where `n` counts the rounds of the innermost `times` from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    factor: u64,
    plus: u64,
}

impl Line {
    /// Reads `7`, `0x1f`, `n`, `n+1`, `2n+1`.
    pub(crate) fn parse(text: &str) -> Result<Line, String> {
        let wrong = || format!("`{text}` is no number such as 7, 0x1f, n, n+1 or 2n+1");
        let Some((factor, plus)) = text.split_once('n') else {
            return Ok(Line { factor: 0, plus: number(text).ok_or_else(wrong)? });
        };
        let factor = if factor.is_empty() { 1 } else { number(factor).ok_or_else(wrong)? };
        let plus = match plus.strip_prefix('+') {
            Some(plus) => number(plus).ok_or_else(wrong)?,
            None if plus.is_empty() => 0,
            None => return Err(wrong()),
        };
        Ok(Line { factor, plus })
    }

    pub(crate) fn at(self, round: u64) -> u64 {
        self.factor * round + self.plus
    }
}

/// Reads a decimal number, or a hexadecimal one behind `0x`.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Reads the text behind a bar.
pub(crate) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter != '\\' {
            bytes.extend(letter.to_string().into_bytes());
            continue;
        }
        let escape = rest.chars().next().ok_or("a `\\` ends the line: write `\\\\`")?;
        rest = &rest[escape.len_utf8()..];
        match escape {
            'x' => {
                let digits = rest.get(..2).ok_or("`\\x` needs two hexadecimal digits")?;
                let byte = u8::from_str_radix(digits, 16);
                bytes.push(byte.map_err(|_| format!("`\\x{digits}` is no byte"))?);
                rest = &rest[2..];
            }
            '{' => {
                let (name, behind) = rest.split_once('}').ok_or("`\\{` has no `}`")?;
                rest = behind;
                parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                parts.push(if name == "host" { Part::Host } else { Part::Round(Line::parse(name)?) });
            }
            other => bytes.push(single(other)?),
        }
    }
    parts.push(Part::Bytes(bytes));
    parts.retain(|part| *part != Part::Bytes(Vec::new()));
    Ok(parts)
}

fn single(escape: char) -> Result<u8, String> {
    match escape {
        'r' => Ok(b'\r'),
        'n' => Ok(b'\n'),
        't' => Ok(b'\t'),
        '0' => Ok(0),
        's' => Ok(b' '),
        '\\' => Ok(b'\\'),
        other => Err(format!("`\\{other}` is no escape: README.md lists them")),
    }
}
