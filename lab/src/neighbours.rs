//! Who else computes on this machine: the processor time of all processes that can be seen, but
//! for this one and those that it started.

use std::collections::HashMap;
use std::time::Duration;

use procfs::process::{Stat, all_processes};

/// Processes that are looked at, at most.
const PROCESSES_MAX: usize = 20_000;

/// The processor time of the processes of others so far.
#[derive(Debug, Default)]
pub struct Neighbours(HashMap<i32, Neighbour>);

/// A process of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its process id.
    pub pid: i32,
    /// What the kernel calls it: the first fifteen letters of its program's name. A worker of the
    /// kernel has another for each kind of work.
    pub name: String,
    /// When it was started, in the kernel's ticks since boot: with the number that tells processes
    /// apart.
    pub started: u64,
    /// Processor time, user and kernel.
    pub cpu: Duration,
}

impl Neighbours {
    /// Reads `/proc`; what cannot be read is left out.
    pub fn read() -> Neighbours {
        let all: Vec<Stat> = all_processes().map_or_else(
            |_| Vec::new(),
            |all| all.take(PROCESSES_MAX).filter_map(|process| process.ok()?.stat().ok()).collect(),
        );
        let parents: HashMap<i32, i32> = all.iter().map(|stat| (stat.pid, stat.ppid)).collect();
        let own = std::process::id();
        let others = all.into_iter().filter(|stat| !is_descendant(stat.pid, own, &parents));
        Neighbours(others.map(|stat| (stat.pid, Neighbour::of(stat))).collect())
    }

    /// Who has used most since `earlier`, and how much; `None` where nobody has.
    pub fn busiest_since(&self, earlier: &Neighbours) -> Option<Neighbour> {
        let used = self.0.values().map(|now| {
            let before = earlier.0.get(&now.pid).filter(|before| before.started == now.started);
            let before = before.map_or(Duration::ZERO, |before| before.cpu);
            Neighbour { cpu: now.cpu.saturating_sub(before), ..now.clone() }
        });
        used.max_by_key(|neighbour| neighbour.cpu).filter(|neighbour| !neighbour.cpu.is_zero())
    }
}

impl Neighbour {
    fn of(stat: Stat) -> Neighbour {
        let ticks = procfs::ticks_per_second().max(1);
        let cpu = Duration::from_secs_f64((stat.utime + stat.stime) as f64 / ticks as f64);
        Neighbour { pid: stat.pid, name: stat.comm, started: stat.starttime, cpu }
    }
}

/// Whether a process is that one, or was started by it or by one that it started.
fn is_descendant(pid: i32, of: u32, parents: &HashMap<i32, i32>) -> bool {
    let chain = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
    chain.take(PROCESSES_MAX).any(|ancestor| u32::try_from(ancestor) == Ok(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busiest_is_somebody_else() {
        let neighbours = |times: &[(i32, &str, u64, u64)]| {
            let of = |(pid, name, started, ms): &(i32, &str, u64, u64)| {
                let (name, cpu) = ((*name).to_owned(), Duration::from_millis(*ms));
                (*pid, Neighbour { pid: *pid, name, started: *started, cpu })
            };
            Neighbours(times.iter().map(of).collect())
        };
        // A worker of the kernel changes its name, and not what it has used since boot.
        let before =
            neighbours(&[(1, "init", 1, 9_000), (2, "kworker/0:0-events", 1, 9_000), (7, "cargo", 5, 100)]);
        let after = neighbours(&[
            (1, "init", 1, 9_010),
            (2, "kworker/0:0-writeback", 1, 9_010),
            (7, "cargo", 5, 900),
            (8, "cc", 6, 500),
        ]);
        let busiest = after.busiest_since(&before).unwrap();
        assert_eq!((busiest.pid, &busiest.name[..], busiest.cpu.as_millis()), (7, "cargo", 800));
        assert_eq!(before.busiest_since(&before), None);
        // Another process with the number of one that is gone.
        let reused = neighbours(&[(7, "rustc", 9, 300)]);
        assert_eq!(reused.busiest_since(&before).map(|of| of.cpu.as_millis()), Some(300));
        let parents = HashMap::from([(3, 2), (2, 1), (5, 1), (1, 0)]);
        assert!(is_descendant(3, 2, &parents) && is_descendant(2, 2, &parents));
        assert!(!is_descendant(5, 2, &parents) && !is_descendant(9, 2, &parents));
    }

    #[test]
    fn those_that_can_be_seen_are_read_without_ourselves() {
        let neighbours = Neighbours::read();
        assert!(!neighbours.0.contains_key(&i32::try_from(std::process::id()).unwrap()));
    }
}
