//! The services behind a front, which answer calls in the market's place.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clock::Mono;
use proto::flow::Congestion;
use proto::{MarketResult, Operation, Reply};
use serde::{Deserialize, Serialize};
use terms::role::RoleError;
use terms::{Carriage, MarketAt, Policy};

/// What comes of a call, later.
pub type Asked = Pin<Box<dyn Future<Output = MarketResult<Reply>> + Send>>;

/// Services that a front calls.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Has a call answered, by its deadline where it has one. Dropping the future abandons it.
    fn ask(&self, operation: Operation, deadline: Option<Mono>) -> Asked;

    /// Forgets what came of calls before, and draws from this seed: a round begins.
    ///
    /// # Errors
    /// Where that cannot be, with why.
    fn renew(&self, seed: u64) -> Result<(), RoleError>;
}

/// The markets behind a front, and how it calls them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Behind {
    /// Over which protocol.
    pub carriage: Carriage,
    /// What it does about calls that fail; each market has its own budget, breaker and bulkhead.
    pub policy: Policy,
    /// Of TCP and QUIC.
    pub congestion: Congestion,
    /// Each market.
    pub markets: Vec<MarketAt>,
    /// Time after which a call has failed, whatever the policy says.
    pub time_out: Duration,
    /// The share of symbols of which only the second market knows.
    pub second_market: Option<f64>,
    /// Seed of the markets' data.
    pub market_seed: u64,
}

/// Opens what is behind a front, on the runtime of its process. This room knows no clients, so
/// that the role's caller brings it.
pub type OpenBackend = fn(&Behind) -> Result<Arc<dyn Backend>, RoleError>;
