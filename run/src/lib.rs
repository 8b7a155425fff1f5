//! The run of a plan: one server and one client process a contender, all up together; rounds
//! interleaved, so that a noisy second hurts all alike. What comes after what is decided in
//! `order`, by pure code; what is done is done by casts on a site.

mod acts;
pub mod calibrate;
mod cast;
mod disturbance;
pub mod journal;
mod meters;
mod order;
mod recording;
mod repeats;
pub mod roles;
mod rounds;
mod site;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clients::conformance::CaseResult;
use lab::crew::Crew;
use record::{ActPart, EndPart, HappenedPart, VoidFor, WirePart};
use scenarios::{Plan, Scenario};
use terms::role::Progress;
use terms::{Layout, LinkUsed, Outcome, Sent, WayCount};

pub use journal::Ended;
pub use recording::{RunInfo, record_of};

/// One measurement: a cell in a round.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Measurement {
    /// Which round, from 0.
    pub round: usize,
    /// Which cell of the plan.
    pub cell: usize,
    /// What the client counted.
    pub outcome: Outcome,
    /// Orders that it added to the market's ledger, warm-up included; `None` where they are not
    /// counted.
    #[serde(default)]
    pub orders: Option<u64>,
    /// Calls that came to markets while something happened to them; `None` where nothing did.
    #[serde(default)]
    pub calls_in_trouble: Option<u64>,
    /// What happened to the processes of markets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub happened: Vec<HappenedPart>,
    /// Calls that came to each market, slice by slice of the measured time; empty where there is
    /// one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls_by_market: Vec<Vec<u64>>,
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
    /// Which figures do not.
    #[serde(default)]
    pub void_for: VoidFor,
}

impl Measurement {
    /// Whether its processor time and bytes count, whatever its times do.
    pub fn costs_count(&self) -> bool {
        self.void.is_none() || self.void_for == VoidFor::Times
    }
}

/// How one contender did in the conformance cases.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
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
    /// Rounds, from the first on, that an earlier start of the same plan measured.
    pub rounds_kept: usize,
}

/// Whoever shows how a run is going, and keeps what comes of it.
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
    /// Something ended that is to be kept. Nothing is measured meanwhile.
    ///
    /// # Errors
    /// Where it cannot be kept: that ends the run.
    fn keep(&mut self, ended: Ended<'_>) -> anyhow::Result<()>;
}

/// What a run is played on.
#[derive(Debug, Clone, Copy)]
pub struct On<'a> {
    /// Which cores do what.
    pub layout: &'a Layout,
    /// Seed of the market's data.
    pub market_seed: u64,
    /// Where packets that cross a link go.
    pub pcap: Option<&'a Path>,
    /// The folder of the markets' ledgers, where they are kept in files.
    pub ledgers: Option<&'a Path>,
}

/// Runs a plan. Ends early, with what there is, when `stop` becomes true or something fails: a
/// process, a conformance case (equal answers or no benchmark), or the keeping. What was measured
/// until then is in the results, marked partial, behind what they hold already: the whole rounds
/// and acts of an earlier start. Packets that cross a link go to `pcap`.
///
/// # Errors
/// What ended the run before its time.
pub fn execute(
    scenario: &Scenario,
    plan: &Plan,
    on: &On<'_>,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
    results: &mut Results,
) -> anyhow::Result<()> {
    results.partial = true;
    let absent = |of: &&terms::Contender| Some((of.name.clone(), site::cannot_run(of)?));
    let absent: Vec<_> = plan.contenders().iter().filter_map(absent).collect();
    let (mut site, used) =
        site::Site::build(on.layout, &scenario.link, scenario.markets_are_elsewhere(), plan.seed)?;
    if results.link.as_ref().is_some_and(|link| *link != used || results.absent != absent) {
        anyhow::bail!(
            "this machine has other contenders or another link than when the run was started: run it again, without --resume"
        );
    }
    site.crew = Crew::heeding(Arc::clone(stop));
    (results.absent, results.link) = (absent, Some(used));
    watcher.keep(Ended::Cast { absent: &results.absent, link: &results.link })?;
    if let Some(file) = on.pcap {
        site.capture(file)?;
    }
    let mut casts = rounds::OnSite::new(scenario, plan, on, site, stop);
    order::play(plan, &mut casts, stop, watcher, results)
}
