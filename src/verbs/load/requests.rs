//! Several requests: from a file of requests or an access log, filled in from a file of data, in
//! turn or at random.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

use bytes::Bytes;
use http::Method;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::options::{Options, Order, read_file};
use super::rows::{Row, plain, rows};
use crate::ending::{UsageError, say};

/// Bytes of a file of requests or of data.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Requests that are made ready before a load, at most; it goes round them.
const REQUESTS_MAX: usize = 100_000;
/// Requests that are drawn where the order is random, at least: so many that their shares are
/// right.
const DRAWN_MIN: usize = 10_000;
/// Names of requests that are told apart, at most.
const NAMES_MAX: usize = 50;
/// What all others are called.
const OTHERS: &str = "others";

/// One request, as it is written: `{{NAME}}` stands for a value of the data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    /// What it is counted under; its method and path unless told.
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) method: Option<String>,
    /// Path and query; the target's where there is none.
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The body as it is sent.
    #[serde(default, deserialize_with = "read_body")]
    pub(super) body: Option<Bytes>,
    /// How often it is sent, beside the others.
    #[serde(default = "one")]
    pub(super) weight: u32,
}

/// How often a request is sent where nothing says so.
pub(super) fn one() -> u32 {
    1
}

fn read_body<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Bytes>, D::Error> {
    let body = Option::<&RawValue>::deserialize(from)?;
    let body = body.map(plain).transpose().map_err(serde::de::Error::custom)?;
    Ok(body.map(Bytes::from))
}

/// A request that is to be made ready, and the group that it is counted in.
pub(super) struct Filled<'a> {
    pub(super) template: &'a Template,
    pub(super) row: Option<&'a Row>,
    pub(super) group: usize,
}

/// All requests of a load.
pub(super) struct Mix {
    templates: Vec<Template>,
    rows: Vec<Row>,
    /// Template, row and group of each request, in the order in which they are sent.
    order: Vec<(usize, Option<usize>, usize)>,
    /// What the groups are called; nothing where there is only one.
    pub(super) groups: Vec<String>,
}

impl Mix {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// Where one cannot be read, with the line.
    pub(super) fn read(options: &Options, path: &str) -> anyhow::Result<Mix> {
        let templates = match &options.requests {
            Some(file) => templates(file, &text("--requests", file)?)?,
            None if !options.templates.is_empty() => options.templates.clone(),
            None => vec![Template { weight: 1, ..Template::default() }],
        };
        let rows = match &options.data {
            Some(file) => rows(file, &text("--data", file)?)?,
            None => Vec::new(),
        };
        let names: Vec<String> = templates.iter().map(|template| template.called(path)).collect();
        let mut counts: BTreeMap<&String, u64> = BTreeMap::new();
        for (name, template) in names.iter().zip(&templates) {
            *counts.entry(name).or_default() += u64::from(template.weight);
        }
        let mut groups: Vec<&String> = counts.keys().copied().collect();
        groups.sort_by_key(|name| std::cmp::Reverse(counts[*name]));
        let mut groups: Vec<String> = groups.into_iter().take(NAMES_MAX).cloned().collect();
        if counts.len() > NAMES_MAX {
            groups.truncate(NAMES_MAX - 1);
            groups.push(OTHERS.to_owned());
        }
        let group = |name: &String| {
            groups.iter().position(|known| known == name).unwrap_or(groups.len().saturating_sub(1))
        };
        let in_groups: Vec<usize> = names.iter().map(group).collect();
        let order = order(&templates, rows.len(), options)?
            .into_iter()
            .map(|(template, row)| (template, row, in_groups[template]))
            .collect();
        if groups.len() < 2 {
            groups.clear();
        }
        Ok(Mix { templates, rows, order, groups })
    }

    /// A path in which a name stands.
    pub(super) fn path_with_name(&self) -> Option<&str> {
        self.templates.iter().filter_map(|template| template.path.as_deref()).find(|path| path.contains("{{"))
    }

    /// Whether a name stands anywhere in the requests of the file.
    pub(super) fn has_names(&self) -> bool {
        let has_name = |text: &str| text.contains("{{");
        self.templates.iter().any(|template| {
            template.path.as_deref().is_some_and(has_name)
                || template.headers.values().any(|value| has_name(value))
                || template.body.as_ref().is_some_and(|body| str::from_utf8(body).is_ok_and(has_name))
        })
    }

