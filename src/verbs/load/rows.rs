//! Data that fills requests: rows of a file, each value under its name.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use serde_json::value::RawValue;

use crate::ending::UsageError;

/// Rows of a file of data, at most.
const ROWS_MAX: usize = 100_000;
/// Values in all its rows.
const VALUES_MAX: usize = 10_000_000;
/// Bytes of a text once it is filled in: a body's, as it may be read from a file.
const FILLED_BYTES_MAX: usize = 64 << 20;

/// The values that stand for `{{NAME}}`. All rows of a table have the same names.
#[derive(Debug, Clone, Default)]
pub(super) struct Row(BTreeMap<Rc<str>, String>);

impl Row {
    /// A text with its `{{NAME}}` filled in, each value first made fit for its place.
    ///
    /// # Errors
    /// Where there is no value of a name, or the text becomes too long.
    pub(super) fn fill(&self, text: &str, fit: fn(&str) -> String) -> Result<String, UsageError> {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, behind)) = rest.split_once("{{") {
            let Some((name, behind)) = behind.split_once("}}") else { break };
            let value = self.0.get(name.trim()).ok_or_else(|| {
                let known = self.0.keys().map(|name| &**name).collect::<Vec<_>>().join(", ");
                UsageError(format!("'{{{{{name}}}}}': --data has no such column, but {known}"))
            })?;
            out.push_str(before);
            out.push_str(&fit(value));
            rest = behind;
            if out.len() + rest.len() > FILLED_BYTES_MAX {
                let most = FILLED_BYTES_MAX >> 20;
                return Err(UsageError(format!("a text has more than {most} MiB once --data is filled in")));
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Reads data: a JSON object a line, or CSV whose first row names the columns.
pub(super) fn rows(file: &Path, text: &str) -> anyhow::Result<Vec<Row>> {
    rows_up_to(VALUES_MAX, file, text)
}

fn rows_up_to(values_max: usize, file: &Path, text: &str) -> anyhow::Result<Vec<Row>> {
    let wrong = |nth: usize, what: String| UsageError(format!("--data {}:{nth}: {what}", file.display()));
    let (mut rows, mut values) = (Vec::new(), 0);
    let mut keep = |nth: usize, row: Row| {
        values += row.0.len();
        if rows.len() == ROWS_MAX {
            return Err(wrong(nth, format!("{ROWS_MAX} rows are the most")));
        }
        if values > values_max {
            return Err(wrong(nth, format!("{values_max} values are the most")));
        }
        rows.push(row);
        Ok(())
    };
    if text.trim_start().starts_with('{') {
        for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |error: serde_json::Error| wrong(nth + 1, error.to_string());
            let found: BTreeMap<String, &RawValue> = serde_json::from_str(line).map_err(wrong)?;
            let found = found.into_iter().map(|(name, value)| Ok((Rc::from(name), plain(value)?)));
            keep(nth + 1, Row(found.collect::<Result<_, _>>().map_err(wrong)?))?;
        }
    } else {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
        let columns = reader.headers().map_err(|error| wrong(1, error.to_string()))?;
        let columns: Vec<Rc<str>> = columns.iter().map(Rc::from).collect();
        if let Some(twice) = columns.iter().enumerate().find(|(nth, name)| columns[..*nth].contains(name)) {
            return Err(wrong(1, format!("the column '{}' comes twice", twice.1)).into());
        }
        for row in reader.records() {
            let row = row.map_err(|error| {
                wrong(error.position().map_or(1, |at| at.line() as usize), error.to_string())
            })?;
            let pairs = columns.iter().zip(&row).map(|(name, value)| (Rc::clone(name), value.to_owned()));
            keep(row.position().map_or(1, |at| at.line() as usize), Row(pairs.collect()))?;
        }
    }
    if rows.is_empty() {
        return Err(UsageError(format!("--data {}: the file has no rows", file.display())).into());
    }
    Ok(rows)
}

/// A value as it is sent: the characters of a text, other JSON as it is written. Parsed, it would
/// take many times the memory.
pub(super) fn plain(json: &RawValue) -> serde_json::Result<String> {
    let json = json.get();
    if json.starts_with('"') { serde_json::from_str(json) } else { Ok(json.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> &'static Path {
        Path::new("f")
    }

    #[test]
    fn data_fills_what_is_written_in_braces() {
        let read = rows(file(), "id, name\n1,\"a, b\"\n2,ü\n").unwrap();
        assert_eq!(read[0].fill("{{id}}/{{ name }}", str::to_owned).unwrap(), "1/a, b");
        assert_eq!(read[1].fill("{{name}}", |value| value.to_uppercase()).unwrap(), "Ü");
        assert!(read[0].fill("{{nam}}", str::to_owned).unwrap_err().0.contains("id, name"));
        let read = rows(file(), "{\"id\":1,\"name\":\"x\"}\n").unwrap();
        assert_eq!(read[0].fill("{{id}}{{name}}{{", str::to_owned).unwrap(), "1x{{");
        assert!(rows(file(), "a,b\n1\n").unwrap_err().to_string().contains("f:2"));
        assert!(rows(file(), "a,b\n").is_err());
    }

    /// Short lines, of which a file may have millions: they are refused before they are all kept.
    #[test]
    fn a_file_of_too_much_is_refused_where_it_becomes_too_much() {
        let said = |result: anyhow::Result<Vec<Row>>| result.err().unwrap().to_string();
        let lines = "{}\n".repeat(ROWS_MAX + 1);
        assert_eq!(said(rows(file(), &lines)), "--data f:100001: 100000 rows are the most");
        let table = "a\n".repeat(ROWS_MAX + 2);
        assert_eq!(said(rows(file(), &table)), "--data f:100002: 100000 rows are the most");
        let wide = "a,b,c\n1,2,3\n4,5,6\n7,8,9\n";
        assert_eq!(rows_up_to(9, file(), wide).unwrap().len(), 3);
        assert_eq!(said(rows_up_to(8, file(), wide)), "--data f:4: 8 values are the most");
    }

    #[test]
    fn what_is_filled_in_has_an_end() {
        let row = &rows(file(), &format!("a\n{}\n", "x".repeat(1 << 20))).unwrap()[0];
        let said = row.fill(&"{{a}}".repeat(65), str::to_owned).unwrap_err().0;
        assert!(said.contains("more than 64 MiB"), "{said}");
    }
}
