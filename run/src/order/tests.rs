//! The order on casts that only say what they are told, on a fake clock.

use std::time::Duration;

use clock::{Clock, Fake, Mono};
use record::{EndPart, VoidFor, WirePart};
use scenarios::{PlanOptions, Scenario};
use terms::role::Progress;
use terms::{Extent, Outcome};

use super::*;

/// How long anything takes here.
const STEP: Duration = Duration::from_millis(100);

/// What a cast was told, when, and which.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Start(String),
    Measure(usize, String),
    Act(&'static str),
    Audit(String),
}

/// Casts that write down what they are told.
struct Fakes<'a> {
    plan: &'a Plan,
    fake: Fake,
    told: Vec<(Mono, Told)>,
    /// The contender whose answers are wrong.
    wrong: Option<&'a str>,
    /// The measurements, by their number, that are disturbed from outside.
    void: Vec<usize>,
    /// The measurement during which the user presses Ctrl-C.
    interrupted: Option<usize>,
    stop: &'a AtomicBool,
}

impl Fakes<'_> {
    fn tell(&mut self, told: Told) {
        self.told.push((Clock::Fake(self.fake.clone()).now(), told));
        self.fake.advance(STEP);
    }

    fn measured(&self) -> usize {
        self.told.iter().filter(|(_, told)| matches!(told, Told::Measure(..))).count()
    }
}

impl Casts for Fakes<'_> {
    fn start(&mut self, contender: &Contender) -> anyhow::Result<Vec<CaseResult>> {
        self.tell(Told::Start(contender.name.clone()));
        let failure = (self.wrong == Some(&contender.name)).then(|| "another answer".to_owned());
        Ok(vec![CaseResult { case: "a quote".to_owned(), failure }])
    }

    fn measure(&mut self, round: usize, cell: usize, _: &mut dyn Watcher) -> anyhow::Result<Measurement> {
        let nth = self.measured();
        self.tell(Told::Measure(round, self.plan.cells[cell].contender.name.clone()));
        if self.interrupted == Some(nth) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(Measurement {
            orders: None,
            calls_in_trouble: None,
            happened: Vec::new(),
            calls_by_market: Vec::new(),
            round,
            cell,
            outcome: Outcome::new()?,
            client: EndPart::default(),
            server: EndPart::default(),
            wire: WirePart::default(),
            sent: Vec::new(),
            way: None,
            void: self.void.contains(&nth).then(|| "steal".to_owned()),
            void_for: VoidFor::Everything,
        })
    }

    fn act(&mut self, act: &Act, _: &mut ActPart, _: &mut dyn Watcher) -> anyhow::Result<()> {
        self.tell(Told::Act(act.key()));
        Ok(())
    }

    fn audit(&mut self, contender: &str) -> anyhow::Result<usize> {
        self.tell(Told::Audit(contender.to_owned()));
        Ok(50)
    }
}

/// Nobody watches.
struct Nobody;

