//! Which cores this process may use, and pinning to one.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cores that this process may use: what it inherited, never more.
///
/// # Errors
/// The system's.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// Pins the calling thread, and the threads it starts later, to one core.
///
/// # Errors
/// The system's, where the core is not among those allowed.
pub fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
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

    #[test]
    fn pinning_holds_for_this_thread() {
        std::thread::spawn(|| {
            let core = *allowed().unwrap().last().unwrap();
            pin(core).unwrap();
            assert_eq!(allowed().unwrap(), [core]);
        })
        .join()
        .unwrap();
    }
}
