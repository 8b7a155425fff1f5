//! Starts the loads, several beside each other, and holds what came of each to what must.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use clock::Clock;
use terms::Failure;

use crate::case::{Case, Expect, all};
use crate::child::{ANSWER, Came, DURATION, ORDER, TIME_OUT};

/// Loads beside each other: most sleep most of their time, and those that are flooded would take
/// each other's.
const AT_ONCE: usize = 4;
/// Behind the last call's time-out: a debug build on a shared machine, where floods take all of
/// both cores. What has no bound takes until the process is ended.
const GRACE: Duration = Duration::from_secs(10);
/// In which a connection is there or given up: ten seconds of the client's, and as above.
const OPENING_TIME_MAX: Duration = Duration::from_secs(15);
/// A process that has not answered then hangs.
const PROCESS_TIME_MAX: Duration = Duration::from_secs(40);

/// Makes the loads of some cases and checks all of them, before it says what was wrong.
pub(crate) fn check(cases: &[Case]) {
    assert!(!cases.is_empty());
    let (left, wrong) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || left.lock().unwrap().next();
                while let Some(case) = next() {
                    let came = ran(case);
                    println!("{}: {came:?}", case.name);
                    let faults = came.map_or_else(|fault| vec![fault], |came| faults(case, &came));
                    wrong.lock().unwrap().extend(faults.into_iter().map(|fault| (case.name, fault)));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each case is found by its name.
#[test]
fn cases_have_names_of_their_own() {
    let mut names: Vec<&str> = all().iter().map(|case| case.name).collect();
    let number = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), number);
}

fn ran(case: &Case) -> Result<Came, String> {
    let address = (case.server)();
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["child::child", "--exact", "--ignored", "--nocapture"])
        .env(ORDER, format!("{address} {}", case.name))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = ended(&mut child);
    let (mut told, mut complained) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
    let answer = told.lines().find_map(|line| line.strip_prefix(ANSWER));
    match answer {
        Some(answer) if ended => Ok(serde_json::from_str(answer).unwrap()),
        _ if !ended => Err(format!("no end within {PROCESS_TIME_MAX:?}")),
        _ => Err(format!("no answer: {told} {complained}")),
    }
}

/// Waits for a process, and ends it where it does not end.
fn ended(child: &mut Child) -> bool {
    let (clock, began) = (Clock::System, Clock::System.now());
    while clock.now().since(began) < PROCESS_TIME_MAX {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        clock::pause_thread(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

/// What is wrong with what came of a load.
fn faults(case: &Case, came: &Came) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hold = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    hold(came.took < DURATION + TIME_OUT + GRACE, format!("it took {:?}", came.took));
    hold(came.opening_took < OPENING_TIME_MAX, format!("opening took {:?}", came.opening_took));
    let (grew, bound) = (came.grew_kb / 1_024, case.grows_mb);
    hold(grew <= bound, format!("it grew by {grew} MB, of {bound} MB that it may"));
    hold(came.descriptors_left.is_empty(), format!("it left {:?}", came.descriptors_left));
    hold(!came.panicked, "something panicked".to_owned());
    let is_told =
        |kind: &Failure| came.samples.iter().any(|(told, sample)| told == kind && !sample.is_empty());
    let told = |(kind, _): &(Failure, u64)| *kind == Failure::Dropped || is_told(kind);
    hold(came.failed.iter().all(told), format!("not told: {:?} of {:?}", came.samples, came.failed));
    let asked = case.expect;
    let as_expected = match (asked, &came.not_opened) {
        (Expect::NotOpened(text), Some(error)) => error.contains(text),
        (Expect::NotOpened(_), None) => false,
        (Expect::Fails(kinds), None) => came.failed.iter().any(|(kind, _)| kinds.contains(kind)),
        (Expect::Works, None) => came.ok > 0,
        (Expect::AllWork, None) => came.ok > 0 && came.failed.is_empty(),
        (Expect::Fails(_) | Expect::Works | Expect::AllWork, Some(_)) => false,
        (Expect::Ends, _) => true,
    };
    hold(as_expected, format!("expected {asked:?}, and got {came:?}"));
    faults
}