impl Watcher for Nobody {
    fn stage(&mut self, _: &str) {}
    fn measuring(&mut self, _: &Plan, _: usize, _: usize, _: usize) {}
    fn progress(&mut self, _: &Progress) {}
    fn void(&mut self, _: &str) {}
    fn round_done(&mut self, _: &Plan, _: usize) {}
    fn keep(&mut self, _: Ended<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

fn plan(name: &str) -> Plan {
    let scenario = Scenario::find(name, &[]).unwrap();
    Plan::make(&scenario, &PlanOptions { rounds: Some(5), ..PlanOptions::of(Extent::Quick) }).unwrap()
}

fn fakes<'a>(plan: &'a Plan, stop: &'a AtomicBool) -> Fakes<'a> {
    let (told, void) = (Vec::new(), Vec::new());
    Fakes { plan, fake: Fake::default(), told, wrong: None, void, interrupted: None, stop }
}

fn played(casts: &mut Fakes<'_>, absent: &[&str]) -> (Results, anyhow::Result<()>) {
    let absent = absent.iter().map(|name| ((*name).to_owned(), "not installed".to_owned()));
    let mut results = Results { partial: true, absent: absent.collect(), ..Results::default() };
    let (plan, stop) = (casts.plan, casts.stop);
    let ended = play(plan, casts, stop, &mut Nobody, &mut results);
    (results, ended)
}

#[test]
fn conformance_comes_before_rounds_and_rounds_are_interleaved_one_contender_at_a_time() {
    let (plan, stop) = (plan("cost-of-state"), AtomicBool::new(false));
    let mut casts = fakes(&plan, &stop);
    let (results, ended) = played(&mut casts, &[]);
    ended.unwrap();
    assert!(!results.partial);
    let names: Vec<&str> = plan.contenders().iter().map(|of| of.name.as_str()).collect();
    let mut expected: Vec<Told> = names.iter().map(|name| Told::Start((*name).to_owned())).collect();
    for (round, order) in plan.rounds.iter().enumerate() {
        // Each cell once, in the plan's order: whoever is not named is told nothing.
        expected
            .extend(order.iter().map(|cell| Told::Measure(round, plan.cells[*cell].contender.name.clone())));
    }
    expected.extend(["hold", "restart", "scale_out"].map(Told::Act));
    expected.extend(names.iter().map(|name| Told::Audit((*name).to_owned())));
    let told: Vec<Told> = casts.told.iter().map(|(_, told)| told.clone()).collect();
    assert_eq!(told, expected);
    // One thing at a time, and nothing waits for anything else.
    assert!(casts.told.windows(2).all(|pair| pair[1].0.since(pair[0].0) == STEP));
    assert!(results.conformance.iter().all(|of| of.compared_whole == Some(50)));
}

#[test]
fn a_wrong_answer_ends_the_run_before_anything_is_measured() {
    let (plan, stop) = (plan("rest-vs-grpc"), AtomicBool::new(false));
    let mut casts = Fakes { wrong: Some("grpc"), ..fakes(&plan, &stop) };
    let (results, ended) = played(&mut casts, &[]);
    let error = ended.unwrap_err().to_string();
    assert_eq!(error, "grpc fails the conformance case 'a quote': another answer");
    assert!(results.partial && casts.measured() == 0);
}

#[test]
fn a_void_measurement_is_taken_again_in_its_place_and_kept() {
    let (plan, stop) = (plan("rest-vs-grpc"), AtomicBool::new(false));
    let mut casts = Fakes { void: vec![1, 2], ..fakes(&plan, &stop) };
    let (results, ended) = played(&mut casts, &[]);
    ended.unwrap();
    assert_eq!(results.measurements.len(), plan.measurements() + 2);
    let place = |nth: usize| (results.measurements[nth].round, results.measurements[nth].cell);
    assert!(place(1) == place(2) && place(2) == place(3) && place(3) != place(4));
    let void: Vec<bool> = results.measurements.iter().map(|of| of.void.is_some()).take(5).collect();
    assert_eq!(void, [false, true, true, false, false]);
    // Where everything is disturbed the repeats end, and the run does.
    let mut casts = Fakes { void: (0..1_000).collect(), ..fakes(&plan, &stop) };
    let (results, ended) = played(&mut casts, &[]);
    ended.unwrap();
    assert!(results.measurements.len() < plan.measurements() * 2);
}

#[test]
fn ctrl_c_keeps_what_there_is_and_begins_nothing_more() {
    let (plan, stop) = (plan("cost-of-state"), AtomicBool::new(false));
    let mut casts = Fakes { interrupted: Some(4), ..fakes(&plan, &stop) };
    let (results, ended) = played(&mut casts, &[]);
    ended.unwrap();
    assert!(results.partial);
    assert_eq!((results.measurements.len(), casts.measured()), (5, 5));
    assert!(matches!(casts.told.last(), Some((_, Told::Measure(..)))));
}

#[test]
fn a_contender_that_cannot_run_here_is_left_out_and_the_others_are_measured() {
    let (plan, stop) = (plan("rest-vs-grpc"), AtomicBool::new(false));
    let mut casts = fakes(&plan, &stop);
    let (results, ended) = played(&mut casts, &["rest-h1-json-nginx"]);
    ended.unwrap();
    let is_absent = |told: &Told| match told {
        Told::Start(name) | Told::Measure(_, name) | Told::Audit(name) => name == "rest-h1-json-nginx",
        Told::Act(_) => false,
    };
    assert!(!casts.told.iter().any(|(_, told)| is_absent(told)) && !results.partial);
    let names: Vec<&str> = plan.contenders().iter().map(|of| of.name.as_str()).collect();
    let (_, ended) = played(&mut fakes(&plan, &stop), &names);
    assert!(ended.unwrap_err().to_string().starts_with("no contender can run on this machine: "));
}

#[test]
fn a_run_that_goes_on_plays_neither_whole_rounds_nor_whole_acts_again() {
    let (plan, stop) = (plan("cost-of-state"), AtomicBool::new(false));
    let mut casts = fakes(&plan, &stop);
    let kept = ActPart::begun(&plan.acts[0]);
    let mut results = Results { rounds_kept: 3, acts: vec![kept], ..Results::default() };
    play(&plan, &mut casts, &stop, &mut Nobody, &mut results).unwrap();
    let rounds: Vec<usize> = casts
        .told
        .iter()
        .filter_map(|(_, told)| match told {
            Told::Measure(round, _) => Some(*round),
            Told::Start(_) | Told::Act(_) | Told::Audit(_) => None,
        })
        .collect();
    assert_eq!(rounds.iter().min(), Some(&3));
    assert_eq!(rounds.len(), plan.rounds[3..].iter().map(Vec::len).sum::<usize>());
    let acts = casts.told.iter().filter(|(_, told)| matches!(told, Told::Act(_)));
    assert_eq!(acts.count(), plan.acts.len() - 1);
}

/// Whoever cannot keep what is measured ends the run, and what was measured is in the results.
#[test]
fn what_cannot_be_kept_ends_the_run() {
    struct Full(usize);

    impl Watcher for Full {
        fn stage(&mut self, _: &str) {}
        fn measuring(&mut self, _: &Plan, _: usize, _: usize, _: usize) {}
        fn progress(&mut self, _: &Progress) {}
        fn void(&mut self, _: &str) {}
        fn round_done(&mut self, _: &Plan, _: usize) {}
        fn keep(&mut self, ended: Ended<'_>) -> anyhow::Result<()> {
            self.0 += usize::from(matches!(ended, Ended::Measured(_)));
            anyhow::ensure!(self.0 < 3, "the disk is full");
            Ok(())
        }
    }

    let (plan, stop) = (plan("rest-vs-grpc"), AtomicBool::new(false));
    let mut results = Results { partial: true, ..Results::default() };
    let ended = play(&plan, &mut fakes(&plan, &stop), &stop, &mut Full(0), &mut results);
    assert_eq!(ended.unwrap_err().to_string(), "the disk is full");
    assert_eq!((results.measurements.len(), results.partial), (3, true));
}
