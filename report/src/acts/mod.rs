//! What was done beside the rounds, for people: tables for a page, lines for a terminal, sentences
//! for the card; one file an act.

mod capacity;
mod hold;
mod restart;
mod scale_out;

use record::{ActPart, Record};

use crate::look::Looks;

pub(crate) use capacity::{CapacityView, capacity};
pub(crate) use hold::HoldView;
pub(crate) use restart::RestartRow;
pub(crate) use scale_out::ScaleOutView;

/// The tables of a page; a capacity's chart stands with its condition ([`capacity`]).
#[derive(Default)]
pub(crate) struct ActViews {
    pub(crate) hold: Option<HoldView>,
    pub(crate) restarts: Vec<RestartRow>,
    /// How long all took to come back: a title a number of subscribers, and the chart for each
    /// width.
    pub(crate) restart_charts: Vec<(String, [String; 2])>,
    pub(crate) scale_out: Option<ScaleOutView>,
}

pub(crate) fn views(record: &Record, looks: &Looks<'_>) -> ActViews {
    let mut views = ActViews::default();
    for act in &record.acts {
        match act {
            ActPart::Hold { memory, .. } => views.hold = Some(hold::view(memory, looks)),
            ActPart::Restart { restarts, .. } => {
                views.restarts = restarts.iter().map(restart::restart_row).collect();
                views.restart_charts = restart::charts(restarts, looks);
            }
            ActPart::ScaleOut { asked, scale_outs } => {
                views.scale_out = Some(scale_out::view(asked, scale_outs, looks));
            }
            ActPart::Capacity { .. } => {}
        }
    }
    views
}

/// What an act says of a line of the card that asked for it: no verdict, a price.
pub(crate) struct Price<'a> {
    /// The line.
    pub(crate) card: &'a str,
    /// What was asked.
    pub(crate) sentence: &'a str,
    /// Where its charts stand on the page.
    pub(crate) at: &'static str,
    /// The answer, in sentences with its numbers.
    pub(crate) number: String,
}

/// The price that an act shows; `None` where nobody asked for one.
pub(crate) fn price<'a>(record: &Record, act: &'a ActPart) -> Option<Price<'a>> {
    Some(match act {
        ActPart::Hold { asked, memory } => {
            let asked = asked.as_ref()?;
            Price {
                card: &asked.card,
                sentence: &asked.sentence,
                at: "memory",
                number: hold::number(record, asked, memory),
            }
        }
        ActPart::Restart { asked, restarts } => Price {
            card: &asked.card,
            sentence: &asked.sentence,
            at: "restart",
            number: restart::number(record, restarts),
        },
        ActPart::ScaleOut { asked, scale_outs } => Price {
            card: &asked.card,
            sentence: &asked.sentence,
            at: "scale-out",
            number: scale_out::number(record, asked, scale_outs),
        },
        ActPart::Capacity { .. } => return None,
    })
}

/// The highest rates that were found, for a terminal: nobody asked for a price.
pub(crate) fn capacity_lines(record: &Record) -> Vec<String> {
    let of = |act: &ActPart| match act {
        ActPart::Capacity { capacities } => capacity::lines(record, capacities),
        ActPart::Hold { .. } | ActPart::Restart { .. } | ActPart::ScaleOut { .. } => Vec::new(),
    };
    record.acts.iter().flat_map(of).collect()
}
