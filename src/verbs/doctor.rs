//! `doctor`: what this machine can measure, what spoils it, and what to do about it.

mod fitness;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::{Clock, Precision};
use lab::guest::{Guest, GuestStreams};
use lab::hosts::Cable;
use lab::meter::CoreTime;
use lab::stalls::{STALL_MIN, Stalls};
use lab::wan::Wan;
use record::Tool;
use scenarios::Scenario;
use terms::{Layout, Machine, text};

use crate::columns::wrapped;
use crate::ending::{Ending, causes, print_data, say};
use crate::signals::stop_on_signals;

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Print the findings as JSON to stdout.
    #[arg(short, long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  wirebench doctor
  wirebench doctor --json";

/// One thing looked at.
#[derive(Debug, serde::Serialize)]
struct Finding {
    what: What,
    found: String,
    /// What it spoils and what to do; absent where it is fine.
    advice: Option<String>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Build,
    Kernel,
    Processor,
    Cores,
    VirtualMachine,
    Governor,
    ClockSource,
    CongestionControl,
    Hosts,
    Links,
    Programs,
    OpenFiles,
    Load,
    Timer,
    Steal,
    Stalls,
}

impl What {
    #[cfg(test)]
    const ALL: [What; 16] = [
        What::Build,
        What::Kernel,
        What::Processor,
        What::Cores,
        What::VirtualMachine,
        What::Governor,
        What::ClockSource,
        What::CongestionControl,
        What::Hosts,
        What::Links,
        What::Programs,
        What::OpenFiles,
        What::Load,
        What::Timer,
        What::Steal,
        What::Stalls,
    ];

    fn name(self) -> &'static str {
        match self {
            What::Build => "build",
            What::Kernel => "kernel",
            What::Processor => "processor",
            What::Cores => "cores",
            What::VirtualMachine => "virtual machine",
            What::Governor => "frequency governor",
            What::ClockSource => "clock source",
            What::CongestionControl => "congestion control",
            What::Hosts => "hosts and cable",
            What::Links => "links with distance",
            What::Programs => "balancers",
            What::OpenFiles => "open files",
            What::Load => "load average",
            What::Timer => "timer lateness",
            What::Steal => "steal",
            What::Stalls => "stalls",
        }
    }
}

