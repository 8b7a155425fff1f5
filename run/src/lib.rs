//! The run of a plan: one server and one client process a contender, all up together; rounds
//! interleaved, so that a noisy second hurts all alike. What comes after what is decided in
//! `order`, by pure code; what is done is done by casts on a site.

mod acts;
pub mod calibrate;
mod cast;
mod disturbance;
mod meters;
mod order;
mod recording;
mod repeats;
pub mod roles;
mod rounds;
mod site;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use clients::conformance::CaseResult;
use record::{ActPart, EndPart, WirePart};
use scenarios::{Plan, Scenario};
use terms::role::Progress;
use terms::{Layout, LinkUsed, Outcome, Sent, WayCount};

pub use recording::{RunInfo, record_of};

/// One measurement: a cell in a round.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Which round, from 0.
    pub round: usize,
    /// Which cell of the plan.
    pub cell: usize,
    /// What the client counted.
    pub outcome: Outcome,
    /// What the client used in the measured time.
    pub client: EndPart,
    /// What the server used, likewise.
    pub server: EndPart,
    /// What crossed between them.
    pub wire: WirePart,
    /// What the sender of each flow did.
    pub sent: Vec<Sent>,
    /// What a router did to packets from servers to clients.
    pub way: Option<WayCount>,
    /// Why it does not count, where it does not.
    pub void: Option<String>,
}

/// How one contender did in the conformance cases.
#[derive(Debug, Clone)]
pub struct Conformance {
    /// Who.
    pub contender: String,
    /// Each case.
    pub cases: Vec<CaseResult>,
    /// Replies compared whole after the last round; `None` where the run ended before.
    pub compared_whole: Option<usize>,
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Results {
    /// All measurements, in the order in which they were made.
    pub measurements: Vec<Measurement>,
    /// The conformance of each contender.
    pub conformance: Vec<Conformance>,
    /// Contenders that cannot run on this machine, and why.
    pub absent: Vec<(String, String)>,
    /// What was done beside the rounds.
    pub acts: Vec<ActPart>,
    /// What the contenders talked over; `None` where it could not be built.
    pub link: Option<LinkUsed>,
    /// The run was stopped before its end.
    pub partial: bool,
}

/// Whoever shows how a run is going.
pub trait Watcher {
    /// Something begins that has no measure: starting, checking.
    fn stage(&mut self, what: &str);
    /// A measurement begins.
    fn measuring(&mut self, plan: &Plan, round: usize, cell: usize, done: usize);
    /// How it is going.
    fn progress(&mut self, progress: &Progress);
    /// A measurement was void, and is taken again.
    fn void(&mut self, reason: &str);
    /// A round is complete.
    fn round_done(&mut self, plan: &Plan, round: usize);
}

/// Runs a plan. Ends early, with what there is, when `stop` becomes true or something fails: a
/// process, or a conformance case (equal answers or no benchmark). What was measured until then is
/// kept, marked partial. Packets that cross a link go to `pcap`.
pub fn execute(
    scenario: &Scenario,
    plan: &Plan,
    market_seed: u64,
    layout: &Layout,
    pcap: Option<&Path>,
    stop: &AtomicBool,
    watcher: &mut dyn Watcher,
) -> (Results, anyhow::Result<()>) {
    let mut results = Results { partial: true, ..Results::default() };
    for contender in plan.contenders() {
        if let Some(why) = site::cannot_run(contender) {
            results.absent.push((contender.name.clone(), why));
        }
    }
    let (site, used) = match site::Site::build(layout, &scenario.link, plan.seed) {
        Ok(built) => built,
        Err(error) => return (results, Err(error)),
    };
    results.link = Some(used);
    if let Some(file) = pcap
        && let Err(error) = site.capture(file)
    {
        return (results, Err(error));
    }
    let mut casts = rounds::OnSite::new(scenario, plan, market_seed, site, stop);
    let ended = order::play(plan, &mut casts, stop, watcher, &mut results);
    (results, ended)
}
