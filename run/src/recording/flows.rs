//! What flows came to: each one's part of a measurement, and of a cell's rounds together.

use judge::mean;
use record::{FlowPart, QueuePart, jain};
use scenarios::Plan;
use terms::{Contender, FlowOutcome, Sent, Traffic, WayCount};

use crate::Measurement;

/// What a way did to packets.
pub(super) fn queue_part(count: &WayCount) -> QueuePart {
    QueuePart { packets: count.offered, dropped: count.queue_full, wait_mean_us: count.queued_us_mean() }
}

/// What it did in several rounds together.
pub(super) fn queue_of_all(measured: &[&Measurement]) -> Option<QueuePart> {
    let counts: Vec<&WayCount> = measured.iter().filter_map(|m| m.way.as_ref()).collect();
    let sum = |of: fn(&WayCount) -> u64| counts.iter().map(|count| of(count)).sum();
    let all = WayCount {
        offered: sum(|count| count.offered),
        queue_full: sum(|count| count.queue_full),
        too_big: sum(|count| count.too_big),
        queued_us: sum(|count| count.queued_us),
        ..WayCount::default()
    };
    (!counts.is_empty()).then(|| queue_part(&all))
}

/// A contender's flows in some measurements of one cell.
pub(super) fn flow_parts(contender: &Contender, measured: &[&Measurement], plan: &Plan) -> Vec<FlowPart> {
    let Traffic::Flows(flows) = &contender.traffic else { return Vec::new() };
    let seconds = plan.duration.as_secs_f64() * measured.len() as f64;
    let part = |nth: usize| {
        let sent: Vec<&Sent> = measured.iter().filter_map(|m| m.sent.get(nth)).collect();
        let came: Vec<&FlowOutcome> = measured.iter().filter_map(|m| m.outcome.flows.get(nth)).collect();
        let slices = came.iter().map(|flow| flow.course.len()).max().unwrap_or(0);
        let slice_seconds = FlowOutcome::SLICE.as_secs_f64() * measured.len() as f64;
        let in_slice = |slice: usize| {
            let bytes: u64 = came.iter().filter_map(|flow| flow.course.get(slice)).sum();
            bytes as f64 * 8.0 / slice_seconds
        };
        FlowPart {
            flow: flows[nth].in_words(),
            sent_blocks: sent.iter().map(|sent| sent.blocks).sum(),
            received_blocks: came.iter().map(|flow| flow.blocks).sum(),
            goodput_bits_per_s: came.iter().map(|flow| flow.bytes).sum::<u64>() as f64 * 8.0 / seconds,
            blocked_share: sent.iter().map(|sent| sent.blocked.as_secs_f64()).sum::<f64>() / seconds,
            held_bytes_max: came.iter().map(|flow| flow.held_bytes_max).max().unwrap_or(0),
            course_bits_per_s: (0..slices).map(in_slice).collect(),
        }
    };
    (0..flows.len()).map(part).collect()
}

/// The mean of the rounds' indexes: together, rounds in which now one and now the other has more
/// look even.
pub(super) fn jain_of_rounds(contender: &Contender, measured: &[&Measurement], plan: &Plan) -> Option<f64> {
    let of_round = |measurement: &&Measurement| jain(&flow_parts(contender, &[*measurement], plan));
    let indexes: Vec<f64> = measured.iter().filter_map(of_round).collect();
    (!indexes.is_empty()).then(|| mean(&indexes))
}
