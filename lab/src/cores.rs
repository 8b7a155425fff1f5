//! Which cores this process may use, and pinning to one.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

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

/// A core that a load of this machine works on; given back when it is dropped, or its process ends.
#[derive(Debug)]
pub struct HeldCore(#[expect(dead_code, reason = "it is held")] UnixDatagram);

/// Holds a core among the loads of this machine; `None` where another has it. It is a name in the
/// system's abstract namespace of sockets, which goes away with its process.
pub fn hold(core: usize) -> Option<HeldCore> {
    let name = SocketAddr::from_abstract_name(format!("wirebench-core-{core}")).ok()?;
    UnixDatagram::bind_addr(&name).ok().map(HeldCore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_held_once() {
        // No machine has so many.
        let core = 1_000_000 + std::process::id() as usize;
        let held = hold(core);
        assert!(held.is_some() && hold(core).is_none());
        drop(held);
        assert!(hold(core).is_some());
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
