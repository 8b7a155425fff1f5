//! What is behind a front: markets that it calls as a client, each by the same policy.

use std::sync::Arc;

use clients::{CallError, Endpoint, Tls, Upstream};
use clock::{Clock, Mono};
use proto::data::DataSet;
use proto::v1::FaultCode;
use proto::{Fault, Operation};
use servers::market::{Asked, Backend, Behind};
use terms::role::RoleError;
use terms::{MarketAt, asks_second_market};

/// Markets, and which of them is asked.
#[derive(Debug)]
struct Markets {
    markets: Vec<Upstream>,
    second: Option<f64>,
    data: DataSet,
}

/// Opens clients of the markets behind a front.
///
/// # Errors
/// Where a certificate cannot be read, or the system refuses a timer.
pub(super) fn open(behind: &Behind) -> Result<Arc<dyn Backend>, RoleError> {
    let market = |(nth, MarketAt { address, tls }): (usize, &MarketAt)| {
        let tls = tls.as_ref().map(|(options, root)| Tls::to_market(*options, root)).transpose()?;
        let endpoint = Endpoint { tls, congestion: Some(behind.congestion), ..Endpoint::from(*address) };
        let seed = behind.market_seed.wrapping_add(nth as u64);
        Ok(Upstream::open(behind.carriage, endpoint, behind.policy, behind.time_out, seed)?)
    };
    let markets = behind.markets.iter().enumerate().map(market).collect::<Result<Vec<_>, RoleError>>()?;
    Ok(Arc::new(Markets { markets, second: behind.second_market, data: DataSet::new(behind.market_seed) }))
}

impl Backend for Markets {
    fn ask(&self, operation: Operation, deadline: Option<Mono>) -> Asked {
        let second = self.second.is_some_and(|share| asks_second_market(&operation, share, &self.data));
        let market = self.markets.get(usize::from(second)).cloned();
        Box::pin(async move {
            let market =
                market.ok_or_else(|| Fault::new(FaultCode::Unavailable, "there is no second market"))?;
            market.call(operation, deadline).await.map_err(|error| match error {
                CallError::Rejected(fault) => fault,
                error => fault(&error, deadline),
            })
        })
    }

    fn renew(&self, seed: u64) -> Result<(), RoleError> {
        let renew = |(nth, market): (usize, &Upstream)| market.renew(seed.wrapping_add(nth as u64));
        Ok(self.markets.iter().enumerate().try_for_each(renew)?)
    }
}

/// What a front says of a call that failed behind it.
fn fault(error: &CallError, deadline: Option<Mono>) -> Fault {
    let is_over = deadline.is_some_and(|deadline| deadline <= Clock::System.now());
    let code = if is_over { FaultCode::DeadlineExceeded } else { FaultCode::Unavailable };
    Fault::new(code, format!("the market behind: {}", error.sample()))
}
