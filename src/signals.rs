//! Signals that ask the command to end: Ctrl-C, `kill`, and a terminal that goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clock::{Clock, Mono};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// The exit code of a command that is asked a second time: as a shell has it for SIGINT.
const ENDED_AT_ONCE: i32 = 130;

/// What comes so soon after the first signal is the same request: `timeout` signals the command,
/// and then its whole process group.
pub(crate) const SAME_REQUEST: Duration = Duration::from_millis(500);

/// The first signal asks for an orderly end; a second one, half a second later or more, ends at
/// once.
///
/// # Errors
/// The system's.
pub(crate) fn stop_on_signals() -> std::io::Result<Arc<AtomicBool>> {
    let (stop, first) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let hang_up = hears_hang_up().then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
        let (stop, first) = (Arc::clone(&stop), Arc::clone(&first));
        let hear = move || hear(&stop, &first);
        // SAFETY: it reads a clock, changes atomics, and may end the process: all of it is
        // async-signal-safe.
        unsafe { signal_hook::low_level::register(signal, hear) }?;
    }
    // A file that may grow no further is an error of the write, and no reason to die.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(stop)
}

fn hear(stop: &AtomicBool, first: &AtomicU64) {
    let now = Clock::System.now();
    match first.compare_exchange(0, now.0.max(1), Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => stop.store(true, Ordering::Relaxed),
        Err(at) if now.since(Mono(at)) < SAME_REQUEST => {}
        Err(_) => signal_hook::low_level::exit(ENDED_AT_ONCE),
    }
}

/// Whether the end of its terminal is this process's concern: `nohup` starts it so that it is not.
pub(crate) fn hears_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    !is_ignored(&status, SIGHUP)
}

/// Whether a process ignores a signal, by its `/proc/PID/status`: a mask in hexadecimal, signal 1
/// in its lowest bit.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tx\nSigBlk:\t00000000ffffffff\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, SIGHUP) && is_ignored(status, 13));
        assert!(!is_ignored(status, SIGINT) && !is_ignored("", SIGHUP));
    }
}
