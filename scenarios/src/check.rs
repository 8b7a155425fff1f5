//! The check that the parts of a scenario file fit together: from what is written to what is used.

mod acts;
mod amount;
mod axes;
mod between;
mod changes;
mod claims;
mod contenders;
mod flows;
mod fronts;
mod names;
mod policies;
mod replicas;
mod sweeps;
#[cfg(test)]
mod tests;

use proto::Capability;
use terms::{
    Activity, Amount, BreakEven, Claim, Condition, Contender, Figure, Handler, LedgerKind, Link, Map, Model,
    Shape, Test, Workload,
};
use toml::Spanned;

use crate::contender::WireContender;
use crate::profile::{Usual, WireProfile};
use crate::suggest::did_you_mean;
use crate::wire::{Call, WireCondition, WireScenario, WireWorkload};
use crate::{Profile, Profiles, Scenario, ScenarioError};

/// Rounds, connections and the like: bounds that catch a slip of the finger.
const ROUNDS_MAX: u32 = 1_000;
const CONNECTIONS_MAX: usize = 20_000;
const IN_FLIGHT_MAX: usize = 10_000;
/// Calls per second: one in a quarter of an hour, to more than any machine makes.
const RATE_MIN: f64 = 1e-3;
const RATE_MAX: f64 = 1e7;
/// Letters of a scenario's name, as many as a record's may have.
const NAME_LETTERS_MAX: usize = 64;

/// Why a flow has no `rate_per_s`.
const OWN_RATE: &str =
    "rate_per_s is not a key of operation = \"flow\": write a rate in the flow, such as \"udp 30Mbit/s\"";

/// Reads and checks a scenario.
pub(super) fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let wire: WireScenario =
        toml::from_str(text).map_err(|error| ScenarioError::from_toml(file, text, &error))?;
    Check { file, text }.scenario(wire)
}

/// Knows the text, so that an error can point into it.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
}

