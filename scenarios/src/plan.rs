//! The plan of a run: every cell, how many rounds, and in what order. Made before any data.

mod acts;

use std::time::Duration;

use proto::flow::FlowCarrier;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};
use terms::bounds::{CELLS_MAX, MEASUREMENTS_MAX};
use terms::{
    Act, Activity, BreakEven, Claim, Condition, Contender, Extent, Handler, Link, Map, Shape, Traffic,
    Workload, largest_reply_bytes, text,
};

use crate::Scenario;
use crate::suggest::did_you_mean;

/// What the user changes about a plan.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PlanOptions {
    /// How much is run.
    pub extent: Extent,
    /// Rounds, instead of the profile's.
    pub rounds: Option<u32>,
    /// Seed of the order and of the schedules.
    pub seed: u64,
    /// Only these contenders; all if empty.
    pub only: Vec<String>,
    /// Measurements that are disturbed from outside count all the same.
    pub accept_noise: bool,
    /// Search for capacity although the extent is not full.
    pub capacity: bool,
}

impl PlanOptions {
    /// What a scenario has by itself.
    pub fn of(extent: Extent) -> PlanOptions {
        PlanOptions { extent, rounds: None, seed: 1, only: Vec::new(), accept_noise: false, capacity: false }
    }
}

/// A contender under a condition.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cell {
    /// Who.
    pub contender: Contender,
    /// Under what.
    pub condition: Condition,
    /// Why the contender cannot be measured there, if it cannot.
    pub not_offered: Option<String>,
    /// Datagrams over a link that loses or changes: each round lasts until the last one counts as
    /// missed.
    pub waits_for_what_is_lost: bool,
}

/// Everything that is decided before the run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Plan {
    /// How much is run.
    pub extent: Extent,
    /// Seed of the order and of the schedules.
    pub seed: u64,
    /// Measurements that are disturbed from outside count all the same.
    pub accept_noise: bool,
    /// All cells, measured or not.
    pub cells: Vec<Cell>,
    /// For each round, the cells in the order in which they are measured.
    pub rounds: Vec<Vec<usize>>,
    /// Load before the measuring, in each round of each cell.
    pub warm_up: Duration,
    /// Measured load, in each round of each cell.
    pub duration: Duration,
    /// When a call or an event counts as failed.
    pub time_out: Duration,
    /// What is done beside the rounds, in its order.
    pub acts: Vec<Act>,
}

