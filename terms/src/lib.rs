//! The vocabulary, as data: what is compared, under what, what is asked of it, and what a
//! measurement leaves. No sockets, no files, no clock, no runtime: every other room imports these
//! names, and this one imports the contract alone.

mod acts;
mod axis;
mod balance;
mod between;
pub mod bounds;
mod breaker;
mod call;
mod carriage;
mod changes;
mod claim;
pub mod coarse;
mod condition;
mod contender;
mod course;
pub mod escape;
mod expression;
mod extent;
mod failure;
mod figure;
mod histograms;
mod limit;
pub mod lines;
mod link;
mod load;
mod machine;
mod names;
mod operations;
mod outcome;
mod policy;
mod quantiles;
mod registry;
mod retries;
pub mod role;
mod routes;
mod schedule;
mod stages;
mod sweep;
pub mod text;
mod timeline;
pub mod ways;
mod workload;

pub use acts::{Act, CapacitySearch, Hold, Restart, ScaleOut};
pub use axis::{Axis, Coordinate};
pub use balance::{Balance, Balancing, Ejection, Health, HealthCheck, Picker};
pub use between::{Between, HELD_BYTES_MAX, RelayPolicy, resumes_by_default};
pub use breaker::{Admission, Breaker, Circuit};
pub use call::OneCall;
pub use carriage::{
    Carriage, HttpVersion, Manners, MarketAt, REST_BEFORE_RECONNECTION, Streams, TlsOptions, TlsVersion,
};
pub use changes::{Changes, Trouble, TroubleKind};
pub use claim::{Claim, Prediction, Rule, So, Test};
pub use condition::Condition;
pub use contender::{Access, Contender, ForeignServer, Screen, Through, Traffic};
pub use course::{Course, Slice};
pub use expression::{Expression, Value, parse_objective};
pub use extent::Extent;
pub use failure::{FailedAfter, Failure};
pub use figure::{Distribution, FAILED_SHARE_MAX, Figure, Point};
pub use histograms::{Histograms, empty_histogram, packed};
pub use limit::AdaptiveLimit;
pub use link::{Link, LinkUsed, WanLink};
pub use load::{Arrivals, Emission, Model, Shape};
pub use machine::{Layout, Machine};
pub use names::NameSettings;
pub use operations::{asks_second_market, largest_reply_bytes, operations};
pub use outcome::{FlowOutcome, Outcome, Phase, PhaseTimes, Sent};
pub use policy::{ATTEMPTS_MAX, Backoff, Budget, Policy, RetryJitter};
pub use quantiles::{Quantiles, calls_needed, count_within, printable, share_within};
pub use registry::{Absence, Registry, SetAbsences};
pub use retries::Retries;
pub use routes::{Matches, Route};
pub use schedule::{ARRIVALS_MAX, Schedule, ScheduleError};
pub use stages::{Stage, parse_stages};
pub use sweep::{BreakEven, Map, Sought};
pub use timeline::{TimeSlice, Timeline};
pub use ways::{Jitter, JitterShape, Loss, Way, WayCount, Ways};
pub use workload::{
    Activity, Amount, Concurrency, Counted, FlowSettings, Handler, LedgerKind, MARKET_SEED, REPLICAS_MAX,
    Workload,
};
