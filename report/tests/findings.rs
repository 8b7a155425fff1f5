//! What a page, the card and a terminal say of what was found, of published records that are
//! changed.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::Path;

use record::{Record, VoidFor};
use report::Done;

fn published(scenario: &str) -> Record {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published").join(scenario);
    record::read(&folder.join("record.json")).unwrap()
}

fn judged_again(mut record: Record) -> Record {
    let scenario = scenarios::Scenario::find(&record.scenario.name, &[]).unwrap();
    judge::judge_all(&mut record, &scenario);
    record
}

/// The page, the card and the terminal's lines.
fn told(record: Record) -> [String; 3] {
    let page = report::scenario_page(&record).unwrap();
    let lines = report::summary_lines(&record).join("\n");
    let done = Done { records: vec![record], ..Done::default() };
    [page, report::card_page(&done).unwrap(), lines]
}

#[test]
fn a_baseline_that_differs_from_itself_is_said() {
    let mut record = published("rest-vs-grpc");
    for pair in &mut record.aa {
        (pair.ratio.low, pair.ratio.ratio, pair.ratio.high) = (0.99, 1.0, 1.01);
    }
    let says = "differs from itself by 12";
    assert!(told(record.clone()).iter().all(|told| !told.contains(says)));
    (record.aa[0].ratio.low, record.aa[0].ratio.ratio, record.aa[0].ratio.high) = (1.05, 1.12, 1.2);
    let [page, card, lines] = told(record);
    assert!(page.contains(says) && lines.contains(says), "{lines}");
    assert!(card.contains("so distrust differences of that size"), "the card's line does not say it");
}

/// Other work makes calls late: what it leaves is judged, and what it spoils is shown in grey.
#[test]
fn what_other_work_disturbs_is_shown_and_its_costs_are_judged() {
    let mut record = published("rest-vs-grpc");
    record.rounds.retain(|round| round.void.is_none());
    let quiet = judged_again(record.clone());
    for round in &mut record.rounds {
        (round.void, round.void_for) = (Some("other work used the core".to_owned()), VoidFor::Times);
    }
    for cell in &mut record.cells {
        if let Some(merged) = &mut cell.merged {
            (merged.rounds, merged.rounds_of_costs) = (0, Some(10));
        }
    }
    let disturbed = judged_again(record.clone());
    let word = |record: &Record, metric: &str| {
        let of = |verdict: &&record::Verdict| verdict.claim.figure().to_string() == metric;
        record.verdicts.iter().find(of).map(|verdict| (verdict.verdict, verdict.ratio)).unwrap()
    };
    let [(quiet_word, quiet), (cost_word, cost)] = [&quiet, &disturbed]
        .map(|record| word(record, "cpu_per_call"))
        .map(|(word, ratio)| (word, ratio.unwrap()));
    // What the disturbance may have moved it by is in the interval.
    assert_eq!((cost_word, cost.ratio), (quiet_word, quiet.ratio));
    assert!((cost.low * 1.1 - quiet.low).abs() < 1e-9 && (cost.high - quiet.high * 1.1).abs() < 1e-9);
    assert!(disturbed.verdicts[0].finding.contains("10 rounds, 10 of them disturbed, n = "));
    assert_eq!(word(&disturbed, "response.p99").0, record::VerdictWord::Undecided);
    let [page, ..] = told(disturbed);
    assert!(page.contains("class=\"times-void\"") && page.contains("var(--void)"));
    assert!(page.contains("What stands in grey was disturbed in every round"));
    for round in &mut record.rounds {
        round.void_for = VoidFor::Everything;
    }
    assert_eq!(word(&judged_again(record), "cpu_per_call").0, record::VerdictWord::Undecided);
}

/// 22 000 of 22 000 calls failed at a time-out that lies below the bound.
#[test]
fn no_claim_holds_of_calls_that_failed() {
    let mut record = published("nearby");
    for round in &mut record.rounds {
        round.counts.failed = [("timed_out".to_owned(), round.counts.arrivals)].into();
        round.counts.ok = 0;
    }
    for cell in &mut record.cells {
        if let Some(merged) = &mut cell.merged {
            merged.counts.failed = [("timed_out".to_owned(), merged.counts.arrivals)].into();
        }
    }
    for verdict in judged_again(record).verdicts {
        assert_ne!(verdict.verdict, record::VerdictWord::Holds, "{}", verdict.finding);
    }
}