/// Starting and stopping of one contender's processes with its conformance cases, roughly: for the
/// estimate.
const OVERHEAD_PER_CONTENDER: Duration = Duration::from_millis(400);
/// From one cell to the next, roughly: for the estimate.
const OVERHEAD_PER_CELL: Duration = Duration::from_millis(90);
/// A plan takes no longer: the longest that is built in takes an hour.
pub(crate) const PLAN_TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Plan {
    /// Decides everything.
    ///
    /// # Errors
    /// In words, where `only` names a contender that the scenario has not.
    pub fn make(scenario: &Scenario, options: &PlanOptions) -> Result<Plan, String> {
        if let Some(unknown) = options.only.iter().find(|name| scenario.contender(name).is_none()) {
            let known: Vec<&str> =
                scenario.contenders.iter().map(|contender| contender.name.as_str()).collect();
            let meant = did_you_mean(unknown, &known);
            return Err(format!("--only {unknown}: {} has no such contender; {meant}", scenario.name));
        }
        let profile = scenario.profile(options.extent);
        let named = |name: &str| match options.only.is_empty() {
            true => profile.contenders.iter().any(|wanted| wanted == name),
            false => options.only.iter().any(|only| only == name),
        };
        let twin = Scenario::again(&scenario.baseline);
        // The baseline never goes without its twin, which shows the noise.
        let wanted = |name: &str| named(name) || (name == twin && named(&scenario.baseline));
        let mut cells: Vec<Cell> = Vec::new();
        for condition in profile.conditions.iter().filter_map(|name| scenario.condition(name)) {
            for contender in scenario.contenders.iter().filter(|contender| wanted(&contender.name)) {
                let mut condition = condition.clone();
                if contender.access().is_some_and(|access| access.connection_per_call) {
                    let Shape { connections, in_flight, .. } = condition.shape;
                    condition.shape.connections = connections.saturating_mul(in_flight);
                    condition.shape.in_flight = 1;
                }
                cells.push(Cell {
                    contender: contender.clone(),
                    not_offered: not_offered(scenario, contender, &condition),
                    waits_for_what_is_lost: waits_for_what_is_lost(scenario, contender, &condition),
                    condition,
                });
            }
        }
        let measured: Vec<usize> =
            (0..cells.len()).filter(|index| cells[*index].not_offered.is_none()).collect();
        if measured.is_empty() {
            return Err("nothing can be measured: no contender offers what the scenario asks".to_owned());
        }
        let rounds = options.rounds.unwrap_or(profile.rounds);
        few_measurements(measured.len(), rounds)?;
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let rounds = (0..rounds)
            .map(|_| {
                let mut order = measured.clone();
                order.shuffle(&mut random);
                order
            })
            .collect();
        let plan = Plan {
            extent: options.extent,
            seed: options.seed,
            accept_noise: options.accept_noise,
            cells,
            rounds,
            warm_up: profile.warm_up,
            duration: profile.duration,
            time_out: scenario.workload.time_out,
            acts: acts::planned(scenario, options),
        };
        match plan.time() {
            time if time > PLAN_TIME_MAX => Err(format!(
                "it would take about {}, and a week is the most: fewer rounds, a shorter duration, fewer conditions or fewer \
                 `connections` of its acts",
                text::about(time)
            )),
            _ => Ok(plan),
        }
    }

    /// The contenders that are measured, each once, in the scenario's order.
    pub fn contenders(&self) -> Vec<&Contender> {
        let mut contenders: Vec<&Contender> = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.not_offered.is_none()) {
            if !contenders.iter().any(|contender| contender.name == cell.contender.name) {
                contenders.push(&cell.contender);
            }
        }
        contenders
    }

    /// The same without the baseline's twin, which tells noise from a difference: of what is not
    /// judged, it would only take time.
    pub fn contenders_once(&self) -> Vec<&Contender> {
        let all = self.contenders();
        let is_twin = |of: &Contender| all.iter().any(|other| Scenario::again(&other.name) == of.name);
        all.iter().copied().filter(|contender| !is_twin(contender)).collect()
    }

    /// The cells whose capacity is searched for, where it is: those that are measured, with
    /// arrivals of their own and nothing that varies along an axis or changes meanwhile.
    pub fn searched(&self) -> impl Iterator<Item = (usize, &Cell)> {
        self.cells.iter().enumerate().filter(|(_, cell)| {
            cell.not_offered.is_none() && cell.condition.family.is_none() && cell.condition.changes.is_empty()
        })
    }

    /// Measurements in all: cells times rounds.
    pub fn measurements(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }

    /// A hash of all that is decided before the run, the claims and their predictions among it:
    /// SHA-256 as hexadecimal.
    pub fn sha256(&self, scenario: &Scenario) -> String {
        #[derive(serde::Serialize)]
        struct Decided<'a> {
            scenario: &'a str,
            link: &'a Link,
            workload: &'a Workload,
            claims: &'a [Claim],
            break_evens: &'a [BreakEven],
            map: &'a Option<Map>,
            baseline: &'a str,
            plan: &'a Plan,
        }
        let decided = Decided {
            scenario: &scenario.name,
            link: &scenario.link,
            workload: &scenario.workload,
            claims: &scenario.claims,
            break_evens: &scenario.break_evens,
            map: &scenario.map,
            baseline: &scenario.baseline,
            plan: self,
        };
        // Plain data: it cannot fail.
        let text = serde_json::to_string(&decided).unwrap_or_default();
        Sha256::digest(text).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// How long it will take, about.
    pub fn time(&self) -> Duration {
        let starting = OVERHEAD_PER_CONTENDER.saturating_mul(times(self.contenders().len()));
        self.time_of_rounds().saturating_add(self.time_of_acts()).saturating_add(starting)
    }

    /// How long all its rounds will take, about.
    pub fn time_of_rounds(&self) -> Duration {
        let measuring = least_time(self.measurements(), self.warm_up, self.duration);
        let waits = self.rounds.iter().flatten().filter(|cell| self.cells[**cell].waits_for_what_is_lost);
        measuring.saturating_add(self.time_out.saturating_mul(times(waits.count())))
    }

    /// How long what is done beside the rounds will take, about.
    pub fn time_of_acts(&self) -> Duration {
        let acting = self.acts.iter().map(|act| acts::time(act, self));
        acting.fold(Duration::ZERO, Duration::saturating_add)
    }
}

