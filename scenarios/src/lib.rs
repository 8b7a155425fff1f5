//! Scenarios: a question as data, and the plan of its run. What is written (`wire`) is another type
//! than what is used ([`Scenario`]): once it exists, a scenario is whole and its parts fit
//! together. Nothing here asks the machine anything.

mod asked;
mod check;
mod contender;
mod diagnose;
mod extension;
#[cfg(test)]
mod keys;
mod plain;
mod plan;
mod profile;
mod scenario;
mod settings;
mod suggest;
mod values;
mod wire;

pub use diagnose::ScenarioError;
pub use plan::{Cell, Plan, PlanOptions};
pub use scenario::{MATRICES, Profile, Profiles, Scenario};
pub use suggest::{did_you_mean, with_suggestion};
pub use wire::json_schema;
