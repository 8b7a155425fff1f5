//! One timer: sleeps until a point on the clock, through `timerfd` and the runtime's own epoll.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use crate::{Clock, Mono};

/// How a [`Timer`] trades processor time for punctuality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Sleep in the kernel all the way: no processor time, wakes tens of microseconds late.
    #[default]
    Sleep,
    /// Sleep until shortly before, then poll (yielding to other tasks between polls): wakes within
    /// a few microseconds, at the price of up to 100 µs of processor time a wake.
    Spin,
}

/// How long before its time a [`Precision::Spin`] timer stops sleeping. Chosen from the p99 wake-up
/// latency of a timerfd on a virtual machine (81 µs, `../shared/DEPS.md`), rounded up.
pub(crate) const SPIN: Duration = Duration::from_micros(100);

/// Sleeps until points on a clock. One sleep at a time; make one timer a pacer, or use
/// [`crate::Delays`].
#[derive(Debug)]
pub struct Timer {
    clock: Clock,
    precision: Precision,
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    pub(crate) fn new(clock: Clock, precision: Precision) -> io::Result<Timer> {
        // SAFETY: timerfd_create has no memory arguments; its result is checked before use.
        let raw =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` was just returned by the kernel and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: an OwnedFd returns the same descriptor until it is dropped, and the AsyncFd owns
        // it.
        let fd = unsafe { AsyncFd::register(fd) }?;
        Ok(Timer { clock, precision, fd })
    }

    /// Returns at `deadline` or as soon after as the machine can; at once if it has passed.
    pub async fn sleep_until(&mut self, deadline: Mono) {
        if let Clock::Fake(fake) = &self.clock {
            fake.sleep_until(deadline).await;
            return;
        }
        let spin = match self.precision {
            Precision::Sleep => Duration::ZERO,
            Precision::Spin => SPIN,
        };
        let wake = deadline - spin;
        while self.clock.now() < wake {
            if self.arm(wake).is_err() || self.expired().await.is_err() {
                // A timerfd that was created cannot fail later short of a kernel fault: poll
                // instead.
                tokio::task::yield_now().await;
            }
        }
        while self.clock.now() < deadline {
            tokio::task::yield_now().await;
        }
    }

    fn arm(&self, deadline: Mono) -> io::Result<()> {
        let spec = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec {
                tv_sec: i64::try_from(deadline.0 / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: i64::try_from(deadline.0 % 1_000_000_000).unwrap_or(0),
            },
        };
        // SAFETY: the descriptor is open for as long as `self`, `spec` is a valid itimerspec, and a
        // null old value is allowed.
        let result = unsafe {
            libc::timerfd_settime(
                self.fd.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &raw const spec,
                std::ptr::null_mut(),
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits for the descriptor to become readable. It is not read: arming it again clears it,
    /// which saves a system call a wake; epoll is edge-triggered here, so an unread descriptor does
    /// not wake again.
    async fn expired(&self) -> io::Result<()> {
        let mut guard = self.fd.readable().await?;
        guard.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn never_wakes_early_and_keeps_waking() {
        for precision in [Precision::Sleep, Precision::Spin] {
            runtime().block_on(async {
                let clock = Clock::System;
                let mut timer = clock.timer(precision).unwrap();
                let start = clock.now();
                for tick in 1..=50_u32 {
                    let deadline = start + Duration::from_micros(300) * tick;
                    timer.sleep_until(deadline).await;
                    assert!(clock.now() >= deadline);
                }
                // Far coarser than what it reaches; finer than 50 ticks of a 1 ms timer would be.
                assert!(clock.now().since(start) < Duration::from_secs(2));
            });
        }
    }

    #[test]
    fn a_cancelled_sleep_does_not_disturb_the_next() {
        runtime().block_on(async {
            let clock = Clock::System;
            let mut timer = clock.timer(Precision::Sleep).unwrap();
            let cancelled = crate::limit(
                Duration::from_millis(5),
                timer.sleep_until(clock.now() + Duration::from_secs(60)),
            );
            assert!(cancelled.await.is_err());
            let deadline = clock.now() + Duration::from_millis(2);
            timer.sleep_until(deadline).await;
            assert!(clock.now() >= deadline);
        });
    }
}
