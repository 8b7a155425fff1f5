//! A process of a run is stopped or killed: it is named, with its process and what happened to it,
//! within ten seconds; what was measured is kept; nothing is left behind.

use super::*;

/// From the signal to the sentence about it.
const NAMED_WITHIN: Duration = Duration::from_secs(10);

const GRPC: [&str; 3] = ["rest-vs-grpc", "--only=grpc", "--set=workload.rate_per_s=300"];
const NGINX: [&str; 3] = ["rest-vs-grpc", "--only=rest-h1-json-nginx", "--set=workload.rate_per_s=300"];
const FLOWS: [&str; 1] = ["tcp-congestion"];
const STATE: [&str; 8] = [
    "cost-of-state",
    "--only=grpc",
    "--set=hold.connections=[4, 8, 12]",
    "--set=restart.connections=[10]",
    "--set=restart.times=2",
    "--set=restart.down=\"200ms\"",
    "--set=scale_out.connections=60",
    "--set=scale_out.times=100",
];

/// What happens to whom in what phase, and what is said of it.
struct Fault {
    scenario: &'static [&'static str],
    /// The line that says that the phase has begun.
    phase: &'static str,
    role: &'static str,
    signal: Signal,
    says: &'static str,
}

impl Fault {
    const fn of(
        scenario: &'static [&'static str],
        role: &'static str,
        signal: Signal,
        says: &'static str,
    ) -> Fault {
        Fault { scenario, phase: "round 1/", role, signal, says }
    }

    /// Has it happen, and checks what comes of it.
    fn check(&self) {
        let folder = tempfile::tempdir().unwrap();
        let rounds = if self.phase.starts_with("round") { "--rounds=300" } else { "--rounds=1" };
        let arguments: Vec<&str> =
            BRIEF.iter().map(|of| if of.starts_with("--rounds") { rounds } else { of }).collect();
        let mut command = Command::new(WIREBENCH);
        command.args(arguments).args(self.scenario).arg("--out").arg(folder.path());
        let mut run = Run::start(&mut command);
        run.until(self.phase);
        let victim = self.victim(&run);
        let others = run.descendants();
        let start = Clock::System.now();
        signal(victim, self.signal);
        run.until(&format!("(process {victim}) "));
        let took = since(start);
        let (code, said) = run.end();
        let of = format!("{:?} to {} in '{}'", self.signal, self.role, self.phase);
        assert_eq!(code, Some(1), "{of}: {said}");
        let last = said.lines().last().unwrap_or_default();
        let what =
            if self.signal == Signal::SIGSTOP { STOPPED } else { "ended unexpectedly: killed by signal" };
        for says in [self.says, &format!("(process {victim}) {what}")] {
            assert!(last.contains(says), "{of}: {says}: {said}");
        }
        assert!(took < NAMED_WITHIN, "{of}: {took:?}");
        assert_gone(&others);
    }

    /// The process of the role, or the program below it.
    fn victim(&self, run: &Run) -> u32 {
        if self.role != "nginx" {
            return run.role(self.role);
        }
        let supervisor = run.role("supervisor");
        eventually("nginx", || children_of(supervisor).first().copied())
    }
}

/// Three at a time: each waits most of its time.
fn check_all(faults: &[Fault]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    fault.check();
                }
            });
        }
    });
}

const STOPPED: &str = "is stopped (SIGSTOP)";
const KILLED: &str = "ended unexpectedly: killed by signal 9 (SIGKILL)";

/// Whether the link and the program that some faults need are here.
fn everything_is_here() -> bool {
    let link = Command::new(WIREBENCH).args(["lab", "same-zone", "--", "true"]).output().unwrap();
    let nginx = ::lab::program::find(&["nginx"]);
    if !link.status.success() || nginx.is_none() {
        ::lab::skip("senders, receivers and supervisors are tested over a link and with nginx");
        return false;
    }
    true
}

#[test]
fn whoever_is_stopped_in_a_round_is_named_within_ten_seconds() {
    let mut faults = vec![
        Fault::of(&GRPC, "market", Signal::SIGSTOP, "the server of grpc"),
        Fault::of(&GRPC, "caller", Signal::SIGSTOP, "the client of grpc"),
    ];
    if everything_is_here() {
        faults.extend([
            Fault::of(
                &NGINX,
                "supervisor",
                Signal::SIGSTOP,
                "the supervisor of the server of rest-h1-json-nginx",
            ),
            Fault::of(&NGINX, "nginx", Signal::SIGSTOP, "the server of rest-h1-json-nginx: nginx"),
            Fault::of(&FLOWS, "sender", Signal::SIGSTOP, "the sender of "),
            Fault::of(&FLOWS, "receiver", Signal::SIGSTOP, "the receiver of "),
        ]);
    }
    check_all(&faults);
}

