//! What was done beside the rounds, for people: tables for a page, lines for a terminal, sentences
//! for the card; one file an act.

mod capacity;
mod hold;
mod restart;
mod scale_out;

use record::{ActPart, Record};

pub(crate) use capacity::{CapacityView, capacity};
pub(crate) use hold::HoldView;
pub(crate) use restart::RestartRow;
pub(crate) use scale_out::ScaleOutView;

/// The tables of a page; a capacity's chart stands with its condition ([`capacity`]).
#[derive(Default)]
pub(crate) struct ActViews {
    pub(crate) hold: Option<HoldView>,
    pub(crate) restarts: Vec<RestartRow>,
    pub(crate) scale_out: Option<ScaleOutView>,
}

pub(crate) fn views(record: &Record) -> ActViews {
    let mut views = ActViews::default();
    for act in &record.acts {
        match act {
            ActPart::Hold { memory, .. } => views.hold = Some(hold::view(memory)),
            ActPart::Restart { restarts, .. } => {
                views.restarts = restarts.iter().map(restart::restart_row).collect();
            }
            ActPart::ScaleOut { asked, scale_outs } => {
                views.scale_out = Some(scale_out::view(asked, scale_outs));
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
    /// The answer, in sentences with its numbers.
    pub(crate) number: String,
    /// The same in lines.
    lines: Vec<String>,
}

/// The price that an act shows; `None` where nobody asked for one.
pub(crate) fn price(act: &ActPart) -> Option<Price<'_>> {
    Some(match act {
        ActPart::Hold { asked, memory } => {
            let asked = asked.as_ref()?;
            Price {
                card: &asked.card,
                sentence: &asked.sentence,
                number: hold::number(asked, memory),
                lines: hold::lines(memory),
            }
        }
        ActPart::Restart { asked, restarts } => Price {
            card: &asked.card,
            sentence: &asked.sentence,
            number: restart::number(restarts),
            lines: restart::restarts_in_words(restarts),
        },
        ActPart::ScaleOut { asked, scale_outs } => Price {
            card: &asked.card,
            sentence: &asked.sentence,
            number: scale_out::number(asked, scale_outs),
            lines: scale_out::scale_outs_in_words(scale_outs, asked),
        },
        ActPart::Capacity { .. } => return None,
    })
}

/// What acts came to, for a terminal.
pub(crate) fn lines(record: &Record) -> Vec<String> {
    let of = |act: &ActPart| match act {
        ActPart::Capacity { capacities } => capacity::lines(record, capacities),
        ActPart::Hold { .. } | ActPart::Restart { .. } | ActPart::ScaleOut { .. } => {
            let Some(price) = price(act) else { return Vec::new() };
            let head = format!("{} a price: {}", price.card, price.sentence);
            let lines = price.lines.into_iter().map(|line| format!("   {line}"));
            std::iter::once(head).chain(lines).collect()
        }
    };
    record.acts.iter().flat_map(of).collect()
}