    /// Each request, in the order in which they are sent.
    pub(super) fn filled(&self) -> impl Iterator<Item = Filled<'_>> {
        self.order.iter().map(|(template, row, group)| Filled {
            template: &self.templates[*template],
            row: row.map(|row| &self.rows[row]),
            group: *group,
        })
    }
}

/// Which template is sent with which row, one after the other.
fn order(
    templates: &[Template],
    rows: usize,
    options: &Options,
) -> anyhow::Result<Vec<(usize, Option<usize>)>> {
    let in_turn = by_weight(templates)?;
    let whole = if rows == 0 { in_turn.len() } else { least_common_multiple(in_turn.len(), rows) };
    match options.order {
        Order::Turn if whole > REQUESTS_MAX => Err(UsageError(format!(
            "{} requests in turn with {rows} rows of data are {whole} different ones, and {REQUESTS_MAX} are the most: \
             add --order random",
            in_turn.len()
        ))
        .into()),
        Order::Turn => {
            Ok((0..whole).map(|nth| (in_turn[nth % in_turn.len()], nth.checked_rem(rows))).collect())
        }
        Order::Random => {
            let mut random = ChaCha8Rng::seed_from_u64(options.seed);
            let draw = |_| {
                let template = in_turn[random.random_range(0..in_turn.len())];
                (template, (rows > 0).then(|| random.random_range(0..rows)))
            };
            Ok((0..whole.clamp(DRAWN_MIN, REQUESTS_MAX)).map(draw).collect())
        }
    }
}

/// The templates in turn, each as often as its weight says, spread evenly: each time the one that
/// is furthest behind its share.
fn by_weight(templates: &[Template]) -> anyhow::Result<Vec<usize>> {
    let common = templates
        .iter()
        .fold(0, |common, template| greatest_common_divisor(common, template.weight as usize));
    let weights: Vec<usize> =
        templates.iter().map(|template| template.weight as usize / common.max(1)).collect();
    let whole: usize = weights.iter().sum();
    if whole > REQUESTS_MAX {
        return Err(UsageError(format!(
            "the weights of the requests come to {whole} requests until they begin again, and {REQUESTS_MAX} are the most: \
             use smaller ones"
        ))
        .into());
    }
    if weights.iter().all(|weight| *weight == 1) {
        return Ok((0..weights.len()).collect());
    }
    // When each is due next, where each comes evenly through a round of all. The bits of numbers
    // above zero are in the order of the numbers.
    let some = weights.iter().enumerate().filter(|(_, weight)| **weight > 0);
    let mut due: BinaryHeap<_> =
        some.map(|(nth, weight)| Reverse(((0.5 / *weight as f64).to_bits(), nth))).collect();
    let next = |_| {
        let Reverse((at, nth)) = due.pop()?;
        due.push(Reverse(((f64::from_bits(at) + 1.0 / weights[nth] as f64).to_bits(), nth)));
        Some(nth)
    };
    Ok((0..whole).filter_map(next).collect())
}

fn greatest_common_divisor(one: usize, other: usize) -> usize {
    let (mut a, mut b) = (one, other);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn least_common_multiple(one: usize, other: usize) -> usize {
    (one / greatest_common_divisor(one, other).max(1)).saturating_mul(other)
}

impl Template {
    /// What of it can never be sent.
    pub(super) fn what_is_wrong(&self) -> Option<&'static str> {
        let is_path = self.path.as_ref().is_none_or(|path| path.starts_with('/'));
        let is_method =
            self.method.as_ref().is_none_or(|method| Method::from_bytes(method.as_bytes()).is_ok());
        let is_shown = self.name.as_ref().is_none_or(|name| !name.contains(char::is_control));
        let has_backslash = self.path.as_ref().is_some_and(|path| path.contains('\\'));
        let wrong = [
            (!is_path, "a path begins with /"),
            (has_backslash, "a path has no backslash: write %5C"),
            (!is_method, "this is no method of HTTP"),
            (!is_shown, "a name has no control characters"),
        ];
        wrong.into_iter().find_map(|(is, what)| is.then_some(what))
    }

    /// What it is counted under.
    fn called(&self, target: &str) -> String {
        self.name.clone().unwrap_or_else(|| {
            let path = self.path.as_deref().unwrap_or(target);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let segments: Vec<&str> =
                path.split('/').map(|part| if is_an_id(part) { "*" } else { part }).collect();
            let usual = if self.body.is_some() { "POST" } else { "GET" };
            format!("{} {}", self.method.as_deref().unwrap_or(usual), segments.join("/"))
        })
    }
}