impl serde::Serialize for What {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// How long the timer and the cores are watched.
const WATCHED: Duration = Duration::from_secs(1);
/// Wake-ups a second while the timer is watched.
const WAKES_PER_S: u32 = 2_000;

/// Looks, and says.
///
/// # Errors
/// Where the machine cannot be read at all.
pub(crate) fn doctor(options: &Options, tool: &Tool) -> anyhow::Result<Ending> {
    if !options.json {
        say(&format!("watching the timer and the cores for {} …", text::about(WATCHED * 2)));
    }
    // Before there is a second thread.
    lab::hosts::prepare();
    let stop = stop_on_signals()?;
    let findings = look(tool, &stop)?;
    let is_stopped = stop.load(Ordering::Relaxed);
    let ending = if is_stopped { Ending::Interrupted } else { Ending::Fine };
    let text = if options.json {
        format!("{}\n", serde_json::to_string_pretty(&findings)?)
    } else {
        in_words(&findings, is_stopped)
    };
    let printed = print_data(&text);
    if is_stopped {
        say("stopped: what takes watching was not looked at");
    }
    Ok(ending.printed(printed))
}

/// What was found, and what the machine is fit for, which half a look does not say.
fn in_words(findings: &[Finding], is_stopped: bool) -> String {
    let mut words = String::new();
    for Finding { what, found, advice } in findings {
        let mark = if advice.is_none() { "ok " } else { "!! " };
        words += &wrapped(&format!("{mark}{:<20} ", what.name()), found);
        if let Some(advice) = advice {
            words += &wrapped("     → ", advice);
        }
    }
    if is_stopped { words } else { format!("{words}\n{}", fitness::in_words(findings)) }
}

/// What there is to find; where it is told to stop, what needs no watching.
fn look(tool: &Tool, stop: &AtomicBool) -> anyhow::Result<Vec<Finding>> {
    let machine = lab::machine::read();
    let layout = Layout::of(&machine.cores)?;
    let mut findings = machine_findings(&machine, &layout, tool);
    if !stop.load(Ordering::Relaxed) {
        let watched = watched_findings(&machine, stop)?;
        // Of half a look nothing is said.
        findings.extend(watched.into_iter().filter(|_| !stop.load(Ordering::Relaxed)));
    }
    Ok(findings)
}

fn machine_findings(machine: &Machine, layout: &Layout, tool: &Tool) -> Vec<Finding> {
    let unknown = || "unknown".to_owned();
    let cores = machine.cores.len();
    let load = machine.load_average_1m.unwrap_or_default();
    let files = machine.open_files_max.unwrap_or_default();
    let governor = machine.governor.clone();
    let clock_source = machine.clock_source.clone();
    vec![
        Finding {
            what: What::Build,
            found: tool.build.in_words().to_owned(),
            advice: tool.is_debug()
                .then(|| "figures are several times too high: build with --release".to_owned()),
        },
        Finding { what: What::Kernel, found: machine.kernel.clone().unwrap_or_else(unknown), advice: None },
        Finding { what: What::Processor, found: machine.cpu_model.clone().unwrap_or_else(unknown), advice: None },
        Finding {
            what: What::Cores,
            found: format!("{cores} allowed: {:?}", machine.cores),
            advice: layout.shared.then(|| {
                "client and server share it and wait for each other: allow a second core (taskset, cgroup)"
                    .to_owned()
            }),
        },
        Finding {
            what: What::VirtualMachine,
            found: if machine.virtual_machine { "yes" } else { "no" }.to_owned(),
            advice: machine.virtual_machine.then(|| {
                "wake-ups are slower and other guests may take the cores: compare ratios within a run, and confirm on \
                 hardware"
                    .to_owned()
            }),
        },
        Finding {
            what: What::Governor,
            found: governor.clone().unwrap_or_else(|| "not visible".to_owned()),
            advice: governor.filter(|governor| governor != "performance").map(|governor| {
                format!("'{governor}' changes the clock rate while measuring: cpupower frequency-set -g performance")
            }),
        },
        Finding {
            what: What::ClockSource,
            found: clock_source.clone().unwrap_or_else(unknown),
            advice: clock_source
                .filter(|source| !matches!(source.as_str(), "tsc" | "kvm-clock" | "arch_sys_counter"))
                .map(|source| format!("reading '{source}' may take a system call: boot with clocksource=tsc")),
        },
        Finding {
            what: What::CongestionControl,
            found: machine.congestion_control.clone().unwrap_or_else(unknown),
            advice: machine.congestion_control.as_ref().filter(|found| *found != "cubic").map(|found| {
                format!(
                    "loopback uses '{found}', wirebench's own hosts use cubic; for cubic everywhere: sysctl \
                     net.ipv4.tcp_congestion_control=cubic"
                )
            }),
        },
        hosts_finding(),
        links_finding(),
        programs_finding(),
        Finding {
            what: What::OpenFiles,
            found: format!("{files} allowed"),
            advice: (files < 4_096).then(|| "too few for many connections: ulimit -n 65536".to_owned()),
        },
        Finding {
            what: What::Load,
            found: format!("{load:.2} in the last minute"),
            advice: (load > 0.5).then(|| "something else is running: stop it, or wait".to_owned()),
        },
    ]
}

/// Whether hosts can be made, for the cable.
fn hosts_finding() -> Finding {
    match Cable::lay() {
        Ok(_) => Finding { what: What::Hosts, found: "can be made".to_owned(), advice: None },
        Err(error) => Finding {
            what: What::Hosts,
            found: "not possible: loopback is used instead of a cable".to_owned(),
            advice: Some(causes(&error.into())),
        },
    }
}

/// Whether there can be links with delay and loss.
fn links_finding() -> Finding {
    // `lab` has a program run on a host of such a link, too.
    let runs = |wan: &Wan| {
        let host = wan.host(Wan::CLIENT);
        host.map_or(Ok(()), |host| {
            Guest::start(host, &["true".to_owned()], &[], GuestStreams::Beside).map(drop)
        })
    };
    let made = Wan::build(1, &[], 1).map_err(anyhow::Error::from);
    match made.and_then(|wan| Ok(runs(&wan)?)) {
        Ok(()) => Finding { what: What::Links, found: "can be made".to_owned(), advice: None },
        Err(error) => Finding {
            what: What::Links,
            found: "not possible: scenarios over such a link are refused".to_owned(),
            advice: Some(causes(&error)),
        },
    }
}

/// Whether the programs are there that built-in scenarios start.
fn programs_finding() -> Finding {
    let scenarios = Scenario::built_in().unwrap_or_default();
    let contenders = scenarios.iter().flat_map(|scenario| &scenario.contenders);
    let programs: BTreeSet<&str> = contenders.filter_map(|contender| contender.access()?.program()).collect();
    let (here, missing): (Vec<&str>, Vec<&str>) =
        programs.into_iter().partition(|name| lab::program::find(&[name]).is_some());
    Finding {
        what: What::Programs,
        found: match here.is_empty() {
            true => "no program that balances or remembers names is installed".to_owned(),
            false => here.join(" and "),
        },
        advice: (!missing.is_empty()).then(|| {
            let ways: Vec<String> = missing.iter().map(|name| lab::program::how_to_get(name)).collect();
            format!("contenders that need {} are left out: {}", missing.join(" and "), ways.join("; "))
        }),
    }
}

/// What takes watching: timer wake-ups, and what the hypervisor takes.
fn watched_findings(machine: &Machine, stop: &AtomicBool) -> anyhow::Result<Vec<Finding>> {
    let cores = machine.cores.iter().copied();
    let read = || cores.clone().map(CoreTime::read).collect::<Result<Vec<_>, _>>();
    let before = read()?;
    let [p50, p99] = timer_lateness_us(stop)?;
    if stop.load(Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let after = read()?;
    let stalls = Stalls::watch(&machine.cores, WATCHED);
    let steal =
        after.iter().zip(&before).map(|(now, earlier)| now.shares_since(earlier).steal).fold(0.0, f64::max);
    Ok(vec![
        Finding {
            what: What::Timer,
            found: format!(
                "p50 {}, p99 {} (n = {})",
                text::micros(p50),
                text::micros(p99),
                WATCHED.as_secs() * u64::from(WAKES_PER_S)
            ),
            advice: (p99 > 150.0).then(|| {
                "calls start that late, which counts as lag: stop other work, or use a constant load at a higher rate"
                    .to_owned()
            }),
        },
        Finding {
            what: What::Steal,
            found: format!("at most {:.1} % of a core", steal * 100.0),
            advice: (steal > 0.02).then(|| "the hypervisor gives these cores to other guests: measure later".to_owned()),
        },
        Finding {
            what: What::Stalls,
            found: format!(
                "{:.2} % of the time in gaps over {}; longest {}",
                stalls.share * 100.0,
                text::micros(STALL_MIN.as_secs_f64() * 1e6),
                text::micros(stalls.longest.as_secs_f64() * 1e6)
            ),
            advice: (stalls.share > 0.001).then(|| {
                "something invisible takes the cores (a kernel thread, the hypervisor) and is in every p99: compare medians \
                 and ratios, or measure elsewhere"
                    .to_owned()
            }),
        },
    ])
}

fn timer_lateness_us(stop: &AtomicBool) -> anyhow::Result<[f64; 2]> {
    let runtime = clients::local_runtime()?;
    runtime.block_on(async {
        let clock = Clock::System;
        let mut timer = clock.timer(Precision::Sleep)?;
        let start = clock.now();
        let mut lateness: Vec<u64> = Vec::new();
        for tick in 1..=(WAKES_PER_S * u32::try_from(WATCHED.as_secs())?) {
            let due = start + Duration::from_secs(1) / WAKES_PER_S * tick;
            timer.sleep_until(due).await;
            lateness.push(clock.now().nanos_since(due));
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        lateness.sort_unstable();
        Ok([0.5, 0.99].map(|share| lateness[(lateness.len() as f64 * share) as usize] as f64 / 1e3))
    })
}
