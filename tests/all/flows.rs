//! Flows end to end: what TCP and UDP themselves do with a slow reader, with a link that is too
//! narrow, and with a peer that is gone.

use record::{Merged, Record};

use crate::measured::Measured;

fn run(scenario: &str, options: &[&str]) -> Option<Record> {
    let measured = Measured::of(scenario, &[&["--quick"], options].concat())?;
    let report = std::fs::read_to_string(measured.file("report.html")).unwrap();
    assert!(report.contains("shares of the link") && !report.contains("conformance cases"));
    Some(measured.record)
}

fn of<'a>(record: &'a Record, contender: &str) -> &'a Merged {
    let cell = record.cells.iter().find(|cell| cell.contender == contender).unwrap();
    let merged = cell.merged.as_ref().unwrap();
    let sent: u64 = merged.flows.iter().map(|flow| flow.sent_blocks).sum();
    assert_eq!((merged.counts.arrivals, merged.response_us.n), (sent, sent));
    merged
}

/// The reader takes a tenth: TCP's sender is held back and its buffers bound what is held, UDP's is
/// not and nine tenths are lost.
#[test]
fn a_slow_reader_holds_tcp_back_and_loses_datagrams() {
    // Over the cable, or loopback where the machine allows none.
    let record = run("tcp-backpressure", &[]).unwrap();
    let (tcp, udp) = (of(&record, "tcp"), of(&record, "udp"));
    assert_eq!(tcp.counts.failures(), 0);
    assert!(tcp.flows[0].blocked_share > 0.8 && tcp.flows[0].held_bytes_max < 2_000_000, "{:?}", tcp.flows);
    assert!(udp.flows[0].lost_share() > 0.8 && udp.flows[0].blocked_share < 0.1, "{:?}", udp.flows);
}

/// The bottleneck carries 20 Mbit/s of packets, 97.7 % of which are blocks; datagrams leave TCP
/// nothing of it.
#[test]
fn flows_share_a_bottleneck() {
    let Some(record) = run("tcp-congestion", &["--set=quick.duration=\"1500ms\""]) else { return };
    for contender in ["cubic+cubic", "cubic+udp"] {
        let merged = of(&record, contender);
        let all: f64 = merged.flows.iter().map(|flow| flow.goodput_bits_per_s).sum();
        assert!((17e6..19.7e6).contains(&all), "{contender}: {all}");
        assert!(merged.queue.unwrap().wait_mean_us > 5_000.0, "{:?}", merged.queue);
    }
    let (shared, taken) = (of(&record, "cubic+cubic"), of(&record, "cubic+udp"));
    assert!(shared.jain_index.unwrap() > taken.jain_index.unwrap() && taken.jain_index.unwrap() < 0.6);
    assert!(taken.queue.unwrap().dropped > 1_000, "{:?}", taken.queue);
}

#[test]
fn a_connection_that_dies_has_accepted_what_nobody_received() {
    let options = [
        "--only=reset",
        "--only=alive",
        "--set=quick.conditions=[\"connected\", \"vanishes\"]",
        "--set=quick.contenders=[\"reset\", \"alive\"]",
    ];
    let Some(record) = run("tcp-dies", &options) else { return };
    let lost = |contender: &str, condition: &str| {
        let merged = record.cells[record.cell(contender, condition).unwrap()].merged.as_ref().unwrap();
        merged.counts.failures()
    };
    assert_eq!(lost("alive", "connected"), 0);
    // In each, a round trip of 20 ms at a thousand a second, in two rounds; the machine may be slow
    // to hear of the reset.
    let reset = lost("reset", "connected");
    assert!((30..200).contains(&reset), "{reset}");
    // All of the last 100 ms, and what was under way.
    assert!(lost("alive", "vanishes") > 180, "{}", lost("alive", "vanishes"));
}