/// Whether a part of a path names one thing of many: a number, or a long word of hexadecimal
/// digits.
fn is_an_id(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let is_hexadecimal = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    !part.is_empty() && (digits == part.len() || (part.len() >= 8 && digits > 0 && is_hexadecimal))
}

fn text(option: &str, file: &Path) -> anyhow::Result<String> {
    let bytes = read_file(option, file, FILE_BYTES_MAX)?;
    String::from_utf8(bytes)
        .map_err(|_| UsageError(format!("{option} {}: the file is not UTF-8", file.display())).into())
}

/// Reads requests: a JSON object a line, or the lines of an access log.
fn templates(file: &Path, text: &str) -> anyhow::Result<Vec<Template>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = text.trim_start().starts_with('{');
    let (mut templates, mut odd) = (Vec::new(), None);
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: String| UsageError(format!("--requests {}:{}: {what}", file.display(), nth + 1));
        let template = if is_json {
            serde_json::from_str::<Template>(line).map_err(|error| wrong(error.to_string()))?
        } else {
            match logged(line) {
                Some(template) => template,
                None => {
                    odd.get_or_insert(nth + 1);
                    continue;
                }
            }
        };
        if let Some(what) = template.what_is_wrong() {
            return Err(wrong(what.to_owned()).into());
        }
        if templates.len() == REQUESTS_MAX {
            return Err(wrong(format!("{REQUESTS_MAX} requests are the most")).into());
        }
        templates.push(template);
    }
    if templates.iter().all(|template| template.weight == 0) {
        let what = "no line is a JSON object, or has \"GET /path HTTP/1.1\" in it as those of an access log";
        return Err(UsageError(format!("--requests {}: {what}", file.display())).into());
    }
    if let Some(nth) = odd {
        say(&format!(
            "--requests {}: lines without a request are left out, such as line {nth}",
            file.display()
        ));
    }
    Ok(templates)
}

