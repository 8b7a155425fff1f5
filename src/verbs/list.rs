//! `list`: the scenarios, and the protocols with what each offers.

use std::fmt::Write as _;

use matrices::MatrixScenario;
use proto::{Capability, Protocol};
use scenarios::Scenario;

use crate::ending::{Ending, print_data};

/// What `list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Print the list as JSON to stdout.
    #[arg(short, long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  wirebench list
  wirebench list --json";

/// Lists.
///
/// # Errors
/// Where a built-in scenario is broken.
pub(crate) fn list(options: &Options) -> anyhow::Result<Ending> {
    let (scenarios, matrices) = (Scenario::built_in()?, MatrixScenario::built_in()?);
    if options.json {
        print_data(&format!("{:#}\n", as_json(&scenarios, &matrices)))?;
        return Ok(Ending::Fine);
    }
    let mut words = "Scenarios (wirebench run NAME):\n".to_owned();
    for scenario in &scenarios {
        writeln!(words, "  {:<16} {:<4} {}", scenario.name, scenario.card.join(" "), scenario.question)?;
    }
    for matrix in &matrices {
        writeln!(words, "  {:<16} {:<4} {}", matrix.name, matrix.card.join(" "), matrix.question)?;
    }
    writeln!(words, "\nProtocols, and what each offers (wirebench serve PROTOCOL):")?;
    writeln!(words, "  {:<13}  {}", "", Capability::ALL.map(Capability::name).join("  "))?;
    for protocol in Protocol::ALL {
        let offers = Capability::ALL.map(|capability| {
            let mark = if protocol.offers().contains(&capability) { "yes" } else { "–" };
            format!("{mark:<width$}", width = capability.name().len())
        });
        writeln!(words, "  {:<13}  {}", protocol.name(), offers.join("  ").trim_end())?;
    }
    for (protocol, note) in
        Protocol::ALL.into_iter().filter_map(|protocol| Some((protocol, protocol.note()?)))
    {
        writeln!(words, "  {}: {note}", protocol.name())?;
    }
    print_data(&words)?;
    Ok(Ending::Fine)
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
            let contenders: Vec<&str> = scenario.contenders.iter().map(|c| c.name.as_str()).collect();
            serde_json::json!({
                "name": scenario.name,
                "question": scenario.question,
                "card": scenario.card,
                "contenders": contenders,
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
