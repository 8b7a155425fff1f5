//! `list`: the scenarios, and the protocols with what each offers.

use proto::{Capability, Protocol};

use crate::cli::Ending;
use crate::matrix::MatrixScenario;
use crate::scenario::Scenario;

/// What `list` takes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// As JSON, to stdout.
    #[arg(long)]
    json: bool,
}

/// Lists.
///
/// # Errors
/// Where a built-in scenario is broken.
#[allow(clippy::print_stdout, reason = "a list is data")]
pub fn list(options: &Options) -> anyhow::Result<Ending> {
    let (scenarios, matrices) = (Scenario::built_in()?, MatrixScenario::built_in()?);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&scenarios, &matrices))?);
        return Ok(Ending::Fine);
    }
    println!("Scenarios (wirebench run NAME):");
    for scenario in &scenarios {
        println!("  {:<16} {:<4} {}", scenario.name, scenario.card.join(" "), scenario.question);
    }
    for matrix in &matrices {
        println!("  {:<16} {:<4} {}", matrix.name, matrix.card.join(" "), matrix.question);
    }
    println!("\nProtocols, and what each offers (wirebench serve PROTOCOL):");
    println!("  {:<13}  {}", "", Capability::ALL.map(Capability::name).join("  "));
    for protocol in Protocol::ALL {
        let offers = Capability::ALL.map(|capability| {
            let mark = if protocol.offers().contains(&capability) { "yes" } else { "–" };
            format!("{mark:<width$}", width = capability.name().len())
        });
        println!("  {:<13}  {}", protocol.name(), offers.join("  ").trim_end());
    }
    for (protocol, note) in
        Protocol::ALL.into_iter().filter_map(|protocol| Some((protocol, protocol.note()?)))
    {
        println!("  {}: {note}", protocol.name());
    }
    Ok(Ending::Fine)
}

fn as_json(scenarios: &[Scenario], matrices: &[MatrixScenario]) -> serde_json::Value {
    let matrices = matrices.iter().map(|matrix| {
        let columns: Vec<String> = matrix.experiment.columns().into_iter().map(|c| c.name).collect();
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