/// The request of a line of an access log in the common or combined format: `"GET /path HTTP/1.1"`.
fn logged(line: &str) -> Option<Template> {
    let asked = line.split('"').find(|part| part.contains(" HTTP/"))?;
    let mut words = asked.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let template = Template {
        method: Some(method.to_owned()),
        // As nginx and Apache write bytes that a log does not take.
        path: Some(path.replace("\\x", "%")),
        weight: 1,
        ..Template::default()
    };
    (is_method && path.starts_with('/')).then_some(template)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file() -> &'static Path {
        Path::new("f")
    }

    #[test]
    fn requests_are_read_from_lines_and_from_logs() {
        let log = "127.0.0.1 - - [30/Nov/2026:01:00:00 +0000] \"GET /items/17?x=1 HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n";
        let read = templates(file(), &log.repeat(2)).unwrap();
        assert_eq!((read.len(), read[0].called("/").as_str()), (2, "GET /items/*"));
        assert_eq!(read[0].path.as_deref(), Some("/items/17?x=1"));
        let lines = "{\"path\":\"/a\"}\n\n{\"method\":\"POST\",\"path\":\"/b/deadbeef-1234\",\"body\":{\"x\":1},\"weight\":3}\n";
        let read = templates(file(), lines).unwrap();
        assert_eq!(
            (read[1].called("/").as_str(), read[1].body.as_deref()),
            ("POST /b/*", Some(&b"{\"x\":1}"[..]))
        );
        for (wrong, said) in
            [("{\"pth\":1}", "f:1"), ("GET /a\n", "access log"), ("{\"path\":\"a\"}", "begins with /")]
        {
            assert!(templates(file(), wrong).unwrap_err().to_string().contains(said), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_sent_as_it_is_meant_or_refused() {
        let paths = |text: &str| templates(file(), text).map(|read| read[0].path.clone().unwrap());
        // As nginx writes a quote, and as an editor begins a file.
        assert_eq!(paths("x \"GET /a%20b\\x22c HTTP/1.1\" 200").unwrap(), "/a%20b%22c");
        assert_eq!(paths("\u{feff}{\"path\":\"/a\"}\n").unwrap(), "/a");
        for (wrong, said) in [
            (r#"{"path":"/a\\b"}"#, "write %5C"),
            (r#"{"path":"/a","name":"x\ny"}"#, "no control characters"),
        ] {
            assert!(paths(wrong).unwrap_err().to_string().contains(said), "{wrong}");
        }
    }

    #[test]
    fn weights_are_spread_evenly() {
        let of = |weights: &[u32]| {
            let templates: Vec<_> =
                weights.iter().map(|weight| Template { weight: *weight, ..Template::default() }).collect();
            by_weight(&templates)
        };
        assert_eq!(of(&[1, 1, 1]).unwrap(), [0, 1, 2]);
        assert_eq!(of(&[600, 200]).unwrap(), [0, 0, 1, 0]);
        assert_eq!(of(&[0, 2]).unwrap(), [1]);
        assert!(of(&[99_999, 100_000]).is_err());
    }

    /// What each comes to, and what is furthest behind it, looked for among all.
    fn by_weight_slowly(weights: &[u32]) -> Vec<usize> {
        let common =
            weights.iter().fold(0, |common, weight| greatest_common_divisor(common, *weight as usize));
        let mut due: Vec<f64> =
            weights.iter().map(|weight| 0.5 / (*weight as usize / common) as f64).collect();
        let whole = weights.iter().map(|weight| *weight as usize / common).sum();
        let next = |_| {
            let least = due.iter().copied().fold(f64::INFINITY, f64::min);
            let first = due.iter().position(|at| *at == least).unwrap();
            due[first] += 1.0 / (weights[first] as usize / common) as f64;
            first
        };
        (0..whole).map(next).collect()
    }

    #[test]
    fn many_templates_of_some_weight_are_spread_in_no_time() {
        let of = |weight| Template { weight, ..Template::default() };
        let templates: Vec<_> = std::iter::repeat_n(of(1), REQUESTS_MAX - 2).chain([of(2)]).collect();
        let begun = clock::Clock::System.now();
        assert_eq!(by_weight(&templates).unwrap().len(), REQUESTS_MAX);
        assert!(clock::Clock::System.now().since(begun) < std::time::Duration::from_secs(10));
    }

    #[test]
    fn bodies_are_sent_as_they_are_written() {
        let of = |body: &str| {
            templates(file(), &format!("{{\"path\":\"/\",\"body\":{body}}}")).map(|read| read[0].body.clone())
        };
        assert_eq!(of(r#""a\u00fc\n""#).unwrap().as_deref(), Some("aü\n".as_bytes()));
        assert_eq!(
            of("{\"z\": 1.0e2, \"a\": []}").unwrap().as_deref(),
            Some(&b"{\"z\": 1.0e2, \"a\": []}"[..])
        );
        assert_eq!(of("null").unwrap(), None);
        assert!(of(r#""\ud800""#).unwrap_err().to_string().contains("f:1"));
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(of(&deep).unwrap(), Some(deep.into()));
    }

    #[test]
    fn too_many_requests_are_refused_where_they_become_too_many() {
        let lines = "{}\n".repeat(REQUESTS_MAX + 1);
        assert_eq!(
            templates(file(), &lines).unwrap_err().to_string(),
            "--requests f:100001: 100000 requests are the most"
        );
    }

    proptest! {
        #[test]
        fn weights_are_spread_as_if_looked_for_among_all(weights in prop::collection::vec(1..50_u32, 1..20)) {
            let templates: Vec<_> = weights.iter().map(|weight| Template { weight: *weight, ..Template::default() }).collect();
            prop_assert_eq!(by_weight(&templates).unwrap(), by_weight_slowly(&weights));
        }
    }
}
