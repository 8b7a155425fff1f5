//! The pacer: picks arrivals up when they are due, and queues them for the slots.

use std::time::Duration;

use clock::Mono;
use terms::Schedule;

use super::queue::Arrival;
use super::recorder::CallTimes;
use super::shared::Shared;
use crate::connection::CallError;

/// The longest sleep: an end that is asked for is heard this soon.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// Picks arrivals up when they are due: all that are, at each wake, each counted from its own time.
pub(super) async fn pace(shared: &Shared, mut timer: clock::Timer, schedule: &Schedule) {
    let start = shared.round.start;
    timer.sleep_until(start).await;
    let mut now = shared.clock.now();
    for (nth, offset_ns) in (0..).zip(schedule.offsets_ns()) {
        let nth = shared.live.in_all(nth);
        let scheduled = Mono(start.0 + offset_ns);
        while now < scheduled && !shared.is_stopped(now) {
            // The slots go first: arming a timer takes microseconds on a virtual machine, and a
            // call would wait.
            tokio::task::yield_now().await;
            timer.sleep_until(scheduled.min(now + SLEEP_MAX)).await;
            now = shared.clock.now();
        }
        if shared.is_stopped(now) {
            break;
        }
        if !shared.arrivals.push(Arrival { nth, scheduled, picked_up: now }) {
            let times = CallTimes { scheduled, picked_up: now, sent: None, attempts: 0, done: now };
            shared.record(nth, &times, Err(&CallError::NotSent));
        }
    }
    shared.arrivals.close();
}
