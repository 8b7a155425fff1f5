//! How and where a run was measured, in words.

use std::collections::BTreeMap;

use record::{Record, Tool};
use terms::{Counted, Link, Machine, text};

/// How it was measured: a term, and what there is to say of it.
pub(super) fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let plan = &record.plan;
    let conformance = record.conformance.iter().map(|part| part.cases).min().unwrap_or(0);
    let compared: usize = record.conformance.iter().filter_map(|part| part.replies_compared_whole).sum();
    let compared = match compared {
        0 => String::new(),
        compared => format!(", {compared} were compared whole after"),
    };
    let handler = match (plan.handler_wait_us, plan.handler_cpu_us) {
        (0.0, 0.0) => "answers at once".to_owned(),
        (wait, cpu) => format!("waits {} and burns {}", text::micros(wait), text::micros(cpu)),
    };
    let cores = if record.layout.shared {
        format!("client and server on core {}", record.layout.server)
    } else {
        format!("servers on core {}, clients on {:?}", record.layout.server, record.layout.client)
    };
    vec![
        ("operation", plan.operation.clone()),
        ("handler", handler),
        (
            "rounds",
            format!(
                "{}, every contender once in each, in an order shuffled by seed {}",
                plan.rounds.len(),
                plan.seed
            ),
        ),
        ("each measurement", format!("{} ms warm-up, {} ms measured", plan.warm_up_ms, plan.duration_ms)),
        (
            "time-out",
            format!(
                "{} after the schedule; a failed call counts with that time or more",
                text::micros(plan.time_out_us)
            ),
        ),
        (
            "answers",
            match record.counted() {
                Counted::Block => "every block was checked: its number and its bytes".to_owned(),
                noun => format!(
                    "each contender passed at least {conformance} conformance cases before the run; every {} was decoded and checked{compared}",
                    if noun == Counted::Event { "event" } else { "reply" }
                ),
            },
        ),
        ("where", format!("{cores}, over {}", link_in_words(record))),
        ("plan", format!("{} (SHA-256 of what was decided before any data)", plan.sha256)),
    ]
}

fn link_in_words(record: &Record) -> String {
    let Some(used) = &record.link else { return "nothing".to_owned() };
    let link = match &used.link {
        Link::Cable => {
            "a cable between two hosts: a veth pair of MTU 1500 between network namespaces".to_owned()
        }
        Link::Loopback => "loopback".to_owned(),
        Link::Wan(link) => {
            format!("the link '{}' between two hosts, by a router in user space", link.words())
        }
    };
    match &used.congestion_control {
        Some(control) => format!("{link}; TCP and QUIC with {control} unless stated"),
        None => link,
    }
}

/// Where it was measured, likewise.
pub(super) fn environment(record: &Record) -> Vec<(&'static str, String)> {
    place(&record.tool, &record.environment)
}

/// What did something, and where, in words.
pub(crate) fn place(tool: &Tool, machine: &Machine) -> Vec<(&'static str, String)> {
    let unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let libraries = join(&tool.libraries);
    let virtual_machine = if machine.virtual_machine { ", in a virtual machine" } else { "" };
    vec![
        (
            "wirebench",
            format!(
                "{} ({}, {} build, {})",
                tool.version,
                unknown(&tool.commit),
                tool.build.in_words(),
                unknown(&tool.rustc)
            ),
        ),
        (
            "processor",
            format!("{}, {} cores{virtual_machine}", unknown(&machine.cpu_model), machine.cores.len()),
        ),
        (
            "memory",
            machine.memory_bytes.map_or_else(
                || "unknown".to_owned(),
                |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
            ),
        ),
        ("kernel", unknown(&machine.kernel)),
        ("governor", machine.governor.clone().unwrap_or_else(|| "none to be seen".to_owned())),
        ("clock source", unknown(&machine.clock_source)),
        ("congestion control", unknown(&machine.congestion_control)),
        (
            "load average before",
            machine.load_average_1m.map_or_else(|| "unknown".to_owned(), |l| format!("{l:.2}")),
        ),
        ("libraries", libraries),
    ]
}

fn join(libraries: &BTreeMap<String, String>) -> String {
    libraries.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
}
