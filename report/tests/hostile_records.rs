//! Records that somebody changed: published ones, with each kind of their values changed in many
//! ways, cut short, and with bytes of them turned over. Reading gives an error, or pages, lines and
//! exports in which nothing of the record is markup, a command or a formula. Nothing panics, and
//! nothing goes on for ever.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use record::AnyRecord;
use report::{Done, Format};
use serde_json::{Value, json};

/// Markup of every kind that a page could take for its own, commands of a terminal, and Markdown.
const EVIL: &str = "=1</style><script>evil()</script><img src=x onerror=evil()>\"'`|[x](javascript:evil())\u{1b}]0;x\u{7}\u{9b}2J\r\n";
/// Changes of each record that are tried, at most: enough for each kind of its values.
const TRIED_MAX: usize = 300;

fn published(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published").join(name).join("record.json")
}

/// A published record with fewer measurements, so that many can be tried.
fn brief(name: &str) -> Value {
    let mut record: Value = serde_json::from_slice(&std::fs::read(published(name)).unwrap()).unwrap();
    for list in ["rounds", "cells", "rows"] {
        let is_matrix = record["schema"].as_str().unwrap().contains("matrix");
        if let Some(list) = record[list].as_array_mut().filter(|_| list == "rounds" || is_matrix) {
            list.truncate(12);
        }
    }
    record
}

/// Every value of a record, but one of each kind: by its place, with the numbers of lists left out.
fn places(value: &Value, path: &str, kind: &str, seen: &mut HashSet<String>, places: &mut Vec<String>) {
    if seen.insert(kind.to_owned()) {
        places.push(path.to_owned());
    }
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    for (key, within) in value.as_object().into_iter().flatten() {
        self::places(within, &format!("{path}/{}", escaped(key)), &format!("{kind}/{key}"), seen, places);
    }
    for (nth, within) in value.as_array().into_iter().flatten().enumerate() {
        self::places(within, &format!("{path}/{nth}"), &format!("{kind}/*"), seen, places);
    }
}

/// What is put in a value's place.
fn instead(value: &Value) -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |deep, _| json!([deep]));
    let mut all = vec![Value::Null, json!([]), json!({}), deep];
    match value {
        Value::String(text) => {
            all.extend([json!(EVIL), json!(format!("{text}{EVIL}")), json!("x".repeat(100_000)), json!("")]);
        }
        Value::Number(_) => {
            all.extend([json!(0), json!(-1), json!(1_u64 << 53), json!(u64::MAX), json!(i64::MIN)]);
            all.extend([json!(1e300), json!(-1e17), json!(1e-300), json!(999_999_999), json!(1e18)]);
        }
        Value::Array(list) => {
            all.extend(list.first().map(|first| json!(vec![first; 3])));
            all.push(json!(vec![EVIL; 2]));
        }
        Value::Object(object) => {
            all.extend(object.keys().map(|gone| {
                let kept = object.iter().filter(|(key, _)| *key != gone);
                kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Value>()
            }));
        }
        Value::Bool(_) | Value::Null => all.extend([json!(EVIL), json!(5), json!(true)]),
    }
    all
}

/// What was drawn of a record: nothing where it was refused.
fn drawn(path: &Path) -> Option<(Vec<String>, Vec<String>)> {
    let mut done = Done::default();
    let mut pages = Vec::new();
    let mut texts = Vec::new();
    match record::read_any(path).ok()? {
        AnyRecord::Measured(record) => {
            pages.push(report::scenario_page(&record).unwrap());
            texts.push(report::summary_lines(&record).join("\n"));
            texts.extend(report::finding_lines(&record).into_iter().flat_map(|(_, lines)| lines));
            let csv = report::export(&record, Format::Csv).unwrap();
            assert!(["\n=1", ",=1", "\"=1"].iter().all(|formula| !csv.contains(formula)), "{csv}");
            texts.push(csv);
            texts.extend(report::export(&record, Format::Jsonl));
            texts.extend(report::export(&record, Format::Hlog));
            let of = judge::compare::compare(&[(*record).clone()], &[(*record).clone()], Vec::new());
            texts.extend(of.lines());
            texts.push(of.markdown());
            done.records.push(*record);
        }
        AnyRecord::Matrix(matrix) => {
            pages.push(report::matrix_page(&matrix).unwrap());
            texts.push(report::matrix_summary_lines(&matrix).join("\n"));
            texts.extend(report::matrix_finding_lines(&matrix).into_iter().flat_map(|(_, lines)| lines));
            done.matrices.push(*matrix);
        }
    }
    pages.push(report::index_page(&done, true).unwrap());
    pages.push(report::card_page(&done).unwrap());
    let markdown = report::card_markdown(&done).unwrap();
    let links = markdown.replace("\\]", "");
    assert!(!markdown.contains('<') && !links.contains("](javascript"), "{markdown}");
    texts.push(markdown);
    Some((pages, texts))
}

/// Nothing of a record is markup on a page, and nothing begins a command.
fn is_tame(pages: &[String], texts: &[String]) {
    for page in pages {
        // The one script is ours: what it says is compared with the policy's hash by the browser.
        assert_eq!((page.matches("<script").count(), page.matches("</script>").count()), (1, 1));
        for markup in ["<img", "onerror=evil()>", "</style><"] {
            assert!(!page.contains(markup), "{markup} is on a page");
        }
        assert_eq!((page.matches("<style>").count(), page.matches("</style>").count()), (1, 1));
        assert_eq!(page.matches("http-equiv=\"Content-Security-Policy\"").count(), 1);
        for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let local = |letter: char| letter.is_ascii_alphanumeric() || "-./#".contains(letter);
            assert!(link == "data:," || link.chars().all(local), "a page has a link to {link}");
        }
    }
    for text in pages.iter().chain(texts) {
        let begins = |letter: char| letter == '\u{1b}' || ('\u{7f}'..='\u{9f}').contains(&letter);
        assert!(!text.contains(begins), "a command of a terminal is left");
    }
}

