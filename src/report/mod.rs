//! The report: drawn from records and from nothing else. One file a page that opens offline, on a phone, and on
//! paper.

mod chart;
mod condition;
mod curve;
mod facts;
mod folder;
mod forest;
mod goodput;
mod reconnections;
mod restarts;
mod scale_outs;
mod sweep;
mod tables;
mod terminal;
mod view;

use askama::Template as _;

pub(crate) use chart::escape;
pub(crate) use condition::condition_in_words;
pub(crate) use facts::place;
pub use folder::{Done, ResultsFolder};
pub(crate) use restarts::restarts_in_words;
pub(crate) use scale_outs::scale_outs_in_words;
pub(crate) use tables::memory_in_words;
pub use terminal::summary_lines;
pub(crate) use view::{class, utc};

use crate::record::Record;

/// The page of one scenario.
///
/// # Errors
/// Where the template cannot be filled, which is a bug.
pub fn scenario_page(record: &Record) -> Result<String, askama::Error> {
    view::ScenarioPage::of(record).render()
}

/// The page that leads to the scenarios of a run.
///
/// # Errors
/// As [`scenario_page`].
pub fn index_page(done: &Done, card: bool) -> Result<String, askama::Error> {
    view::IndexPage::of(done, card).render()
}
