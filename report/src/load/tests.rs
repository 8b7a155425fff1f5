//! Pages of loads that went well, that failed, and of which nothing came.

use std::time::Duration;

use terms::Failure;

use super::*;

/// So many seconds of 100 calls each; in each of the last `bad`, all fail.
fn outcome(seconds: u64, bad: u64) -> Outcome {
    let mut outcome = Outcome::new().unwrap();
    let measured = Duration::from_secs(seconds);
    let mut line = Timeline::over(0, measured);
    for nth in 0..seconds * 100 {
        let failed = nth >= (seconds - bad) * 100;
        let response_ns = if failed { 5_000_000_000 } else { 1_000_000 + nth * 100 };
        line.record(nth * 10_000_000, response_ns, failed);
        outcome.histograms.response.record(response_ns).unwrap();
        outcome.arrivals += 1;
        outcome.ok += u64::from(!failed);
        if failed {
            *outcome.failed.entry(Failure::Status).or_default() += 1;
            outcome.samples.insert(Failure::Status, "answered <b>503</b>".to_owned());
        }
    }
    outcome.measured = measured;
    outcome.timeline = Some(Box::new(line));
    outcome
}

fn page(outcome: &Outcome, asked_per_s: Option<f64>) -> String {
    let measured_s = outcome.measured.as_secs_f64().max(1.0);
    let facts = LoadFacts {
        target: "http://a.test/<x>",
        command: "wirebench load 'http://a.test/<x>'",
        began_us: 0,
        tool: &Tool::default(),
        asked_per_s,
        ok_per_s: outcome.ok as f64 / measured_s,
        settings: vec![("model", "open".to_owned())],
        notes: vec!["a note".to_owned()],
        stages: Vec::new(),
        requests: Vec::new(),
        outcome,
    };
    let page = load_page(&facts).unwrap();
    // Behind this is a script, which knows of NaN.
    page.split("<script>").next().unwrap().to_owned()
}

#[test]
fn a_page_says_in_a_sentence_what_came() {
    let fine = page(&outcome(30, 0), Some(100.0));
    let nbsp = "\u{a0}";
    for says in [
        format!(
            "<h1>The server answered 100 of 100 calls/s asked for; no call failed; p50 was 1.15{nbsp}ms, and p99 was"
        ),
        format!("n{nbsp}=\u{a0}3\u{202f}000"),
        "1970-01-01 00:00:00 UTC".to_owned(),
        "No call failed.".to_owned(),
        "A note.".to_owned(),
    ] {
        assert!(fine.contains(&says), "{says}: {fine}");
    }
    assert!(!fine.contains("<x>") && !fine.contains("Failures") && !fine.contains("NaN"), "{fine}");
}

#[test]
fn a_percentile_that_fails_has_a_gap_and_a_word() {
    let half = page(&outcome(10, 2), None);
    assert!(half.contains("answered 80 calls/s"), "{half}");
    assert!(half.contains("p99 falls on failed calls") && half.contains("<td>failed</td>"), "{half}");
    assert!(half.contains("Shaded: p99") && half.contains("Failures"), "{half}");
    assert!(!half.contains("<b>503</b>"), "{half}");
}

#[test]
fn what_is_not_there_has_no_heading() {
    for (outcome, says) in [
        (outcome(1, 0), "p99 needs 2\u{202f}000 calls"),
        (outcome(3, 3), "None of 300 calls succeeded"),
        (Outcome::new().unwrap(), "No call was made"),
    ] {
        let page = page(&outcome, Some(100.0));
        assert!(page.contains(says), "{says}: {page}");
        assert!(!page.contains("NaN") && !page.contains("<tbody></tbody>"), "{page}");
        assert_eq!(page.matches("<h2>Along").count(), page.matches("<figure").count().min(1));
    }
}