impl Check<'_> {
    fn scenario(&self, wire: WireScenario) -> Result<Scenario, ScenarioError> {
        let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
        let name = wire.name.get_ref();
        let right = (1..=NAME_LETTERS_MAX).contains(&name.len()) && name.bytes().all(plain);
        for contender in wire.contender.get_ref() {
            let is_a_file = contender.name.get_ref().bytes().all(plain) || wire.workload.ledger.is_none();
            let message =
                "with a ledger the name of a contender must be of a-z, 0-9 and -, because it names a file";
            self.require(&contender.name, is_a_file, message)?;
        }
        self.require(
            &wire.name,
            right,
            "name must be 1 to 64 of a-z, 0-9 and -, because it becomes the name of a folder",
        )?;
        self.labels(&wire)?;
        self.conditions_are_few(&wire)?;
        let workload = self.workload(&wire.workload)?;
        let conditions = self.conditions(&wire, &workload)?;
        let mut contenders = self.contenders(&wire.contender, &wire.defaults, &workload)?;
        self.targets_are_near(&wire)?;
        self.between_fits(&wire, &contenders)?;
        self.failures_fit(&wire, &contenders, &workload)?;
        self.changes_fit(&wire, &contenders, &workload)?;
        self.replicas_fit(&wire)?;
        self.names_fit(&wire, &contenders)?;
        self.fronts_fit(&wire, &contenders)?;
        let baseline = self.baseline(&wire, &contenders)?;
        let twin = Contender {
            name: Scenario::again(&baseline.name),
            label: baseline.label.as_ref().map(|label| format!("{label}, measured again")),
            ..baseline.clone()
        };
        let place = contenders.iter().position(|contender| *contender == baseline).map_or(0, |nth| nth + 1);
        contenders.insert(place, twin);
        let acts = self.acts(&wire, &workload, &contenders)?;
        let condition_names: Vec<String> = conditions.iter().map(|c| c.name.clone()).collect();
        let contender_names: Vec<String> = contenders.iter().map(|c| c.name.clone()).collect();
        self.turns(&wire.claim)?;
        let claim = |claim| self.claim(claim, &condition_names, &contenders, workload.time_out);
        let claims = wire.claim.into_iter().map(claim).collect::<Result<Vec<_>, _>>()?;
        let counts_orders =
            claims.iter().any(|claim| matches!(claim.figure(), Figure::OrdersPerCall | Figure::Duplicates));
        let break_even = |wire| self.break_even(wire, &conditions, &contender_names);
        let break_evens = wire.break_even.into_iter().map(break_even).collect::<Result<Vec<_>, _>>()?;
        let map = wire.map.map(|wire| self.map(wire, &conditions)).transpose()?;
        self.targets_are_judged_by_what_is_known(
            &wire.contender,
            &contenders,
            &claims,
            &break_evens,
            map.as_ref(),
        )?;
        let in_words =
            [(&wire.quick, Usual::QUICK), (&wire.standard, Usual::STANDARD), (&wire.full, Usual::FULL)];
        let profile = |(profile, usual)| {
            let read = self.profile(profile, usual, &conditions, &contender_names, &baseline.name)?;
            self.amount(&wire.condition, profile, &read, &conditions, &workload)?;
            self.keyed_calls(&wire.contender, &read, &conditions)?;
            let right = read.warm_up.is_zero() || !counts_orders;
            self.require(
                &wire.condition,
                right,
                "orders are counted over whole rounds: each profile needs warm_up = \"0s\"",
            )?;
            Ok::<_, ScenarioError>(read)
        };
        let [quick, standard, full] = in_words.map(profile);
        let profiles = Profiles { quick: quick?, standard: standard?, full: full? };
        Ok(Scenario {
            name: wire.name.into_inner(),
            question: wire.question,
            card: wire.card,
            bench: wire.bench,
            analysis: wire.analysis.trim().to_owned(),
            link: wire.link.clone(),
            workload,
            claims,
            break_evens,
            map,
            acts,
            profiles,
            baseline: baseline.name,
            conditions,
            contenders,
        })
    }

    /// The processor time of a server that somebody else started is in no figure, and in no
    /// judgement.
    fn targets_are_judged_by_what_is_known(
        &self,
        wire: &Spanned<Vec<WireContender>>,
        contenders: &[Contender],
        claims: &[Claim],
        break_evens: &[BreakEven],
        map: Option<&Map>,
    ) -> Result<(), ScenarioError> {
        let is_target = |name: &String| contenders.iter().any(|of| of.name == *name && of.is_target());
        let by_claim = claims.iter().any(|claim| match &claim.test {
            Test::Compared { metric, against, .. } => {
                metric.needs_the_server() && (is_target(&claim.contender) || is_target(against))
            }
            Test::Absolute { holds } => holds.figure.needs_the_server() && is_target(&claim.contender),
        });
        let by_break_even = break_evens.iter().any(|sought| {
            let needs = sought.sought.metric().needs_the_server();
            needs && (is_target(&sought.contender) || is_target(&sought.against))
        });
        let any = contenders.iter().any(Contender::is_target);
        let by_map = map.is_some_and(|map| map.metric.needs_the_server() && any);
        let message = "the CPU time of a target is not known: judge it by response times or bytes";
        self.require(wire, !(by_claim || by_break_even || by_map), message)
    }

    /// What somebody else started is on this machine, and on no host of wirebench's.
    fn targets_are_near(&self, wire: &WireScenario) -> Result<(), ScenarioError> {
        for target in wire.contender.get_ref().iter().filter_map(|contender| contender.target.as_ref()) {
            let near = wire.link == Link::Loopback;
            self.require(target, near, "a target needs link = \"loopback\" at the top of the file")?;
        }
        Ok(())
    }

    /// The contender that the others are compared with, which must not have a namesake of its twin.
    fn baseline(&self, wire: &WireScenario, contenders: &[Contender]) -> Result<Contender, ScenarioError> {
        let list = wire.contender.get_ref();
        let first = wire.claim.iter().find_map(|claim| claim.against.as_ref());
        let name = wire.baseline.as_ref().or(first).unwrap_or(&list[0].name);
        let names: Vec<String> = contenders.iter().map(|c| c.name.clone()).collect();
        self.known("contender", name, &names)?;
        let twin = Scenario::again(name.get_ref());
        for contender in list {
            let message = format!("this name is reserved for the second measurement of '{}'", name.get_ref());
            self.require(&contender.name, *contender.name.get_ref() != twin, &message)?;
        }
        let found = contenders.iter().find(|contender| contender.name == *name.get_ref());
        Ok(found.unwrap_or(&contenders[0]).clone())
    }

    fn workload(&self, wire: &WireWorkload) -> Result<Workload, ScenarioError> {
        let activity = match wire.operation.get_ref() {
            Call::Quote => Activity::Market(Capability::Quote),
            Call::Quotes => Activity::Market(Capability::Quotes),
            Call::Portfolio => Activity::Market(Capability::Portfolio),
            Call::History => Activity::Market(Capability::History),
            Call::PlaceOrder => Activity::Market(Capability::PlaceOrder),
            Call::Subscribe => Activity::Market(Capability::Subscribe),
            Call::Session => Activity::Market(Capability::Session),
            Call::Flow => Activity::Flow(self.flow_settings(wire)?),
        };
        let does = |capability| activity == Activity::Market(capability);
        self.only_flows(wire, activity)?;
        let (symbols, candles) = (wire.symbols.as_ref(), wire.candles.as_ref());
        self.asked(activity, symbols, candles)?;
        self.rate(wire.rate_per_s.as_ref())?;
        let pushed = wire.rate_per_s.is_some() || !does(Capability::Subscribe);
        self.require(
            &wire.operation,
            pushed,
            "operation = \"subscribe\" needs rate_per_s, the ticks per second that the server emits",
        )?;
        self.rate(wire.ticks_per_s.as_ref())?;
        let has_ticks = wire.ticks_per_s.is_some() || wire.rate_per_s.is_some();
        let wants_ticks = does(Capability::Session);
        if let Some(ticks) = &wire.ticks_per_s {
            self.require(
                ticks,
                wants_ticks,
                "ticks_per_s is a key of operation = \"session\" only; of \"subscribe\" it is rate_per_s",
            )?;
        }
        self.require(
            &wire.operation,
            has_ticks || !wants_ticks,
            "operation = \"session\" needs ticks_per_s or rate_per_s",
        )?;
        let time_out = wire.time_out.get_ref().0;
        self.require(&wire.time_out, !time_out.is_zero(), "time_out must be greater than 0")?;
        if let Some(ledger) = &wire.ledger {
            let message = "ledger is a key of operation = \"place_order\" only";
            self.require(ledger, does(Capability::PlaceOrder), message)?;
        }
        let arrivals = wire.arrivals;
        Ok(Workload {
            activity,
            amount: Amount {
                symbols: symbols.map_or(10, |symbols| *symbols.get_ref()),
                candles: candles.map_or(100, |candles| *candles.get_ref()),
            },
            model: Model::of(wire.rate_per_s.as_ref().map(|rate| *rate.get_ref()), arrivals),
            ticks_per_s: wire.ticks_per_s.as_ref().map(|ticks| *ticks.get_ref()),
            time_out,
            handler: Handler { wait: wire.handler_wait.0, cpu: wire.handler_cpu.0, ..Handler::default() },
            ledger: wire.ledger.as_ref().map_or(LedgerKind::default(), |ledger| *ledger.get_ref()),
            second_market: wire.second_market.as_ref().map(|share| share.get_ref().0),
            replicas: self.replicas(wire.replicas.as_ref())?,
        })
    }

    /// How much a call asks for, of the calls that ask for some.
    fn asked(
        &self,
        activity: Activity,
        symbols: Option<&Spanned<usize>>,
        candles: Option<&Spanned<u32>>,
    ) -> Result<(), ScenarioError> {
        let does = |capability| activity == Activity::Market(capability);
        if let Some(symbols) = symbols {
            let right = (1..=proto::bounds::SYMBOLS_MAX).contains(symbols.get_ref());
            self.require(symbols, right, "symbols must be from 1 to 100")?;
            self.require(
                symbols,
                does(Capability::Quotes),
                "symbols is a key of operation = \"quotes\" only",
            )?;
        }
        if let Some(candles) = candles {
            let right = (1..=proto::bounds::CANDLES_MAX).contains(candles.get_ref());
            self.require(candles, right, "candles must be from 1 to 10 000")?;
            self.require(
                candles,
                does(Capability::History),
                "candles is a key of operation = \"history\" only",
            )?;
        }
        Ok(())
    }

    fn rate(&self, rate: Option<&Spanned<f64>>) -> Result<(), ScenarioError> {
        let Some(rate) = rate else { return Ok(()) };
        let value = *rate.get_ref();
        self.require(
            rate,
            (RATE_MIN..=RATE_MAX).contains(&value),
            "a rate must be from 0.001 to 10 000 000 per second",
        )
    }

    fn conditions(&self, wire: &WireScenario, workload: &Workload) -> Result<Vec<Condition>, ScenarioError> {
        let list = wire.condition.get_ref();
        self.require(&wire.condition, !list.is_empty(), "a scenario needs a [[condition]]")?;
        self.unique("condition", list.iter().map(|condition| &condition.name))?;
        let points = list.iter().map(|condition| self.points(wire, condition, workload));
        Ok(points.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn condition(
        &self,
        wire: &WireScenario,
        condition: &WireCondition,
        workload: &Workload,
    ) -> Result<Condition, ScenarioError> {
        let connections = self.connections(condition, workload)?;
        if let Some(in_flight) = &condition.in_flight {
            let right = (1..=IN_FLIGHT_MAX).contains(in_flight.get_ref());
            self.require(in_flight, right, "in_flight must be from 1 to 10 000")?;
            let calls = !workload.activity.is_pushed();
            self.require(in_flight, calls, "in_flight is a key of calls only: pushed events have none")?;
        }
        let in_flight = condition.in_flight.as_ref().map_or(1, |in_flight| *in_flight.get_ref());
        self.calls_at_once(wire, condition, connections, in_flight)?;
        self.asked(workload.activity, condition.symbols.as_ref(), condition.candles.as_ref())?;
        self.rate(condition.rate_per_s.as_ref())?;
        if let Some(rate) = &condition.rate_per_s {
            let are_flows = matches!(workload.activity, Activity::Flow(_));
            self.require(rate, !are_flows, OWN_RATE)?;
        }
        let own = condition.rate_per_s.as_ref().map(|rate| *rate.get_ref());
        if let Some(cold) = &condition.cold {
            self.require(cold, workload.activity.is_calls(), "cold is a key of calls only")?;
        }
        let cold = condition.cold.as_ref().is_some_and(|cold| *cold.get_ref());
        let link = condition.link.as_ref().map(|words| self.changed(&wire.link, words)).transpose()?;
        if let Some(changes) = &condition.changes {
            self.changes(wire, condition, changes, link.as_ref().unwrap_or(&wire.link))?;
        }
        let Handler { wait, cpu, .. } = workload.handler;
        let arrivals = wire.workload.arrivals;
        Ok(Condition {
            name: condition.name.get_ref().clone(),
            label: condition.label.clone(),
            amount: Amount {
                symbols: condition.symbols.as_ref().map_or(workload.amount.symbols, |of| *of.get_ref()),
                candles: condition.candles.as_ref().map_or(workload.amount.candles, |of| *of.get_ref()),
            },
            shape: Shape { connections, in_flight, cold },
            model: own.map_or(workload.model, |rate| Model::of(Some(rate), arrivals)),
            link,
            market_link: self.market_link(&wire.link, condition)?,
            between: self.between(condition, workload)?,
            changes: condition.changes.as_ref().map(|changes| changes.get_ref().clone()).unwrap_or_default(),
            handler: Handler {
                wait: condition.handler_wait.map_or(wait, |wait| wait.0),
                cpu: condition.handler_cpu.map_or(cpu, |cpu| cpu.0),
                fails: self.share_of_calls(condition.handler_fails.as_ref(), workload)?,
                loses: self.share_of_calls(condition.handler_loses.as_ref(), workload)?,
                concurrency: self.concurrency(condition, workload)?,
            },
            second_wait: condition.second_handler_wait.as_ref().map(|wait| wait.get_ref().0),
            front: self.front_pool(condition)?,
            family: None,
        })
    }

    fn connections(&self, condition: &WireCondition, workload: &Workload) -> Result<usize, ScenarioError> {
        let are_flows = matches!(workload.activity, Activity::Flow(_));
        let Some(connections) = &condition.connections else {
            self.require(&condition.name, are_flows, "a condition needs connections, from 1 to 20 000")?;
            return Ok(1);
        };
        self.require(
            connections,
            !are_flows,
            "connections is not a key of operation = \"flow\": each flow has one",
        )?;
        let right = (1..=CONNECTIONS_MAX).contains(connections.get_ref());
        self.require(connections, right, "connections must be from 1 to 20 000")?;
        Ok(*connections.get_ref())
    }

    /// What a condition makes of the scenario's link.
    fn changed(&self, link: &Link, words: &Spanned<String>) -> Result<Link, ScenarioError> {
        let at = |message: &str| ScenarioError::at(self.file, self.text, words.span(), message, None);
        let Link::Wan(link) = link else {
            return Err(at(
                "a condition can only change a link with delay, loss or a rate: give the scenario one, such as link = \"rtt=1ms\"",
            ));
        };
        link.changed(words.get_ref()).map(Link::Wan).map_err(|error| at(&error.to_string()))
    }

    fn profile(
        &self,
        wire: &WireProfile,
        usual: Usual,
        conditions: &[Condition],
        contenders: &[String],
        baseline: &str,
    ) -> Result<Profile, ScenarioError> {
        let is_meant = |condition: &&Condition, name: &str| {
            condition.name == name || condition.family.as_ref().is_some_and(|(family, _)| family == name)
        };
        let families = conditions.iter().filter_map(|condition| Some(condition.family.as_ref()?.0.clone()));
        let known: Vec<String> = conditions.iter().map(|c| c.name.clone()).chain(families).collect();
        for name in wire.conditions.iter().flatten() {
            self.known("condition", name, &known)?;
        }
        let every = || conditions.iter().map(|condition| condition.name.clone()).collect();
        let plain = |names: &Vec<Spanned<String>>| names.iter().map(|name| name.get_ref().clone()).collect();
        let asked: Vec<String> = wire.conditions.as_ref().map_or_else(every, plain);
        let mut measured: Vec<String> = Vec::new();
        for name in &asked {
            let meant = conditions.iter().filter(|condition| is_meant(condition, name));
            for name in meant.map(|condition| condition.name.clone()) {
                if !measured.contains(&name) {
                    measured.push(name);
                }
            }
        }
        for name in wire.contenders.iter().flatten() {
            self.known("contender", name, contenders)?;
        }
        let twin = Scenario::again(baseline);
        let is_wanted = |name: &str| {
            name == baseline
                || name == twin
                || wire.contenders.as_ref().is_none_or(|named| named.iter().any(|of| of.get_ref() == name))
        };
        if let Some(rounds) = &wire.rounds {
            self.require(
                rounds,
                (1..=ROUNDS_MAX).contains(rounds.get_ref()),
                "rounds must be from 1 to 1 000",
            )?;
        }
        if let Some(duration) = &wire.duration {
            let right = !duration.get_ref().0.is_zero();
            self.require(duration, right, "duration must be greater than 0")?;
        }
        Ok(Profile {
            conditions: measured,
            contenders: contenders.iter().filter(|name| is_wanted(name)).cloned().collect(),
            duration: wire.duration(usual),
            rounds: wire.rounds.as_ref().map_or(usual.rounds, |rounds| *rounds.get_ref()),
            warm_up: wire.warm_up.map_or(usual.warm_up, |warm_up| warm_up.0),
        })
    }

    fn require<T>(&self, at: &Spanned<T>, right: bool, message: &str) -> Result<(), ScenarioError> {
        if right { Ok(()) } else { Err(ScenarioError::at(self.file, self.text, at.span(), message, None)) }
    }

    fn known(&self, what: &str, name: &Spanned<String>, known: &[String]) -> Result<(), ScenarioError> {
        if known.contains(name.get_ref()) {
            return Ok(());
        }
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.dedup();
        let help = did_you_mean(name.get_ref(), &known);
        let message = format!("there is no {what} '{}'", name.get_ref());
        Err(ScenarioError::at(self.file, self.text, name.span(), &message, Some(help)))
    }

    fn unique<'a>(
        &self,
        what: &str,
        names: impl Iterator<Item = &'a Spanned<String>>,
    ) -> Result<(), ScenarioError> {
        let mut seen = std::collections::HashSet::new();
        for name in names {
            let first = seen.insert(name.get_ref());
            self.require(name, first, &format!("two {what}s have the name '{}'", name.get_ref()))?;
        }
        Ok(())
    }
}
