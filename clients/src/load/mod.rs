//! The load engine: written once, for every protocol. Schedule, model, transport and recording are
//! separate values that compose.
//!
//! `response = lag + wait + service`: *response* = done − scheduled, *lag* = picked up − scheduled
//! (the engine's own lateness), *wait* = sent − picked up (no free slot or connection), *service* =
//! done − sent.

mod driver;
mod ears;
mod engine;
mod flows;
mod job;
mod live;
mod opening;
mod pacer;
mod queue;
mod recorder;
mod round;
mod shared;
mod slot;
mod subscriber;
mod watchdog;

pub use driver::{Driver, WithKey};
pub(crate) use ears::Ears;
pub use engine::{Engine, EngineError};
pub use flows::{Flows, record_lost_blocks};
pub use job::{Calls, Job, Kept, Pushes, Sessions, Worker};
pub use live::{Live, Look};
pub use round::Round;