/// Whether a file gives pages; a panic names what was changed.
fn reads(path: &Path, what: &str) -> bool {
    let drawing =
        catch_unwind(AssertUnwindSafe(|| drawn(path).map(|(pages, texts)| is_tame(&pages, &texts))));
    drawing.unwrap_or_else(|_| panic!("the record with {what}: see above")).is_some()
}

/// Changes of a record: how many were read, and how many refused.
fn changed(name: &str) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record.json");
    let record = brief(name);
    std::fs::write(&file, record.to_string()).unwrap();
    assert!(
        reads(&file, "nothing changed"),
        "{name} itself is not read: {:?}",
        record::read_any(&file).err()
    );
    let mut all = Vec::new();
    places(&record, "", "", &mut HashSet::new(), &mut all);
    let mut changes: Vec<(String, Value)> = Vec::new();
    for place in all {
        changes.extend(instead(record.pointer(&place).unwrap()).into_iter().map(|new| (place.clone(), new)));
    }
    // A seed that is the same each time: what is found is found again.
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut read, mut refused) = (0, 0);
    while read + refused < TRIED_MAX && !changes.is_empty() {
        let (place, new) = changes.swap_remove(random.random_range(0..changes.len()));
        let mut changed = record.clone();
        *changed.pointer_mut(&place).unwrap() = new.clone();
        std::fs::write(&file, changed.to_string()).unwrap();
        let shown: String = new.to_string().chars().take(60).collect();
        if reads(&file, &format!("{place} = {shown}")) { read += 1 } else { refused += 1 }
    }
    (read, refused)
}

fn both_happen(name: &str) {
    let (read, refused) = changed(name);
    assert!(read > 10 && refused > 10, "{name}: {read} were read, {refused} refused");
}

#[test]
fn a_record_of_calls_that_was_changed_is_refused_or_drawn_as_words() {
    both_happen("grpc-break-even");
}

#[test]
fn a_record_of_a_map_that_was_changed_is_refused_or_drawn_as_words() {
    both_happen("polling-break-even");
}

#[test]
fn a_record_of_acts_that_was_changed_is_refused_or_drawn_as_words() {
    both_happen("cost-of-state");
}

#[test]
fn a_record_of_flows_that_was_changed_is_refused_or_drawn_as_words() {
    both_happen("tcp-congestion");
}

#[test]
fn a_record_of_cold_calls_that_was_changed_is_refused_or_drawn_as_words() {
    both_happen("ny-london");
}

#[test]
fn a_matrix_that_was_changed_is_refused_or_drawn_as_words() {
    both_happen("typing");
}

/// Every text of a record at once is markup, as far as each may be any text.
#[test]
fn every_text_that_may_be_anything_is_drawn_as_words() {
    fn turn(value: &mut Value, file: &Path, whole: &mut Value, path: &str, turned: &mut usize) {
        match value {
            Value::String(_) => {
                let before = whole.pointer(path).unwrap().clone();
                *whole.pointer_mut(path).unwrap() = json!(EVIL);
                std::fs::write(file, whole.to_string()).unwrap();
                match record::read_any(file) {
                    Ok(_) => *turned += 1,
                    Err(_) => *whole.pointer_mut(path).unwrap() = before,
                }
            }
            Value::Array(list) => {
                // Of a list of measurements the first two are as good as all.
                for (nth, within) in list.iter_mut().enumerate().take(2) {
                    turn(within, file, whole, &format!("{path}/{nth}"), turned);
                }
            }
            Value::Object(object) => {
                for (key, within) in object {
                    turn(within, file, whole, &format!("{path}/{key}"), turned);
                }
            }
            _ => {}
        }
    }
    for name in ["grpc-break-even", "cost-of-state", "reach"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("record.json");
        let (mut record, mut turned) = (brief(name), 0);
        turn(&mut record.clone(), &file, &mut record, "", &mut turned);
        std::fs::write(&file, record.to_string()).unwrap();
        assert!(turned > 15 && reads(&file, "every text changed"), "{name}: {turned}");
        let (pages, _) = drawn(&file).unwrap();
        assert!(pages[0].contains("&#60;script&#62;") || pages[0].contains("&lt;script&gt;"), "{name}");
    }
}

/// Half a record, and one with some bytes turned over.
#[test]
fn a_record_that_was_cut_or_spoilt_is_refused_or_drawn_as_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record.json");
    let text = brief("cost-of-state").to_string().into_bytes();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..100 {
        let end = random.random_range(0..text.len());
        std::fs::write(&file, &text[..end]).unwrap();
        assert!(!reads(&file, &format!("{end} bytes of it")), "{end} bytes are no record");
    }
    for _ in 0..200 {
        let mut spoilt = text.clone();
        let at = random.random_range(0..text.len());
        spoilt[at] = random.random();
        std::fs::write(&file, spoilt).unwrap();
        reads(&file, &format!("byte {at} changed"));
    }
}

/// The names of which links, folders and headings are made.
#[test]
fn a_name_that_would_be_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record.json");
    for name in ["javascript:alert(1)//", "../../up", "//evil.example/x", "", "a\u{0}b", "A B"] {
        for of in ["grpc-break-even", "reach"] {
            let mut record = brief(of);
            record["scenario"]["name"] = json!(name);
            std::fs::write(&file, record.to_string()).unwrap();
            let error = record::read_any(&file).unwrap_err().to_string();
            assert!(error.contains("is no scenario's name"), "{error}");
        }
    }
}
