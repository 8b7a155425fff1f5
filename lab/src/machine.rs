//! What this machine is: read once, kept beside every result.

use std::fs;

use terms::Machine;

/// Lets this process, and those it starts, have as many open files as the system allows it; a
/// connection is one.
pub fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it is refused, the limit stays what it was, and `doctor` says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// How many files this process may have open.
pub fn open_files() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _hard)| soft)
}

/// Reads this machine.
pub fn read() -> Machine {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let limits = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    Machine {
        kernel: line("/proc/sys/kernel/osrelease"),
        cpu_model: field(&cpu_info, "model name"),
        cores: crate::cores::allowed().unwrap_or_default(),
        memory_bytes: memory_bytes(),
        virtual_machine: field(&cpu_info, "flags")
            .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        congestion_control: line("/proc/sys/net/ipv4/tcp_congestion_control"),
        open_files_max: limits.ok().map(|(soft, _hard)| soft),
        load_average_1m: line("/proc/loadavg").and_then(|averages| averages.split(' ').next()?.parse().ok()),
    }
}

/// The congestion controls that a host of this machine can give its TCP sockets, which is those the
/// kernel has.
pub fn congestion_controls() -> Vec<String> {
    let names = line("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap_or_default();
    names.split_whitespace().map(str::to_owned).collect()
}

fn line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The value behind `name … :` of the first line that begins with it.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn memory_bytes() -> Option<u64> {
    let total = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal")?;
    total.strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
