//! A balancer's process, told which servers to give connections or requests to.

use std::io::stdout;
use std::net::{IpAddr, SocketAddr};

use clock::Clock;
use proto::flow::Congestion;
use serde::{Deserialize, Serialize};
use terms::role::{Means, Role, RoleError, answer, say_ready};
use terms::{HealthCheck, Route, orders};

use super::{Ready, SetPolicy};
use crate::between::{Layer7, Relay};
use crate::{Limits, Shutdown, between};

/// A balancer.
#[derive(Debug)]
pub struct Balancer;

impl Role for Balancer {
    const NAME: &'static str = "balancer";
    type Start = Spread;
    type Ready = Ready;
    type Order = BalancerOrder;
}

orders! {
    /// What a balancer can be told.
    pub enum BalancerOrder of Balancer {
        /// Which servers have new connections.
        Backends(SetBackends) -> (),
        /// How many connections each was given.
        Given(CountGiven) -> Vec<(SocketAddr, u64)>,
        /// What is done with connections.
        Policy(SetPolicy) -> (),
    }
}

/// A balancer of several servers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spread {
    /// Where it runs.
    pub core: usize,
    /// Where it listens, on any port.
    pub address: IpAddr,
    /// Which requests go to which market, where it reads HTTP; `None` at layer 4.
    pub routes: Option<Vec<Route>>,
    /// Of its connections to clients.
    pub congestion: Congestion,
    /// How it looks after the servers; `None` for not at all.
    pub checks: Option<HealthCheck>,
    /// Its bounds.
    pub limits: Limits,
}

/// Give new connections, or requests, to these from now on, in turn.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetBackends(pub Vec<SocketAddr>);

/// Say how many connections, or requests, were given to each so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CountGiven;

/// Balances until the end of the input.
///
/// # Errors
/// Where it cannot go on, with why.
pub fn balance(start: &Spread, means: Means) -> Result<(), RoleError> {
    let Spread { core, address, congestion, checks, limits, ref routes } = *start;
    (means.pin)(core).map_err(RoleError::during("pinning the balancer"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (shutdown, backends) = (Shutdown::new(), between::Backends::new(Vec::new()));
        let any_port = SocketAddr::new(address, 0);
        let (congestion, stop, listening) =
            (Some(congestion), shutdown.clone(), format!("listening on {address}"));
        let (address, mut task, policy) = match routes {
            None => {
                let started = Relay::start(any_port, backends.clone(), congestion, limits, stop).await;
                let relay = started.map_err(RoleError::during(&listening))?;
                (relay.address, relay.task, Some(relay.policy))
            }
            Some(routes) => {
                let (routes, backends) = (routes.clone(), backends.clone());
                let started = Layer7::start(any_port, backends, routes, congestion, limits, stop).await;
                let balancer = started.map_err(RoleError::during(&listening))?;
                (balancer.address, balancer.task, None)
            }
        };
        say_ready::<Balancer>(&mut stdout(), Ready::at(address, Clock::System.now()))?;
        if let Some(checks) = checks {
            // It ends with the runtime.
            tokio::spawn(between::look_after(backends.clone(), checks));
        }
        let mut orders = super::orders::<Balancer>(shutdown);
        loop {
            tokio::select! {
                ended = &mut task => return Ok(ended?),
                Some(order) = orders.recv() => match order {
                    BalancerOrder::Backends(order) => {
                        backends.set(order.0.clone());
                        answer::<Balancer, _>(&mut stdout(), &order, ())?;
                    }
                    BalancerOrder::Policy(order) => {
                        let policy = policy.as_ref();
                        let policy = policy.ok_or_else(|| RoleError("only layer 4 has a policy".to_owned()))?;
                        policy.send_replace(order.0);
                        answer::<Balancer, _>(&mut stdout(), &order, ())?;
                    }
                    BalancerOrder::Given(order) => {
                        answer::<Balancer, _>(&mut stdout(), &order, backends.given())?;
                    }
                }
            }
        }
    })
}
