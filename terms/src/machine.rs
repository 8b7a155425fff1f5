//! Where a run was: the machine, and which of its cores did what.

use std::io;

/// What a reader must know to judge a figure. What could not be read is `None`, and shown as
/// unknown.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Machine {
    /// Kernel release.
    pub kernel: Option<String>,
    /// Model of the first core.
    pub cpu_model: Option<String>,
    /// Cores that this process may use.
    pub cores: Vec<usize>,
    /// Main memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Whether a hypervisor runs this machine.
    pub virtual_machine: bool,
    /// Frequency governor of the first core; absent where the machine does not scale, or hides it.
    pub governor: Option<String>,
    /// What the kernel reads time from.
    pub clock_source: Option<String>,
    /// Default TCP congestion control.
    pub congestion_control: Option<String>,
    /// Open files that this process may have.
    pub open_files_max: Option<u64>,
    /// Runnable processes in the last minute, on average, before the run.
    pub load_average_1m: Option<f64>,
}

impl Machine {
    /// In half a line: `2 virtual cores of an AMD EPYC, Linux 6.18.5`.
    pub fn in_words(&self) -> String {
        let kind = if self.virtual_machine { "virtual cores" } else { "cores" };
        let model = self.cpu_model.as_deref().unwrap_or("an unknown processor");
        let kernel = self.kernel.as_deref().unwrap_or("unknown");
        format!("{} {kind} of {model}, Linux {kernel}", self.cores.len())
    }
}

/// Who runs where: servers on one core; clients and the command on another, where there is one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Layout {
    /// The servers' core.
    pub server: usize,
    /// The clients' cores, and the command's.
    pub client: Vec<usize>,
    /// Both ends share a core: there is only one, and every figure is of their sum.
    pub shared: bool,
}

impl Layout {
    /// The first core for the servers, the second for the clients.
    ///
    /// # Errors
    /// Where no core is allowed, which no running process sees.
    pub fn of(cores: &[usize]) -> io::Result<Layout> {
        match cores {
            [] => Err(io::Error::other("this process may use no core")),
            [only] => Ok(Layout { server: *only, client: vec![*only], shared: true }),
            [server, client, ..] => Ok(Layout { server: *server, client: vec![*client], shared: false }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_clients_get_cores_of_their_own_where_there_are_two() {
        let layout = Layout::of(&[3, 5, 7]).unwrap();
        assert_eq!(layout, Layout { server: 3, client: vec![5], shared: false });
        assert!(Layout::of(&[2]).unwrap().shared);
        assert!(Layout::of(&[]).is_err());
    }
}