/// The time that so many measurements take, without what is done beside them.
pub(crate) fn least_time(measurements: usize, warm_up: Duration, duration: Duration) -> Duration {
    let each = warm_up.saturating_add(duration).saturating_add(OVERHEAD_PER_CELL);
    each.saturating_mul(times(measurements))
}

/// Whether so many rounds of so many cells are no more than may be planned; looked at before any
/// round is made.
fn few_measurements(cells: usize, rounds: u32) -> Result<(), String> {
    let number = usize::try_from(rounds).ok().and_then(|rounds| cells.checked_mul(rounds));
    match number.filter(|number| cells <= CELLS_MAX && *number <= MEASUREMENTS_MAX) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{cells} cells in {rounds} rounds: a plan has at most {CELLS_MAX} cells and {MEASUREMENTS_MAX} measurements; fewer \
             --rounds, or --only some contenders"
        )),
    }
}

/// A factor of a duration.
fn times(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Datagrams that may be lost are waited for, of a flow of them always, since nobody says which was
/// the last; and of a connection whose link changes its end.
fn waits_for_what_is_lost(scenario: &Scenario, contender: &Contender, condition: &Condition) -> bool {
    match &contender.traffic {
        Traffic::Market(access) => {
            let loses = condition.link.as_ref().unwrap_or(&scenario.link).loses();
            let in_datagrams = access.carriage.protocol().message_bytes_max().is_some();
            let between = condition.between.as_ref();
            let is_missed = between.is_some_and(|between| between.loses(access.manners));
            is_missed || (in_datagrams && (loses || !condition.changes.is_empty()))
        }
        Traffic::Flows(flows) => {
            !condition.changes.is_empty() || flows.iter().any(|flow| flow.carrier == FlowCarrier::Udp)
        }
    }
}

fn not_offered(scenario: &Scenario, contender: &Contender, condition: &Condition) -> Option<String> {
    let (access, operation) = match (&contender.traffic, scenario.workload.activity) {
        (Traffic::Market(access), Activity::Market(operation)) => (access, operation),
        // A scenario with another does not pass its check.
        (Traffic::Market(_), Activity::Flow(_)) | (Traffic::Flows(_), _) => return None,
    };
    let protocol = access.carriage.protocol();
    if access.server.is_some() && condition.handler != Handler::default() {
        return Some("what its handler does is its own, and not to be set".to_owned());
    }
    if !protocol.offers().contains(&operation) {
        return Some(format!("{} does not offer {}", protocol.name(), operation.name()));
    }
    if let Some(max) = protocol.message_bytes_max() {
        let bytes = largest_reply_bytes(scenario.workload.activity, condition.amount);
        if bytes > max {
            return Some(format!("a reply of {bytes} bytes does not fit: {} carries {max}", protocol.name()));
        }
    }
    let in_flight = condition.shape.in_flight;
    let max = access.carriage.in_flight_max()?;
    (in_flight > max)
        .then(|| format!("{in_flight} calls in flight on a connection: this contender can have {max}"))
}

#[cfg(test)]
mod tests {
    use terms::Test;

    use super::*;

    fn options(extent: Extent) -> PlanOptions {
        PlanOptions::of(extent)
    }

    fn scenario() -> Scenario {
        Scenario::find("rest-vs-grpc", &[]).unwrap()
    }

    #[test]
    fn every_round_has_every_cell_once_in_an_order_of_its_own() {
        let plan = Plan::make(&scenario(), &options(Extent::Quick)).unwrap();
        assert_eq!(plan.rounds.len(), 10);
        let measured: Vec<usize> =
            (0..plan.cells.len()).filter(|index| plan.cells[*index].contender.name != "sse").collect();
        for round in &plan.rounds {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, measured);
        }
        assert!(plan.rounds.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(plan, Plan::make(&scenario(), &options(Extent::Quick)).unwrap());
        assert_ne!(
            plan,
            Plan::make(&scenario(), &PlanOptions { seed: 2, ..options(Extent::Quick) }).unwrap()
        );
    }

    #[test]
    fn what_a_protocol_cannot_do_is_a_cell_and_is_not_measured() {
        let plan = Plan::make(&scenario(), &options(Extent::Full)).unwrap();
        let without: Vec<String> = plan
            .cells
            .iter()
            .filter(|cell| cell.not_offered.is_some())
            .map(|cell| format!("{} {}", cell.contender.name, cell.condition.name))
            .collect();
        let of = |of: &str| without.iter().filter(|cell| cell.starts_with(of)).cloned().collect::<Vec<_>>();
        assert_eq!(of("rest-h1-protobuf"), ["rest-h1-protobuf 1x8"]);
        assert_eq!(of("rest-h2"), [""; 0]);
        assert_eq!(of("sse").len(), 6);
        // Its handler is its own, so that it cannot be told to wait.
        assert!(of("rest-h1-json-nginx").contains(&"rest-h1-json-nginx wait handler_wait=10ms".to_owned()));
        assert!(plan.rounds.iter().all(|round| round.len() == plan.cells.len() - without.len()));
    }

    #[test]
    fn what_does_not_fit_a_datagram_is_not_measured_over_udp() {
        let not_offered = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
            let scenario = Scenario::find("rest-vs-grpc", &settings).unwrap();
            let plan = Plan::make(&scenario, &options(Extent::Standard)).unwrap();
            plan.cells.into_iter().find(|cell| cell.contender.name == "udp").unwrap().not_offered
        };
        assert_eq!(not_offered(&[]), None);
        assert_eq!(not_offered(&["workload.operation=history", "workload.candles=10"]), None);
        let why = not_offered(&["workload.operation=history", "workload.candles=100"]).unwrap();
        assert!(why.contains("does not fit"), "{why}");
    }

    #[test]
    fn the_hash_covers_claims_and_their_predictions() {
        let (scenario, mut moved) = (scenario(), scenario());
        let plan = Plan::make(&scenario, &options(Extent::Quick)).unwrap();
        assert_eq!(plan.sha256(&scenario).len(), 64);
        let Test::Compared { rule, .. } = &mut moved.claims[0].test else { panic!("no comparison") };
        *rule = terms::Rule::HoldsBelow(1.1);
        assert_ne!(plan.sha256(&scenario), plan.sha256(&moved));
    }

    #[test]
    fn an_unknown_contender_is_refused() {
        let only = vec!["rest".to_owned()];
        assert!(Plan::make(&scenario(), &PlanOptions { only, ..options(Extent::Quick) }).is_err());
    }

    #[test]
    fn more_rounds_than_may_be_planned_are_refused_before_any_is_made() {
        let with = |rounds| PlanOptions { rounds: Some(rounds), ..options(Extent::Full) };
        for rounds in [1_000, u32::MAX] {
            let error = Plan::make(&scenario(), &with(rounds)).unwrap_err();
            assert!(error.contains("at most 1000 cells and 4000 measurements"), "{error}");
        }
        assert!(Plan::make(&scenario(), &with(20)).is_ok());
        assert!(few_measurements(usize::MAX, 2).is_err() && few_measurements(2, 1_000).is_ok());
        let mut long = scenario();
        long.profiles.full.duration = Duration::MAX;
        let error = Plan::make(&long, &options(Extent::Full)).unwrap_err();
        assert!(error.contains("a week is the most"), "{error}");
    }

    /// `cargo bench` ≤ 6 min; the card quick ≤ 33 min, 8 of them for failure handling and 7 for
    /// balancing; full ≤ 295 min: see ARCHITECTURE for why it is not 9 and 110.
    #[test]
    fn the_plans_keep_their_time_budgets() {
        let scenarios = Scenario::built_in().unwrap();
        let minutes = |extent: Extent, only_bench: bool| {
            // Of the card, or of `cargo bench`.
            let counts = |s: &&Scenario| if only_bench { s.bench } else { !s.card.is_empty() };
            let plans = scenarios.iter().filter(counts);
            let total: Duration = plans.map(|s| Plan::make(s, &options(extent)).unwrap().time()).sum();
            total.as_secs_f64() / 60.0
        };
        for (extent, only_bench, budget) in
            [(Extent::Quick, true, 6.0), (Extent::Quick, false, 33.0), (Extent::Full, false, 295.0)]
        {
            let minutes = minutes(extent, only_bench);
            assert!(minutes <= budget, "{extent:?}: {minutes:.2} min of {budget}");
        }
    }
}
