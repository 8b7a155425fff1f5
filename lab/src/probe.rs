//! A probe without protocol or engine: a byte through a pipe from one core to another, at given
//! times. What it is off by is the machine's, and nobody can measure better here.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use clock::{Clock, Mono};

/// From the end of a sleep to the time it was for: slept short by so much, and spun.
const SPIN: Duration = Duration::from_micros(100);

/// What a bare pipe between two cores is off by, in µs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Control {
    /// Bytes that arrived.
    pub n: usize,
    /// How far the gaps between arrivals are off: median.
    pub spacing_p50_us: f64,
    /// 99th percentile.
    pub spacing_p99_us: f64,
    /// How late the median arrival is.
    pub late_p50_us: f64,
    /// How much later than the median one arrival in four is.
    pub late_p75_us: f64,
    /// One in ten.
    pub late_p90_us: f64,
    /// One in a hundred.
    pub late_p99_us: f64,
}

impl Control {
    /// Sends `count` bytes, `gap` apart.
    ///
    /// # Errors
    /// The system's.
    pub fn watch(from: usize, to: usize, gap: Duration, count: u32) -> io::Result<Control> {
        let (mut reader, mut writer) = io::pipe()?;
        let clock = Clock::System;
        let start = clock.now() + gap * 5;
        let sent = std::thread::spawn(move || {
            // Unpinned it is a less exact reading, and still one.
            let _ = crate::cores::pin(from);
            let clock = Clock::System;
            for nth in 0..count {
                let due = start + gap * nth;
                clock::pause_thread(due.since(clock.now()).saturating_sub(SPIN));
                while clock.now() < due {
                    std::hint::spin_loop();
                }
                writer.write_all(&[0])?;
            }
            Ok::<_, io::Error>(())
        });
        let received = std::thread::spawn(move || {
            let _ = crate::cores::pin(to);
            let mut arrivals = Vec::with_capacity(count as usize);
            let mut bytes = [0; 64];
            while arrivals.len() < count as usize {
                let n = reader.read(&mut bytes)?;
                if n == 0 {
                    break;
                }
                let now = clock.now();
                arrivals.extend(std::iter::repeat_n(now, n));
            }
            Ok::<_, io::Error>(arrivals)
        });
        let panicked = |_| io::Error::other("a probe's thread panicked");
        sent.join().map_err(panicked)??;
        let arrivals = received.join().map_err(panicked)??;
        Ok(Control::of(&arrivals, start, gap))
    }

    fn of(arrivals: &[Mono], start: Mono, gap: Duration) -> Control {
        let sorted_us = |values: &mut dyn Iterator<Item = u64>| {
            let mut values: Vec<f64> = values.map(|ns| ns as f64 / 1e3).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let gap_ns = clock::nanos(gap);
        let gaps = arrivals.windows(2).map(|pair| pair[1].nanos_since(pair[0]).abs_diff(gap_ns));
        let spacing = sorted_us(&mut gaps.into_iter());
        let due = (0_u32..).map(|nth| start + gap * nth);
        let late = sorted_us(&mut arrivals.iter().zip(due).map(|(arrival, due)| arrival.nanos_since(due)));
        let at = |sorted: &[f64], share: f64| {
            let place = (share * sorted.len() as f64) as usize;
            sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Control {
            n: arrivals.len(),
            late_p50_us: at(&late, 0.5),
            late_p75_us: at(&late, 0.75) - at(&late, 0.5),
            spacing_p50_us: at(&spacing, 0.5),
            spacing_p99_us: at(&spacing, 0.99),
            late_p90_us: at(&late, 0.9) - at(&late, 0.5),
            late_p99_us: at(&late, 0.99) - at(&late, 0.5),
        }
    }

    /// The worse of two.
    #[must_use]
    pub fn worse(self, other: Control) -> Control {
        Control {
            n: self.n.min(other.n),
            late_p50_us: self.late_p50_us.max(other.late_p50_us),
            late_p75_us: self.late_p75_us.max(other.late_p75_us),
            spacing_p50_us: self.spacing_p50_us.max(other.spacing_p50_us),
            spacing_p99_us: self.spacing_p99_us.max(other.spacing_p99_us),
            late_p90_us: self.late_p90_us.max(other.late_p90_us),
            late_p99_us: self.late_p99_us.max(other.late_p99_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_late_is_off_by_that() {
        let gap = Duration::from_millis(1);
        // Every arrival 50 µs late, and one of ten 150 µs.
        let arrival = |nth: u64| Mono(1_000_000 * (nth + 1) + if nth % 10 == 9 { 150_000 } else { 50_000 });
        let control = Control::of(&(0..1_000).map(arrival).collect::<Vec<_>>(), Mono(1_000_000), gap);
        assert!(
            control.spacing_p50_us.abs() < 1e-9 && (control.spacing_p99_us - 100.0).abs() < 1e-9,
            "{control:?}"
        );
        assert!((control.late_p99_us - 100.0).abs() < 1e-9, "{control:?}");
    }

    #[test]
    fn bytes_arrive() {
        let cores = crate::cores::allowed().unwrap();
        let gap = Duration::from_micros(500);
        let control = Control::watch(cores[0], *cores.last().unwrap(), gap, 40).unwrap();
        assert_eq!(control.n, 40, "{control:?}");
    }
}
