//! What is left of a journal in whatever way its command ended.

use record::{EndPart, VoidFor, WirePart};
use terms::{Extent, Outcome};

use super::*;

/// A plan of four rounds and an act, and how its run begins.
fn planned() -> (Scenario, Plan, Begun) {
    let scenario = Scenario::find("cost-of-state", &[]).unwrap();
    let options = PlanOptions { rounds: Some(4), ..PlanOptions::of(Extent::Quick) };
    let plan = Plan::make(&scenario, &options).unwrap();
    let info = RunInfo {
        tool: record::Tool::default(),
        command: "wirebench run cost-of-state".to_owned(),
        started_at_us: 1_700_000_000_000_000,
        finished_at_us: 0,
        environment: terms::Machine { cores: vec![0, 1], ..terms::Machine::default() },
        layout: terms::Layout::of(&[0, 1]).unwrap(),
        calibration: None,
        market_seed: 42,
    };
    let begun = Begun::new("cost-of-state", &[], options, plan.sha256(&scenario), info);
    (scenario, plan, begun)
}

fn measured(round: usize, void: Option<&str>) -> Measurement {
    let mut outcome = Outcome::new().unwrap();
    outcome.arrivals = 7;
    outcome.histograms.response.record_n(1_234_567, 7).unwrap();
    Measurement {
        orders: None,
        calls_in_trouble: None,
        happened: Vec::new(),
        calls_by_market: Vec::new(),
        round,
        cell: 0,
        outcome,
        client: EndPart { cpu_us: 1.0 / 3.0, ..EndPart::default() },
        server: EndPart::default(),
        wire: WirePart::default(),
        sent: Vec::new(),
        way: None,
        void: void.map(str::to_owned),
        void_for: VoidFor::Times,
    }
}

/// A journal of one round, half of another, and an act of which one trial is done.
fn written(path: &Path, plan: &Plan, begun: &Begun) -> Journal {
    let mut journal = Journal::begin(path, begun, &Results::default()).unwrap();
    let link = Some(terms::LinkUsed {
        link: terms::Link::Loopback,
        instead_because: None,
        congestion_control: None,
    });
    journal
        .append(Ended::Cast { absent: &[("nginx".to_owned(), "not installed".to_owned())], link: &link })
        .unwrap();
    journal.append(Ended::Measured(&measured(0, Some("steal")))).unwrap();
    journal.append(Ended::Measured(&measured(0, None))).unwrap();
    journal.append(Ended::Round(0)).unwrap();
    journal.append(Ended::Measured(&measured(1, None))).unwrap();
    journal.append(Ended::Acted(&ActPart::begun(&plan.acts[0]))).unwrap();
    journal.append(Ended::Trial(&ActPart::begun(&plan.acts[1]))).unwrap();
    journal.append(Ended::Trial(&ActPart::begun(&plan.acts[1]))).unwrap();
    journal
}

#[test]
fn everything_that_ended_is_read_back_and_half_a_line_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let (scenario, plan, begun) = planned();
    written(&path, &plan, &begun);
    // Killed in the middle of a line.
    let mut text = fs::read(&path).unwrap();
    text.extend_from_slice(br#"{"measured":{"round":1,"cell":1,"outc"#);
    fs::write(&path, text).unwrap();

    let left = Left::read(&path, &scenario, &plan).unwrap();
    let Results { measurements, absent, link, acts, .. } = &left.results;
    assert_eq!((measurements.len(), absent.len(), acts.len()), (3, 1, 2));
    assert!(link.is_some());
    assert_eq!(measurements[0].void.as_deref(), Some("steal"));
    let back = &measurements[2];
    let there = measured(1, None);
    assert_eq!((&back.outcome, back.client, back.round), (&there.outcome, there.client, 1));
    assert_eq!(Begun::read(&path).unwrap().planned(&path).unwrap().1, plan);
    left.ensure_same_machine(&path, &begun.info).unwrap();

    // Only what is whole goes on: half a round is measured again.
    let kept = left.kept();
    assert_eq!((kept.measurements.len(), kept.rounds_kept), (2, 1));
}

#[test]
fn a_journal_that_goes_on_holds_what_it_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let (scenario, plan, begun) = planned();
    written(&path, &plan, &begun);
    let read = || Left::read(&path, &scenario, &plan).unwrap();
    let mut journal = Journal::begin(&path, &begun, &read().kept()).unwrap();
    journal.append(Ended::Measured(&measured(1, None))).unwrap();
    journal.append(Ended::Round(1)).unwrap();
    assert_eq!(read().results.measurements.len(), 3);
    assert_eq!(read().kept().rounds_kept, 2);
    journal.remove().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_does_not_fit_is_refused_with_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let (scenario, plan, begun) = planned();
    let mut journal = written(&path, &plan, &begun);
    let why = |plan: &Plan| Left::read(&path, &scenario, plan).unwrap_err().to_string();
    let options = PlanOptions { seed: 2, ..begun.options.clone() };
    let other = Plan::make(&scenario, &options).unwrap();
    assert!(why(&other).contains("it was measured by another plan"));
    let left = Left::read(&path, &scenario, &plan).unwrap();
    let elsewhere = RunInfo { layout: terms::Layout::of(&[1, 0]).unwrap(), ..begun.info.clone() };
    let said = left.ensure_same_machine(&path, &elsewhere).unwrap_err().to_string();
    assert!(said.contains("another machine, or on other cores"), "{said}");
    journal.append(Ended::Measured(&Measurement { cell: 10_000, ..measured(0, None) })).unwrap();
    assert!(why(&plan).contains("it holds what its plan has not"));
    // More than any run takes.
    let mut journal = written(&path, &plan, &begun);
    for _ in 0..plan.measurements() * 2 {
        journal.append(Ended::Measured(&measured(0, None))).unwrap();
    }
    assert!(why(&plan).contains("it holds what its plan has not"));
    fs::write(&path, "{}\n").unwrap();
    assert!(why(&plan).contains("no journal"));
    make_pipe(&path);
    assert!(why(&plan).contains("is a pipe, and no regular file"));
}

#[test]
fn a_line_in_the_middle_that_cannot_be_read_is_not_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let (scenario, plan, begun) = planned();
    written(&path, &plan, &begun);
    let text = fs::read_to_string(&path).unwrap();
    let damaged: Vec<&str> =
        text.lines().enumerate().map(|(nth, line)| if nth == 2 { "{\"measured\":" } else { line }).collect();
    fs::write(&path, damaged.join("\n") + "\n").unwrap();
    let said = Left::read(&path, &scenario, &plan).unwrap_err().to_string();
    assert!(said.contains("its line 3 is damaged"), "{said}");
}

/// A pipe that nobody writes to.
fn make_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_journal_that_is_removed_or_moved_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let (_, plan, begun) = planned();
    for moved in [false, true] {
        fs::create_dir(&inner).unwrap();
        let mut journal = written(&inner.join(NAME), &plan, &begun);
        if moved {
            fs::rename(&inner, folder.path().join("elsewhere")).unwrap();
        } else {
            fs::remove_dir_all(&inner).unwrap();
        }
        let said = journal.append(Ended::Round(1)).unwrap_err().to_string();
        assert!(said.contains("no longer there: somebody removed or moved it"), "{said}");
    }
}
