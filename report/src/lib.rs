//! The report: drawn from records and from nothing else. One file a page that opens offline, on a
//! phone, and on paper.

mod acts;
mod along;
mod card;
mod chart;
mod claimed;
mod condition;
mod curve;
mod done;
mod export;
mod facts;
mod figure_bars;
mod findings;
mod forest;
mod goodput;
mod interval;
mod load;
mod look;
mod marks;
mod matrix;
mod matrix_bars;
mod numbers;
mod plot;
mod policy;
mod received;
mod reconnections;
mod retries;
mod seconds;
mod shares;
mod sweep;
mod tables;
mod terminal;
mod view;

use askama::Template as _;
use record::Record;

pub(crate) use chart::escape;
pub(crate) use facts::place;
pub(crate) use view::{class, class_of};

pub use card::{Group, Line, card_markdown, card_page, groups, known, scenarios as card_scenarios};
pub use done::Done;
pub use export::{Format, export};
pub use load::{LoadFacts, LoadRequest, LoadStage, load_page};
pub use matrix::{finding_lines as matrix_finding_lines, matrix_page, summary_lines as matrix_summary_lines};
pub use terminal::{finding_lines, summary_lines};
pub use view::utc;

/// The page of one scenario.
///
/// # Errors
/// Where the template cannot be filled, which is a bug.
pub fn scenario_page(record: &Record) -> Result<String, askama::Error> {
    Ok(policy::with_policy(&view::ScenarioPage::of(record).render()?))
}

/// The page that leads to the scenarios of a run.
///
/// # Errors
/// As [`scenario_page`].
pub fn index_page(done: &Done, card: bool) -> Result<String, askama::Error> {
    Ok(policy::with_policy(&view::IndexPage::of(done, card).render()?))
}