#[test]
fn whoever_is_killed_in_a_round_is_named_with_the_signal() {
    let mut faults = vec![
        Fault::of(&GRPC, "market", Signal::SIGKILL, KILLED),
        Fault::of(&GRPC, "caller", Signal::SIGKILL, KILLED),
        Fault::of(&GRPC, "market", Signal::SIGHUP, "killed by signal 1 (SIGHUP)"),
        Fault::of(&GRPC, "caller", Signal::SIGTERM, "killed by signal 15 (SIGTERM)"),
        Fault::of(&GRPC, "market", Signal::SIGINT, "killed by signal 2 (SIGINT)"),
    ];
    if everything_is_here() {
        faults.extend([
            Fault::of(&NGINX, "supervisor", Signal::SIGKILL, KILLED),
            Fault::of(&NGINX, "nginx", Signal::SIGKILL, KILLED),
            Fault::of(&FLOWS, "sender", Signal::SIGKILL, KILLED),
            Fault::of(&FLOWS, "receiver", Signal::SIGKILL, KILLED),
        ]);
    }
    check_all(&faults);
}

#[test]
fn whoever_is_stopped_or_killed_while_it_starts_or_in_an_act_is_named() {
    let starting = "starting grpc and checking its answers";
    let balancing = "having a server join those of grpc";
    let faults = [
        ("market", starting, Signal::SIGSTOP, STOPPED),
        ("caller", starting, Signal::SIGSTOP, STOPPED),
        ("market", starting, Signal::SIGKILL, KILLED),
        ("balancer", balancing, Signal::SIGSTOP, "the balancer of grpc"),
        ("balancer", balancing, Signal::SIGKILL, KILLED),
    ];
    let faults = faults.map(|(role, phase, signal, says)| {
        let scenario = if phase == starting { &GRPC[..] } else { &STATE[..] };
        Fault { scenario, phase, role, signal, says }
    });
    check_all(&faults);
}

/// What a process wrote before it died is in the sentence about its death.
#[test]
fn the_last_words_of_whoever_dies_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(WIREBENCH);
    command.args(BRIEF).args(GRPC).arg("--out").arg(folder.path());
    // A server of HTTP/2 says much at this level.
    command.env("WIREBENCH_LOG", "trace");
    let mut run = Run::start(&mut command);
    run.until("round 1/");
    signal(run.role("market"), Signal::SIGKILL);
    let (_, said) = run.end();
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.contains("the last that it wrote to its error output: ") && last.contains("TRACE"),
        "{last}"
    );
}

/// A process that was stopped and went on: the run does too, and what was measured meanwhile does
/// not count.
#[test]
fn what_is_measured_while_a_process_is_stopped_for_a_moment_is_void() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "rest-vs-grpc",
        "--only=grpc",
        "--quick",
        "--allow-debug",
        "--rounds=6",
        "--set=quick.duration=\"800ms\"",
    ];
    let mut command = Command::new(WIREBENCH);
    command.arg("run").args(arguments).arg("--out").arg(folder.path());
    let mut run = Run::start(&mut command);
    run.until("round 1/");
    let (server, command) = (run.role("market"), run.pid());
    for (pid, pause_ms) in [(server, 200), (command, 1_500)] {
        // Within the next measurement, and not while it is prepared.
        clock::pause_thread(Duration::from_millis(350));
        signal(pid, Signal::SIGSTOP);
        clock::pause_thread(Duration::from_millis(pause_ms));
        signal(pid, Signal::SIGCONT);
        run.until("round ");
    }
    let (code, said) = run.end();
    assert!(matches!(code, Some(0 | 4)), "{said}");
    let record = record::read(&folder.path().join("rest-vs-grpc/record.json")).unwrap();
    let void = |says: &str| {
        record.rounds.iter().any(|round| round.void.as_ref().is_some_and(|void| void.contains(says)))
    };
    assert!(void("the server's process was stopped for a while"), "{said}");
    assert!(void("the command read the meters"), "{said}");
}
