//! `list`: the scenarios with the time that each takes, a scenario's file, and the protocols with
//! what each offers.

use std::time::Duration;

use matrices::MatrixScenario;
use proto::{Capability, Protocol};
use scenarios::{Plan, PlanOptions, Scenario};
use terms::{Extent, text};

use crate::columns::wrapped;
use crate::ending::{Ending, print_data};

/// What `list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Print the file of this built-in scenario or matrix, instead of the list.
    #[arg(conflicts_with = "json")]
    name: Option<String>,
    /// Print the list as JSON to stdout.
    #[arg(short, long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  wirebench list
  wirebench list rest-vs-grpc      # its file, to begin your own from
  wirebench list --json";

/// Lists.
///
/// # Errors
/// Where no scenario is called that, or a built-in one is broken.
pub(crate) fn list(options: &Options) -> anyhow::Result<Ending> {
    if let Some(name) = &options.name {
        print_data(Scenario::file_of(name)?)?;
        return Ok(Ending::Fine);
    }
    let (scenarios, matrices) = (Scenario::built_in()?, MatrixScenario::built_in()?);
    if options.json {
        print_data(&format!("{:#}\n", as_json(&scenarios, &matrices)))?;
        return Ok(Ending::Fine);
    }
    print_data(&format!("{}\n{}", scenarios_in_words(&scenarios, &matrices), protocols_in_words()))?;
    Ok(Ending::Fine)
}

/// A line of figures for each scenario, and its question below.
fn scenarios_in_words(scenarios: &[Scenario], matrices: &[MatrixScenario]) -> String {
    let mut words =
        wrapped("", "Scenarios: `wirebench run NAME` runs one, `wirebench list NAME` prints its file");
    words += &row("", "quick", "standard", "card");
    for scenario in scenarios {
        let time = |extent| time(scenario, extent).map_or_else(|| "–".to_owned(), text::about);
        let (quick, standard) = (time(Extent::Quick), time(Extent::Standard));
        words += &row(&scenario.name, &quick, &standard, &scenario.card.join(" "));
        words += &wrapped("      ", &scenario.question);
    }
    for matrix in matrices {
        words += &row(&matrix.name, "matrix", "matrix", &matrix.card.join(" "));
        words += &wrapped("      ", &matrix.question);
    }
    words
}

fn row(name: &str, quick: &str, standard: &str, card: &str) -> String {
    format!("  {name:<26}{quick:>8}{standard:>10}  {card}").trim_end().to_owned() + "\n"
}

/// The time that a scenario takes by itself.
fn time(scenario: &Scenario, extent: Extent) -> Option<Duration> {
    Plan::make(scenario, &PlanOptions::of(extent)).ok().map(|plan| plan.time())
}

/// A table of protocols and what each offers, and notes below.
fn protocols_in_words() -> String {
    let mut words = wrapped("", "Protocols, and what each offers: `wirebench serve PROTOCOL` serves one");
    let line = |name: &str, offers: &str| format!("  {name:<14}{offers}").trim_end().to_owned() + "\n";
    words += &line("", &Capability::ALL.map(Capability::name).join(" "));
    for protocol in Protocol::ALL {
        let offers = Capability::ALL.map(|capability| {
            let mark = if protocol.offers().contains(&capability) { "yes" } else { "–" };
            format!("{mark:<width$}", width = capability.name().len())
        });
        words += &line(protocol.name(), &offers.join(" "));
    }
    let notes = Protocol::ALL.into_iter().filter_map(|protocol| Some((protocol, protocol.note()?)));
    let notes = notes.map(|(protocol, note)| wrapped(&format!("  {}: ", protocol.name()), note));
    notes.fold(words, |words, note| words + &note)
}

fn as_json(scenarios: &[Scenario], matrices: &[MatrixScenario]) -> serde_json::Value {
    let matrices = matrices.iter().map(|matrix| {
        let columns: Vec<String> = matrix.columns();
        serde_json::json!({
            "name": matrix.name,
            "question": matrix.question,
            "card": matrix.card,
            "contenders": columns,
        })
    });
    let scenarios: Vec<_> = scenarios
        .iter()
        .map(|scenario| {
            let seconds = |extent| time(scenario, extent).map(|time| time.as_secs());
            let contenders: Vec<&str> = scenario.contenders.iter().map(|c| c.name.as_str()).collect();
            serde_json::json!({
                "name": scenario.name,
                "question": scenario.question,
                "card": scenario.card,
                "contenders": contenders,
                "quick_s": seconds(Extent::Quick),
                "standard_s": seconds(Extent::Standard),
                "full_s": seconds(Extent::Full),
            })
        })
        .chain(matrices)
        .collect();
    let protocols: Vec<_> = Protocol::ALL
        .into_iter()
        .map(|protocol| serde_json::json!({ "name": protocol.name(), "offers": protocol.offers(), "note": protocol.note() }))
        .collect();
    serde_json::json!({ "scenarios": scenarios, "protocols": protocols })
}
